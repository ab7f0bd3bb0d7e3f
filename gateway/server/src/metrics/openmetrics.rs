//! Metrics as [OpenMetrics 1.0](https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md)
//! writes them: what the crate `prometheus` does not, and the only text format that has exemplars.

use std::fmt::Write as _;

use prometheus::proto::{Histogram, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars};

/// The page of all families, with the exemplars that there are.
pub(super) fn render(families: &[MetricFamily], exemplars: &[&Exemplars]) -> String {
    let mut page = String::new();
    for family in families {
        let known = exemplars.iter().find(|exemplars| exemplars.name() == family.name());
        write_family(&mut page, family, known.copied());
    }
    page.push_str("# EOF\n");
    page
}

fn write_family(page: &mut String, family: &MetricFamily, exemplars: Option<&Exemplars>) {
    let kind = family.get_field_type();
    // A counter's name is that of its samples without their ending.
    let stem = family.name().strip_suffix("_total").filter(|_| kind == MetricType::COUNTER);
    let name = stem.unwrap_or(family.name());
    let word = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY | MetricType::UNTYPED => "unknown",
    };
    put(page, format_args!("# TYPE {name} {word}\n"));
    put(page, format_args!("# HELP {name} {}\n", escaped(family.help())));
    for metric in family.get_metric() {
        let labels = Labels(metric);
        match kind {
            MetricType::COUNTER => {
                let value = number(metric.get_counter().get_value());
                put(page, format_args!("{name}_total{} {value}\n", labels.write("")));
            }
            MetricType::GAUGE => {
                let value = number(metric.get_gauge().get_value());
                put(page, format_args!("{name}{} {value}\n", labels.write("")));
            }
            MetricType::HISTOGRAM => {
                let kept = exemplars.map(|exemplars| exemplars.of(metric)).unwrap_or_default();
                write_histogram(page, name, &labels, metric.get_histogram(), &kept);
            }
            // There are none here.
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
}

fn write_histogram(
    page: &mut String,
    name: &str,
    labels: &Labels<'_>,
    histogram: &Histogram,
    exemplars: &[Option<Exemplar>],
) {
    let count = histogram.get_sample_count();
    let buckets = histogram.get_bucket().iter();
    let finite = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let all = finite.filter(|(bound, _)| bound.is_finite()).chain([(f64::INFINITY, count)]);
    let mut negative = false;
    for (at, (bound, count)) in all.enumerate() {
        negative |= bound < 0.0;
        let labels = labels.write(&bound_text(bound));
        put(page, format_args!("{name}_bucket{labels} {count}"));
        if let Some(exemplar) = exemplars.get(at).copied().flatten() {
            let Exemplar { trace_id, value, at } = exemplar;
            let (value, at) = (number(value), at.as_secs_f64());
            put(page, format_args!(" # {{trace_id=\"{trace_id:032x}\"}} {value} {at:.3}"));
        }
        page.push('\n');
    }
    // A sum that can fall is no counter, and then there must be no count either.
    if !negative {
        let (labels, sum) = (labels.write(""), number(histogram.get_sample_sum()));
        put(page, format_args!("{name}_count{labels} {count}\n{name}_sum{labels} {sum}\n"));
    }
}

/// The labels of a series.
struct Labels<'a>(&'a Metric);

