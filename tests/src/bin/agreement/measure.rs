//! How far scores are from each other.

use anyhow::ensure;

use crate::gateway::Scores;

/// A mean over tokens.
pub(crate) struct Difference {
    /// Nats a token.
    pub(crate) mean: f64,
    /// Tokens that both have.
    pub(crate) tokens: usize,
}

/// The mean distance of what both have.
pub(crate) fn mean_difference(a: &Scores, b: &Scores) -> anyhow::Result<Difference> {
    let both = a.iter().filter_map(|(key, x)| Some((x - b.get(key)?).abs()));
    let distances: Vec<f64> = both.collect();
    let tokens = distances.len();
    // Of five likeliest tokens two servers may rank the last ones otherwise.
    ensure!(tokens * 2 > a.len(), "they have only {tokens} of {} tokens in common", a.len());
    Ok(Difference { mean: distances.iter().sum::<f64>() / tokens as f64, tokens })
}
