//! A member among Python programs is recorded, and does the same again.

use serde_json::Value;

use crate::party::{Party, bully};

#[test]
fn a_member_among_python_programs_does_the_same_again() {
    let name = format!("bully-recorded-{}.byr", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = path.to_str().expect("its name is text").to_owned();
    let party = Party::theirs(&[]);
    let greatest = party.peer(300, &[]).joined();
    let node = party.node(200, &["--record", &file]).joined();
    let others = [250, 150, 100, 50].map(|days| party.peer(days, &[]));
    let [second, third, fourth, fifth] = &others;
    party.agree(&[&greatest, &node, second, third, fourth, fifth], 300);
    greatest.process.kill();
    party.agree(&[&node, second, third, fourth, fifth], 250);
    second.process.kill();
    party.agree(&[&node, third, fourth, fifth], 200);
    node.process.terminate();
    node.process.wait();

    let output = bully(&["replay", "--verify", &file]).output();
    let output = output.expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let output = bully(&["replay", "--format", "json", &file]).output();
    let output = output.expect("it is there");
    let lines = String::from_utf8(output.stdout).expect("it writes text");
    let again: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    // Every line, to the microsecond, with connections and numbers of bytes.
    let live = node.process.said();
    assert!(live.len() > 50, "{} lines", live.len());
    for (number, (live, again)) in live.iter().zip(&again).enumerate() {
        assert_eq!(again, live, "line {number}");
    }
    assert_eq!(again.len(), live.len());
    std::fs::remove_file(path).expect("it was written");
}