impl Labels<'_> {
    /// All in braces, and the bucket's bound if there is one.
    fn write(&self, bound: &str) -> String {
        let pair = |name: &str, value: &str| format!("{name}=\"{}\"", escaped(value));
        let labels = self.0.get_label().iter();
        let mut pairs: Vec<_> = labels.map(|label| pair(label.name(), label.value())).collect();
        if !bound.is_empty() {
            pairs.push(pair("le", bound));
        }
        if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A bound as every exposer must write it, since it is a label: shortest, with a point, and with an
/// exponent of two digits or more below 0.0001 and from 1,000,000 on.
fn bound_text(bound: f64) -> String {
    let size = bound.abs();
    if !size.is_finite() {
        return number(bound);
    }
    if bound == 0.0 || (1e-4..1e6).contains(&size) {
        return format!("{bound:?}");
    }
    let text = format!("{bound:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU128;

    use prometheus::core::Collector as _;
    use prometheus::{Gauge, IntCounterVec, Opts, Registry};

    use super::super::exemplars::TracedHistogramVec;
    use super::super::family::Family as _;
    use super::*;

    #[test]
    fn every_kind_is_written_as_the_specification_has_it() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("a_total", "A \"help\"\nof \\ two."), &["l"]);
        let counter = counter.expect("a counter");
        counter.with_label_values(&["x\\\"\ny"]).inc_by(3);
        let gauge = Gauge::new("b_ratio", "B.").expect("a gauge");
        gauge.set(0.25);
        let make = TracedHistogramVec::make("c_seconds", "C.", &["l"], vec![5e-5, 1.0, 512.0]);
        let histogram = make.expect("a histogram");
        histogram.observe(&["x"], 0.5, NonZeroU128::new(0xab));
        histogram.observe(&["x"], 1.5, None);
        let make = TracedHistogramVec::make("d_delta", "D.", &[], vec![-0.5, 0.0, 0.5]);
        let delta = make.expect("a histogram");
        delta.observe(&[], -0.75, None);
        registry.register(Box::new(counter)).expect("new");
        registry.register(Box::new(gauge)).expect("new");
        registry.register(Box::new(histogram.clone())).expect("new");
        registry.register(Box::new(delta)).expect("new");

        let page = render(&registry.gather(), &[histogram.exemplars()]);
        let at = histogram.exemplars().of(&histogram.collect()[0].get_metric()[0])[1];
        let at = at.expect("an exemplar").at.as_secs_f64();
        let id = "000000000000000000000000000000ab";
        let expected = [
            "# TYPE a counter",
            r#"# HELP a A \"help\"\nof \\ two."#,
            r#"a_total{l="x\\\"\ny"} 3"#,
            "# TYPE b_ratio gauge",
            "# HELP b_ratio B.",
            "b_ratio 0.25",
            "# TYPE c_seconds histogram",
            "# HELP c_seconds C.",
            r#"c_seconds_bucket{l="x",le="5e-05"} 0"#,
            &format!(r#"c_seconds_bucket{{l="x",le="1.0"}} 1 # {{trace_id="{id}"}} 0.5 {at:.3}"#),
            r#"c_seconds_bucket{l="x",le="512.0"} 2"#,
            r#"c_seconds_bucket{l="x",le="+Inf"} 2"#,
            r#"c_seconds_count{l="x"} 2"#,
            r#"c_seconds_sum{l="x"} 2"#,
            "# TYPE d_delta histogram",
            "# HELP d_delta D.",
            r#"d_delta_bucket{le="-0.5"} 1"#,
            r#"d_delta_bucket{le="0.0"} 1"#,
            r#"d_delta_bucket{le="0.5"} 1"#,
            r#"d_delta_bucket{le="+Inf"} 1"#,
            "# EOF\n",
        ];
        assert_eq!(page, expected.join("\n"));
    }

    /// The specification's list of canonical numbers, as far as its powers of ten go.
    #[test]
    fn bounds_are_in_canonical_form() {
        for (bound, text) in [
            (1e-10, "1e-10"),
            (1e-5, "1e-05"),
            (1e-4, "0.0001"),
            (0.1, "0.1"),
            (0.0, "0.0"),
            (1.0, "1.0"),
            (10.0, "10.0"),
            (1e5, "100000.0"),
            (1e6, "1e+06"),
            (1e10, "1e+10"),
            (2.5e-5, "2.5e-05"),
            (-512.0, "-512.0"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(bound_text(bound), text);
        }
    }
}
