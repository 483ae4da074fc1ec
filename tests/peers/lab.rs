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

/// In one process, and in no more memory than 96 KiB for each: of that the table is 17.
#[cfg(target_os = "linux")]
#[test]
fn three_hundred_members_take_little_memory() {
    const KIB_MAX: u64 = 300 * 96;
    let processes = Processes::new();
    let args = ["lab", "--members", "300", "--for", "8s", "--log", "json"];
    let lab = processes.spawn("lab", &mut bully(&args));
    let mut peak = 0;
    while lab.ended().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", lab.id()));
        let status = status.unwrap_or_default();
        let of_peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = of_peak.and_then(|text| text.trim().strip_suffix(" kB"));
        // There is none of a process that has ended meanwhile.
        peak = kib.map_or(peak, |kib| kib.parse().expect("a number"));
        std::thread::sleep(core::time::Duration::from_millis(100));
    }
    let summary = lab.wait_for_event("summary");
    assert_eq!(summary["agreed"], true, "{summary}");
    assert!(0 < peak && peak < KIB_MAX, "{peak} KiB");
}
