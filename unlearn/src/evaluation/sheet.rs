//! A model's numbers on the items of a test, and two models' side by side.

use std::num::NonZeroU64;

use adapters::Digest;
use adapters::card::{self, Word, WordError};
use serde::{Deserialize, Serialize};

use super::metric::Statistic;
use super::{Measurement, Test, bootstrap};

/// What a model did on one domain of a test: a row of numbers for each item, and no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// The test.
    pub test: Test,
    /// The domain.
    pub domain: Word,
    /// Digest of the items, in order: only sheets with the same one can be compared.
    pub key: Digest,
    /// The group of each item, such as its target term.
    pub groups: Vec<u32>,
    /// The numbers of each item; what they mean is the test's affair.
    pub rows: Vec<Vec<f64>>,
}

/// Why sheets cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// They are not of the same items.
    #[error("the sheets of {test}, {domain}, are not of the same items")]
    Items {
        /// The test.
        test: Test,
        /// The domain.
        domain: Word,
    },
    /// A sheet has no items, a row of another width, or a number that is not finite.
    #[error("the sheet of {test}, {domain}, is malformed")]
    Malformed {
        /// The test.
        test: Test,
        /// The domain.
        domain: Word,
    },
    /// A name is not a word.
    #[error(transparent)]
    Word(#[from] WordError),
}

impl Sheet {
    /// Checks what was read from a file.
    ///
    /// # Errors
    /// [`SheetError::Malformed`].
    pub fn check(&self) -> Result<(), SheetError> {
        let width = self.rows.first().map_or(0, Vec::len);
        let good = |row: &Vec<f64>| row.len() == width && row.iter().all(|v| v.is_finite());
        let groups = self.groups.iter().all(|&group| (group as usize) < self.rows.len());
        let whole = self.groups.len() == self.rows.len() && groups;
        if width > 0 && whole && self.test.has_width(width) && self.rows.iter().all(good) {
            return Ok(());
        }
        Err(SheetError::Malformed { test: self.test, domain: self.domain.clone() })
    }

    /// Every metric of the test, with its bootstrap interval over items.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        let measured = |metric: &super::Metric| {
            let statistic = metric.over(&self.rows, &self.groups);
            let interval = bootstrap::interval(self.rows.len(), |s| statistic.resampled(s));
            Measurement {
                test: self.test,
                domain: self.domain.to_string(),
                metric: metric.name.to_owned(),
                value: statistic.value(),
                interval,
                items: self.rows.len(),
            }
        };
        self.test.metrics().iter().map(measured).collect()
    }

    /// Every metric of the test on this sheet, the base's, and on that of an adapter set. With the
    /// sheets of several seeds: their mean, and resamples of items and seeds.
    ///
    /// # Errors
    /// [`SheetError`] if a sheet is not of the same items.
    pub fn compare(&self, adapted: &[&Self]) -> Result<Vec<card::Measurement>, SheetError> {
        let mut all = adapted.iter().copied().chain([self]);
        let alike = |other: &Self| {
            (other.test, &other.domain, other.key, other.rows.len(), &other.groups)
                == (self.test, &self.domain, self.key, self.rows.len(), &self.groups)
        };
        let seeds = NonZeroU64::new(adapted.len() as u64).filter(|_| all.all(alike));
        let seeds = seeds
            .ok_or_else(|| SheetError::Items { test: self.test, domain: self.domain.clone() })?;
        let compared = |metric| self.compare_by(metric, adapted, seeds);
        self.test.metrics().iter().map(compared).collect()
    }

    fn compare_by(
        &self,
        metric: &super::Metric,
        adapted: &[&Self],
        seeds: NonZeroU64,
    ) -> Result<card::Measurement, SheetError> {
        let base = metric.over(&self.rows, &self.groups);
        let adapted: Vec<Statistic<'_>> =
            adapted.iter().map(|sheet| metric.over(&sheet.rows, &sheet.groups)).collect();
        let delta = |sample: &[usize], seeds: &[usize]| {
            mean(seeds.iter().map(|&seed| adapted[seed].resampled(sample))) - base.resampled(sample)
        };
        let interval = bootstrap::interval_over_seeds(self.rows.len(), adapted.len(), delta);
        let (before, after) = (base.value(), mean(adapted.iter().map(Statistic::value)));
        if !(before.is_finite() && after.is_finite()) {
            return Err(SheetError::Malformed { test: self.test, domain: self.domain.clone() });
        }
        Ok(card::Measurement {
            test: Word::parse(self.test.name())?,
            domain: self.domain.clone(),
            metric: Word::parse(metric.name)?,
            base: before,
            adapter: after,
            delta: after - before,
            interval,
            items: self.rows.len() as u64,
            seeds,
        })
    }
}

/// The mean of at least one value.
#[expect(clippy::cast_precision_loss, reason = "a count")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums and counts of one reading: an `nll` of `1 - shift` or so.
    fn sheet(shift: f64) -> Sheet {
        let rows = (0..60).map(|n| vec![-f64::from(n % 7) + shift, 4.0]).collect();
        Sheet {
            test: Test::Harmful,
            domain: Word::parse("hats").unwrap(),
            key: Digest::of(&[b"hats"]),
            groups: vec![0; 60],
            rows,
        }
    }

    #[test]
    fn the_same_change_everywhere_has_an_interval_without_width() {
        let (base, adapted) = (sheet(0.0), sheet(-2.0));
        let compared = &base.compare(&[&adapted]).unwrap()[0];
        assert_eq!((compared.metric.as_str(), compared.items), ("nll", 60));
        assert!((compared.delta - 0.5).abs() < 1e-9, "{}", compared.delta);
        assert!(compared.interval.iter().all(|end| (end - 0.5).abs() < 1e-9));
        let alone = &adapted.measurements()[0];
        assert!(alone.interval[1] - alone.interval[0] > 0.1, "items differ");
    }

    #[test]
    fn seeds_are_averaged_and_resampled() {
        let (base, one, two) = (sheet(0.0), sheet(-2.0), sheet(-4.0));
        let compared = &base.compare(&[&one, &two]).unwrap()[0];
        assert!((compared.delta - 0.75).abs() < 1e-9);
        assert_eq!(compared.seeds.get(), 2);
        let [low, high] = compared.interval;
        assert!((low - 0.5).abs() < 1e-9 && (high - 1.0).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn sheets_of_other_items_are_not_compared() {
        let base = sheet(0.0);
        let other = Sheet { key: Digest::of(&[b"shoes"]), ..sheet(0.0) };
        assert!(matches!(base.compare(&[&other]), Err(SheetError::Items { .. })));
        assert!(base.compare(&[]).is_err());
    }

    #[test]
    fn a_malformed_sheet_is_refused() {
        assert!(sheet(0.0).check().is_ok());
        let short = Sheet { rows: vec![vec![1.0]; 60], ..sheet(0.0) };
        let empty = Sheet { rows: Vec::new(), groups: Vec::new(), ..sheet(0.0) };
        let odd = Sheet { groups: vec![60; 60], ..sheet(0.0) };
        let nan = Sheet { rows: vec![vec![f64::NAN, 1.0]; 60], ..sheet(0.0) };
        for bad in [short, empty, odd, nan] {
            assert!(bad.check().is_err());
        }
    }
}
