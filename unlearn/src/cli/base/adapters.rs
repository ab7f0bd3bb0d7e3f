//! The flags that choose adapters.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use adapters::lora::Lora;
use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected, Limits,
};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use model::{Model, ServedPrecision};
use serde::Deserialize;
use unlearn::evaluation::AppliedAdapter;

/// Where shipped adapters lie, a folder for each base model.
const SHIPPED: &str = "adapters/shipped";

/// Where adapters are.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// Folder that has a PEFT folder for each adapter [default: adapters/shipped/MODEL].
    #[arg(long, value_name = "DIR")]
    adapters_dir: Option<PathBuf>,
}

impl FolderArgs {
    /// The adapters that can be applied to `model`.
    pub(crate) fn open<'a>(&self, model: &'a Model) -> Shelf<'a> {
        let shipped = || Path::new(SHIPPED).join(model.name());
        Shelf { folder: self.adapters_dir.clone().unwrap_or_else(shipped), model }
    }
}

/// Adapters with their scales in canonical order, written `gender+race@0.5`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AdapterSet(Vec<(AdapterName, f32)>);

impl AdapterSet {
    /// Brings adapters into canonical order.
    fn new(mut adapters: Vec<(AdapterName, f32)>) -> anyhow::Result<Self> {
        adapters.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(pair) = adapters.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            bail!("adapter {} is named twice", pair[0].0);
        }
        Ok(Self(adapters))
    }

    /// What a report says of it.
    pub(crate) fn applied(&self) -> Vec<AppliedAdapter> {
        let applied = |(name, scale): &(AdapterName, f32)| AppliedAdapter {
            name: name.to_string(),
            scale: *scale,
        };
        self.0.iter().map(applied).collect()
    }
}

impl FromStr for AdapterSet {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let adapter = |text: &str| -> anyhow::Result<_> {
            let (name, scale): (&str, f32) = match text.split_once('@') {
                None => (text, 1.0),
                Some((name, scale)) => (name, scale.parse().context("the scale is not a number")?),
            };
            ensure!(scale.is_finite(), "the scale is not finite");
            Ok((AdapterName::parse(name)?, scale))
        };
        Self::new(text.split('+').map(adapter).collect::<anyhow::Result<_>>()?)
    }
}

impl fmt::Display for AdapterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, scale)) in self.0.iter().enumerate() {
            write!(f, "{}{name}@{scale}", if index > 0 { "+" } else { "" })?;
        }
        Ok(())
    }
}

/// The same set of adapters, made from several seeds: sets separated by commas.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Seeds(pub(crate) Vec<AdapterSet>);

impl Seeds {
    /// Every scale times `factor`.
    pub(crate) fn scaled(&self, factor: f32) -> Self {
        let scaled = |set: &AdapterSet| {
            AdapterSet(set.0.iter().map(|(name, scale)| (name.clone(), scale * factor)).collect())
        };
        Self(self.0.iter().map(scaled).collect())
    }

    /// Both sets served together, seed by seed.
    pub(crate) fn joined(&self, other: &Self) -> anyhow::Result<Self> {
        ensure!(self.0.len() == other.0.len(), "sets that are served together have as many seeds");
        let joined = |(one, two): (&AdapterSet, &AdapterSet)| {
            AdapterSet::new([one.0.as_slice(), &two.0].concat())
        };
        Ok(Self(self.0.iter().zip(&other.0).map(joined).collect::<anyhow::Result<_>>()?))
    }
}

impl TryFrom<String> for Seeds {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl FromStr for Seeds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Ok(Self(text.split(',').map(str::parse).collect::<anyhow::Result<_>>()?))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&sets.join(","))
    }
}

/// A folder of adapters and the model that they are for.
pub(crate) struct Shelf<'a> {
    folder: PathBuf,
    model: &'a Model,
}

impl Shelf<'_> {
    /// The adapters of a set in full precision.
    pub(crate) fn loras(&self, set: &AdapterSet) -> anyhow::Result<Vec<(Lora, f32)>> {
        let load = |(name, scale): &(AdapterName, f32)| {
            let (folder, base) =
                (self.folder.join(name.as_str()), self.model.checkpoint().config());
            let lora = Lora::load(&folder, base, &Limits::default())
                .with_context(|| format!("adapter {name} cannot be loaded"))?;
            Ok((lora, *scale))
        };
        set.0.iter().map(load).collect()
    }

    /// The adapters of a set as the gateway would apply them.
    pub(crate) fn vector(&self, set: &AdapterSet) -> anyhow::Result<AdapterVector> {
        if set.0.is_empty() {
            return Ok(AdapterVector::default());
        }
        let root = self.folder.clone();
        let settings = CatalogueSettings { root, state: None, limits: Limits::default() };
        let base = BaseModel {
            name: self.model.name().to_owned(),
            fingerprint: self.model.fingerprint().to_owned(),
            config: self.model.checkpoint().config().clone(),
            precision: ServedPrecision::Auto,
        };
        let catalogue = Catalogue::open(settings, base)?;
        let lease = |(name, scale): &(AdapterName, f32)| {
            catalogue
                .load(name, name.as_str(), Expected::Any)
                .with_context(|| format!("adapter {name} cannot be loaded"))?;
            Ok((catalogue.resolve(name)?, *scale))
        };
        let leases = set.0.iter().map(lease).collect::<anyhow::Result<_>>()?;
        Ok(AdapterVector::new(leases)?)
    }
}

/// Loaded adapters as the library takes them.
pub(crate) fn borrowed(loras: &[(Lora, f32)]) -> Vec<(&Lora, f32)> {
    loras.iter().map(|(lora, scale)| (lora, *scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_in_canonical_order_with_any_finite_scale() {
        let set: AdapterSet = "race@-0.5+gender".parse().unwrap();
        assert_eq!(set.to_string(), "gender@1+race@-0.5");
        let seeds: Seeds = "gender-a,gender-b@2".parse().unwrap();
        assert_eq!(seeds.to_string(), "gender-a@1,gender-b@2");
        for bad in ["", "+", "gender+gender@2", "gender@x", "gender@inf", "../x", "gender@"] {
            assert!(bad.parse::<AdapterSet>().is_err(), "{bad}");
        }
    }
}
