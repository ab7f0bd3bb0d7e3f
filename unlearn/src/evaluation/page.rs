//! Tables of results in a page that people write.
//!
//! A table stands between a marker and `<!-- end of table -->` and is made anew from the results:
//!
//! - `<!-- table NAME TEST METRIC -->`: a column for each domain, a row for the base and each adapter set;
//! - `<!-- table NAME -->`: a row for everything that was measured of the table's first set;
//! - `<!-- table NAME,NAME TEST:METRIC TEST:METRIC -->`: a row for the first set of each table, a column
//!   for each metric.
//!
//! An adapter set has its value, what it changed and the 95 % interval of that. A change whose interval
//! is clear of 0 is bold. Everything else in the page stays as it is.

mod markdown;

use super::Report;

const BEGIN: &str = "<!-- table ";
const END: &str = "<!-- end of table -->";

/// Why a page cannot be made anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A line that begins a table does not say which.
    #[error("line {0} is no table's marker")]
    Marker(usize),
    /// A table has no end.
    #[error("the table that begins in line {0} has no end")]
    Open(usize),
    /// The results do not have the table, or the table not the metric.
    #[error("the results have nothing for the table in line {0}")]
    Unknown(usize),
    /// There is no table in the page.
    #[error("the page has no table")]
    Empty,
}

/// The page with its tables made anew.
///
/// # Errors
/// [`PageError`] with the line at fault.
pub fn rewrite(page: &str, report: &Report) -> Result<String, PageError> {
    let mut rewritten = String::new();
    let mut lines = page.lines().zip(1..);
    let mut found = false;
    while let Some((line, number)) = lines.next() {
        rewritten.push_str(line);
        rewritten.push('\n');
        let Some(marker) = line.strip_prefix(BEGIN) else { continue };
        let marker = marker.strip_suffix(" -->").ok_or(PageError::Marker(number))?;
        let wanted = Wanted::parse(marker).ok_or(PageError::Marker(number))?;
        let made = match &wanted {
            Wanted::Metric { name, metric } => markdown::of_metric(report, name, *metric),
            Wanted::All(name) => markdown::of_all(report, name),
            Wanted::Overview { names, metrics } => markdown::overview(report, names, metrics),
        };
        rewritten.push_str(&made.ok_or(PageError::Unknown(number))?);
        lines.by_ref().find(|(line, _)| *line == END).ok_or(PageError::Open(number))?;
        rewritten.push_str(END);
        rewritten.push('\n');
        found = true;
    }
    if found { Ok(rewritten) } else { Err(PageError::Empty) }
}

/// A test and a metric of it.
type TestMetric<'a> = (&'a str, &'a str);

/// What a marker asks for.
enum Wanted<'a> {
    Metric { name: &'a str, metric: TestMetric<'a> },
    All(&'a str),
    Overview { names: Vec<&'a str>, metrics: Vec<TestMetric<'a>> },
}

