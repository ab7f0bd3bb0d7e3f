//! Ratios of paired measurements.

/// A median and its 95 % interval.
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How much throughput is left: the median of seconds without over seconds with. The interval is
/// that of the sign test, by its normal approximation: a turn that something else on the machine
/// slowed down counts as one pair, however slow it was.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Interval {
    let ratios = sorted(pairs.iter().map(|(with, without)| without / with).collect());
    let count = ratios.len() as f64;
    let reach = 1.96 * count.sqrt() / 2.0;
    let at = |place: f64| ratios[(place.max(0.0) as usize).min(ratios.len() - 1)];
    let middle = (count - 1.0) / 2.0;
    Interval {
        median: median(ratios.clone()),
        low: at((middle - reach).floor()),
        high: at((middle + reach).ceil()),
    }
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
