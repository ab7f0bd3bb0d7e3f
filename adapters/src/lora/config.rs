//! PEFT's `adapter_config.json`, refused where it asks for more than a low-rank sum.
//!
//! PEFT's configuration has switches that change what the weights mean. Each is refused by name
//! when it is set, and so is a field that this reader does not know: an adapter that loads is
//! applied exactly as PEFT would apply it.

mod pattern;

use std::collections::BTreeMap;

use model::{Projection, Site};
use serde_json::Value;

use crate::unique::Unique;

use pattern::Pattern;

/// What a PEFT configuration says about a low-rank adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct PeftConfig {
    rank: usize,
    alpha: f64,
    scaling: Scaling,
    targets: Targets,
    ranks: Pattern<usize>,
    alphas: Pattern<f64>,
}

/// How alpha and rank make the factor of the product B A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scaling {
    /// `alpha / r`.
    Plain,
    /// `alpha / sqrt(r)` (rsLoRA, <https://arxiv.org/abs/2312.03732>).
    RankStabilised,
}

/// Which modules the adapter acts on.
#[derive(Debug, Clone, PartialEq)]
enum Targets {
    /// All seven projections of every layer (`all-linear`).
    AllLinear,
    /// Modules whose path is one of these or ends with one of these after a dot.
    Named(Vec<String>),
}

