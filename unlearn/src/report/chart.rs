//! Lines over a common axis.

use super::html::{label, svg};
use super::number::{span, tick, ticks};

const SIZE: [f64; 2] = [360.0, 200.0];
/// Room at the left, right, top and bottom.
const ROOM: [f64; 4] = [58.0, 112.0, 26.0, 34.0];
/// Between names at lines' ends, and between whiskers at one place.
const NAME: f64 = 13.0;
const WHISKER: f64 = 3.0;
/// Colours in the style sheet.
const COLOURS: usize = 6;

/// A line and its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) name: String,
    /// Places along the axis, values, and the intervals of those that have one.
    pub(super) points: Vec<(f64, f64, Option<[f64; 2]>)>,
}

/// Lines, and where a value of 0 lies if it is in sight.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) axis: String,
    pub(super) series: Vec<Series>,
}

impl Chart {
    /// The drawing; nothing if there is no point.
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().flat_map(|(_, y, interval)| {
            let [low, high] = interval.unwrap_or([*y, *y]);
            [low, high]
        });
        let (Some(x), Some(y)) = (span(points().map(|(x, ..)| *x)), span(ends)) else {
            return String::new();
        };
        let frame = Frame { x, y };
        let mut content = label(0.0, 14.0, "head", &self.title);
        content += &frame.grid();
        content += &label(frame.across(x[1]), SIZE[1] - 4.0, "end", &self.axis);
        for (index, series) in self.series.iter().enumerate() {
            content += &frame.line(series, index);
        }
        if self.series.len() > 1 {
            content += &frame.names(&self.series);
        }
        svg(SIZE, &self.title, &content)
    }
}

/// What the axes span.
struct Frame {
    x: [f64; 2],
    y: [f64; 2],
}

impl Frame {
    fn across(&self, x: f64) -> f64 {
        let width = SIZE[0] - ROOM[0] - ROOM[1];
        ROOM[0] + width * (x - self.x[0]) / (self.x[1] - self.x[0])
    }

    fn up(&self, y: f64) -> f64 {
        let height = SIZE[1] - ROOM[2] - ROOM[3];
        ROOM[2] + height * (self.y[1] - y) / (self.y[1] - self.y[0])
    }

    fn grid(&self) -> String {
        let [left, right] = self.x.map(|x| self.across(x));
        let [bottom, top] = self.y.map(|y| self.up(y));
        let mut grid = String::new();
        for value in ticks(self.y) {
            let y = self.up(value);
            grid += &line([left, y], [right, y], grid_class(value));
            grid += &label(left - 6.0, y + 4.0, "end", &tick(value));
        }
        for value in ticks(self.x) {
            let x = self.across(value);
            grid += &line([x, bottom], [x, top], grid_class(value));
            grid += &label(x, bottom + 14.0, "middle", &tick(value));
        }
        grid
    }

    /// A line and the whiskers of its points, each line's a little to the right of those before.
    #[expect(clippy::cast_precision_loss, reason = "a few lines")]
    fn line(&self, series: &Series, index: usize) -> String {
        let colour = index % COLOURS;
        let places = series.points.iter().map(|(x, y, _)| [self.across(*x), self.up(*y)]);
        let path: Vec<String> = places.map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let mut drawn =
            format!("<polyline points=\"{}\" class=\"line c{colour}\"/>\n", path.join(" "));
        for (x, y, interval) in &series.points {
            let Some([low, high]) = interval else { continue };
            let x = self.across(*x) + WHISKER * index as f64;
            let class = format!("whisker c{colour}");
            drawn += &line([x, self.up(*low)], [x, self.up(*high)], &class);
            drawn += &format!(
                "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3\" class=\"f{colour}\"/>\n",
                self.up(*y)
            );
        }
        drawn
    }

    /// The names of lines at their ends, moved apart where they would meet.
    fn names(&self, series: &[Series]) -> String {
        let end = |(index, line): (usize, &Series)| {
            let (_, y, _) = line.points.last()?;
            Some((self.up(*y), index % COLOURS, line.name.clone()))
        };
        let mut ends: Vec<_> = series.iter().enumerate().filter_map(end).collect();
        ends.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        let x = self.across(self.x[1]) + 8.0;
        let mut lowest = f64::NEG_INFINITY;
        let mut names = String::new();
        for (y, colour, name) in ends {
            lowest = y.max(lowest + NAME);
            names += &label(x, lowest + 4.0, &format!("t{colour}"), &name.replace('_', " "));
        }
        names
    }
}

/// How a line of the grid looks: that of 0 stands out.
pub(super) fn grid_class(value: f64) -> &'static str {
    if value == 0.0 { "zero" } else { "grid" }
}

/// A straight line in a drawing.
pub(super) fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) -> String {
    format!(
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_in_the_frame_and_higher_is_more() {
        let points = vec![(0.0, 1.0, None), (5.0, 3.0, Some([2.0, 4.0])), (10.0, 2.0, None)];
        let series = vec![Series { name: "a<b".to_owned(), points }, Series::default()];
        let chart = Chart { title: "t".to_owned(), axis: "step".to_owned(), series };
        let svg = chart.svg();
        let path = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let ys: Vec<f64> =
            path.split([' ', ',']).skip(1).step_by(2).map(|y| y.parse().unwrap()).collect();
        assert!(ys[1] < ys[2] && ys[2] < ys[0], "{ys:?}");
        assert!(ys.iter().all(|y| (ROOM[2]..=SIZE[1] - ROOM[3]).contains(y)));
        assert!(svg.contains("a&lt;b") && svg.contains("<circle"));
    }

    #[test]
    fn a_chart_without_points_is_not_drawn() {
        assert_eq!(Chart::default().svg(), "");
        let nan = Series { name: String::new(), points: vec![(0.0, f64::NAN, None)] };
        assert_eq!(Chart { series: vec![nan], ..Chart::default() }.svg(), "");
    }
}
