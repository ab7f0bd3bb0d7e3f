//! The flag that chooses a device.

use anyhow::{Context as _, ensure};
use candle_core::Device;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Where the model runs.
    #[arg(long, default_value = "cpu")]
    device: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Cpu,
    /// The first GPU; the program must be built with the feature `cuda`.
    Cuda,
}

impl DeviceArgs {
    pub(crate) fn open(&self) -> anyhow::Result<Device> {
        match self.device {
            Choice::Cpu => Ok(Device::Cpu),
            Choice::Cuda => {
                ensure!(cfg!(feature = "cuda"), "this program was built without CUDA");
                Device::new_cuda(0).context("the GPU cannot be opened")
            }
        }
    }
}
