//! What an adapter is: its name, format, card, digest, catalogue and leases, and the stacked
//! low-rank operation that applies it.
//!
//! **Invariant:** aliases move, a digest never changes meaning.
#![warn(missing_docs)]

mod adapter;
pub mod card;
mod catalogue;
mod digest;
mod folder;
mod kind;
mod limits;
pub mod lora;
pub mod merge;
mod name;
mod replace;
mod stack;
mod tensor;
pub mod tensor_file;
mod unique;
mod vector;

pub use adapter::{Adapter, AdapterError, BaseModel, CARD_FILE, Doubt, Verification};
pub use card::{Card, CardError};
pub use catalogue::{
    AdapterInfo, Catalogue, CatalogueError, CatalogueSettings, Counters, Expected, Lease,
    RestoreFault, RestoreReason, ShippedFault, StateError, Usage,
};
pub use digest::{Digest, DigestError};
pub use folder::FolderError;
pub use kind::{Kind, KindName};
pub use limits::Limits;
pub use name::{AdapterName, NameError};
pub use replace::{replace_file, replace_private_file};
pub use stack::StackedDelta;
pub use tensor::TensorDelta;
pub use vector::{AdapterVector, Applied, VectorError, VectorKey};
