//! The practice group at scale.

use std::collections::BTreeMap;

use bully_tests::process::{LIMIT, Process, Processes};
use serde_json::Value;

use crate::party::bully;

/// Thirty members agree, and a quiet group sends little more than its PROBEs.
#[test]
fn thirty_members_agree_on_few_messages() {
    const MESSAGES_MAX: u64 = 3_000;
    let processes = Processes::new();
    let args = ["lab", "--members", "30", "--for", "5s", "--log", "json"];
    let lab = processes.spawn("lab", &mut bully(&args));
    assert!(lab.wait().success());
    let summary = lab.wait_for_event("summary");
    assert_eq!(summary["agreed"], true, "{summary}");
    assert_eq!(summary["members"], 30, "{summary}");
    assert_eq!(summary["up"], 30, "{summary}");
    let messages = summary["messages"].as_object().expect("counts by name");
    let sent: u64 = messages
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert!(
        sent > 30 * 2,
        "each at least sends a JOIN and learns who leads: {summary}"
    );
    assert!(sent < MESSAGES_MAX, "{summary}");
}

/// Waits until all of so many members in `lab` name the greatest of them, and ends it.
pub(crate) fn agree(processes: &Processes, lab: &Process, members: usize) {
    processes.wait_until("all agree", LIMIT, || {
        let mut leaders = BTreeMap::new();
        for line in lab.said() {
            let leader = match line["event"].as_str() {
                Some("leader") => line["leader"].clone(),
                Some("leader_lost" | "election" | "joined") => Value::Null,
                _ => continue,
            };
            leaders.insert(line["node"].to_string(), leader);
        }
        let named = |pid: &Value| Some((pid[0].as_u64()?, pid[1].as_u64()?));
        let greatest = leaders.values().filter_map(named).max();
        leaders.len() == members
            && greatest.is_some()
            && leaders.values().all(|leader| named(leader) == greatest)
    });
}

/// In one process, and in no more memory than 96 KiB for each: of that the table is 17.
#[cfg(target_os = "linux")]
#[test]
fn three_hundred_members_take_little_memory() {
    const KIB_MAX: u64 = 300 * 96;
    let processes = Processes::new();
    let args = ["lab", "--members", "300", "--for", "150s"];
    let args = [&args[..], &["--log", "json-brief"]].concat();
    let lab = processes.spawn("lab", &mut bully(&args));
    agree(&processes, &lab, 300);
    let status = std::fs::read_to_string(format!("/proc/{}/status", lab.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().strip_suffix(" kB"));
    let peak: u64 = peak.and_then(|kib| kib.parse().ok()).expect("a number");
    assert!(0 < peak && peak < KIB_MAX, "{peak} KiB");
    lab.kill();
}
