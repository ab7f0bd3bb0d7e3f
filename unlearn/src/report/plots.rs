//! Plots of many quantities: those that matter most first, the others folded.

use super::html::{folded, gallery};
use super::results::Quantity;

/// Plots by how much they matter.
#[derive(Debug, Default)]
pub(super) struct Plots {
    first: Vec<String>,
    others: Vec<String>,
}

impl Plots {
    /// Adds a plot of a quantity, if there is one.
    pub(super) fn add(&mut self, quantity: Quantity<'_>, plot: Option<String>) {
        let plots = if quantity.is_headline() { &mut self.first } else { &mut self.others };
        plots.extend(plot);
    }

    /// Their HTML under a heading; nothing if there is none.
    pub(super) fn under(&self, heading: &str) -> String {
        if self.first.is_empty() && self.others.is_empty() {
            return String::new();
        }
        let others = folded("Other metrics", &gallery(&self.others));
        format!("{heading}{}{others}", gallery(&self.first))
    }
}
