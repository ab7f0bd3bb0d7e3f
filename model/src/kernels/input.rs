//! What linear layers multiply, made ready: normalised if it must be, and rounded to 8 bits.

use std::ops::Range;

use super::Isa;
use super::elementwise::rms_norm;
use super::packed::GROUP;
use super::pool::Pool;
use super::quantised::{Operand, PANEL, PanelGroup, round_rows};
use super::scratch::Scratch;
use crate::Rows;

/// Activation rows (rows, inputs), and what is to be done to them first.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Nothing.
    Plain(&'a Rows),
    /// RMS normalisation: `x / sqrt(mean(x^2) + epsilon) * weight`, row by row.
    Normalised {
        /// The rows.
        x: &'a Rows,
        /// (inputs).
        weight: &'a [f32],
        /// Added to the mean square.
        epsilon: f32,
    },
}

impl<'a> Input<'a> {
    pub(super) const fn rows(&self) -> &'a Rows {
        match self {
            Self::Plain(x) | Self::Normalised { x, .. } => x,
        }
    }

    /// Makes all rows ready on this thread. `rounds`: whether rounded rows are asked for.
    pub(super) fn ready(&self, isa: Isa, rounds: bool) -> Ready<'a> {
        let mut ready = self.unset(rounds);
        self.write(isa, 0..self.rows().len(), &mut ready.normalised, &mut ready.panels);
        ready
    }

    /// The same, shared out to the pool.
    pub(super) fn ready_by(&self, pool: &Pool, isa: Isa, rounds: bool) -> Ready<'a> {
        let mut ready = self.unset(rounds);
        let x = self.rows();
        let rows = x.len().div_ceil(PANEL).div_ceil(pool.parts()).max(1) * PANEL;
        let mut normalised = ready.normalised.chunks_mut(rows * x.width());
        let mut panels = ready.panels.chunks_mut(rows / PANEL * x.width().div_ceil(GROUP));
        let pieces = (0..x.len()).step_by(rows).map(|first| {
            let rows = first..x.len().min(first + rows);
            (rows, normalised.next().unwrap_or_default(), panels.next().unwrap_or_default())
        });
        pool.each(pieces, |(rows, normalised, panels)| self.write(isa, rows, normalised, panels));
        ready
    }

    fn unset(&self, rounds: bool) -> Ready<'a> {
        let x = self.rows();
        let groups = x.len().div_ceil(PANEL) * x.width().div_ceil(GROUP);
        let normalised = match self {
            Self::Plain(_) => Scratch::default(),
            Self::Normalised { .. } => Scratch::any(x.values().len()),
        };
        let panels = if rounds { Scratch::any(groups) } else { Scratch::default() };
        Ready { x, normalised, panels }
    }

    /// Normalises and rounds some rows, a panel at a time, so that they are still near.
    fn write(
        &self,
        isa: Isa,
        rows: Range<usize>,
        normalised: &mut [f32],
        panels: &mut [PanelGroup],
    ) {
        let width = self.rows().width();
        let x = &self.rows().values()[rows.start * width..rows.end * width];
        let mut normalised = normalised.chunks_mut(PANEL * width);
        let mut panels = panels.chunks_mut(width.div_ceil(GROUP));
        for mut x in x.chunks(PANEL * width) {
            if let (Self::Normalised { weight, epsilon, .. }, Some(to)) = (self, normalised.next())
            {
                rms_norm(isa, x, weight, *epsilon, to);
                x = to;
            }
            if let Some(panel) = panels.next() {
                round_rows(isa, x, width, panel);
            }
        }
    }
}

/// Rows as matrices take them.
pub(super) struct Ready<'a> {
    x: &'a Rows,
    /// (row, width), empty if rows are taken as they are.
    normalised: Scratch<f32>,
    /// (panel, group), empty if no matrix has integers.
    panels: Scratch<PanelGroup>,
}

impl Ready<'_> {
    pub(super) fn operand(&self) -> Operand<'_> {
        let values = if self.normalised.is_empty() { self.x.values() } else { &self.normalised };
        Operand::new(self.x.width(), values, &self.panels)
    }
}
