//! Folds weighted low-rank adapters into dense weights, or into one adapter.

mod checkpoint;

use std::collections::{BTreeMap, BTreeSet};

use model::Site;

use crate::lora::{Lora, LowRank};

pub use checkpoint::Merged;

/// Why adapters cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Every scale is 0, or there is no adapter.
    #[error("there is no adapter to merge")]
    Empty,
    /// The weight has not the shape of the site.
    #[error("{site}: the weight has {found} values, but the adapters need {expected}")]
    Shape {
        /// Where.
        site: Site,
        /// Values of the weight.
        found: usize,
        /// Outputs times inputs of the adapter.
        expected: usize,
    },
    /// Two adapters were made for models of other shapes.
    #[error("{0}: the adapters have different shapes")]
    Disagreement(Site),
    /// The result has a value that is infinite or not a number.
    #[error("{0}: the merged weight is not finite")]
    NonFinite(Site),
}

/// Folds the weighted sum of `adapters` into `weight`, the base weight at `site`:
/// `W += sum_i s_i * scaling_i * B_i A_i`.
///
/// `weight` is (outputs, inputs), row-major. Each value is summed in f64, in the order given, and
/// rounded once.
///
/// # Errors
/// [`MergeError`]; `weight` is then not to be used.
pub fn fold(site: Site, weight: &mut [f32], adapters: &[(&Lora, f32)]) -> Result<(), MergeError> {
    let terms: Vec<_> = terms(site, adapters).collect();
    let Some((first, _)) = terms.first() else { return Ok(()) };
    let (inputs, outputs) = (first.inputs(), first.outputs());
    if terms.iter().any(|(term, _)| (term.inputs(), term.outputs()) != (inputs, outputs)) {
        return Err(MergeError::Disagreement(site));
    }
    if weight.len() != inputs * outputs {
        return Err(MergeError::Shape { site, found: weight.len(), expected: inputs * outputs });
    }
    let mut sum = vec![0f64; inputs];
    for (output, row) in weight.chunks_exact_mut(inputs).enumerate() {
        for (sum, &value) in sum.iter_mut().zip(&*row) {
            *sum = f64::from(value);
        }
        for (term, scale) in &terms {
            add_row(&mut sum, term, output, f64::from(*scale) * f64::from(term.scaling));
        }
        for (value, &sum) in row.iter_mut().zip(&sum) {
            *value = sum as f32;
        }
        if row.iter().any(|value| !value.is_finite()) {
            return Err(MergeError::NonFinite(site));
        }
    }
    Ok(())
}

/// Adds row `output` of `factor * B A` to `sum`.
fn add_row(sum: &mut [f64], term: &LowRank, output: usize, factor: f64) {
    let b = &term.b[output * term.rank..][..term.rank];
    for (b, a) in b.iter().zip(term.a.chunks_exact(sum.len())) {
        let factor = factor * f64::from(*b);
        for (sum, &a) in sum.iter_mut().zip(a) {
            *sum += factor * f64::from(a);
        }
    }
}

/// One adapter that equals the weighted sum of `adapters`, for servers that apply one at a time.
///
/// The A's are stacked and the B's, times scale and scaling, set side by side. The rank is the sum
/// of the adapters' ranks at every site: where an adapter does not act its columns are 0, so that
/// readers that know only one rank can read the result.
///
/// # Errors
/// [`MergeError`] if there is no adapter, shapes disagree, or a product is not finite.
pub fn concatenate(adapters: &[(&Lora, f32)]) -> Result<Lora, MergeError> {
    let adapters: Vec<_> = adapters.iter().copied().filter(|(_, scale)| *scale != 0.0).collect();
    let rank = adapters.iter().map(|(lora, _)| lora.rank()).sum();
    let sites: BTreeSet<_> = adapters.iter().flat_map(|(lora, _)| lora.sites.keys()).collect();
    if sites.is_empty() {
        return Err(MergeError::Empty);
    }
    let sites = sites
        .into_iter()
        .map(|&site| Ok((site, concatenate_site(site, rank, &adapters)?)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Lora { sites })
}

fn concatenate_site(
    site: Site,
    rank: usize,
    adapters: &[(&Lora, f32)],
) -> Result<LowRank, MergeError> {
    let shapes: BTreeSet<_> =
        terms(site, adapters).map(|(term, _)| (term.inputs(), term.outputs())).collect();
    let &[(inputs, outputs)] = Vec::from_iter(shapes).as_slice() else {
        return Err(MergeError::Disagreement(site));
    };
    let mut a = Vec::with_capacity(rank * inputs);
    let mut b = vec![0.0; outputs * rank];
    for (term, scale) in terms(site, adapters) {
        let first = a.len() / inputs;
        let factor = f64::from(scale) * f64::from(term.scaling);
        for (row, from) in b.chunks_exact_mut(rank).zip(term.b.chunks_exact(term.rank)) {
            for (to, &from) in row[first..].iter_mut().zip(from) {
                *to = (factor * f64::from(from)) as f32;
            }
        }
        a.extend_from_slice(&term.a);
    }
    a.resize(rank * inputs, 0.0);
    if b.iter().any(|value| !value.is_finite()) {
        return Err(MergeError::NonFinite(site));
    }
    Ok(LowRank { rank, scaling: 1.0, a, b })
}

/// What each adapter that acts at `site` adds there, and its scale.
fn terms<'a>(
    site: Site,
    adapters: &'a [(&'a Lora, f32)],
) -> impl Iterator<Item = (&'a LowRank, f32)> {
    adapters
        .iter()
        .filter(|(_, scale)| *scale != 0.0)
        .filter_map(move |(lora, scale)| Some((lora.sites.get(&site)?, *scale)))
}
