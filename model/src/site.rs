//! Where a linear layer of the decoder is, by layer and projection.
//!
//! Adapters, merges and checkpoints all name weights through a [`Site`], so that the spelling of a
//! projection (`q_proj`, `attn_q`, ...) is known in one place.

use std::fmt;

/// One of the seven linear layers of a decoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Attention queries.
    Query,
    /// Attention keys.
    Key,
    /// Attention values.
    Value,
    /// Attention output.
    Output,
    /// The gated half of the MLP.
    Gate,
    /// The linear half of the MLP.
    Up,
    /// The MLP's way back to the residual stream.
    Down,
}

impl Projection {
    /// All seven, in the order in which a layer uses them.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// The module's name in Hugging Face checkpoints and PEFT adapters, such as `q_proj`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The block that holds the module in Hugging Face checkpoints: `self_attn` or `mlp`.
    #[must_use]
    pub const fn block(self) -> &'static str {
        match self {
            Self::Query | Self::Key | Self::Value | Self::Output => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        }
    }

    /// The tensor's name inside a GGUF block, such as `attn_q`.
    #[must_use]
    pub const fn gguf_name(self) -> &'static str {
        match self {
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::Output => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }

    /// The projection that Hugging Face calls `name`, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// A linear layer of the decoder: the place where a [`Delta`](crate::Delta) may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// Index of the decoder layer, from 0.
    pub layer: usize,
    /// Which of the layer's projections.
    pub projection: Projection,
}

impl Site {
    /// The site of `projection` in `layer`.
    #[must_use]
    pub const fn new(layer: usize, projection: Projection) -> Self {
        Self { layer, projection }
    }

    /// The module path in Hugging Face checkpoints, such as `model.layers.3.self_attn.q_proj`.
    #[must_use]
    pub fn path(self) -> String {
        format!(
            "model.layers.{}.{}.{}",
            self.layer,
            self.projection.block(),
            self.projection.name()
        )
    }

    /// The site that [`Site::path`] spells, if `path` is one.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("model.layers.")?.split('.');
        let (layer, block, name) = (parts.next()?, parts.next()?, parts.next()?);
        let projection = Projection::parse(name)?;
        let layer: usize = layer.parse().ok()?;
        let site = Self::new(layer, projection);
        // The round trip refuses other spellings of the same number, such as `+3` or `03`.
        (parts.next().is_none() && projection.block() == block && site.path() == path)
            .then_some(site)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_round_trip() {
        for projection in Projection::ALL {
            let site = Site::new(29, projection);
            assert_eq!(Site::parse(&site.path()), Some(site));
        }
    }

    #[test]
    fn other_spellings_are_not_sites() {
        for path in [
            "model.layers.0.mlp.q_proj",
            "model.layers.00.self_attn.q_proj",
            "model.layers.+1.self_attn.q_proj",
            "layers.0.self_attn.q_proj",
            "model.layers.0.self_attn.q_proj.weight",
            "model.layers..self_attn.q_proj",
        ] {
            assert_eq!(Site::parse(path), None, "{path}");
        }
    }
}
