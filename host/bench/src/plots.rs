//! Figures as curves over n, and other pictures, one SVG each.

use core::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea as _, LineSeries, PathElement, RGBColor,
    SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, TextStyle};

use crate::figure::{Figure, Section, Trouble};

/// In pixels of a screen; an SVG grows with whatever shows it.
const SIZE: (u32, u32) = (720, 440);

/// Above the chart, for the title, what is better, and the names of the curves.
const HEAD: u32 = 84;

/// Ours first, then the others. People who do not see all colours can distinguish them, in grey too.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(130, 130, 130),
    RGBColor(230, 159, 0),
];

const INK: RGBColor = RGBColor(31, 35, 40);
const PAPER: RGBColor = RGBColor(255, 255, 255);
const GRID: RGBColor = RGBColor(225, 228, 232);

/// What ink, paper, grid and the first curve become where the reader has chosen a dark screen.
const DARK: [(RGBColor, &str); 4] = [
    (INK, "#e6edf3"),
    (PAPER, "#0d1117"),
    (GRID, "#30363d"),
    (COLOURS[0], "#58a6ff"),
];

const FONT: &str = "sans-serif";

/// A curve: its name, and its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// As it stands beside its colour.
    pub name: String,
    /// In ascending order of their first number.
    pub points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// Equal steps, from zero.
    Linear,
    /// Equal factors. There is no zero on it.
    Logarithmic,
}

/// Curves over something.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What is shown; the file has its name.
    pub title: String,
    /// What the horizontal axis counts, and in what.
    pub across: String,
    /// What the vertical axis counts, and in what.
    pub up: String,
    /// Which way is better, and what else is to be known.
    pub note: String,
    /// At most as many as there are colours.
    pub curves: Vec<Curve>,
}

/// Writes a picture of each name that has figures for more than one n, and `pictures`, into `folder`,
/// which is made if it is not there. Returns how many.
///
/// # Errors
///
/// The system's.
pub fn plot(figures: &[Figure], pictures: &[Picture], folder: &Path) -> Result<usize, Trouble> {
    std::fs::create_dir_all(folder)?;
    let mut names: Vec<_> = Vec::new();
    for figure in figures {
        let name = (figure.section, figure.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let over_n = names.into_iter().filter_map(|(section, name)| {
        let same = |figure: &&Figure| (figure.section, figure.name) == (section, name);
        let picture = over_n(figures.iter().filter(same))?;
        let has_line = |curve: &Curve| curve.points.len() > 1;
        picture.curves.iter().any(has_line).then_some(picture)
    });
    let mut plotted = 0;
    for picture in over_n.chain(pictures.iter().cloned()) {
        let Picture { title, .. } = &picture;
        let file = title.replace(": ", "-").replace([' ', '/'], "-");
        let drawn =
            draw(&picture).map_err(|error| Trouble(format!("cannot draw {title}: {error}")))?;
        std::fs::write(folder.join(format!("{file}.svg")), drawn)?;
        plotted += 1;
    }
    Ok(plotted)
}

/// What n counts in a figure.
fn counted(section: Section, name: &str) -> &'static str {
    let of_connections = ["exchange", "connection", "flood"];
    if name.contains("taken for gone") {
        "% of the members slowed down"
    } else if section != Section::Group && of_connections.iter().any(|word| name.contains(word)) {
        "n: connections at once"
    } else {
        "n: members"
    }
}

/// Ours and the others' of one name.
fn over_n<'a>(figures: impl Iterator<Item = &'a Figure>) -> Option<Picture> {
    let mut figures = figures.peekable();
    let first = *figures.peek()?;
    let mut curves = vec![Curve {
        name: "bully".to_owned(),
        points: Vec::new(),
    }];
    for figure in figures {
        let n = figure.n as f64;
        if !curves[0].points.contains(&(n, figure.ours)) {
            curves[0].points.push((n, figure.ours));
        }
        let known = curves
            .iter()
            .position(|curve| curve.name == figure.other_name);
        let at = known.unwrap_or_else(|| {
            curves.push(Curve {
                name: figure.other_name.to_owned(),
                points: Vec::new(),
            });
            curves.len() - 1
        });
        curves[at].points.push((n, figure.other));
    }
    let better = if first.unit.more_is_better {
        "more is better"
    } else {
        "less is better"
    };
    Some(Picture {
        title: format!("{}: {}", first.section.name(), first.name),
        across: counted(first.section, first.name).to_owned(),
        up: first.unit.name.to_owned(),
        note: better.to_owned(),
        curves,
    })
}

