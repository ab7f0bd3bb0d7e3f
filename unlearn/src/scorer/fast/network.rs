//! The fast scorer's network as it learns. `gateway_toxicity::fast` describes and runs the same one.

use candle_core::{D, Device, Result, Tensor, Var};
use gateway_toxicity::fast::Layer;

use crate::random::Random;

/// Pieces that a convolution sees at once.
const WIDTH: usize = 3;
/// Added to what is beyond a text's end, so that it is never the highest.
const BEYOND: f64 = -1e4;

/// The variables. `E` is the embedding's width, `W` the channels.
pub(super) struct Network {
    /// (V, E).
    pub(super) embedding: Var,
    /// (W, 3E).
    pub(super) first: Affine,
    /// (W, 3W).
    pub(super) second: Affine,
    /// (W, 2W).
    pub(super) hidden: Affine,
    /// (categories, W).
    pub(super) heads: Affine,
}

/// An affine map that learns.
pub(super) struct Affine {
    weight: Var,
    bias: Var,
}

/// Texts of one step, filled up to the longest.
pub(super) struct Batch {
    /// (B, N), piece ids.
    pub(super) pieces: Tensor,
    /// (B, N, 1), 1 where there is a piece.
    pub(super) mask: Tensor,
}

/// Values that are dropped: a share of them, drawn from a stream of chance.
pub(super) struct Dropout<'a> {
    pub(super) share: f32,
    pub(super) random: &'a mut Random,
}

impl Affine {
    fn new(outputs: usize, inputs: usize, random: &mut Random) -> Result<Self> {
        #[expect(clippy::cast_precision_loss, reason = "layers are small")]
        let bound = 1.0 / (inputs as f32).sqrt();
        let weights: Vec<f32> =
            (0..outputs * inputs).map(|_| bound * (2.0 * random.unit() - 1.0)).collect();
        let weight = Tensor::from_vec(weights, (outputs, inputs), &Device::Cpu)?;
        let bias = Tensor::zeros(outputs, weight.dtype(), &Device::Cpu)?;
        Ok(Self { weight: Var::from_tensor(&weight)?, bias: Var::from_tensor(&bias)? })
    }

    /// (..., inputs) to (..., outputs). As one flat product: a batched one would copy the weights.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (inputs, mut shape) = (x.dim(D::Minus1)?, x.dims().to_vec());
        shape.pop();
        shape.push(self.bias.elem_count());
        let flat = x.reshape(((), inputs))?.matmul(&self.weight.t()?)?;
        flat.broadcast_add(&self.bias)?.reshape(shape)
    }

    pub(super) fn layer(&self) -> Result<Layer> {
        Ok(Layer { weights: self.weight.flatten_all()?.to_vec1()?, bias: self.bias.to_vec1()? })
    }
}

impl Dropout<'_> {
    /// Drops a share of the values, and scales the others so that the mean stays.
    fn apply(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.share == 0.0 {
            return Ok(x.clone());
        }
        let kept = 1.0 / (1.0 - self.share);
        let draw = |_| if self.random.unit() < self.share { 0.0 } else { kept };
        let mask: Vec<f32> = (0..x.elem_count()).map(draw).collect();
        x.mul(&Tensor::from_vec(mask, x.shape(), &Device::Cpu)?)
    }
}

impl Network {
    /// A network that begins with `embedding` (V, E).
    pub(super) fn new(
        embedding: &Tensor,
        channels: usize,
        heads: usize,
        random: &mut Random,
    ) -> Result<Self> {
        let width = embedding.dim(1)?;
        Ok(Self {
            embedding: Var::from_tensor(embedding)?,
            first: Affine::new(channels, WIDTH * width, random)?,
            second: Affine::new(channels, WIDTH * channels, random)?,
            hidden: Affine::new(channels, 2 * channels, random)?,
            heads: Affine::new(heads, channels, random)?,
        })
    }

    pub(super) fn variables(&self) -> Vec<Var> {
        let layers = [&self.first, &self.second, &self.hidden, &self.heads];
        let affine =
            layers.into_iter().flat_map(|layer| [layer.weight.clone(), layer.bias.clone()]);
        std::iter::once(self.embedding.clone()).chain(affine).collect()
    }