impl<'a> Wanted<'a> {
    fn parse(marker: &'a str) -> Option<Self> {
        match marker.split(' ').collect::<Vec<_>>().as_slice() {
            [] => None,
            [name] => Some(Self::All(name)),
            [name, test, metric] if !test.contains(':') => {
                Some(Self::Metric { name, metric: (test, metric) })
            }
            [names, metrics @ ..] => {
                let metrics = metrics.iter().map(|metric| metric.split_once(':'));
                let metrics = metrics.collect::<Option<_>>()?;
                Some(Self::Overview { names: names.split(',').collect(), metrics })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use adapters::card::{self, Word};

    use super::*;
    use crate::corpus::Part;
    use crate::evaluation::{Comparison, Measurement, Row, Table, Test};

    fn report() -> Report {
        let word = |text| Word::parse(text).unwrap();
        let base = |domain: &str| Measurement {
            test: Test::Harmful,
            domain: domain.into(),
            metric: "nll".into(),
            value: 5.5,
            interval: [5.0, 6.0],
            items: 40,
        };
        let change = |domain| card::Measurement {
            test: word("harmful"),
            domain: word(domain),
            metric: word("nll"),
            base: 5.5,
            adapter: 6.25,
            delta: 0.75,
            interval: [0.5, 1.0],
            items: 40,
            seeds: NonZeroU64::MIN,
        };
        let set = |set: &str, domains: &[&'static str]| Comparison {
            set: set.into(),
            seeds: Vec::new(),
            measurements: domains.iter().map(|domain| change(domain)).collect(),
        };
        let mut report = Report {
            model: "tiny".into(),
            weights: "sha256:1".into(),
            precision: "f32".into(),
            part: Part::Test,
            judges: Vec::new(),
            base: Vec::new(),
            sets: Vec::new(),
            tables: Vec::new(),
        };
        let rows = |sets: &[&str]| {
            sets.iter().map(|s| Row { label: s.to_uppercase(), set: (*s).to_owned() }).collect()
        };
        let table =
            Table { name: word("transfer"), domains: Vec::new(), rows: rows(&["hats", "caps"]) };
        let sets = vec![set("hats", &["hats", "shoes"]), set("caps", &["hats"])];
        report.add(table, vec![base("hats"), base("shoes")], sets);
        let domains = vec![word("hats")];
        let table = Table { name: word("scales"), domains, rows: rows(&["hats", "caps"]) };
        report.add(table, vec![base("hats")], vec![set("hats", &["hats"]), set("caps", &["hats"])]);
        report
    }

    #[test]
    fn what_two_tables_have_is_there_once() {
        let report = report();
        assert_eq!((report.base.len(), report.sets.len(), report.tables.len()), (2, 2, 2));
        assert_eq!(report.sets[1].measurements.len(), 1);
    }

    #[test]
    fn a_table_is_made_anew_and_the_rest_stays() {
        let page = "# Results\n<!-- table transfer harmful nll -->\nold\n<!-- end of table -->\n\
            <!-- table scales harmful nll -->\n<!-- end of table -->\nend\n";
        let cell = "6.250 (**+0.750** [+0.500, +1.000])";
        let want = format!(
            "# Results\n<!-- table transfer harmful nll -->\n\
            |  | hats | shoes |\n| --- | --- | --- |\n| base | 5.500 | 5.500 |\n\
            | HATS | {cell} | {cell} |\n| CAPS | {cell} |  |\n| items | 40 | 40 |\n\
            <!-- end of table -->\n<!-- table scales harmful nll -->\n\
            |  | hats |\n| --- | --- |\n| base | 5.500 |\n| HATS | {cell} |\n| CAPS | {cell} |\n| items | 40 |\n\
            <!-- end of table -->\nend\n"
        );
        let rewritten = rewrite(page, &report()).unwrap();
        assert_eq!(rewritten, want);
        assert_eq!(rewrite(&rewritten, &report()).unwrap(), want, "twice is once");
    }

    #[test]
    fn all_of_a_set_and_sets_of_several_tables_are_shown() {
        let made = |marker: &str| {
            let page = format!("<!-- table {marker} -->\n<!-- end of table -->\n");
            let text = rewrite(&page, &report()).unwrap();
            text.lines().skip(1).filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n")
        };
        let cell = "6.250 (**+0.750** [+0.500, +1.000])";
        assert_eq!(
            made("transfer"),
            format!(
                "| test | domain | metric | base | adapter | items |\n\
                 | --- | --- | --- | --- | --- | --- |\n\
                 | harmful | hats | nll | 5.500 | {cell} | 40 |\n\
                 | harmful | shoes | nll | 5.500 | {cell} | 40 |"
            )
        );
        assert_eq!(
            made("transfer,scales harmful:nll bbq:s_amb"),
            format!(
                "|  | harmful nll | bbq s_amb |\n| --- | --- | --- |\n\
                 | HATS | 5.500 -> {cell}<br>5.500 -> {cell} |  |\n| HATS | 5.500 -> {cell} |  |"
            )
        );
    }

    #[test]
    fn what_cannot_be_made_is_told_by_its_line() {
        let rewrite = |page: &str| rewrite(page, &report());
        for marker in ["transfer harmful", "transfer harmful:nll ss"] {
            assert_eq!(rewrite(&format!("\n<!-- table {marker} -->\n")), Err(PageError::Marker(2)));
        }
        let end = "<!-- end of table -->\n";
        for unknown in [
            "other harmful nll",
            "transfer harmful ss",
            "transfer bbq nll",
            "other",
            "hats,other bbq:nll",
        ] {
            let page = format!("<!-- table {unknown} -->\n{end}");
            assert_eq!(rewrite(&page), Err(PageError::Unknown(1)));
        }
        assert_eq!(rewrite("<!-- table transfer harmful nll -->\n"), Err(PageError::Open(1)));
        assert_eq!(rewrite("text\n"), Err(PageError::Empty));
    }
}
