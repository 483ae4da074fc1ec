//! The forms of diagrams for other programs, held to those programs' rules.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::runs::{Folder, bully, diagram, said, text};

#[test]
fn shiviz_accepts_the_log() {
    let folder = Folder::new("shiviz");
    for seed in ["3", "4", "5"] {
        let log = folder.simulated("log.jsonl", &["--random", "--seed", seed]);
        let output = diagram(&["--to", "shiviz"], &[&log]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        shiviz(&text(&output));
    }
}

/// The rules of ShiViz, as its parser and its graph have them.
fn shiviz(log: &str) {
    let mut lines = log.lines();
    let pattern = lines.next().expect("a pattern");
    for group in ["(?<host>", "(?<clock>", "(?<event>"] {
        assert!(pattern.contains(group), "{pattern}");
    }
    assert_eq!(lines.next(), Some(""), "one execution");
    let mut events: HashMap<&str, Vec<BTreeMap<String, u64>>> = HashMap::new();
    let mut count = 0;
    for line in lines {
        // (?<t>\d+\.\d+) (?<host>\S+) (?<clock>\{[^}]*\}) (?<event>.*)
        let (time, rest) = line.split_once(' ').expect(line);
        let (whole, part) = time.split_once('.').expect(line);
        assert!(
            [whole, part]
                .iter()
                .all(|digits| digits.parse::<u64>().is_ok()),
            "{line}"
        );
        let (host, rest) = rest.split_once(' ').expect(line);
        let (clock, event) = rest.split_once("} ").expect(line);
        assert!(!event.trim().is_empty(), "{line}");
        let clock: BTreeMap<String, u64> =
            serde_json::from_str(&format!("{clock}}}")).expect("a clock is JSON");
        assert!(
            clock.values().all(|value| *value > 0),
            "no entry is zero: {line}"
        );
        let of_host = events.entry(host).or_default();
        assert_eq!(
            clock.get(host),
            Some(&(of_host.len() as u64 + 1)),
            "no gap: {line}"
        );
        of_host.push(clock);
        count += 1;
    }
    assert!(count > 100, "{count} events");
    for (host, clocks) in &events {
        for (place, clock) in clocks.iter().enumerate() {
            for (other, value) in clock {
                let named = events
                    .get(other.as_str())
                    .expect("a host that is named has events");
                assert!(
                    *value <= named.len() as u64,
                    "{other} never came to {value}"
                );
                if other != host {
                    // What it knows of another is all that was known there: the merge of clocks.
                    let there = &named[*value as usize - 1];
                    for (third, known) in there {
                        assert!(
                            clock.get(third) >= Some(known),
                            "{host} at {place}: {clock:?}"
                        );
                    }
                }
            }
            if let Some(before) = place.checked_sub(1).map(|before| &clocks[before]) {
                for (other, value) in before {
                    assert!(
                        clock.get(other) >= Some(value),
                        "{host} at {place} forgets {other}"
                    );
                }
            }
        }
    }
    let merged = events.values().flatten().filter(|clock| clock.len() > 1);
    assert!(merged.count() > 50, "messages are received");
}

#[test]
fn perfetto_shows_every_slice_and_every_arrow() {
    let folder = Folder::new("perfetto");
    let log = folder.simulated("log.jsonl", &["--random", "--seed", "4"]);
    let output = diagram(&["--to", "perfetto"], &[&log]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let trace: Value = serde_json::from_str(&text(&output)).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let mut slices: HashMap<(i64, i64), Vec<(i64, i64)>> = HashMap::new();
    let mut flows: HashMap<i64, Vec<(&str, i64)>> = HashMap::new();
    let mut open: HashMap<(i64, i64), i64> = HashMap::new();
    for event in events {
        let number = |name: &str| {
            event[name]
                .as_i64()
                .unwrap_or_else(|| panic!("{name} of {event}"))
        };
        let track = (number("pid"), number("tid"));
        match event["ph"].as_str().expect("a phase") {
            "X" => slices
                .entry(track)
                .or_default()
                .push((number("ts"), number("dur"))),
            kind @ ("s" | "f") => {
                let at = number("ts");
                flows.entry(number("id")).or_default().push((kind, at));
                let within = |(ts, dur): &(i64, i64)| *ts <= at && at < ts + dur;
                assert!(
                    slices[&track].iter().any(within),
                    "an arrow binds to a slice: {event}"
                );
                assert!(kind == "s" || event["bp"] == "e", "{event}");
            }
            "b" => assert_eq!(
                open.insert((track.0, number("id")), number("ts")),
                None,
                "{event}"
            ),
            "e" => {
                let since = open
                    .remove(&(track.0, number("id")))
                    .expect("it has started");
                assert!(since < number("ts"), "{event}");
            }
            "M" | "i" => {}
            other => panic!("{other}"),
        }
    }
    assert!(open.is_empty(), "every phase ends");
    for slices in slices.values_mut() {
        slices.sort_unstable();
        for pair in slices.windows(2) {
            let [(at, length), (next, next_length)] = pair else {
                unreachable!()
            };
            let nested = next + next_length <= at + length;
            assert!(nested || at + length <= *next, "{pair:?} overlap");
        }
    }
    for (id, flow) in &mut flows {
        flow.sort_by_key(|(kind, at)| (*at, *kind == "f"));
        assert!(
            matches!(flow.as_slice(), [("s", _), ("f", _)]),
            "{id}: {flow:?}"
        );
    }
    assert!(flows.len() > 500, "{}", flows.len());
}

#[test]
fn mermaid_names_all_before_they_are_used() {
    let folder = Folder::new("mermaid");
    let log = folder.simulated("log.jsonl", &["--seed", "7", "--for", "3s"]);
    let output = diagram(&["--to", "mermaid"], &[&log]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = text(&output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    let mut known = Vec::new();
    let mut arrows = 0;
    for line in lines {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("participant ") {
            known.push(rest.split(' ').next().expect("a name"));
        } else if let Some(rest) = line.strip_prefix("Note over ") {
            assert!(
                known.contains(&rest.split(':').next().expect("a name")),
                "{line}"
            );
        } else {
            let (ends, _) = line.split_once(": ").expect(line);
            let (from, to) = ends.split_once("->>").expect(line);
            assert!(known.contains(&from) && known.contains(&to), "{line}");
            arrows += 1;
        }
    }
    assert_eq!(known.len(), 6);
    assert!(arrows > 20, "{text}");
}

#[test]
fn completions_and_manual_pages_name_the_commands() {
    let folder = Folder::new("pages");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = bully(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", said(&output));
        assert!(text(&output).contains("diagram"), "{shell}");
    }
    let to = folder.file("man");
    let output = bully(&["man", to.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for page in ["bully.1", "bully-node.1", "bully-diagram.1"] {
        let text = std::fs::read_to_string(to.join(page)).expect("a page");
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}
