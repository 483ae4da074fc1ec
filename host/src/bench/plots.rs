//! Figures as curves over n, one SVG for each name.

use core::ops::Range;
use std::path::Path;

use plotters::prelude::{
    BLACK, ChartBuilder, Circle, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement,
    RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::Color as _;

use super::{Figure, Trouble};

/// In pixels of a screen; an SVG grows with whatever shows it.
const SIZE: (u32, u32) = (720, 440);

/// Ours first, then the others. Told apart by people who do not see all colours, and in grey.
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(150, 150, 150),
];

const FONT: &str = "sans-serif";

/// A curve: its name, and its points.
type Curve = (String, Vec<(f64, f64)>);

/// Writes a picture of each name that has figures for more than one n into `folder`, which is made
/// if it is not there, and returns how many.
///
/// # Errors
///
/// The system's.
pub(crate) fn plot(figures: &[Figure], folder: &Path) -> Result<usize, Trouble> {
    std::fs::create_dir_all(folder)?;
    let mut names: Vec<_> = Vec::new();
    for figure in figures {
        let name = (figure.section, figure.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut plotted = 0;
    for (section, name) in names {
        let same = |figure: &&Figure| (figure.section, figure.name) == (section, name);
        let figures: Vec<_> = figures.iter().filter(same).collect();
        let curves = curves(&figures);
        if curves.iter().all(|(_, points)| points.len() < 2) {
            continue;
        }
        let file = format!("{}-{name}.svg", section.name()).replace(' ', "-");
        draw(&folder.join(file), &figures, &curves)
            .map_err(|error| Trouble(format!("cannot draw {name}: {error}")))?;
        plotted += 1;
    }
    Ok(plotted)
}

/// Ours and the others'. What is nothing has no place on a logarithmic axis.
fn curves(figures: &[&Figure]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = vec![("bully".to_owned(), Vec::new())];
    for figure in figures {
        let n = figure.n as f64;
        if !curves[0].1.contains(&(n, figure.ours)) {
            curves[0].1.push((n, figure.ours));
        }
        let at = curves
            .iter()
            .position(|(name, _)| name == figure.other_name);
        let at = at.unwrap_or_else(|| {
            curves.push((figure.other_name.to_owned(), Vec::new()));
            curves.len() - 1
        });
        curves[at].1.push((n, figure.other));
    }
    for (_, points) in &mut curves {
        points.retain(|(_, value)| *value > 0.0);
    }
    curves
}

fn draw(
    file: &Path,
    figures: &[&Figure],
    curves: &[Curve],
) -> Result<(), Box<dyn core::error::Error>> {
    let Some(first) = figures.first() else {
        return Ok(());
    };
    let points = || curves.iter().flat_map(|(_, points)| points);
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = format!("{}: {}", first.section.name(), first.name);
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, (FONT, 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            span(points().map(|point| point.0)).log_scale(),
            roomy(points().map(|point| point.1)).log_scale(),
        )?;
    let grouped = |number: &f64| grouped(*number);
    chart
        .configure_mesh()
        .x_desc("n")
        .y_desc(first.unit.name)
        .x_labels(5)
        .y_labels(5)
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .x_label_formatter(&grouped)
        .y_label_formatter(&grouped)
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for ((name, points), colour) in curves.iter().zip(COLOURS) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font((FONT, 14))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The decades of `values`, and some more above them for the names of the curves.
fn roomy(values: impl Iterator<Item = f64>) -> Range<f64> {
    let Range { start, end } = span(values);
    let start = start.log10().floor();
    let decades = (end.log10() - start).max(0.5);
    10_f64.powf(start)..10_f64.powf((start + 1.4 * decades).ceil())
}

fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, greatest) = values.fold((f64::INFINITY, 0_f64), |(least, greatest), value| {
        (least.min(value), greatest.max(value))
    });
    least..greatest
}

/// `1,000,000`, and what is less than a thousand as it is.
fn grouped(number: f64) -> String {
    let plain = format!("{number}");
    if number < 1_000.0 {
        return plain;
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

    #[test]
    fn axes_begin_and_end_at_decades_and_leave_room() {
        for (values, expected) in [
            (&[0.5, 0.7][..], 0.1..10.0),
            (&[1.0, 1.0], 1.0..10.0),
            (&[30.0, 1_000.0], 10.0..10_000.0),
            (&[0.002, 3.0], 0.001..100.0),
        ] {
            let Range { start, end } = roomy(values.iter().copied());
            assert!(
                (start / expected.start - 1.0).abs() < 1e-9,
                "{values:?}: {start}"
            );
            assert!((end / expected.end - 1.0).abs() < 1e-9, "{values:?}: {end}");
        }
    }

    #[test]
    fn great_numbers_are_grouped() {
        for (number, expected) in [
            (0.001, "0.001"),
            (100.0, "100"),
            (1_000.0, "1,000"),
            (65_536.0, "65,536"),
            (1_000_000.0, "1,000,000"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
