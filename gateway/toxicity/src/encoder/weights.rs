//! Weights of a safetensors file.

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors};

use super::EncoderError;

/// A parsed file; each tensor is checked as it is taken.
pub(super) struct Weights<'a>(SafeTensors<'a>);

impl<'a> Weights<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, EncoderError> {
        SafeTensors::deserialize(bytes).map(Self).map_err(EncoderError::Safetensors)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    /// A tensor of that shape in f32, all of it finite.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, EncoderError> {
        let missing = |_| EncoderError::MissingTensor(name.to_owned());
        let view = self.0.tensor(name).map_err(missing)?;
        if view.shape() != shape {
            return Err(EncoderError::Shape {
                name: name.to_owned(),
                found: view.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let raw = Tensor::from_raw_buffer(view.data(), dtype(view.dtype())?, shape, &Device::Cpu)?;
        let tensor = raw.to_dtype(DType::F32)?;
        if !tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()) {
            return Err(EncoderError::NotFinite(name.to_owned()));
        }
        Ok(tensor)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one message for all that are not supported")]
fn dtype(dtype: Dtype) -> Result<DType, EncoderError> {
    match dtype {
        Dtype::F32 => Ok(DType::F32),
        Dtype::F16 => Ok(DType::F16),
        Dtype::BF16 => Ok(DType::BF16),
        other => Err(EncoderError::Unsupported(format!("a tensor of type {other:?}"))),
    }
}