/// An axis with its range and its ticks, all of them on whole numbers of something.
#[derive(Clone, Debug, PartialEq)]
struct Scale {
    axis: Axis,
    ticks: Vec<f64>,
}

/// How many ticks an axis has at most.
const TICKS_MAX: usize = 8;

impl Scale {
    /// The scale that fits `values`: logarithmic if they span more than a decade and a half.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut greatest) = (f64::INFINITY, 0_f64);
        for value in values {
            least = least.min(value);
            greatest = greatest.max(value);
        }
        if least > 0.0 && greatest / least > 30.0 {
            Self::logarithmic(least, greatest)
        } else {
            Self::linear(greatest)
        }
    }

    /// From zero, by 1, 2 or 5 times a power of ten, to the first tick that is not exceeded.
    fn linear(greatest: f64) -> Self {
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let decade = 10_f64.powf(greatest.log10().floor() - 1.0);
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].map(|factor| factor * decade);
        let count = |step: f64| (greatest / step - 1e-9).ceil() as usize;
        let step = steps.into_iter().find(|step| count(*step) < TICKS_MAX);
        let step = step.unwrap_or(greatest);
        Self {
            axis: Axis::Linear,
            ticks: (0..=count(step)).map(|tick| tick as f64 * step).collect(),
        }
    }

    /// Ticks at 1, 2 and 5 times powers of ten, at 1 and 3, or at powers alone: as many as there is room
    /// for. It begins and ends with one.
    fn logarithmic(least: f64, greatest: f64) -> Self {
        let first = least.log10().floor() as i32;
        let last = greatest.log10().ceil() as i32;
        let mut ticks = Vec::new();
        for factors in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
            let decades = (first..=last).flat_map(|decade| {
                factors
                    .iter()
                    .map(move |factor| factor * 10_f64.powi(decade))
            });
            ticks = decades.collect();
            let below = ticks
                .iter()
                .filter(|tick| **tick <= least * (1.0 + 1e-9))
                .count();
            ticks.drain(..below.saturating_sub(1));
            let above = ticks
                .iter()
                .position(|tick| *tick >= greatest * (1.0 - 1e-9));
            ticks.truncate(above.map_or(ticks.len(), |at| at + 1));
            if ticks.len() <= TICKS_MAX {
                break;
            }
        }
        Self {
            axis: Axis::Logarithmic,
            ticks,
        }
    }

    /// Where a value is on a line of even divisions.
    fn place(&self, value: f64) -> f64 {
        match self.axis {
            Axis::Linear => value,
            Axis::Logarithmic => value.log10(),
        }
    }

    fn ends(&self) -> Range<f64> {
        let end = |tick: Option<&f64>| tick.copied().unwrap_or(1.0);
        end(self.ticks.first())..end(self.ticks.last())
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let Range { start, end } = self.ends();
        let (start, end) = (self.place(start), self.place(end));
        let share = (self.place(*value) - start) / (end - start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends()
    }
}

type Drawn<T> = Result<T, Box<dyn core::error::Error>>;

