//! Logs of several machines: one run, with clocks that agree.

use serde_json::{Value, json};

use crate::runs::{Folder, diagram, said, text};

/// Writes the log of a simulation as one file a member, each with a clock of its own.
fn parted(folder: &Folder, ahead: impl Fn(u64) -> f64) -> Vec<std::path::PathBuf> {
    let log = folder.simulated("log.jsonl", &["--seed", "7", "--crash", "leader@5s"]);
    let log = std::fs::read_to_string(log).expect("it was written");
    let mut files: std::collections::BTreeMap<u64, String> = Default::default();
    for line in log.lines() {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        if line.get("event").is_none() {
            continue;
        }
        let member = line["node"][1].as_u64().unwrap_or(0);
        let time = line["time"].as_f64().expect("a time");
        line["time"] = json!(1_795_670_000.0 + time + ahead(member));
        // In one simulation connections have numbers; on a network they have names.
        if let Some(conn) = line["conn"].as_u64() {
            line["conn"] = json!(format!("10.0.0.1:{conn}>10.0.0.2:9"));
        }
        *files.entry(member).or_default() += &format!("{line}\n");
    }
    files
        .into_iter()
        .map(|(member, text)| folder.write(&format!("{member}.jsonl"), text))
        .collect()
}

fn arrows(picture: &str) -> usize {
    let (_, rest) = picture.split_once("<g class=\"m\">").expect("arrows");
    let (arrows, _) = rest.split_once("</g>").expect("an end");
    arrows.matches("<path ").count()
}

#[test]
fn logs_of_machines_whose_clocks_differ_make_one_diagram() {
    let folder = Folder::new("skewed");
    let files = parted(&folder, |_| 0.0);
    let paths: Vec<_> = files.iter().map(|file| file.as_path()).collect();
    let alike = diagram(&["--to", "svg"], &paths);
    assert_eq!(alike.status.code(), Some(0), "{}", said(&alike));
    assert!(!said(&alike).contains("clock"), "{}", said(&alike));

    let folder = Folder::new("skewed-more");
    // The third is an hour ahead, the fourth two seconds behind.
    let files = parted(&folder, |member| match member {
        1_000_003 => 3_600.0,
        1_000_004 => -2.0,
        _ => 0.0,
    });
    let paths: Vec<_> = files.iter().map(|file| file.as_path()).collect();
    let skewed = diagram(&["--to", "svg"], &paths);
    assert_eq!(skewed.status.code(), Some(0), "{}", said(&skewed));
    let report = said(&skewed);
    let moved: Vec<_> = report
        .lines()
        .filter(|line| line.contains("clock was moved back"))
        .collect();
    assert!(
        moved
            .iter()
            .any(|line| line.contains("1000003.jsonl") && line.contains("360")),
        "{report}"
    );
    assert!(
        !moved.iter().any(|line| line.contains("1000004.jsonl")),
        "{report}"
    );
    assert_eq!(arrows(&text(&skewed)), arrows(&text(&alike)));
    assert!(arrows(&text(&skewed)) > 100);
}

#[test]
fn a_receive_whose_sender_does_not_know_of_it_is_reported() {
    let folder = Folder::new("orphan");
    let log = folder.simulated("log.jsonl", &["--seed", "7"]);
    let text = std::fs::read_to_string(log).expect("it was written");
    let is_sent = |line: &&str| line.contains(r#""dir":"send","kind":"COORDINATOR""#);
    let sent = text.lines().find(is_sent).expect("one is sent");
    let without = text.replacen(&format!("{sent}\n"), "", 1);
    let file = folder.write("without.jsonl", without);
    let output = diagram(&["--to", "svg"], &[&file]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("1 messages were received and never sent"),
        "{}",
        said(&output)
    );
}

#[test]
fn logs_without_connections_are_drawn_and_blamed_for_nothing() {
    let folder = Folder::new("connections");
    let log = folder.simulated("log.jsonl", &["--seed", "7"]);
    let text = std::fs::read_to_string(log).expect("it was written");
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        if line["event"] == "message" {
            line["conn"] = Value::Null;
        }
        format!("{line}\n")
    });
    let file = folder.write("without.jsonl", lines.collect::<String>());
    let output = diagram(&["--to", "svg"], &[&file]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("do not say on which connections"),
        "{}",
        said(&output)
    );
    assert!(!said(&output).contains("never sent"), "{}", said(&output));
}

#[test]
fn a_receive_before_its_send_is_reported() {
    let folder = Folder::new("backwards");
    let log = folder.simulated("log.jsonl", &["--seed", "7"]);
    let text = std::fs::read_to_string(log).expect("it was written");
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let received = lines
        .iter_mut()
        .find(|line| line["dir"] == "recv" && line["kind"] == "COORDINATOR");
    let received = received.expect("one is received");
    received["time"] = json!(0.0);
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    let file = folder.write("backwards.jsonl", lines.join("\n") + "\n");
    let output = diagram(&["--to", "svg"], &[&file]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("received before they were sent"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_program_without_a_log_has_dashed_arrows_and_a_lane() {
    let folder = Folder::new("foreign");
    let files = parted(&folder, |_| 0.0);
    let paths: Vec<_> = files
        .iter()
        .map(|file| file.as_path())
        .filter(|file| !file.ends_with("1000002.jsonl"))
        .collect();
    let output = diagram(&["--to", "svg"], &paths);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("seen at one end only"),
        "{}",
        said(&output)
    );
    let picture = text(&output);
    assert!(
        picture.contains(">no log</text>") && picture.contains("class=\"P h"),
        "{picture}"
    );
}
