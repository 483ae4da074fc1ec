//! `bully bench`: what it reports, in every form. How fast anything is, is not tested.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::program::{BULLY, Left, Program};
use crate::python::python;
use crate::sim::up_to_the_bar;

const SECTIONS: [&str; 7] = ["wire", "table", "poll", "sockets", "group", "heap", "scale"];

const FIELDS: [&str; 9] = [
    "section",
    "name",
    "n",
    "ours",
    "other",
    "other_name",
    "ratio",
    "unit",
    "load",
];

/// Half a minute on a machine that does nothing else.
const ALL_WITHIN: Duration = Duration::from_secs(300);

fn bench(args: &[&str]) -> Left {
    let program = Program::start(&[&["bench", "--quick"], args].concat());
    let left = program.finish_within(ALL_WITHIN);
    assert_eq!(left.code, Some(0), "{left:?}");
    left
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().expect("a text")
}

fn number(line: &Value, field: &str) -> f64 {
    line[field].as_f64().expect("a number")
}

/// A folder of this test's own, which is not there yet.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("bully-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn every_section_has_figures_whose_ratio_is_theirs() {
    let plots = folder("plots");
    let left = bench(&["--format", "json", "--plots", &plots.to_string_lossy()]);
    let lines = left.json();
    let mut curves = BTreeMap::<_, BTreeSet<_>>::new();
    for line in &lines {
        let object = line.as_object().expect("an object");
        let fields: BTreeSet<_> = object.keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(FIELDS), "{line}");
        let (ours, other) = (number(line, "ours"), number(line, "other"));
        assert!(ours >= 0.0 && other >= 0.0, "{line}");
        assert!(!text(line, "other_name").is_empty(), "{line}");
        // Of what there is a rate of, more is better, and of all else less.
        let unit = text(line, "unit");
        let better = match unit {
            _ if ours == other => 1.0,
            "exchanges/s" | "connections" => ours / other,
            _ => other / ours,
        };
        match line["ratio"].as_f64() {
            Some(ratio) => assert!((ratio / better - 1.0).abs() < 1e-9, "{line}"),
            None => assert!(ours == 0.0 || other == 0.0, "{line}"),
        }
        // What takes a live group time depends on what else there is to do.
        let timed = text(line, "section") == "group" && unit == "s";
        let says = line["load"].as_f64().is_some_and(|load| load >= 0.0);
        assert_eq!(says, timed && cfg!(target_os = "linux"), "{line}");
        let n = line["n"].as_u64().expect("a count");
        assert!((1..=65_536).contains(&n), "{line}");
        let curve = format!("{}-{}", text(line, "section"), text(line, "name"));
        curves.entry(curve.replace(' ', "-")).or_default().insert(n);
    }
    let mut sections: Vec<_> = lines.iter().map(|line| text(line, "section")).collect();
    sections.dedup();
    assert_eq!(sections, SECTIONS, "each once, in this order");

    let file = |name: &str| plots.join(format!("{name}.svg"));
    let with_curves: Vec<_> = curves.iter().filter(|(_, n)| n.len() > 1).collect();
    let drawn = std::fs::read_dir(&plots).expect("it was made").count();
    // Besides, one picture over time.
    assert!(file("scale-leaders-named-at-once").exists());
    assert_eq!(drawn, with_curves.len() + 1, "{left:?}");
    for (name, _) in with_curves {
        // Python reads XML, and draws nothing: its title and the names of its curves are there.
        let code = "import sys, xml.etree.ElementTree as tree\n\
            root = tree.parse(sys.argv[1]).getroot()\n\
            print(root.tag, *(''.join(text.itertext()).strip() for text in root), sep='\\n')";
        let file = file(name);
        let args = ["-c", code, &file.to_string_lossy()];
        let read = bully_tests::python::python(&args, None, b"");
        let mut read = read.lines();
        assert_eq!(
            read.next(),
            Some("{http://www.w3.org/2000/svg}svg"),
            "{name}"
        );
        // The name of a file has hyphens where that of a figure has spaces.
        let title = name.replacen('-', ": ", 1).replace('-', " ");
        let read = read.map(|line| line.replace('-', " "));
        let read: BTreeSet<_> = read.collect();
        for text in [title.as_str(), "bully"] {
            assert!(read.contains(text), "{name} lacks {text:?}: {read:?}");
        }
    }
    std::fs::remove_dir_all(&plots).expect("it is ours");
}

#[test]
fn known_figures_are_what_they_must_be() {
    let lines = bench(&["--only", "table", "--only", "sockets", "--format", "json"]).json();
    let figure = |name: &str| {
        let line = lines.iter().find(|line| text(line, "name") == name);
        line.unwrap_or_else(|| panic!("no {name:?}"))
    };
    // A member is two numbers of four bytes and one of eight, and three bytes say what is known of it.
    for line in lines.iter().filter(|line| text(line, "name") == "memory") {
        assert!((18.5..=19.5).contains(&number(line, "ours")), "{line}");
    }
    let encodings = figure("encodings of a broadcast");
    assert_eq!(number(encodings, "ours"), 1.0, "{encodings}");
    assert_eq!(
        encodings["other"].as_f64(),
        encodings["n"].as_f64(),
        "{encodings}"
    );
    let held = figure("connections held");
    assert_eq!(held["ours"].as_f64(), held["n"].as_f64(), "{held}");
    for line in &lines {
        assert!(
            ["table", "sockets"].contains(&text(line, "section")),
            "{line}"
        );
    }
}

