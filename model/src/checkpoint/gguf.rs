//! The GGUF container: metadata and named, typed tensors.
//!
//! Every length is checked against the bytes that are there before anything is allocated, so a
//! hostile file costs an error and nothing else.

use std::collections::HashMap;
use std::ops::Range;

use candle_core::quantized::GgmlDType;

/// The largest nesting of arrays that is read.
const MAX_DEPTH: usize = 4;
/// GGUF allows four; more is refused.
const MAX_DIMS: usize = 4;

/// Why a GGUF file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The magic number is missing.
    #[error("not a GGUF file")]
    Magic,
    /// A version that is not read.
    #[error("GGUF version {0} is not supported (2 and 3 are)")]
    Version(u32),
    /// The file ends inside something.
    #[error("the file ends at byte {at}, inside {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where the reading began.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("a text at byte {0} is not UTF-8")]
    Utf8(usize),
    /// A metadata type that does not exist.
    #[error("metadata type {0} does not exist")]
    ValueType(u32),
    /// Arrays of arrays of arrays.
    #[error("metadata arrays are nested too deeply")]
    Depth,
    /// A name occurs twice.
    #[error("{0:?} occurs twice")]
    Duplicate(String),
    /// A tensor of a type that is not read.
    #[error("tensor {name:?} has type {code}, which is not supported")]
    TensorType {
        /// The tensor.
        name: String,
        /// GGML's number of the type.
        code: u32,
    },
    /// A tensor's shape is impossible.
    #[error("tensor {0:?} has an impossible shape")]
    Shape(String),
    /// A tensor lies outside the file or off the alignment.
    #[error("tensor {0:?} lies outside the file or is not aligned")]
    Range(String),
    /// A metadata key is missing.
    #[error("metadata key {0:?} is missing")]
    MissingKey(String),
    /// A metadata value has another type, or a number out of range.
    #[error("metadata key {0:?} has an unexpected value")]
    KeyType(String),
    /// A tensor is missing.
    #[error("tensor {0:?} is missing")]
    MissingTensor(String),
}

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer type that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// Either float type.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    Array(Vec<Value>),
}

/// Where a tensor is and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// The type of its blocks.
    pub dtype: GgmlDType,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
}

/// The header of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

impl Gguf {
    /// Reads the header of `file`.
    ///
    /// # Errors
    /// [`GgufError`] if it is not a well-formed GGUF file of version 2 or 3.
    pub fn parse(file: &[u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor { file, at: 0 };
        if cursor.take(4, "the magic number").map_err(|_| GgufError::Magic)? != b"GGUF" {
            return Err(GgufError::Magic);
        }
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let (tensor_count, key_count) = (cursor.u64()?, cursor.u64()?);
        let mut metadata = HashMap::new();
        for _ in 0..key_count {
            let key = cursor.text()?;
            let kind = cursor.u32()?;
            let value = cursor.value(kind, 0)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(GgufError::Duplicate(key));
            }
        }
        let mut infos = Vec::new();
        for _ in 0..tensor_count {
            infos.push(cursor.tensor_info()?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Unsigned(a)) if a.is_power_of_two() && (8..=1 << 20).contains(a) => *a,
            Some(_) => return Err(GgufError::KeyType("general.alignment".into())),
        };
        let tensors = place(infos, cursor.at, alignment, file.len())?;
        Ok(Self { metadata, tensors })
    }

    /// A metadata value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// A text.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::KeyType`].
    pub fn text(&self, key: &str) -> Result<&str, GgufError> {
        match self.get(key) {
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(GgufError::KeyType(key.into())),
            None => Err(GgufError::MissingKey(key.into())),
        }
    }

    /// A size or index.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::KeyType`].
    pub fn size(&self, key: &str) -> Result<usize, GgufError> {
        match self.get(key) {
            Some(Value::Unsigned(n)) => {
                usize::try_from(*n).map_err(|_| GgufError::KeyType(key.into()))
            }
            Some(_) => Err(GgufError::KeyType(key.into())),
            None => Err(GgufError::MissingKey(key.into())),
        }
    }

    /// A float.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::KeyType`].
    pub fn float(&self, key: &str) -> Result<f64, GgufError> {
        match self.get(key) {
            Some(Value::Float(x)) => Ok(*x),
            Some(_) => Err(GgufError::KeyType(key.into())),
            None => Err(GgufError::MissingKey(key.into())),
        }
    }

    /// An array.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::KeyType`].
    pub fn array(&self, key: &str) -> Result<&[Value], GgufError> {
        match self.get(key) {
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(GgufError::KeyType(key.into())),
            None => Err(GgufError::MissingKey(key.into())),
        }
    }

    /// Where a tensor is, if there is one of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }
}

/// A tensor's info before its place in the file is known.
struct RawInfo {
    name: String,
    dtype: GgmlDType,
    shape: Vec<usize>,
    offset: u64,
}

