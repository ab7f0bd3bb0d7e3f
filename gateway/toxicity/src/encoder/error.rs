//! Why an encoder cannot be used.

/// An encoder's folder is not what it should be, or a text could not be encoded. No text and no
/// path is quoted.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// A file cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// Its name in the folder.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is larger than any honest one.
    #[error("{file} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Its name in the folder.
        file: String,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// A file is not the JSON that it should be.
    #[error("{file} is malformed")]
    Json {
        /// Its name in the folder.
        file: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The folder has something that would change the numbers and that is not computed here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A hyper-parameter is out of bounds or contradicts another.
    #[error("config.json: {name} cannot be {value}")]
    Config {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// The file of weights is malformed.
    #[error("the weights are malformed: {0}")]
    Safetensors(#[source] safetensors::SafeTensorError),
    /// A weight is missing.
    #[error("tensor {0} is missing")]
    MissingTensor(String),
    /// A weight has another shape than the configuration says.
    #[error("tensor {name} has shape {found:?}, not {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// A weight holds an infinity or NaN.
    #[error("tensor {0} holds a number that is not finite")]
    NotFinite(String),
    /// The tokenizer cannot be built.
    #[error("the tokenizer is malformed: {0}")]
    Tokenizer(String),
    /// The tokenizer knows an id that has no embedding.
    #[error("token {token} has no embedding: there are {vocabulary}")]
    Vocabulary {
        /// The id.
        token: u32,
        /// Number of embeddings.
        vocabulary: usize,
    },
    /// No label of a classifier means one of our categories.
    #[error("no label has a known meaning: {}", .0.join(", "))]
    Labels(Vec<String>),
    /// The heads cannot be used.
    #[error("the heads cannot be used")]
    Heads(#[from] super::HeadsError),
    /// The heads were trained on another encoder.
    #[error("the heads were trained on encoder {trained}, not {found}")]
    OtherEncoder {
        /// Fingerprint of the encoder that they were trained on.
        trained: String,
        /// Fingerprint of this one.
        found: String,
    },
    /// A text cannot be encoded.
    #[error("a text cannot be tokenised")]
    Text,
    /// The encoder computed an infinity or NaN.
    #[error("the encoder's result is not finite")]
    Overflow,
    /// The arithmetic failed.
    #[error("the encoder failed")]
    Tensor(#[from] candle_core::Error),
}
