//! What training and evaluation gave, as one page for people.
//!
//! The page is a single file of HTML with its plots inside, and asks for nothing else: it can be
//! sent, kept and opened anywhere. Colours say which way a number moved and never alone: the number
//! stands beside them.

mod chart;
mod forest;
mod heat;
mod html;
mod matrices;
mod number;
mod plots;
mod results;
mod sweep;
mod table;
mod training;

use self::html::escape;

pub use results::{Results, ResultsError};
pub use training::TrainingRun;

/// How the page looks, in light and in dark.
const STYLE: &str = include_str!("report/style.css");

/// What a page is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// Training runs.
    pub runs: Vec<TrainingRun>,
    /// Results of evaluations, each with sections of its own.
    pub results: Vec<Results>,
}

impl Report {
    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let title = escape(&self.title);
        let training = if self.runs.is_empty() {
            String::new()
        } else {
            let runs: String = self.runs.iter().map(TrainingRun::section).collect();
            format!("<h2>Training</h2>\n{runs}")
        };
        let evaluations: String = self.results.iter().map(evaluation).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n{training}{evaluations}</body>\n</html>\n"
        )
    }
}

/// The sections of one evaluation.
fn evaluation(results: &Results) -> String {
    let judges = results.judges.iter().map(|judge| format!(", judged by {}", escape(judge)));
    format!(
        "<h2>{} on the {} part</h2>\n\
         <p>Weights <code>{}</code>, held as {}{}. Changes are against the base, with paired bootstrap \
         intervals of 95 %; a star marks an interval that is clear of 0.</p>\n{}{}{}{}",
        escape(&results.model),
        results.part.name(),
        escape(&results.weights),
        escape(&results.precision),
        judges.collect::<String>(),
        matrices::sections(results),
        forest::section(results),
        sweep::section(results),
        table::section(results),
    )
}
