//! `heads.safetensors`.

use std::collections::BTreeMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Group, HeadsError};

/// A fully connected layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// (outputs, inputs), row after row.
    pub weight: Vec<f32>,
    /// (outputs).
    pub bias: Vec<f32>,
}

impl Layer {
    /// `f(W x + b)`.
    pub(super) fn forward(&self, x: &[f32], f: impl Fn(f32) -> f32) -> Vec<f32> {
        let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        let rows = self.weight.chunks_exact(x.len());
        rows.zip(&self.bias).map(|(row, bias)| f(dot(row) + bias)).collect()
    }

    pub(super) fn check(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(), HeadsError> {
        check(&format!("{name}.weight"), &self.weight, inputs.saturating_mul(outputs))?;
        check(&format!("{name}.bias"), &self.bias, outputs)
    }
}

/// Checks the number of values, and that all are finite.
pub(super) fn check(name: &str, values: &[f32], expected: usize) -> Result<(), HeadsError> {
    if values.len() != expected {
        return Err(HeadsError::Shape { name: name.to_owned(), expected: vec![expected] });
    }
    let finite = values.iter().all(|value| value.is_finite());
    if finite { Ok(()) } else { Err(HeadsError::NotFinite(name.to_owned())) }
}

/// Takes tensors out of a file until none is left.
pub(super) struct Reader<'a>(BTreeMap<String, TensorView<'a>>);

impl<'a> Reader<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, HeadsError> {
        let file = SafeTensors::deserialize(bytes).map_err(HeadsError::Safetensors)?;
        Ok(Self(file.tensors().into_iter().collect()))
    }

    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, HeadsError> {
        let missing = || HeadsError::MissingTensor(name.to_owned());
        let view = self.0.remove(name).ok_or_else(missing)?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(HeadsError::Shape { name: name.to_owned(), expected: shape.to_vec() });
        }
        let (words, _) = view.data().as_chunks::<4>();
        Ok(words.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    pub(super) fn take_group(
        &mut self,
        group: &Group,
        width: usize,
    ) -> Result<(Option<Layer>, Layer), HeadsError> {
        let hidden = group
            .hidden
            .map(|hidden| self.take_layer(&group.tensor("hidden"), width, hidden))
            .transpose()?;
        let inner = group.hidden.unwrap_or(width);
        let output = self.take_layer(&group.tensor("output"), inner, group.categories.len())?;
        Ok((hidden, output))
    }

    fn take_layer(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Layer, HeadsError> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Layer { weight, bias: self.take(&format!("{name}.bias"), &[outputs])? })
    }

    /// Refuses what nothing took.
    pub(super) fn finish(mut self) -> Result<(), HeadsError> {
        self.0.pop_first().map_or(Ok(()), |(name, _)| Err(HeadsError::UnknownTensor(name)))
    }
}

/// The bytes of the file.
pub(super) fn write<'a>(
    mean: &[f32],
    deviation: &[f32],
    groups: impl Iterator<Item = (&'a Group, &'a (Option<Layer>, Layer))>,
) -> Result<Vec<u8>, HeadsError> {
    let mut tensors = vec![("mean".to_owned(), vec![mean.len()], bytes(mean))];
    tensors.push(("deviation".to_owned(), vec![deviation.len()], bytes(deviation)));
    for (group, (hidden, output)) in groups {
        let named = hidden.iter().map(|layer| ("hidden", layer)).chain([("output", output)]);
        for (name, layer) in named {
            let (name, outputs) = (group.tensor(name), layer.bias.len());
            let shape = vec![outputs, layer.weight.len() / outputs.max(1)];
            tensors.push((format!("{name}.weight"), shape, bytes(&layer.weight)));
            tensors.push((format!("{name}.bias"), vec![outputs], bytes(&layer.bias)));
        }
    }
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect();
    let written = views.and_then(|views| safetensors::serialize(views, None));
    written.map_err(HeadsError::Safetensors)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
