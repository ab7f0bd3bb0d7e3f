//! `lethe-unlearn bench`

use candle_core::DType;
use clap::Args;
use model::Projection;
use unlearn::training::Shape;
use unlearn::training::benchmark::Job;

use super::base::BaseArgs;
use super::device::DeviceArgs;
use super::train::with_deep_stack;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Texts to forget in a step.
    #[arg(long, default_value_t = 6)]
    forget: usize,
    /// Texts to keep in a step.
    #[arg(long, default_value_t = 4)]
    retain: usize,
    /// Tokens of each text.
    #[arg(long, default_value_t = 48)]
    tokens: usize,
    /// Masked tokens of each text to forget.
    #[arg(long, default_value_t = 12)]
    masked: usize,
    /// The rank.
    #[arg(long, default_value_t = 8)]
    rank: usize,
    /// Holds the base's weights in brain floats.
    #[arg(long)]
    bf16: bool,
    /// Computes activations again in the backward pass rather than keep them.
    #[arg(long)]
    checkpoint_activations: bool,
    /// Steps that are timed, after one that is not.
    #[arg(long, default_value_t = 5)]
    steps: usize,
}

impl BenchArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        with_deep_stack(move || self.time())
    }

    fn time(self) -> anyhow::Result<()> {
        let model = self.base.open()?;
        let device = self.device.open()?;
        let decoder = model.dense(if self.bf16 { DType::BF16 } else { DType::F32 }, &device)?;
        let job = Job {
            shape: Shape { rank: self.rank, alpha: 16.0, projections: Projection::ALL.to_vec() },
            forget: (self.forget, self.tokens),
            masked: self.masked,
            retain: (self.retain, self.tokens),
            recomputes: self.checkpoint_activations,
        };
        let seconds = job.time(&decoder, &device, self.steps)?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
        let rate = (self.steps * job.tokens()) as f64 / seconds;
        println!("{rate:.1} tokens/s");
        Ok(())
    }
}
