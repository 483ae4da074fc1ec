//! `bully explain`: the sentences, and the assignment's words among them.

use std::path::Path;

use crate::runs::{Folder, bully, said, text};

fn explain(log: &Path, more: &[&str]) -> String {
    let log = log.to_str().expect("UTF-8");
    let output = bully(&[&["explain", log], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    text(&output)
}

/// The story without its line breaks.
fn flat(story: &str) -> String {
    story.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_crash_is_explained_from_its_notice_to_the_next_leader() {
    let folder = Folder::new("explained");
    let log = folder.simulated("log.jsonl", &["--seed", "7", "--crash", "leader@5s"]);
    let story = flat(&explain(&log, &["--from", "4.9s"]));
    let steps = [
        "5 members take part. The greatest is (1, 1000005)",
        "(1, 1000005) crashes.",
        "notices that (1, 1000005), which led, has failed: nobody listens at its address any more. [1]",
        "[1] “The PROBE message is sent occasionally",
        "starts an election: the leader has failed.",
        "“Notice when the current leader has failed and initiate an election.”",
        "starts an election: (1, 1000003) sent it ELECTION, and it is greater.",
        "(1, 1000004) wins:",
        "“If you are the highest process id in the group or if none of the higher processes respond",
        "It sends COORDINATOR to",
        "follows (1, 1000004): its COORDINATOR has come",
        "In the end all that know a leader follow (1, 1000004).",
    ];
    let mut rest = story.as_str();
    for step in steps {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("no {step:?} in {rest}"));
        rest = after;
    }
}

#[test]
fn every_quotation_is_the_assignments() {
    let folder = Folder::new("quoted");
    let mut sentences: Vec<String> = bully_grade::CHECKS
        .iter()
        .map(|check| flat(check.sentence))
        .collect();
    // Parts of some that are left out there.
    sentences.push("proceed as though you are initiating a new election.".to_owned());
    sentences.push(
        "If you receive a COORDINATOR message, then change your state to not be election-in-progress \
         and update your group membership list as necessary."
            .to_owned(),
    );
    let mut quoted = 0;
    for seed in ["1", "2", "3"] {
        let log = folder.simulated(
            "log.jsonl",
            &["--feign", "close", "--seed", seed, "--for", "30s"],
        );
        let story = flat(&explain(&log, &[]));
        for part in story.split('“').skip(1) {
            let (quote, _) = part.split_once('”').expect("it ends");
            let quote = flat(quote);
            assert!(
                sentences.iter().any(|sentence| sentence.contains(&quote)),
                "{quote:?} is none of {sentences:?}"
            );
            quoted += 1;
        }
    }
    assert!(quoted >= 24, "{quoted} quotations");
}

#[test]
fn there_is_nothing_to_explain_without_events() {
    let folder = Folder::new("nothing");
    let file = folder.write("none.jsonl", "hello\n");
    let output = bully(&["explain", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}
