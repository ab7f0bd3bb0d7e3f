//! Why heads cannot be used.

/// Heads are malformed, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The description is not the JSON that it should be.
    #[error("heads.json is malformed: {0}")]
    Json(#[source] serde_json::Error),
    /// The format is of another version.
    #[error("heads.json has schema {0}, not 1")]
    Schema(u32),
    /// A field's value is out of bounds.
    #[error("heads.json: {field} is out of bounds")]
    Value {
        /// Its name.
        field: &'static str,
    },
    /// A category is named more than once.
    #[error("heads.json: category {0:?} is named twice")]
    Category(String),
    /// A group's name is malformed, or used more than once.
    #[error("heads.json: group {0:?} is malformed or named twice")]
    Group(String),
    /// The file of numbers is malformed.
    #[error("heads.safetensors is malformed: {0}")]
    Safetensors(#[source] safetensors::SafeTensorError),
    /// A tensor is missing.
    #[error("heads.safetensors: tensor {0} is missing")]
    MissingTensor(String),
    /// A tensor that nothing needs.
    #[error("heads.safetensors: tensor {0} has no meaning")]
    UnknownTensor(String),
    /// A tensor is not f32 of the shape that fits.
    #[error("heads.safetensors: tensor {name} is not f32 of shape {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// A tensor holds an infinity or NaN.
    #[error("heads.safetensors: tensor {0} holds a number that is not finite")]
    NotFinite(String),
    /// The files cannot be written.
    #[error("the heads cannot be written")]
    Io(#[source] std::io::Error),
}
