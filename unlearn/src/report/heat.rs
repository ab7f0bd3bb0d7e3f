//! A matrix whose cells are shaded by how far they are from 0.

use super::html::{escape, label, svg};
use super::number::{is_clear, signed};

const CELL: [f64; 2] = [104.0, 26.0];
const HEAD: f64 = 44.0;
/// Pixels of a letter, and the widest row of them.
const LETTER: f64 = 6.6;
const MOST_LETTERS: usize = 48;

/// Ends and middle of the scale: told apart by every kind of eye, and in grey.
const FALL: [f64; 3] = [33.0, 102.0, 172.0];
const STILL: [f64; 3] = [247.0, 247.0, 247.0];
const RISE: [f64; 3] = [179.0, 88.0, 6.0];
/// Shades beyond this are dark enough for light letters.
const DARK: f64 = 0.9;

/// A matrix.
#[derive(Debug, Clone, Default)]
pub(super) struct Heat {
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(String, Vec<Option<Cell>>)>,
}

/// A change, with its interval where it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) value: f64,
    pub(super) interval: Option<[f64; 2]>,
}

impl Heat {
    /// The drawing.
    #[expect(clippy::cast_precision_loss, reason = "a few rows and columns")]
    pub(super) fn svg(&self) -> String {
        let letters = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let left = 12.0 + LETTER * letters.min(MOST_LETTERS) as f64;
        let mut content = label(0.0, 14.0, "head", &self.title);
        for (index, column) in self.columns.iter().enumerate() {
            let x = left + CELL[0] * (index as f64 + 0.5);
            content += &label(x, HEAD - 8.0, "middle", &column.replace('_', " "));
        }
        let largest = self.cells().map(|cell| cell.value.abs()).fold(0.0, f64::max);
        for (index, (name, cells)) in self.rows.iter().enumerate() {
            let y = HEAD + CELL[1] * index as f64;
            content += &label(left - 8.0, y + 17.0, "end", &shortened(name));
            for (column, cell) in cells.iter().enumerate() {
                let x = left + CELL[0] * column as f64;
                content += &cell.map_or_else(String::new, |cell| cell.svg([x, y], largest));
            }
        }
        let width = left + CELL[0] * self.columns.len() as f64;
        let height = HEAD + CELL[1] * self.rows.len() as f64 + 4.0;
        svg([width, height], &self.title, &content)
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|(_, cells)| cells.iter().flatten())
    }
}

impl Cell {
    fn svg(self, [x, y]: [f64; 2], largest: f64) -> String {
        let share = if largest > 0.0 { self.value / largest } else { 0.0 };
        let [red, green, blue] = colour(share);
        let ink = if share.abs() > DARK { "light" } else { "dark" };
        let star = if self.interval.is_some_and(is_clear) { "*" } else { "" };
        let range = self.interval.map_or_else(String::new, |[low, high]| {
            format!(" [{}, {}]", signed(low), signed(high))
        });
        let number = signed(self.value);
        format!(
            "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
             fill=\"rgb({red:.0},{green:.0},{blue:.0})\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"middle {ink}\">{number}{star}</text></g>\n",
            escape(&format!("{number}{range}")),
            CELL[0] - 2.0,
            CELL[1] - 2.0,
            x + CELL[0] / 2.0,
            y + 17.0,
        )
    }
}

/// The shade of a share of the largest change, from -1 to 1.
fn colour(share: f64) -> [f64; 3] {
    let end = if share < 0.0 { FALL } else { RISE };
    let part = share.abs().min(1.0);
    std::array::from_fn(|channel| STILL[channel] + part * (end[channel] - STILL[channel]))
}

/// A name that fits.
fn shortened(name: &str) -> String {
    if name.chars().count() <= MOST_LETTERS {
        return name.to_owned();
    }
    name.chars().take(MOST_LETTERS - 1).chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_number_and_a_shade_by_its_size() {
        let cell = |value, interval| Some(Cell { value, interval });
        let heat = Heat {
            title: "a < b".to_owned(),
            columns: vec!["one_two".to_owned(), "three".to_owned()],
            rows: vec![
                ("x".repeat(99), vec![cell(-2.0, Some([-3.0, -1.0])), None]),
                ("y".to_owned(), vec![cell(1.0, Some([-1.0, 3.0])), cell(0.0, None)]),
            ],
        };
        let svg = heat.svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">one two<"));
        assert!(svg.contains(">\u{2212}2.00*<") && svg.contains(">+1.00<") && svg.contains(">0<"));
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("rgb(33,102,172)") && svg.contains("rgb(247,247,247)"));
        assert!(svg.contains("rgb(213,168,126)"), "half of the largest rise: {svg}");
        assert!(svg.contains("\u{2026}<"));
    }
}
