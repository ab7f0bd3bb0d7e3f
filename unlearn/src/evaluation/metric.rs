//! What sums up a model's numbers on many items.

/// Sums over items of up to four numbers that each item gives.
pub(crate) type Sums = [f64; 4];

/// A statistic of items: a function of sums over them, so that it is known for every resample.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name in cards and reports.
    pub name: &'static str,
    of_item: fn(&[f64]) -> Sums,
    of_sums: fn(&Sums) -> f64,
    weight: Weight,
}

/// What counts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Every item.
    Items,
    /// Every group of items, however many they are.
    Groups,
}

impl Metric {
    /// A statistic in which items count alike: `of_sums(sum of of_item(row))`.
    pub(crate) const fn pooled(
        name: &'static str,
        of_item: fn(&[f64]) -> Sums,
        of_sums: fn(&Sums) -> f64,
    ) -> Self {
        Self { name, of_item, of_sums, weight: Weight::Items }
    }

    /// A statistic in which groups count alike: the sums are those of each group's mean item.
    pub(crate) const fn per_group(
        name: &'static str,
        of_item: fn(&[f64]) -> Sums,
        of_sums: fn(&Sums) -> f64,
    ) -> Self {
        Self { name, of_item, of_sums, weight: Weight::Groups }
    }

    /// Makes the statistic ready to be taken of resamples of `rows`, whose groups are `groups`.
    pub(crate) fn over<'a>(&self, rows: &[Vec<f64>], groups: &'a [u32]) -> Statistic<'a> {
        let items = rows.iter().map(|row| (self.of_item)(row)).collect();
        Statistic { metric: *self, items, groups }
    }
}

/// The sum of the first number over that of the second.
pub(crate) fn ratio(sums: &Sums) -> f64 {
    sums[0] / sums[1]
}

/// A metric and what it needs of each item.
pub(crate) struct Statistic<'a> {
    metric: Metric,
    items: Vec<Sums>,
    groups: &'a [u32],
}

impl Statistic<'_> {
    /// The value over all items.
    pub(crate) fn value(&self) -> f64 {
        self.resampled(&(0..self.items.len()).collect::<Vec<_>>())
    }

    /// The value over the items of these numbers, which may repeat.
    pub(crate) fn resampled(&self, sample: &[usize]) -> f64 {
        let sums = match self.metric.weight {
            Weight::Items => total(sample.iter().map(|&item| &self.items[item])),
            Weight::Groups => self.mean_over_groups(sample),
        };
        (self.metric.of_sums)(&sums)
    }

    /// The mean, over the groups in a sample, of each group's mean item.
    fn mean_over_groups(&self, sample: &[usize]) -> Sums {
        let groups = self.groups.iter().max().map_or(0, |&last| last as usize + 1);
        let mut sums = vec![(Sums::default(), 0.0); groups];
        for &item in sample {
            let (sum, count) = &mut sums[self.groups[item] as usize];
            add(sum, &self.items[item]);
            *count += 1.0;
        }
        let present: Vec<Sums> = sums
            .iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(sum, count)| sum.map(|value| value / count))
            .collect();
        total(&present)
    }
}

fn total<'a>(items: impl IntoIterator<Item = &'a Sums>) -> Sums {
    items.into_iter().fold(Sums::default(), |mut total, item| {
        add(&mut total, item);
        total
    })
}

fn add(total: &mut Sums, item: &Sums) {
    for (total, value) in total.iter_mut().zip(item) {
        *total += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(row: &[f64]) -> Sums {
        [row[0], 1.0, 0.0, 0.0]
    }

    #[test]
    fn items_or_groups_count_alike() {
        let rows = [1.0, 2.0, 3.0, 10.0].map(|value| vec![value]);
        let groups = [0, 0, 0, 2];
        let value = |metric: Metric| metric.over(&rows, &groups).value();
        assert!((value(Metric::pooled("mean", first, ratio)) - 4.0).abs() < 1e-12);
        assert!((value(Metric::per_group("mean", first, ratio)) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_resample_may_lack_groups_and_repeat_items() {
        let rows = [1.0, 4.0].map(|value| vec![value]);
        let metric = Metric::per_group("mean", first, ratio);
        let value = metric.over(&rows, &[0, 1]).resampled(&[1, 1, 1]);
        assert!((value - 4.0).abs() < 1e-12);
    }
}
