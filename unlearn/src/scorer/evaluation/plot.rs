//! The reliability plot, as SVG: for each category, how often texts with a score are what it says.

use std::fmt::{self, Write as _};

use super::card::{Card, CategoryResult};

/// A panel's side, in pixels, and the room around it for names.
const SIDE: f64 = 160.0;
const MARGIN: f64 = 40.0;
/// A bin with fewer texts says little, and is drawn hollow.
const FEW: usize = 20;

impl Card {
    /// A panel for each category, on all its test texts. A dot on the diagonal is a score that
    /// means what it says.
    ///
    /// # Errors
    /// Never in practice: writing into a text cannot fail.
    pub fn reliability_plot(&self) -> Result<String, fmt::Error> {
        let panels: Vec<_> = self.categories.iter().filter(|result| result.test == "all").collect();
        #[expect(clippy::cast_precision_loss, reason = "a few panels")]
        let width = panels.len() as f64 * (SIDE + MARGIN) + MARGIN;
        let height = SIDE + 2.0 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        let mut left = MARGIN;
        for result in panels {
            panel(&mut svg, left, result)?;
            left += SIDE + MARGIN;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

fn panel(svg: &mut String, left: f64, result: &CategoryResult) -> fmt::Result {
    let (top, bottom, right) = (MARGIN, MARGIN + SIDE, left + SIDE);
    let title = format!("{}, {} texts", result.category, result.items);
    writeln!(svg, "<text x=\"{left}\" y=\"{}\">{title}</text>", top - 10.0)?;
    writeln!(
        svg,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"gray\"/>\n\
         <line x1=\"{left}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{top}\" stroke=\"gray\" stroke-dasharray=\"4\"/>\n\
         <text x=\"{left}\" y=\"{}\">0</text><text x=\"{}\" y=\"{0}\">score 1</text>",
        bottom + 16.0,
        right - 44.0
    )?;
    for bin in result.bins.iter().filter(|bin| bin.items > 0) {
        let (x, y) = (left + SIDE * bin.score, bottom - SIDE * bin.share);
        let fill = if bin.items < FEW { "white" } else { "steelblue" };
        writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"steelblue\"/>"
        )?;
    }
    Ok(())
}
