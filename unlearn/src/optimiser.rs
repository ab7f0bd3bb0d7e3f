//! AdamW with clipped gradients.
//! (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.)

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// How steps are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdamWSettings {
    /// Decay of the mean of gradients.
    pub(crate) beta1: f64,
    /// Decay of the mean of their squares.
    pub(crate) beta2: f64,
    pub(crate) epsilon: f64,
    /// Taken off each weight at each step, times the learning rate.
    pub(crate) weight_decay: f64,
    /// Gradients together longer than this are shortened to it.
    pub(crate) clip: f64,
}

/// The optimiser's memory of some variables.
#[derive(Debug)]
pub(crate) struct AdamW {
    settings: AdamWSettings,
    variables: Vec<(Var, Tensor, Tensor)>,
    steps: i32,
}

impl AdamW {
    pub(crate) fn new(variables: Vec<Var>, settings: AdamWSettings) -> Result<Self> {
        let with_moments = |variable: Var| {
            let zeros = variable.zeros_like()?;
            Ok((variable, zeros.clone(), zeros))
        };
        let variables = variables.into_iter().map(with_moments).collect::<Result<_>>()?;
        Ok(Self { settings, variables, steps: 0 })
    }

    /// Moves the variables down their gradients. Gives the length of all gradients together before
    /// clipping. A variable without a gradient stays.
    pub(crate) fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<f64> {
        let length = self.length(gradients)?;
        let AdamWSettings { beta1, beta2, epsilon, weight_decay, clip } = self.settings;
        self.steps += 1;
        let shorten = if length > clip { clip / length } else { 1.0 };
        let (warm1, warm2) = (1.0 - beta1.powi(self.steps), 1.0 - beta2.powi(self.steps));
        for (variable, mean, square) in &mut self.variables {
            let Some(gradient) = gradients.get(variable) else { continue };
            let gradient = (gradient * shorten)?;
            *mean = ((&*mean * beta1)? + (&gradient * (1.0 - beta1))?)?;
            *square = ((&*square * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
            let step = ((&*mean / warm1)? / ((&*square / warm2)?.sqrt()? + epsilon)?)?;
            let kept = (variable.as_tensor() * (1.0 - learning_rate * weight_decay))?;
            variable.set(&(kept - (step * learning_rate)?)?)?;
        }
        Ok(length)
    }

    /// Steps taken, and each variable's two moments in the order of the variables.
    pub(crate) fn state(&self) -> (usize, impl Iterator<Item = [&Tensor; 2]>) {
        (self.steps.unsigned_abs() as usize, self.variables.iter().map(|(_, m, s)| [m, s]))
    }

    /// Goes on from a state.
    pub(crate) fn restore(&mut self, steps: usize, moments: impl Iterator<Item = [Tensor; 2]>) {
        self.steps = i32::try_from(steps).unwrap_or(i32::MAX);
        for ((_, mean, square), [m, s]) in self.variables.iter_mut().zip(moments) {
            (*mean, *square) = (m, s);
        }
    }

    fn length(&self, gradients: &GradStore) -> Result<f64> {
        let mut squares = 0.0;
        for (variable, ..) in &self.variables {
            if let Some(gradient) = gradients.get(variable) {
                squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        Ok(squares.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Expected values by PyTorch 2.13:
    /// ```python
    /// x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    /// o = torch.optim.AdamW([x], lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
    /// for _ in range(5):
    ///     o.zero_grad(); (x ** 4).sum().backward()
    ///     torch.nn.utils.clip_grad_norm_([x], 10.0); o.step()
    /// ```
    #[test]
    fn steps_are_pytorchs() -> Result<()> {
        let x = Var::new(&[1.0_f32, -2.0, 3.0], &Device::Cpu)?;
        let settings = AdamWSettings {
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.01,
            clip: 10.0,
        };
        let mut optimiser = AdamW::new(vec![x.clone()], settings)?;
        for _ in 0..5 {
            let loss = x.as_tensor().powf(4.0)?.sum_all()?;
            optimiser.step(&loss.backward()?, 0.1)?;
        }
        let expected = [0.512632, -1.492814, 2.485941];
        for (value, expected) in x.to_vec1::<f32>()?.into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
        Ok(())
    }
}
