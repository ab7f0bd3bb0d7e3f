//! Numbers as a reader wants them.

/// A number to about three digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size == 0.0 => "0".to_owned(),
        _ if !(0.001..1e6).contains(&size) => format!("{value:.1e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A change: a number with its sign.
pub(super) fn signed(value: f64) -> String {
    let number = short(value.abs());
    match value {
        _ if number.trim_matches(['0', '.']).is_empty() => number,
        _ if value < 0.0 => format!("\u{2212}{number}"),
        _ => format!("+{number}"),
    }
}

/// A number on an axis: without zeros at its end.
pub(super) fn tick(value: f64) -> String {
    let number = short(value.abs());
    let has_end = number.contains('.') && !number.contains('e');
    let number = if has_end { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    if value < 0.0 { format!("\u{2212}{number}") } else { number.to_owned() }
}

/// Whether an interval has 0 outside.
pub(super) fn is_clear([low, high]: [f64; 2]) -> bool {
    low > 0.0 || high < 0.0
}

/// The span of numbers, a little wider than they are; `None` if there is none.
pub(super) fn span(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let values = values.filter(|value| value.is_finite());
    let [low, high] = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
        [low.min(value), high.max(value)]
    });
    let room = if high > low { 0.04 * (high - low) } else { 0.1 * high.abs().max(1e-6) };
    (low <= high).then_some([low - room, high + room])
}

/// About four round numbers inside a span.
pub(super) fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let raw = (high - low) / 4.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= raw).unwrap_or(10.0 * power);
    let first = (low / step).ceil();
    let ticks = (0..8).map(|index| (first + f64::from(index)) * step);
    // Steps of a tenth do not add up to zero exactly.
    let ticks = ticks.map(|tick| if tick.abs() < step / 2.0 { 0.0 } else { tick });
    ticks.take_while(|tick| *tick <= high).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_changes_their_sign() {
        let shorts = [0.0, 23.6012, 0.05123, 123.456, 1.0049, 2e-4, 3e7].map(short);
        assert_eq!(shorts, ["0", "23.6", "0.051", "123", "1.00", "2.0e-4", "3.0e7"]);
        let changes = [0.5, -0.5, 0.0, -0.0].map(signed);
        assert_eq!(changes, ["+0.500", "\u{2212}0.500", "0", "0"]);
        let ends = [-5.0, 20.0, 0.5, 100.0, 1e-4, 0.0].map(tick);
        assert_eq!(ends, ["\u{2212}5", "20", "0.5", "100", "1.0e-4", "0"]);
        assert!(is_clear([0.1, 0.2]) && is_clear([-2.0, -1.0]));
        assert!(!is_clear([-0.1, 0.2]) && !is_clear([0.0, 0.2]));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks([-0.3, 0.9]), [0.0, 0.5]);
        assert_eq!(ticks([0.0, 40.0]), [0.0, 10.0, 20.0, 30.0, 40.0]);
        for [low, high] in [[-1e-5, 3e-5], [1e8, 3e8], [99.9, 100.1], [-7.0, -6.9]] {
            let ticks = ticks([low, high]);
            assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks.iter().all(|tick| (low..=high).contains(tick)), "{ticks:?}");
        }
        assert_eq!(span([].into_iter()), None);
        let [low, high] = span([5.0, 5.0, f64::NAN].into_iter()).unwrap();
        assert!(low < 5.0 && high > 5.0);
    }
}
