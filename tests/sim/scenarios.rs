//! The stories in `tests/scenarios`: each a few lines of what happens, and the whole trace.
//!
//! `BULLY_REWRITE=1` writes the traces anew; `BULLY_SCENARIO=file` runs that one instead.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::{read, run_story};

/// What stands between what happens and what comes of it.
const CUT: &str = "----";

fn stories() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = files
        .map(|file| file.expect("it can be read").path())
        .filter(|file| file.extension().is_some_and(|kind| kind == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_goes_as_it_is_written() {
    if let Some(file) = std::env::var_os("BULLY_SCENARIO") {
        let text = fs::read_to_string(file).expect("the scenario can be read");
        let story = read(&text).expect("the scenario is in the format");
        let (trace, _) = run_story(&story);
        panic!("this is not a test but a look at a scenario:\n{text}{CUT}\n{trace}");
    }
    let files = stories();
    assert!(files.len() >= 12, "{} stories are too few", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).expect("a story can be read");
        let (head, expected) = text.split_once(&format!("{CUT}\n")).unwrap_or((&text, ""));
        let story = read(head).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (trace, result) = run_story(&story);
        if let Err(breach) = result {
            wrong.push(format!("{name}: {breach}"));
        } else if std::env::var_os("BULLY_REWRITE").is_some() {
            fs::write(&file, format!("{head}{CUT}\n{trace}")).expect("a story can be written");
        } else if trace != expected {
            wrong.push(format!("{name}\n{}", difference(expected, &trace)));
        }
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nBULLY_REWRITE=1 takes the new traces over",
        wrong.join("\n")
    );
}

/// Where two texts part: two lines before, and a few of each.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new);
    let at = same.count();
    let part = |sign: char, lines: &[&str], from: usize| -> String {
        lines
            .iter()
            .skip(from)
            .take(if sign == ' ' { at - from } else { 6 })
            .map(|line| format!("{sign}{line}\n"))
            .collect()
    };
    format!(
        "line {} of the trace:\n{}{}{}",
        at + 1,
        part(' ', &old, at.saturating_sub(2)),
        part('-', &old, at),
        part('+', &new, at),
    )
}

#[test]
fn the_difference_is_shown_where_it_begins() {
    let shown = difference("a\nb\nc\nd\n", "a\nb\nc\ne\n");
    assert_eq!(shown, "line 4 of the trace:\n b\n c\n-d\n+e\n");
}
