//! Which adapters a request chooses, and how strongly: one grammar, one canonical result.
//!
//! A choice is written in the body (`"adapters": [{"name": "gender", "scale": 0.5}, "race"]`, or
//! llama.cpp's `"lora": [{"id": 0, "scale": 0.5}]`), in the header (`gender=0.5,race`), behind the
//! model's name (`base::gender@0.5+race`), or as the model's name (`gender`). [`Chosen::by`] says
//! which of them counts; [`Selection::expand`] makes a [`Mix`] of it.

mod body;
mod expansion;
mod model;
mod text;

pub use expansion::{Directory, Mix, ScaleBounds};
pub use model::ModelChoice;
pub use text::header_schema;

/// The header that chooses adapters, and that replies carry.
pub const HEADER: &str = "x-lethe-adapters";

/// The most adapters and presets that a request may name.
pub const MAX_ITEMS: usize = 64;

/// Adapters and presets as a request names them, in its order; empty means none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    items: Vec<Item>,
}

/// One thing that a request names.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    target: Target,
    scale: f32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// An adapter or a preset.
    Named(String),
    /// An adapter by its place in the catalogue, sorted by name (llama.cpp's `id`).
    Indexed(usize),
}

/// Why a choice of adapters is refused. The text that was sent is not quoted: it may be anything.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SelectionError {
    /// Not of the grammar.
    #[error("{0}")]
    Syntax(&'static str),
    /// More than [`MAX_ITEMS`].
    #[error("at most {MAX_ITEMS} adapters are taken")]
    TooMany,
    /// The same name more than once.
    #[error("adapter '{0}' is named twice")]
    Twice(String),
    /// A scale outside the bounds, given or after presets were expanded.
    #[error("the scale of adapter '{name}' must be between {} and {}", .bounds.low, .bounds.high)]
    Scale {
        /// Whose scale.
        name: String,
        /// What is allowed.
        bounds: ScaleBounds,
    },
    /// No adapter has this index.
    #[error("there is no adapter with the id {0}")]
    UnknownIndex(usize),
}

/// The choice that counts, and where it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The parameter, for errors: `adapters`, `x-lethe-adapters` or `model`.
    pub param: &'static str,
    /// What was chosen.
    pub selection: Selection,
}

impl Chosen {
    /// Body before header, header before the model's suffix or alias, and the server's `default`
    /// last. An explicit "none" is a choice.
    #[must_use]
    pub fn by(
        body: Option<Selection>,
        header: Option<Selection>,
        model: ModelChoice,
        default: &Selection,
    ) -> Self {
        if let Some(selection) = body {
            return Self { param: "adapters", selection };
        }
        if let Some(selection) = header {
            return Self { param: HEADER, selection };
        }
        let selection = match model {
            ModelChoice::Suffix(selection) => selection,
            ModelChoice::Alias(name) => Selection::of(name),
            ModelChoice::Base => default.clone(),
        };
        Self { param: "model", selection }
    }
}

impl Selection {
    /// One name at scale 1.
    #[must_use]
    pub fn of(name: String) -> Self {
        Self { items: vec![Item { target: Target::Named(name), scale: 1.0 }] }
    }

    /// Names with scales, such as a preset's from the settings.
    ///
    /// # Errors
    /// [`SelectionError`] if a name is not one, or is there twice, or there are too many.
    pub fn from_named<'a>(
        named: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> Result<Self, SelectionError> {
        let items = named.into_iter().map(|(name, scale)| {
            Ok(Item { target: Target::Named(text::parse_name(name)?), scale })
        });
        Self::checked(items.collect::<Result<_, SelectionError>>()?)
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match &item.target {
            Target::Named(name) => Some(name.as_str()),
            Target::Indexed(_) => None,
        })
    }

    fn checked(items: Vec<Item>) -> Result<Self, SelectionError> {
        if items.len() > MAX_ITEMS {
            return Err(SelectionError::TooMany);
        }
        for (i, item) in items.iter().enumerate() {
            if items[..i].iter().any(|earlier| earlier.target == item.target) {
                return Err(SelectionError::Twice(match &item.target {
                    Target::Named(name) => name.clone(),
                    Target::Indexed(index) => index.to_string(),
                }));
            }
        }
        Ok(Self { items })
    }
}