/// Why a PEFT configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum PeftConfigError {
    /// Not a JSON object, or a field stands twice.
    #[error("adapter_config.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that must be there is not.
    #[error("adapter_config.json has no {0}")]
    Missing(&'static str),
    /// A field of the wrong type or range.
    #[error("adapter_config.json: {0} has a value that is not allowed")]
    Value(&'static str),
    /// Another method than LoRA.
    #[error("adapter_config.json: peft_type {0:?} is not supported, only \"LORA\"")]
    PeftType(String),
    /// A switch that changes what the weights mean.
    #[error("adapter_config.json: {0} is not supported")]
    Unsupported(&'static str),
    /// A field that is set and that this reader does not know.
    #[error("adapter_config.json: unknown field {0:?}")]
    Unknown(String),
    /// A target that is no linear layer of a decoder.
    #[error("adapter_config.json: target module {0:?} is not supported")]
    Target(String),
    /// A pattern with regular-expression syntax beyond a module's path.
    #[error("adapter_config.json: {field} has a pattern that is not a module path: {pattern:?}")]
    Pattern {
        /// `rank_pattern` or `alpha_pattern`.
        field: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// Two patterns give one site different values.
    #[error("adapter_config.json: {field} gives {site} two values")]
    Ambiguous {
        /// `rank_pattern` or `alpha_pattern`.
        field: &'static str,
        /// The site.
        site: Site,
    },
    /// Alpha over rank is not a finite number in single precision.
    #[error("adapter_config.json: the scaling at {0} is not finite")]
    Scaling(Site),
}

/// Fields that say nothing about what the weights mean when an adapter is applied.
const WITHOUT_MEANING: [&str; 11] = [
    "auto_mapping",
    "base_model_name_or_path",
    "ensure_weight_tying",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Fields that change what the weights mean, or where they act, when they are set.
const UNSUPPORTED: [&str; 23] = [
    "alora_invocation_tokens",
    "arrow_config",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_bias",
    "lora_ga_config",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
    "bias",
];

/// Initialisations that leave the base weights as they were.
const INITIALISATIONS: [&str; 2] = ["gaussian", "orthogonal"];

impl PeftConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`PeftConfigError`] if it asks for anything but a low-rank sum, or does not say which.
    pub fn parse(json: &[u8]) -> Result<Self, PeftConfigError> {
        let Unique(mut fields) = serde_json::from_slice::<Unique<Value>>(json)?;
        match fields.remove("peft_type") {
            Some(Value::String(kind)) if kind == "LORA" => {}
            Some(Value::String(kind)) => return Err(PeftConfigError::PeftType(kind)),
            Some(_) => return Err(PeftConfigError::Value("peft_type")),
            None => return Err(PeftConfigError::Missing("peft_type")),
        }
        let config = Self {
            rank: rank(fields.remove("r").as_ref(), "r")?,
            alpha: number(fields.remove("lora_alpha").as_ref(), "lora_alpha")?,
            scaling: match fields.remove("use_rslora") {
                None | Some(Value::Null | Value::Bool(false)) => Scaling::Plain,
                Some(Value::Bool(true)) => Scaling::RankStabilised,
                Some(_) => return Err(PeftConfigError::Value("use_rslora")),
            },
            targets: Targets::parse(fields.remove("target_modules"))?,
            ranks: Pattern::parse("rank_pattern", fields.remove("rank_pattern"), rank)?,
            alphas: Pattern::parse("alpha_pattern", fields.remove("alpha_pattern"), number)?,
        };
        refuse_the_rest(&fields)?;
        Ok(config)
    }

    /// Whether the adapter acts at `site`.
    #[must_use]
    pub fn targets(&self, site: Site) -> bool {
        match &self.targets {
            Targets::AllLinear => true,
            Targets::Named(names) => names.iter().any(|name| pattern::ends_with(site, name)),
        }
    }

    /// The rank at `site`.
    ///
    /// # Errors
    /// [`PeftConfigError::Ambiguous`] if `rank_pattern` gives it two values.
    pub fn rank(&self, site: Site) -> Result<usize, PeftConfigError> {
        Ok(self.ranks.value(site)?.unwrap_or(self.rank))
    }

    /// The factor of the product B A at `site`.
    ///
    /// # Errors
    /// [`PeftConfigError::Ambiguous`] if a pattern gives the site two values,
    /// [`PeftConfigError::Scaling`] if the factor is not finite in single precision.
    pub fn scaling(&self, site: Site) -> Result<f32, PeftConfigError> {
        let alpha = self.alphas.value(site)?.unwrap_or(self.alpha);
        let rank = self.rank(site)? as f64;
        let scaling = match self.scaling {
            Scaling::Plain => alpha / rank,
            Scaling::RankStabilised => alpha / rank.sqrt(),
        } as f32;
        if scaling.is_finite() { Ok(scaling) } else { Err(PeftConfigError::Scaling(site)) }
    }
}

impl Targets {
    fn parse(value: Option<Value>) -> Result<Self, PeftConfigError> {
        const FIELD: &str = "target_modules";
        match value {
            Some(Value::String(word)) if word == "all-linear" => Ok(Self::AllLinear),
            // Any other text is a regular expression to PEFT.
            Some(Value::String(pattern)) => Err(PeftConfigError::Target(pattern)),
            Some(Value::Array(names)) if !names.is_empty() => {
                names.into_iter().map(Self::name).collect::<Result<_, _>>().map(Self::Named)
            }
            None | Some(Value::Null) => Err(PeftConfigError::Missing(FIELD)),
            Some(_) => Err(PeftConfigError::Value(FIELD)),
        }
    }

    /// A target that ends like the path of a site, so that nothing outside the decoder's linear
    /// layers is asked for.
    fn name(value: Value) -> Result<String, PeftConfigError> {
        let Value::String(name) = value else {
            return Err(PeftConfigError::Value("target_modules"));
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        match Projection::parse(last) {
            Some(_) => Ok(name),
            None => Err(PeftConfigError::Target(name)),
        }
    }
}

fn rank(value: Option<&Value>, field: &'static str) -> Result<usize, PeftConfigError> {
    value
        .ok_or(PeftConfigError::Missing(field))?
        .as_u64()
        .and_then(|rank| usize::try_from(rank).ok())
        .filter(|&rank| rank > 0)
        .ok_or(PeftConfigError::Value(field))
}

fn number(value: Option<&Value>, field: &'static str) -> Result<f64, PeftConfigError> {
    value
        .ok_or(PeftConfigError::Missing(field))?
        .as_f64()
        .filter(|number| number.is_finite())
        .ok_or(PeftConfigError::Value(field))
}

fn refuse_the_rest(fields: &BTreeMap<String, Value>) -> Result<(), PeftConfigError> {
    for (field, value) in fields {
        if WITHOUT_MEANING.contains(&field.as_str()) || is_unset(field, value) {
            continue;
        }
        let known = UNSUPPORTED.iter().chain(&["init_lora_weights"]).find(|known| *known == field);
        return Err(match known {
            Some(known) => PeftConfigError::Unsupported(known),
            None => PeftConfigError::Unknown(field.clone()),
        });
    }
    Ok(())
}

/// Whether `value` leaves the feature that `field` names switched off.
fn is_unset(field: &str, value: &Value) -> bool {
    match (field, value) {
        ("bias", Value::String(word)) => word == "none",
        ("init_lora_weights", Value::Bool(_)) => true,
        ("init_lora_weights", Value::String(word)) => INITIALISATIONS.contains(&word.as_str()),
        (_, Value::Null | Value::Bool(false)) => true,
        (_, Value::Array(items)) => items.is_empty(),
        (_, Value::Object(members)) => members.is_empty(),
        (_, Value::Bool(true) | Value::Number(_) | Value::String(_)) => false,
    }
}
