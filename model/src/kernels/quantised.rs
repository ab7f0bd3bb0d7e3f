//! Activations rounded to 8 bits, in groups of 32 that share a scale.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::lanes::{self, LANES};
use super::packed::{GROUP, QUAD};
use super::{Isa, per_isa, scratch};

/// Rows that lie side by side: with that many, a tile's sums and products fit the registers.
pub(crate) const PANEL: usize = 8;

/// A group of the rows of a panel, as a tile of weights meets it. What lies beyond the last input
/// is 0, beyond the last row anything.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PanelGroup {
    /// (quad, row, 4).
    pub(crate) values: [[[i8; QUAD]; PANEL]; GROUP / QUAD],
    /// A row's values stand for so much each.
    pub(crate) scales: [f32; PANEL],
    /// The sum of a row's values.
    pub(crate) sums: [i32; PANEL],
    /// The same times the scale.
    pub(crate) totals: [f32; PANEL],
}

scratch::keep!(PanelGroup);

/// Some rows of a panel, from `first` on.
#[derive(Clone, Copy)]
pub(crate) struct PanelRows<'a> {
    pub(crate) groups: &'a [PanelGroup],
    pub(crate) first: usize,
}

/// Rows that are multiplied with matrices: as they are and rounded.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    width: usize,
    /// (row, width).
    values: &'a [f32],
    /// (panel, group), empty if no matrix has integers.
    panels: &'a [PanelGroup],
}

impl<'a> Operand<'a> {
    pub(crate) const fn new(width: usize, values: &'a [f32], panels: &'a [PanelGroup]) -> Self {
        Self { width, values, panels }
    }

    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.width..][..self.width]
    }

    /// The rows of a panel from `row` on, rounded.
    pub(crate) fn rounded(&self, row: usize) -> PanelRows<'a> {
        let groups = self.width.div_ceil(GROUP);
        PanelRows { groups: &self.panels[row / PANEL * groups..][..groups], first: row % PANEL }
    }
}

/// Rounds rows of that width to panels.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "features were detected"))]
pub(crate) fn round_rows(isa: Isa, x: &[f32], width: usize, panels: &mut [PanelGroup]) {
    match isa.supported() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: never above what `detect` found.
        Isa::Avx512 => unsafe { avx512::round_rows(x, width, panels) },
        isa => round_plainly(isa, x, width, panels),
    }
}

per_isa! {
    fn round_plainly(x: &[f32], width: usize, panels: &mut [PanelGroup]) = round_body
}

#[inline(always)]
fn round_body(x: &[f32], width: usize, panels: &mut [PanelGroup]) {
    let groups = width.div_ceil(GROUP);
    for (rows, panel) in x.chunks(PANEL * width).zip(panels.chunks_exact_mut(groups)) {
        for (row, x) in rows.chunks_exact(width).enumerate() {
            let (whole, rest) = x.as_chunks::<GROUP>();
            for (group, x) in panel.iter_mut().zip(whole) {
                group.set(row, round_group(x));
            }
            if !rest.is_empty() {
                let mut x = [0.0; GROUP];
                x[..rest.len()].copy_from_slice(rest);
                panel[whole.len()].set(row, round_group(&x));
            }
        }
    }
}

impl PanelGroup {
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "at most 32 * 127")]
    fn set(&mut self, row: usize, (values, scale, sum): ([i8; GROUP], f32, i32)) {
        for (quads, value) in self.values.iter_mut().zip(values.as_chunks::<QUAD>().0) {
            quads[row] = *value;
        }
        self.scales[row] = scale;
        self.sums[row] = sum;
        self.totals[row] = sum as f32 * scale;
    }
}

/// The group's values as multiples of its scale, the scale, and the sum of the multiples.
#[inline(always)]
fn round_group(group: &[f32; GROUP]) -> ([i8; GROUP], f32, i32) {
    let mut most = lanes::splat(0.0);
    for values in group.as_chunks::<LANES>().0 {
        let mut sizes = *values;
        for size in &mut sizes {
            *size = size.abs();
        }
        most = lanes::larger(&most, &sizes);
    }
    let largest = lanes::largest(&most);
    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
    let mut quants = [0; GROUP];
    let mut sum = 0;
    for (quant, value) in quants.iter_mut().zip(group) {
        *quant = nearest(value * inverse);
        sum += i32::from(*quant);
    }
    (quants, largest / 127.0, sum)
}

/// The nearest integer, ties to even, of a value in a byte's range; of what is no number, some byte.
#[inline(always)]
fn nearest(value: f32) -> i8 {
    (value + lanes::ROUNDING).to_bits().to_le_bytes()[0].cast_signed()
}

#[cfg(test)]
mod tests {
    use super::super::input::Input;
    use super::super::linear::tests::Noise;
    use super::super::pool::Pool;
    use super::*;

    #[test]
    fn values_are_the_nearest_multiples_of_the_scale_in_every_instruction_set() {
        let x = Noise::new(2).rows(11, 72);
        for (isa, parts) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 3)]) {
            let ready = Input::Plain(&x).ready_by(&Pool::new(parts), isa, true);
            let rounded = ready.operand();
            for (row, index) in (0..11).flat_map(|row| (0..3).map(move |index| (row, index))) {
                let part = &x.row(row)[index * GROUP..72.min((index + 1) * GROUP)];
                let largest = part.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                let rows = rounded.rounded(row);
                let (group, row) = (&rows.groups[index], rows.first);
                let values: Vec<i8> = group.values.iter().flat_map(|quad| quad[row]).collect();
                for (value, x) in values.iter().zip(part) {
                    let want = (x * (127.0 / largest)).round_ties_even();
                    assert_eq!(f32::from(*value), want, "{isa:?} {row} {index}");
                }
                assert!(values[part.len()..].iter().all(|v| *v == 0));
                let sum = values.iter().map(|v| i32::from(*v)).sum::<i32>();
                assert_eq!((group.scales[row], group.sums[row]), (largest / 127.0, sum));
                assert_eq!(group.totals[row], sum as f32 * (largest / 127.0));
            }
        }
    }

    #[test]
    fn rounding_is_to_even_and_zeros_stay() {
        for (value, want) in
            [(0.5, 0), (1.5, 2), (-0.5, 0), (-2.5, -2), (127.0, 127), (-127.0, -127)]
        {
            assert_eq!(nearest(value), want);
        }
        assert_eq!(round_group(&[0.0; GROUP]), ([0; GROUP], 0.0, 0));
    }
}
