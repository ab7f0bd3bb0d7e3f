//! Writes a low-rank adapter the way PEFT does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use half::bf16;
use model::Projection;
use safetensors::{Dtype, View};
use serde_json::json;

use super::sites::{PREFIX, SUFFIX_A, SUFFIX_B};
use super::{CONFIG_FILE, Lora, LoraError, LowRank, WEIGHTS_FILE};
use crate::replace::replace_file;

/// How a weight file holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// As it is in memory.
    F32,
    /// Rounded to the nearest brain float: half the bytes.
    Bf16,
}

impl Lora {
    /// Writes the adapter, made for a base model of shape `base`, as the PEFT folder `directory`,
    /// which is made if it is not there.
    ///
    /// # Errors
    /// As [`Lora::save_as`].
    pub fn save(&self, directory: &Path, base: &model::Config) -> Result<(), LoraError> {
        self.save_as(directory, base, Element::F32)
    }

    /// Writes the adapter with the given kind of values.
    ///
    /// Each file is written beside its place and renamed into it, weights first: a folder with a
    /// configuration has its weights.
    ///
    /// # Errors
    /// [`LoraError::NonFinite`], [`LoraError::Write`] or [`LoraError::Serialise`].
    pub fn save_as(
        &self,
        directory: &Path,
        base: &model::Config,
        element: Element,
    ) -> Result<(), LoraError> {
        if let Some((&site, _)) = self.sites.iter().find(|(_, low_rank)| !low_rank.is_finite()) {
            return Err(LoraError::NonFinite(site));
        }
        let weights = self.weights(element).map_err(LoraError::Serialise)?;
        let config = format!("{:#}\n", self.config(base));
        std::fs::create_dir_all(directory).map_err(LoraError::Write)?;
        for (file, bytes) in [(WEIGHTS_FILE, weights.as_slice()), (CONFIG_FILE, config.as_bytes())]
        {
            replace_file(&directory.join(file), bytes).map_err(LoraError::Write)?;
        }
        Ok(())
    }

    /// The weights as a safetensors file.
    fn weights(&self, element: Element) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let tensors = self.sites.iter().flat_map(|(site, low_rank)| {
            let (path, rank) = (site.path(), low_rank.rank);
            [
                (
                    format!("{PREFIX}{path}{SUFFIX_A}"),
                    Values { shape: [rank, low_rank.inputs()], values: &low_rank.a, element },
                ),
                (
                    format!("{PREFIX}{path}{SUFFIX_B}"),
                    Values { shape: [low_rank.outputs(), rank], values: &low_rank.b, element },
                ),
            ]
        });
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize(tensors, Some(metadata))
    }

    /// The configuration. Sites whose rank or alpha is not the commonest get patterns of their own.
    fn config(&self, base: &model::Config) -> serde_json::Value {
        let rank = commonest(self.sites.values().map(|low_rank| low_rank.rank)).unwrap_or(1);
        let alpha_bits =
            commonest(self.sites.values().map(|low_rank| low_rank.alpha().to_bits())).unwrap_or(0);
        let alpha = f64::from_bits(alpha_bits);
        let ranks: BTreeMap<_, _> = self
            .others(|low_rank| low_rank.rank != rank)
            .map(|(path, low_rank)| (path, low_rank.rank))
            .collect();
        let alphas: BTreeMap<_, _> = self
            .others(|low_rank| low_rank.alpha().to_bits() != alpha_bits)
            .map(|(path, low_rank)| (path, whole(low_rank.alpha())))
            .collect();
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": null,
            "inference_mode": true,
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "lora_alpha": whole(alpha),
            "lora_dropout": 0.0,
            "modules_to_save": null,
            "r": rank,
            "rank_pattern": ranks,
            "alpha_pattern": alphas,
            "target_modules": self.targets(base),
            "use_dora": false,
            "use_rslora": false,
        })
    }

    fn others(
        &self,
        differs: impl Fn(&LowRank) -> bool,
    ) -> impl Iterator<Item = (String, &LowRank)> {
        self.sites
            .iter()
            .filter(move |(_, low_rank)| differs(low_rank))
            .map(|(site, low_rank)| (site.path(), low_rank))
    }

    /// A module's name where all layers have it, so that nothing else is targeted; whole paths
    /// otherwise.
    fn targets(&self, base: &model::Config) -> Vec<String> {
        Projection::ALL
            .into_iter()
            .flat_map(|projection| {
                let sites: Vec<_> =
                    self.sites.keys().filter(|site| site.projection == projection).collect();
                if sites.len() == base.layers {
                    vec![projection.name().to_owned()]
                } else {
                    sites.into_iter().map(|site| site.path()).collect()
                }
            })
            .collect()
    }
}

/// The values of one tensor.
struct Values<'a> {
    shape: [usize; 2],
    values: &'a [f32],
    element: Element,
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        match self.element {
            Element::F32 => Dtype::F32,
            Element::Bf16 => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.values.iter();
        match self.element {
            Element::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
            Element::Bf16 => {
                values.flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect()
            }
        }
    }

    fn data_len(&self) -> usize {
        let bytes = match self.element {
            Element::F32 => 4,
            Element::Bf16 => 2,
        };
        self.values.len() * bytes
    }
}

impl LowRank {
    /// Columns of A.
    pub(crate) fn inputs(&self) -> usize {
        self.a.len().checked_div(self.rank).unwrap_or(0)
    }

    /// Rows of B.
    pub(crate) fn outputs(&self) -> usize {
        self.b.len().checked_div(self.rank).unwrap_or(0)
    }

    fn is_finite(&self) -> bool {
        self.scaling.is_finite() && self.a.iter().chain(&self.b).all(|value| value.is_finite())
    }

    /// The alpha that gives this scaling: a product of a 24-bit and a small number, exact in f64.
    fn alpha(&self) -> f64 {
        f64::from(self.scaling) * self.rank as f64
    }
}

/// A whole number as PEFT's integer, another one as it is.
fn whole(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// The value that occurs most often; the lowest of several.
fn commonest<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = BTreeMap::<T, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(value, _)| value)
}