fn place(
    infos: Vec<RawInfo>,
    header: usize,
    alignment: u64,
    len: usize,
) -> Result<HashMap<String, TensorInfo>, GgufError> {
    let start = (header as u64).next_multiple_of(alignment);
    let mut tensors = HashMap::new();
    for info in infos {
        let elements = info.shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
        let block = info.dtype.block_size();
        let size = elements
            .filter(|n| *n > 0 && info.shape.last().is_some_and(|d| d % block == 0))
            .and_then(|n| (n / block).checked_mul(info.dtype.type_size()))
            .ok_or_else(|| GgufError::Shape(info.name.clone()))?;
        let begin = start.checked_add(info.offset).and_then(|b| usize::try_from(b).ok());
        let range = begin.and_then(|b| Some(b..b.checked_add(size)?));
        let bytes = range
            .filter(|r| r.end <= len && info.offset.is_multiple_of(alignment))
            .ok_or_else(|| GgufError::Range(info.name.clone()))?;
        let tensor = TensorInfo { dtype: info.dtype, shape: info.shape, bytes };
        if tensors.insert(info.name.clone(), tensor).is_some() {
            return Err(GgufError::Duplicate(info.name));
        }
    }
    Ok(tensors)
}

struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], GgufError> {
        let truncated = GgufError::Truncated { what, at: self.at };
        let end = self.at.checked_add(len).filter(|e| *e <= self.file.len()).ok_or(truncated)?;
        let bytes = &self.file[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, "a number")?);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let len = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        let at = self.at;
        let bytes = self.take(len, "a text")?;
        String::from_utf8(bytes.to_vec()).map_err(|_| GgufError::Utf8(at))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, GgufError> {
        let integer = |n: i64| u64::try_from(n).map_or(Value::Negative(n), Value::Unsigned);
        Ok(match kind {
            0 => Value::Unsigned(self.array::<1>()?[0].into()),
            1 => integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.values(depth)?,
            10 => Value::Unsigned(self.u64()?),
            11 => integer(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(GgufError::ValueType(other)),
        })
    }

    fn values(&mut self, depth: usize) -> Result<Value, GgufError> {
        if depth == MAX_DEPTH {
            return Err(GgufError::Depth);
        }
        let kind = self.u32()?;
        let count = self.u64()?;
        // Grown as elements are really read: the count alone allocates nothing.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn tensor_info(&mut self) -> Result<RawInfo, GgufError> {
        let name = self.text()?;
        let dims = self.u32()? as usize;
        if dims == 0 || dims > MAX_DIMS {
            return Err(GgufError::Shape(name));
        }
        let mut shape = Vec::with_capacity(dims);
        for _ in 0..dims {
            shape.push(usize::try_from(self.u64()?).unwrap_or(usize::MAX));
        }
        shape.reverse();
        let code = self.u32()?;
        let dtype = dtype(code).ok_or(GgufError::TensorType { name: name.clone(), code })?;
        Ok(RawInfo { name, dtype, shape, offset: self.u64()? })
    }
}

/// GGML's numbers of the tensor types that candle reads.
const fn dtype(code: u32) -> Option<GgmlDType> {
    Some(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    /// A file with one key and one F32 tensor of shape (2, 3).
    fn file() -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        text(&mut out, "general.name");
        out.extend(8_u32.to_le_bytes());
        text(&mut out, "tiny");
        text(&mut out, "w");
        out.extend(2_u32.to_le_bytes());
        out.extend(3_u64.to_le_bytes());
        out.extend(2_u64.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(0_u64.to_le_bytes());
        out.resize(out.len().next_multiple_of(32) + 24, 0);
        out
    }

    #[test]
    fn a_small_file_is_read() {
        let file = file();
        let gguf = Gguf::parse(&file).expect("well-formed");
        assert_eq!(gguf.text("general.name").expect("there"), "tiny");
        let info = gguf.tensor("w").expect("there");
        assert_eq!(info.shape, [2, 3]);
        assert_eq!(info.bytes, file.len() - 24..file.len());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = file();
        for len in 0..file.len() {
            assert!(Gguf::parse(&file[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn every_flipped_byte_is_read_or_refused_without_panic() {
        for at in 0..file().len() {
            for bit in 0..8 {
                let mut file = file();
                file[at] ^= 1 << bit;
                // Either is fine; what matters is that it returns.
                let _ = Gguf::parse(&file);
            }
        }
    }

    #[test]
    fn a_huge_count_allocates_nothing() {
        let mut file = file();
        file[16..24].fill(0xff);
        assert!(matches!(
            Gguf::parse(&file),
            Err(GgufError::Truncated { .. } | GgufError::Utf8(_) | GgufError::ValueType(_))
        ));
    }

    #[test]
    fn a_tensor_outside_the_file_is_refused() {
        let mut file = file();
        let len = file.len();
        file.truncate(len - 1);
        assert!(matches!(Gguf::parse(&file), Err(GgufError::Range(name)) if name == "w"));
    }
}
