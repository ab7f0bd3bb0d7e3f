//! Tables of results in a page that people write.
//!
//! A table stands between the lines `<!-- table NAME TEST METRIC -->` and `<!-- end of table -->` and
//! is made anew from the results: a column for each domain, the base first, then every adapter set
//! with its value, what it changed and the 95 % interval of that. A change whose interval is clear of
//! 0 is bold. Everything else in the page stays as it is.

use std::fmt::Write as _;

use adapters::card;

use super::{Measurement, Report, Table};

const BEGIN: &str = "<!-- table ";
const END: &str = "<!-- end of table -->";

/// Why a page cannot be made anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A line that begins a table does not name one.
    #[error("line {0} is not `<!-- table NAME TEST METRIC -->`")]
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
        let words: Vec<&str> = marker.split(' ').collect();
        let &[name, test, metric] = words.as_slice() else { return Err(PageError::Marker(number)) };
        let table = report.tables.iter().find(|table| table.name.as_str() == name);
        let made = table.and_then(|table| markdown(report, table, test, metric));
        rewritten.push_str(&made.ok_or(PageError::Unknown(number))?);
        lines.by_ref().find(|(line, _)| *line == END).ok_or(PageError::Open(number))?;
        rewritten.push_str(END);
        rewritten.push('\n');
        found = true;
    }
    if found { Ok(rewritten) } else { Err(PageError::Empty) }
}

/// The table of one metric; `None` if it was not measured.
fn markdown(report: &Report, table: &Table, test: &str, metric: &str) -> Option<String> {
    let of = |m: &&Measurement| m.test.name() == test && m.metric == metric;
    let base: Vec<&Measurement> = report.base.iter().filter(of).collect();
    let places = if base.iter().any(|m| m.value.abs() >= 10.0) { 2 } else { 3 };
    let mut rows = Vec::new();
    for wanted in &table.rows {
        let set = report.sets.iter().find(|set| set.set == wanted.set)?;
        let measured = |domain: &str| {
            let of = |m: &&card::Measurement| {
                let found = (m.test.as_str(), m.metric.as_str(), m.domain.as_str());
                found == (test, metric, domain)
            };
            set.measurements.iter().find(of)
        };
        let cells: Vec<_> = base.iter().map(|m| measured(&m.domain)).collect();
        rows.push((wanted.label.as_str(), cells));
    }
    // A domain that no row of this table was measured in is another table's.
    let shown = |place: &usize| rows.iter().any(|(_, cells)| cells[*place].is_some());
    let places_shown: Vec<usize> = (0..base.len()).filter(shown).collect();
    if places_shown.is_empty() {
        return None;
    }
    let of_base = |cell: &dyn Fn(&Measurement) -> String| {
        places_shown.iter().map(|&place| cell(base[place])).collect::<Vec<_>>()
    };
    let mut text = row("", of_base(&|m| m.domain.clone()));
    text.push_str(&row("---", of_base(&|_| "---".to_owned())));
    text.push_str(&row("base", of_base(&|m| format!("{:.places$}", m.value))));
    for (label, cells) in rows {
        let cell = |&place: &usize| cells[place].map_or(String::new(), |m| change(m, places));
        text.push_str(&row(label, places_shown.iter().map(cell).collect()));
    }
    text.push_str(&row("items", of_base(&|m| m.items.to_string())));
    Some(text)
}

/// The value with adapters, what they changed, and the interval of that.
fn change(m: &card::Measurement, places: usize) -> String {
    let [low, high] = m.interval;
    let clear = if low > 0.0 || high < 0.0 { "**" } else { "" };
    let delta = format!("{clear}{:+.places$}{clear}", m.delta);
    format!("{:.places$} ({delta} [{low:+.places$}, {high:+.places$}])", m.adapter)
}

fn row(label: &str, cells: Vec<String>) -> String {
    let mut text = format!("| {label} |");
    for cell in cells {
        // Writing to a string does not fail.
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use adapters::card::Word;

    use super::*;
    use crate::corpus::Part;
    use crate::evaluation::{Comparison, Row, Test};

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
        let table = Table { name: word("transfer"), rows: rows(&["hats", "caps"]) };
        let sets = vec![set("hats", &["hats", "shoes"]), set("caps", &["hats"])];
        report.add(table, vec![base("hats"), base("shoes")], sets);
        let table = Table { name: word("scales"), rows: rows(&["caps"]) };
        report.add(table, vec![base("hats")], vec![set("caps", &["hats"])]);
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
            |  | hats |\n| --- | --- |\n| base | 5.500 |\n| CAPS | {cell} |\n| items | 40 |\n\
            <!-- end of table -->\nend\n"
        );
        let rewritten = rewrite(page, &report()).unwrap();
        assert_eq!(rewritten, want);
        assert_eq!(rewrite(&rewritten, &report()).unwrap(), want, "twice is once");
    }

    #[test]
    fn what_cannot_be_made_is_told_by_its_line() {
        let rewrite = |page: &str| rewrite(page, &report());
        assert_eq!(rewrite("\n<!-- table transfer -->\n"), Err(PageError::Marker(2)));
        let end = "<!-- end of table -->\n";
        for unknown in ["other harmful nll", "transfer harmful ss", "transfer bbq nll"] {
            let page = format!("<!-- table {unknown} -->\n{end}");
            assert_eq!(rewrite(&page), Err(PageError::Unknown(1)));
        }
        assert_eq!(rewrite("<!-- table transfer harmful nll -->\n"), Err(PageError::Open(1)));
        assert_eq!(rewrite("text\n"), Err(PageError::Empty));
    }
}
