//! The diagram as an SVG, and as a page around it.

use askama::Template;

use super::layout::{Layout, Px, Scale};
use crate::run::Run;
use crate::select::Selection;

/// The picture by itself.
#[derive(Template)]
#[template(path = "diagram.svg", escape = "html")]
struct Picture<'a> {
    layout: &'a Layout,
    style: &'a str,
    title: &'a str,
    /// The height of the names, which in a page are a picture of their own.
    head: Px,
    /// The whole height.
    height: Px,
    /// Where the sentences below are.
    foot: Vec<(Px, &'a str)>,
}

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    layout: &'a Layout,
    remarks: &'a [String],
    style: &'a str,
    script: &'a str,
    title: &'a str,
    head: Px,
    counts: String,
}

const STYLE: &str = include_str!("../../templates/diagram.css");
const PAGE_STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// The height of the names of the lanes.
const HEAD: f64 = 34.0;

/// How far sentences below each other are apart.
const LINE: f64 = 14.0;

/// How often the names are repeated in a picture by itself.
const NAMES_EACH: f64 = 900.0;

/// Returns the diagram of what is selected, as an SVG that is whole by itself.
///
/// # Errors
///
/// None that are known; the template may have some in another version.
pub fn svg(
    run: &Run,
    selection: &Selection,
    scale: Scale,
    title: &str,
) -> Result<String, askama::Error> {
    let layout = Layout::new(run, selection, scale);
    let remarks = remarks(run, selection);
    let foot: Vec<_> = remarks
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let y = (number as f64).mul_add(LINE, layout.height.0 + HEAD + LINE);
            (Px(y), text.as_str())
        })
        .collect();
    Picture {
        layout: &layout,
        style: STYLE,
        title,
        head: Px(HEAD),
        height: Px((remarks.len() as f64).mul_add(LINE, layout.height.0 + HEAD + LINE)),
        foot,
    }
    .render()
}

/// Returns the diagram of what is selected, as a page that is whole by itself and without its script.
///
/// # Errors
///
/// None that are known; the template may have some in another version.
pub fn html(
    run: &Run,
    selection: &Selection,
    scale: Scale,
    title: &str,
) -> Result<String, askama::Error> {
    let layout = Layout::new(run, selection, scale);
    let style = format!("{STYLE}{PAGE_STYLE}");
    Page {
        counts: format!(
            "{} of {} members and coordinators, {} of {} messages",
            selection.lanes.len(),
            run.lanes.len(),
            layout.arrows.len(),
            run.messages.len()
        ),
        layout: &layout,
        remarks: &remarks(run, selection),
        style: &style,
        script: SCRIPT,
        title,
        head: Px(HEAD),
    }
    .render()
}

fn remarks(run: &Run, selection: &Selection) -> Vec<String> {
    let remarks = run.remarks.iter().chain(&selection.left_out);
    remarks.cloned().collect()
}

impl Picture<'_> {
    /// Where the names are repeated.
    fn headings(&self) -> impl Iterator<Item = Px> {
        let count = (self.layout.height.0 / NAMES_EACH).ceil().max(1.0) as u32;
        (0..count).map(|number| Px(f64::from(number) * NAMES_EACH))
    }
}
