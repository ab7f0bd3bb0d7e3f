//! What many numbers come down to.

use serde::Serialize;

/// Of a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    /// Nothing, if there are no numbers.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        Some(Self { p50: rank(&numbers, 0.5), p99: rank(&numbers, 0.99), least, most })
    }
}

/// The number below which that part of a sorted list lies, between neighbours.
fn rank(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_lie_between_neighbours() {
        let Summary { p50, p99, least, most } = Summary::of(vec![3.0, 1.0, 2.0, 4.0]).unwrap();
        assert_eq!((p50, least, most), (2.5, 1.0, 4.0));
        assert!((p99 - 3.97).abs() < 1e-9);
        assert_eq!(Summary::of(vec![7.0]).unwrap().p99, 7.0);
        assert!(Summary::of(Vec::new()).is_none());
    }
}