    /// The logits (B, categories).
    pub(super) fn forward(&self, batch: &Batch, dropout: &mut Dropout<'_>) -> Result<Tensor> {
        let (texts, longest) = batch.pieces.dims2()?;
        let rows = self.embedding.index_select(&batch.pieces.flatten_all()?, 0)?;
        let embedded = rows.reshape((texts, longest, ()))?.broadcast_mul(&batch.mask)?;
        let low =
            self.first.forward(&neighbours(&embedded)?)?.relu()?.broadcast_mul(&batch.mask)?;
        let high = self.second.forward(&neighbours(&low)?)?.relu()?.broadcast_mul(&batch.mask)?;
        let pooled = dropout.apply(&pooled(&(high + low)?, &batch.mask)?)?;
        let hidden = dropout.apply(&self.hidden.forward(&pooled)?.relu()?)?;
        self.heads.forward(&hidden)
    }
}

/// Each row between its neighbours, zeros beyond the ends: (B, N, C) to (B, N, 3C).
fn neighbours(x: &Tensor) -> Result<Tensor> {
    let count = x.dim(1)?;
    let padded = x.pad_with_zeros(1, 1, 1)?;
    let shifted =
        (0..WIDTH).map(|start| padded.narrow(1, start, count)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&shifted, D::Minus1)
}

/// The highest value of each channel, then its mean: (B, N, C) to (B, 2C).
fn pooled(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let beyond = mask.affine(-BEYOND, BEYOND)?;
    let highest = x.broadcast_add(&beyond)?.max(1)?;
    let mean = x.broadcast_mul(mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
    Tensor::cat(&[highest, mean], 1)
}

/// Mean cross-entropy over the labels that are known, from logits; all (B, categories), `known` is
/// 1 where there is a label. `log(1 + exp(z)) - z y`, written so that no exponential overflows.
pub(super) fn loss(logits: &Tensor, labels: &Tensor, known: &Tensor) -> Result<Tensor> {
    let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    let entropy = ((softplus - (logits * labels)?)? * known)?;
    entropy.sum_all()?.div(&known.sum_all()?.maximum(1.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32], shape: (usize, usize)) -> Tensor {
        Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
    }

    /// Expected value by PyTorch 2.13:
    /// ```python
    /// z = torch.tensor([[2.0, -3.0], [90.0, 0.5]]); y = torch.tensor([[1.0, 0.25], [0.0, 1.0]])
    /// k = torch.tensor([[1., 1.], [0., 1.]])
    /// (F.binary_cross_entropy_with_logits(z, y, reduction="none") * k).sum() / k.sum()
    /// ```
    #[test]
    fn the_loss_is_pytorchs_and_unknown_labels_do_not_count() {
        let logits = tensor(&[2.0, -3.0, 90.0, 0.5], (2, 2));
        let labels = tensor(&[1.0, 0.25, 0.0, 1.0], (2, 2));
        let known = tensor(&[1.0, 1.0, 0.0, 1.0], (2, 2));
        let loss = loss(&logits, &labels, &known).unwrap().to_scalar::<f32>().unwrap();
        assert!((loss - 0.4665308).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn gradients_are_the_finite_differences() {
        let mut random = Random::new(5);
        let embedding =
            tensor(&(0..20).map(|n| (n as f32 * 0.37).sin()).collect::<Vec<_>>(), (5, 4));
        let network = Network::new(&embedding, 6, 2, &mut random).unwrap();
        let batch = Batch {
            pieces: Tensor::new(&[[1_u32, 2, 3], [4, 0, 0]], &Device::Cpu).unwrap(),
            mask: Tensor::new(&[[[1_f32], [1.0], [1.0]], [[1.0], [0.0], [0.0]]], &Device::Cpu)
                .unwrap(),
        };
        let (labels, known) = (tensor(&[1.0, 0.0, 0.0, 1.0], (2, 2)), tensor(&[1.0; 4], (2, 2)));
        let value = || {
            let mut none = Dropout { share: 0.0, random: &mut Random::new(0) };
            loss(&network.forward(&batch, &mut none).unwrap(), &labels, &known).unwrap()
        };
        let gradients = value().backward().unwrap();
        for variable in network.variables() {
            let gradient: Vec<f32> =
                gradients.get(&variable).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let values: Vec<f32> = variable.flatten_all().unwrap().to_vec1().unwrap();
            for index in [0, values.len() / 2, values.len() - 1] {
                let moved = |by: f32| {
                    let mut values = values.clone();
                    values[index] += by;
                    variable
                        .set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                    f64::from(value().to_scalar::<f32>().unwrap())
                };
                let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                variable
                    .set(&Tensor::from_vec(values.clone(), variable.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                assert!(
                    (slope - f64::from(gradient[index])).abs() < 2e-3,
                    "{slope} {}",
                    gradient[index]
                );
            }
        }
    }
}
