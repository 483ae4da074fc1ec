//! What happened to a group, from its recordings: a scenario that is read and run as any other.

use core::time::Duration;
use std::process::Command;

use bully_sim::{Delay, Who};

use crate::text::{read, run_story};

const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

#[test]
fn recordings_become_a_scenario_with_the_same_crash_and_return() {
    let name = format!("bully-to-scenario-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let path = directory.to_str().expect("its name is text");
    let crash = ["--crash", "leader@4s..9s", "--delay", "const:2ms"];
    let args = ["sim", "--seed", "7", "--for", "25s", "--record", path];
    let args = [&args[..], &crash[..]].concat();
    let output = Command::new(BULLY).args(args).output();
    let output = output.expect("it is there");
    assert!(output.status.success(), "{output:?}");
    let files = std::fs::read_dir(&directory).expect("it is there");
    let files = files.map(|file| file.expect("it can be read").path());
    let output = Command::new(BULLY)
        .args(["replay", "--to-scenario"])
        .args(files)
        .output()
        .expect("it is there");
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_dir_all(&directory).expect("it was made");

    let text = String::from_utf8(output.stdout).expect("it is text");
    let story = read(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let scenario = &story.scenario;
    assert_eq!((scenario.members, scenario.seed), (5, 1), "{text}");
    assert!(
        scenario.late.is_empty() && scenario.feign.is_none(),
        "{text}"
    );
    assert_eq!(
        scenario.delay,
        Delay::Exp(Duration::from_millis(2)),
        "{text}"
    );
    let [crash] = scenario.crashes[..] else {
        panic!("one crash is expected:\n{text}");
    };
    assert_eq!(crash.who, Who::Number(5), "{text}");
    let seconds = |at: Duration| at.as_millis() as f64 / 1e3;
    // A recording ends with the last poll.
    assert!((3.0..=4.0).contains(&seconds(crash.at)), "{text}");
    let back = crash.until.expect("it comes back");
    assert_eq!(back, Duration::from_secs(9), "{text}");
    assert!(
        (22.0..=25.0).contains(&seconds(scenario.duration)),
        "{text}"
    );
    let (trace, result) = run_story(&story);
    let outcome = result.unwrap_or_else(|breach| panic!("{breach}:\n{trace}"));
    assert!(outcome.agreed, "{trace}");
    assert!(
        trace.contains("5 crashes") && trace.contains("5 starts"),
        "{trace}"
    );
}
