//! The practice group at scale.

use bully_tests::process::Processes;

use crate::party::bully;

/// Thirty members agree, and a calm group sends little more than its PROBEs.
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
        "each at least sends a JOIN and hears of the leader: {summary}"
    );
    assert!(sent < MESSAGES_MAX, "{summary}");
}