fn draw(picture: &Picture) -> Drawn<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&PAPER)?;
        let (head, body) = root.split_vertically(HEAD);
        draw_head(&head, picture)?;
        draw_curves(&body, picture)?;
        root.present()?;
    }
    let Picture { title, note, .. } = picture;
    let mut dark = String::new();
    for (colour, instead) in DARK {
        let RGBColor(red, green, blue) = colour;
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        dark += &format!(
            "[fill=\"{light}\"]{{fill:{instead}}}[stroke=\"{light}\"]{{stroke:{instead}}}"
        );
    }
    let added = format!(
        "<title>{}: {}</title>\n<style>@media (prefers-color-scheme: dark){{{dark}}}</style>\n",
        escaped(title),
        escaped(note),
    );
    // After the opening tag, which is the first to end.
    let opened = svg
        .find("<svg")
        .and_then(|at| Some(at + svg[at..].find('>')? + 1));
    if let Some(at) = opened {
        svg.insert_str(at, &format!("\n{added}"));
    }
    Ok(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn style(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// The title, the note, and the names of the curves beside their colours.
fn draw_head(area: &Area<'_>, picture: &Picture) -> Drawn<()> {
    let centred = Pos::new(HPos::Center, VPos::Center);
    let middle = SIZE.0 as i32 / 2;
    let title = style(24).pos(centred);
    area.draw(&Text::new(picture.title.clone(), (middle, 22), title))?;
    let note = style(16).pos(centred);
    area.draw(&Text::new(picture.note.clone(), (middle, 45), note))?;
    // A letter is some 8 pixels wide.
    let width = |curve: &Curve| 48 + 8 * curve.name.chars().count() as i32;
    let mut x = middle - picture.curves.iter().map(width).sum::<i32>() / 2;
    let beside = style(17).pos(Pos::new(HPos::Left, VPos::Center));
    for (curve, colour) in picture.curves.iter().zip(COLOURS) {
        let line = PathElement::new([(x, 68), (x + 24, 68)], colour.stroke_width(3));
        area.draw(&line)?;
        area.draw(&Text::new(curve.name.clone(), (x + 30, 68), beside.clone()))?;
        x += width(curve);
    }
    Ok(())
}

fn draw_curves(area: &Area<'_>, picture: &Picture) -> Drawn<()> {
    let points = || picture.curves.iter().flat_map(|curve| &curve.points);
    let across = Scale::of(points().map(|point| point.0));
    let up = Scale::of(points().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(36)
        .x_label_area_size(46)
        .y_label_area_size(84)
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .x_desc(picture.across.as_str())
        .y_desc(picture.up.as_str())
        .x_labels(across.ticks.len())
        .y_labels(up.ticks.len())
        .axis_style(INK)
        .axis_desc_style(style(17))
        .label_style(style(16))
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .bold_line_style(GRID)
        .light_line_style(PAPER.mix(0.0))
        .draw()?;
    for (curve, colour) in picture.curves.iter().zip(COLOURS) {
        let shown: Vec<_> = curve
            .points
            .iter()
            .map(|point| chart.backend_coord(point))
            .collect();
        let corners = corners(&shown).into_iter().map(|at| curve.points[at]);
        chart.draw_series(LineSeries::new(corners, colour.stroke_width(2)))?;
        let line = curve.points.iter().copied();
        // So many that they would touch are no dots.
        if curve.points.len() <= 40 {
            let dots = line.map(|point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots)?;
        }
    }
    Ok(())
}

/// Returns which points of a line have to be drawn, the first and the last included, so that it passes
/// all others within [`NEAR`] pixels (Douglas and Peucker's algorithm).
fn corners(line: &[(i32, i32)]) -> Vec<usize> {
    let mut kept = vec![0];
    let mut spans = vec![(0, line.len().saturating_sub(1))];
    while let Some((from, to)) = spans.pop() {
        let between = (from + 1..to).map(|at| (distance(line[at], line[from], line[to]), at));
        match between.max_by(|a, b| a.0.total_cmp(&b.0)) {
            // The left part is done first, so that they come in order.
            Some((far, at)) if far > NEAR => spans.extend([(at, to), (from, at)]),
            _ => kept.push(to),
        }
    }
    kept.truncate(line.len());
    kept
}

/// How far a line may pass from a point that is not drawn, in pixels: less than it is wide.
const NEAR: f64 = 1.0;

/// The distance of a point from the line through two others, or from them if they are the same.
fn distance(point: (i32, i32), from: (i32, i32), to: (i32, i32)) -> f64 {
    let vector = |a: (i32, i32), b: (i32, i32)| (f64::from(b.0 - a.0), f64::from(b.1 - a.1));
    let (along, off) = (vector(from, to), vector(from, point));
    match along.0.hypot(along.1) {
        0.0 => off.0.hypot(off.1),
        length => (along.0 * off.1 - along.1 * off.0).abs() / length,
    }
}

/// `1,000,000`, and what is less than a thousand with no more digits than it has.
fn short(number: f64) -> String {
    // What was a power of ten once is a whole number again.
    let decimals = (3.0 - number.abs().max(1e-12).log10().floor()).clamp(0.0, 9.0) as usize;
    let rounded = format!("{number:.decimals$}");
    let plain = match rounded.contains('.') {
        true => rounded.trim_end_matches('0').trim_end_matches('.'),
        false => rounded.as_str(),
    };
    if number.abs() < 1_000.0 {
        return plain.to_owned();
    }
    let mut grouped = String::new();
    for (at, digit) in plain.char_indices() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64]) -> (Axis, Vec<String>) {
        let scale = Scale::of(values.iter().copied());
        let ticks = scale.ticks.iter().map(|tick| short(*tick)).collect();
        (scale.axis, ticks)
    }

    #[test]
    fn an_axis_begins_and_ends_with_a_whole_tick_and_fits_its_values() {
        for (values, axis, expected) in [
            (
                &[0.0, 0.7][..],
                Axis::Linear,
                "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7",
            ),
            (
                &[3_300.0, 3_300.0],
                Axis::Linear,
                "0 500 1,000 1,500 2,000 2,500 3,000 3,500",
            ),
            (
                &[0.0, 65_536.0],
                Axis::Linear,
                "0 10,000 20,000 30,000 40,000 50,000 60,000 70,000",
            ),
            (&[0.0, 0.0], Axis::Linear, "0 0.2 0.4 0.6 0.8 1"),
            (&[5.0, 200.0], Axis::Logarithmic, "5 10 20 50 100 200"),
            (
                &[16.0, 10_000.0],
                Axis::Logarithmic,
                "10 30 100 300 1,000 3,000 10,000",
            ),
            (
                &[0.002, 3_000.0],
                Axis::Logarithmic,
                "0.001 0.01 0.1 1 10 100 1,000 10,000",
            ),
        ] {
            let expected = expected.split(' ').map(str::to_owned).collect();
            assert_eq!(ticks(values), (axis, expected), "{values:?}");
        }
    }

    #[test]
    fn every_value_is_on_its_axis() {
        for least in [0.0, 0.001, 0.9, 1.0, 17.0] {
            for factor in [1.0, 1.5, 29.0, 31.0, 1_000.0, 7e6] {
                let greatest = f64::max(least * factor, 0.5);
                let scale = Scale::of([least, greatest].into_iter());
                let Range { start, end } = scale.ends();
                let range = scale.place(start)..scale.place(end);
                assert!(scale.ticks.len() >= 2 && scale.ticks.len() <= TICKS_MAX + 1);
                for value in [least, greatest] {
                    let place = scale.place(value);
                    let slack = 1e-9 * (1.0 + place.abs());
                    assert!(range.start - slack <= place && place <= range.end + slack);
                }
            }
        }
    }

    /// A picture of a thousand members' steps had 40 KB.
    #[test]
    fn a_line_is_drawn_by_its_corners() {
        assert!(corners(&[]).is_empty());
        assert_eq!(corners(&[(5, 5)]), [0]);
        let straight: Vec<_> = (0..100).map(|at| (at, 2 * at)).collect();
        assert_eq!(corners(&straight), [0, 99]);
        // There and back again.
        assert_eq!(corners(&[(0, 0), (50, 0), (0, 0)]), [0, 1, 2]);
        // Steps that can be seen are all drawn, and every point is within a pixel of the line.
        let steps: Vec<_> = (0..40).map(|at| (at / 2 * 10, (at + 1) / 2 * 7)).collect();
        assert_eq!(corners(&steps), (0..40).collect::<Vec<_>>());
        let fine: Vec<_> = (0..1_000)
            .map(|at: i32| (at, at % 2 + (at / 300) * 50))
            .collect();
        let kept = corners(&fine);
        assert!(kept.len() < 30 && kept.is_sorted(), "{kept:?}");
        for (at, point) in fine.iter().enumerate() {
            let after = kept.partition_point(|corner| *corner < at).max(1);
            let (from, to) = (fine[kept[after - 1]], fine[kept[after]]);
            assert!(distance(*point, from, to) <= NEAR, "{at}");
        }
    }

    #[test]
    fn a_picture_has_a_title_and_two_colour_schemes() {
        let drawn = draw(&Picture {
            title: "scale: a < b".to_owned(),
            across: "n: members".to_owned(),
            up: "s".to_owned(),
            note: "less is better".to_owned(),
            curves: vec![Curve {
                name: "bully".to_owned(),
                points: vec![(1.0, 0.0), (2.0, 1.0)],
            }],
        });
        let drawn = drawn.expect("it can be drawn");
        assert!(
            drawn.contains("<title>scale: a &lt; b: less is better</title>"),
            "{drawn}"
        );
        assert!(drawn.contains("prefers-color-scheme: dark"), "{drawn}");
        // What the dark scheme replaces is there to be replaced.
        for (RGBColor(red, green, blue), _) in DARK {
            let colour = format!("=\"#{red:02X}{green:02X}{blue:02X}\"");
            assert!(drawn.matches(&colour).count() > 1, "{colour} in {drawn}");
        }
    }
}