/// Virtual time: the same on every machine, so they are known in advance.
#[test]
fn groups_of_all_sizes_are_as_fast_as_their_formulas() {
    let lines = bench(&["--only", "scale", "--format", "json"]).json();
    let of = |name: &str| {
        let named = lines.iter().filter(|line| text(line, "name") == name);
        let named: Vec<_> = named.collect();
        assert!(!named.is_empty(), "no {name:?}");
        named
    };
    // What a member takes does not grow with the group.
    let memory = of("memory of a member");
    let ours = |line: &&Value| number(line, "ours").to_bits();
    assert_eq!(memory.iter().map(ours).collect::<BTreeSet<_>>().len(), 1);
    assert!(number(memory[memory.len() - 1], "other") > 5.0 * number(memory[0], "other"));
    for line in of("failed PROBE to all p99") {
        assert!(number(line, "ours") <= 100.0, "{line}");
    }
    for line in of("messages of a change") {
        assert!(number(line, "ours") <= 16.0, "{line}");
    }
    for line in of("crash to all knowing p99") {
        // The last PROBE of everybody, and what follows.
        assert!(number(line, "ours") <= 3.5, "{line}");
    }
}

#[test]
fn bytes_are_what_python_writes_for_what_it_reads() {
    let lines = bench(&["--only", "wire", "--format", "json"]).json();
    let others: BTreeSet<_> = lines.iter().map(|line| text(line, "other_name")).collect();
    assert_eq!(others, BTreeSet::from(["CPython's pickle", "serde-pickle"]));
    // The same members as there, put together by Python itself.
    let code = "import pickle, sys\n\
        people = sorted(((1 + 97 * (k + 1) % 365, 1000001 + k), 10000 + k) for k in range(100))\n\
        print(len(pickle.dumps(('ELECTION', {('127.0.0.1', port): pid for pid, port in people}))))";
    let size: f64 = python(code, None, b"").parse().expect("a number");
    let bytes = |line: &&Value| {
        text(line, "name") == "bytes"
            && line["n"] == 100
            && line["other_name"] == "CPython's pickle"
    };
    let line = lines.iter().find(bytes).expect("it is there");
    assert!(
        (number(line, "other") * 100.0 - size).abs() < 1e-6,
        "{line}: {size}"
    );
    assert!(number(line, "ours") < number(line, "other"), "{line}");
}

#[test]
fn the_other_forms_say_the_same() {
    let csv = bench(&["--only", "heap", "--format", "csv"]);
    assert_eq!(csv.out[0], FIELDS.join(","));
    let rows = csv.out.len() - 1;
    assert!(rows > 3, "{csv:?}");
    for row in &csv.out[1..] {
        let cells: Vec<_> = row.split(',').collect();
        assert_eq!(cells.len(), FIELDS.len(), "{row}");
        assert_eq!(cells[0], "heap");
        assert!(cells[3].parse::<f64>().is_ok(), "{row}");
    }
    let table = bench(&["--only", "heap"]);
    assert!(table.out[0].starts_with("figure"), "{table:?}");
    assert_eq!(table.out[1], "heap");
    assert_eq!(table.out.len() - 2, rows, "{table:?}");
    for line in &table.out {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

/// What nodes run with is the system's allocator, and another program counts.
#[test]
fn without_the_program_that_counts_those_figures_are_left_out_and_it_is_said() {
    let folder = folder("no-heap");
    std::fs::create_dir(&folder).expect("it is not there yet");
    let alone = folder.join("bully");
    std::fs::copy(BULLY, &alone).expect("it can be copied");
    let bench = |sections: &[&str]| {
        let mut command = Command::new(&alone);
        command.args(["bench", "--quick", "--format", "json"]);
        command.args(sections.iter().flat_map(|section| ["--only", section]));
        Program::start_command(&mut command).finish_within(ALL_WITHIN)
    };
    let all = bench(&["heap"]);
    let some = bench(&["table", "heap"]);
    std::fs::remove_dir_all(&folder).expect("it is ours");
    for left in [&all, &some] {
        assert_eq!(left.code, Some(1), "{left:?}");
        assert!(left.err.contains("bully-heap"), "{left:?}");
        assert!(
            left.err.contains("cargo build --release --bins"),
            "{left:?}"
        );
    }
    assert!(all.out.is_empty(), "{all:?}");
    let lines = some.json();
    let names: BTreeSet<_> = lines.iter().map(|line| text(line, "name")).collect();
    assert!(
        names.contains("look-up") && !names.contains("memory"),
        "{names:?}"
    );
}

#[test]
fn without_python_its_rows_are_left_out_and_it_is_said() {
    let mut command = Command::new(BULLY);
    command
        .args(["bench", "--quick", "--only", "wire", "--format", "json"])
        .env("PATH", "");
    let left = Program::start_command(&mut command).finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("no python3"), "{left:?}");
    for line in left.json() {
        assert_eq!(line["other_name"], "serde-pickle", "{line}");
    }
}

#[test]
fn who_waits_at_a_terminal_sees_how_far_it_is() {
    let seen = up_to_the_bar(
        &["bench", "--only", "wire", "--only", "table"],
        " of 18 steps, ",
    );
    assert!(seen.contains(" of 18 steps, "), "{seen}");
}

#[test]
fn plots_that_cannot_be_written_are_an_error_that_says_so() {
    let file = folder("no-folder");
    std::fs::write(&file, "").expect("it can be written");
    let path = file.to_string_lossy();
    let args = ["bench", "--quick", "--only", "heap", "--plots", &path];
    let left = Program::run(&args);
    std::fs::remove_file(&file).expect("it is ours");
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("error: no plots in "), "{left:?}");
    assert!(left.err.contains("--plots DIR"), "{left:?}");
}
