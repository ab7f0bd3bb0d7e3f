//! The safetensors door: reads a weight file and trusts none of it.
//!
//! The format is eight bytes of header length, a JSON header, and the tensors' bytes
//! (<https://github.com/huggingface/safetensors#format>). Beyond the format's own rules this
//! reader bounds the header, allows only matrices of three element types, refuses keys that stand
//! twice or hold control characters, and refuses values that are not finite.
//!
//! **Invariant:** every byte of the file belongs to the length, the header or exactly one tensor.

use std::collections::BTreeMap;

use half::{bf16, f16};
use serde::Deserialize;

use crate::unique::Unique;

const LENGTH_BYTES: usize = 8;
const METADATA: &str = "__metadata__";

/// The matrices of a weight file, by key.
#[derive(Debug)]
pub struct TensorFile(BTreeMap<String, Matrix>);

/// A matrix in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows * columns` finite values, row after row.
    pub values: Vec<f32>,
}

/// Why bytes are not a weight file.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// Too short for the header it announces.
    #[error("the weight file ends inside its header")]
    Truncated,
    /// The header is longer than the limit.
    #[error("the weight file's header has {found} bytes, more than {limit}")]
    HeaderTooLong {
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The header is not the JSON that the format prescribes, or a key stands in it twice.
    #[error("the weight file's header is malformed: {0}")]
    Header(#[source] serde_json::Error),
    /// A key with control characters.
    #[error("tensor {0:?} has control characters in its name")]
    Key(String),
    /// An element type other than F32, F16 and BF16.
    #[error("tensor {key:?} has element type {dtype:?}, not F32, F16 or BF16")]
    ElementType {
        /// The tensor.
        key: String,
        /// Its type.
        dtype: String,
    },
    /// Not a matrix.
    #[error("tensor {key:?} has {dimensions} dimensions, not 2")]
    Dimensions {
        /// The tensor.
        key: String,
        /// How many it has.
        dimensions: usize,
    },
    /// The byte range does not lie in the file, or has not the length that the shape needs.
    #[error("tensor {0:?} has a byte range that fits neither its shape nor the file")]
    Range(String),
    /// The byte range starts inside another tensor's.
    #[error("tensor {0:?} overlaps another")]
    Overlap(String),
    /// Bytes that belong to no tensor.
    #[error("the weight file has bytes that belong to no tensor")]
    Gap,
    /// A value is infinite or not a number.
    #[error("tensor {0:?} has a value that is not finite")]
    NonFinite(String),
}

/// A header entry. Shapes and offsets are unsigned, so negative numbers fail to parse.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// A tensor's place, after its entry has been checked.
struct Place {
    key: String,
    element: Element,
    rows: usize,
    columns: usize,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy)]
enum Element {
    F32,
    F16,
    Bf16,
}

impl TensorFile {
    /// Reads a weight file whose header has at most `header_limit` bytes.
    ///
    /// # Errors
    /// [`TensorFileError`], one variant for each way a file can be wrong.
    pub fn parse(bytes: &[u8], header_limit: u64) -> Result<Self, TensorFileError> {
        let (header, data) = split(bytes, header_limit)?;
        let mut places = Vec::new();
        for (key, entry) in entries(header)? {
            places.push(place(key, &entry, data.len())?);
        }
        refuse_overlaps_and_gaps(&mut places, data.len())?;
        places
            .into_iter()
            .map(|place| {
                let values = place.element.decode(&data[place.start..place.end]);
                if values.iter().any(|v| !v.is_finite()) {
                    return Err(TensorFileError::NonFinite(place.key));
                }
                let matrix = Matrix { rows: place.rows, columns: place.columns, values };
                Ok((place.key, matrix))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The matrices, by key.
    #[must_use]
    pub fn into_matrices(self) -> BTreeMap<String, Matrix> {
        self.0
    }
}

/// The header and the tensors' bytes.
fn split(bytes: &[u8], header_limit: u64) -> Result<(&[u8], &[u8]), TensorFileError> {
    let (length, rest) =
        bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(TensorFileError::Truncated)?;
    let length = u64::from_le_bytes(*length);
    if length > header_limit {
        return Err(TensorFileError::HeaderTooLong { found: length, limit: header_limit });
    }
    usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(TensorFileError::Truncated)
}

fn entries(header: &[u8]) -> Result<Vec<(String, Entry)>, TensorFileError> {
    let Unique(mut members) = serde_json::from_slice::<Unique<serde_json::Value>>(header)
        .map_err(TensorFileError::Header)?;
    if let Some(metadata) = members.remove(METADATA) {
        serde_json::from_value::<BTreeMap<String, String>>(metadata)
            .map_err(TensorFileError::Header)?;
    }
    members
        .into_iter()
        .map(|(key, entry)| {
            if key.chars().any(char::is_control) {
                return Err(TensorFileError::Key(key));
            }
            let entry = serde_json::from_value(entry).map_err(TensorFileError::Header)?;
            Ok((key, entry))
        })
        .collect()
}

fn place(key: String, entry: &Entry, data_bytes: usize) -> Result<Place, TensorFileError> {
    let Some(element) = Element::parse(&entry.dtype) else {
        return Err(TensorFileError::ElementType { key, dtype: entry.dtype.clone() });
    };
    let &[rows, columns] = entry.shape.as_slice() else {
        return Err(TensorFileError::Dimensions { key, dimensions: entry.shape.len() });
    };
    let bounds = || {
        let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
        let start = usize::try_from(entry.data_offsets.0).ok()?;
        let end = usize::try_from(entry.data_offsets.1).ok()?;
        let needed = rows.checked_mul(columns)?.checked_mul(element.bytes())?;
        (end <= data_bytes && end.checked_sub(start)? == needed)
            .then_some((rows, columns, start, end))
    };
    match bounds() {
        Some((rows, columns, start, end)) => Ok(Place { key, element, rows, columns, start, end }),
        None => Err(TensorFileError::Range(key)),
    }
}

/// Sorts the places by position and walks them from end to end.
fn refuse_overlaps_and_gaps(
    places: &mut [Place],
    data_bytes: usize,
) -> Result<(), TensorFileError> {
    places.sort_by_key(|place| (place.start, place.end));
    let mut position = 0;
    for place in places.iter() {
        if place.start < position {
            return Err(TensorFileError::Overlap(place.key.clone()));
        }
        if place.start > position {
            return Err(TensorFileError::Gap);
        }
        position = place.end;
    }
    if position == data_bytes { Ok(()) } else { Err(TensorFileError::Gap) }
}

impl Element {
    fn parse(dtype: &str) -> Option<Self> {
        match dtype {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The values of little-endian `bytes`.
    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => chunks(bytes).map(f32::from_le_bytes).collect(),
            Self::F16 => chunks(bytes).map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            Self::Bf16 => chunks(bytes).map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        }
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}
