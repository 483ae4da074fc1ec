//! `bully diagram`: pages and pictures, and what it answers to wrong use.

use std::process::Command;

use crate::runs::{Folder, bully, diagram, said, text};

/// How many random runs are drawn; more with `BULLY_SEEDS=1000`.
fn seeds() -> u64 {
    let more = std::env::var("BULLY_SEEDS").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(24)
}

#[test]
fn each_message_is_drawn_once_and_no_arrow_points_into_the_past() {
    let folder = Folder::new("drawn");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/diagram.py");
    for seed in 1..=seeds() {
        let log = folder.simulated("log.jsonl", &["--random", "--seed", &seed.to_string()]);
        for scale in ["events", "time"] {
            let page = folder.file("page.html");
            let page = page.to_str().expect("UTF-8");
            let drawn = diagram(&["--max", "1000000", "--scale", scale, "-o", page], &[&log]);
            assert_eq!(
                drawn.status.code(),
                Some(0),
                "seed {seed}: {}",
                said(&drawn)
            );
            let checked = Command::new("python3")
                .arg(script)
                .arg(&log)
                .arg(page)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .output()
                .expect("python3 is there");
            assert!(checked.status.success(), "seed {seed}: {}", said(&checked));
        }
    }
}

#[test]
fn a_page_of_a_thousand_messages_takes_at_most_300_kib() {
    let folder = Folder::new("size");
    let log = folder.simulated(
        "log.jsonl",
        &[
            "--members",
            "30",
            "--feign",
            "close",
            "--for",
            "12s",
            "--seed",
            "5",
        ],
    );
    let page = text(&diagram(&["--max", "1000"], &[&log]));
    assert!(
        page.contains("31 of 31 members and coordinators, 1000 of "),
        "{page}"
    );
    assert!(
        page.contains("only the first 1000 of "),
        "what is left out is said"
    );
    assert!(page.len() <= 300 * 1024, "{} bytes", page.len());
}

#[test]
fn a_simulation_is_drawn_without_a_log() {
    let folder = Folder::new("simulated");
    let file = folder.file("run.svg");
    let name = file.to_str().expect("UTF-8");
    let output = bully(&[
        "sim",
        "--seed",
        "7",
        "--crash",
        "leader@5s",
        "--diagram",
        name,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text(&output).contains("agreed: 1 of 1"));
    let picture = std::fs::read_to_string(&file).expect("it was written");
    assert!(picture.starts_with("<svg "), "{picture}");
    assert!(picture.contains("seed 7") && picture.contains(">crashes</text>"));
}

#[test]
fn members_kinds_and_times_are_chosen() {
    let folder = Folder::new("chosen");
    let log = folder.simulated("log.jsonl", &["--seed", "7", "--crash", "leader@5s"]);
    let page = text(&diagram(&["--to", "svg"], &[&log]));
    assert!(page.contains("<title>PROBE (") && page.contains("<title>JOIN ("));
    let page = text(&diagram(&["--to", "svg", "--hide", "probe,join"], &[&log]));
    assert!(!page.contains("<title>PROBE (") && !page.contains("<title>OK to PROBE"));
    assert!(!page.contains("<title>JOIN (") && page.contains("<title>ELECTION ("));
    let page = text(&diagram(
        &["--to", "svg", "--members", "gcd,1000002"],
        &[&log],
    ));
    assert!(page.contains("1000002)") && !page.contains("1000003)"));
    let page = text(&diagram(
        &["--to", "svg", "--from", "4.9s", "--until", "6"],
        &[&log],
    ));
    assert!(!page.contains(">joined</text>") && page.contains(">crashes</text>"));
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let folder = Folder::new("told");
    let log = folder.simulated("log.jsonl", &["--seed", "7"]);
    let none = folder.write("none.jsonl", "seed 7\n");
    let name = log.to_str().expect("UTF-8");
    for (args, files, code, words) in [
        (
            &["--to", "svg"][..],
            &[none.as_path()][..],
            3,
            "nothing to draw",
        ),
        (&["--from", "1h"], &[&log], 3, "nothing to draw"),
        (
            &["--members", "7654321"],
            &[&log],
            2,
            "there are: coordinator, (1, 1000001)",
        ),
        (
            &["--from", "5", "--until", "4"],
            &[&log],
            2,
            "--until is before --from",
        ),
        (&["--hide", "pings"], &[&log], 2, "write probe, join"),
        (&["-o", "x.pdf"], &[&log], 2, ".html, .svg"),
        (&["-o", name], &[&log], 2, "overwritten"),
        (
            &["--to", "svg"],
            &[&folder.file("missing.jsonl")],
            2,
            "cannot be read",
        ),
        (
            &["--to", "mermaid"],
            &[&folder.simulated("long", &["--feign", "close", "--for", "60s"])],
            2,
            "--hide probe",
        ),
    ] {
        let output = diagram(args, files);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
