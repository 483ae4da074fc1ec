//! A figure as a row for people, as JSON and as CSV.

use serde::Serialize;

use crate::figure::Figure;

/// The columns of [`csv`].
pub const CSV_HEADING: &str = "section,name,n,ours,other,other_name,ratio,unit,load";

#[derive(Serialize)]
struct Line {
    section: &'static str,
    name: &'static str,
    n: u64,
    ours: f64,
    other: f64,
    other_name: &'static str,
    ratio: Option<f64>,
    unit: &'static str,
    load: Option<f64>,
}

/// One object, on one line, without its end.
pub fn json(figure: &Figure) -> String {
    let line = Line {
        section: figure.section.name(),
        name: figure.name,
        n: figure.n,
        ours: figure.ours,
        other: figure.other,
        other_name: figure.other_name,
        ratio: figure.ratio(),
        unit: figure.unit.name,
        load: figure.load,
    };
    // Numbers and texts always have a JSON form.
    serde_json::to_string(&line).unwrap_or_default()
}

/// One line of [`CSV_HEADING`]'s columns, without its end; a ratio or load that there is not is
/// empty.
pub fn csv(figure: &Figure) -> String {
    let ratio = figure.ratio().map(|ratio| ratio.to_string());
    [
        figure.section.name(),
        figure.name,
        &figure.n.to_string(),
        &figure.ours.to_string(),
        &figure.other.to_string(),
        // Some have commas in them, and none has quotes.
        &format!("\"{}\"", figure.other_name),
        &ratio.unwrap_or_default(),
        figure.unit.name,
        &figure.load.map(|load| load.to_string()).unwrap_or_default(),
    ]
    .join(",")
}

/// The heading above rows of [`text`].
pub fn text_heading() -> String {
    row(["figure", "n", "ours", "other", "ratio", "unit", "beside"])
}

/// One row, without its end.
pub fn text(figure: &Figure) -> String {
    let beside = match figure.load {
        Some(load) => format!("{}, load {load:.1}", figure.other_name),
        None => figure.other_name.to_owned(),
    };
    row([
        figure.name,
        &figure.n.to_string(),
        &short(figure.ours),
        &short(figure.other),
        &figure.ratio().map_or_else(|| "-".to_owned(), short),
        figure.unit.name,
        &beside,
    ])
}

fn row(cells: [&str; 7]) -> String {
    let [name, n, ours, other, ratio, unit, beside] = cells;
    format!("{name:<26} {n:>6} {ours:>9} {other:>9} {ratio:>6}  {unit:<16} {beside}")
}

/// A number with three digits that matter.
fn short(number: f64) -> String {
    let decimals = match number.abs() {
        0.0 => 0,
        small if small < 0.1 => 4,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}
