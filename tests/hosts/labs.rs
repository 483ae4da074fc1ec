//! Three hosts with a lab each, in one group.

use bully_tests::process::Processes;

use crate::lan::Lan;

const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// How many members each host has.
const MEMBERS: u32 = 200;

/// Each table holds far fewer than there are.
const CAPACITY: &str = "64";

#[test]
fn three_hosts_of_200_members_each_are_one_group() {
    let Some(lan) = Lan::new("labs::three_hosts_of_200_members_each_are_one_group", 3) else {
        return;
    };
    let processes = Processes::new();
    let mut gcd = lan.command(1, BULLY);
    let gcd = processes.spawn(
        "gcd",
        gcd.args(["gcd", "0", "--bind", "0.0.0.0", "--log", "json"]),
    );
    let port = gcd.port().to_string();
    let labs: Vec<_> = (1..=3)
        .map(|host| {
            let mut lab = lan.command(host, BULLY);
            lab.args([
                "lab",
                "--gcd",
                &lan.addr(1),
                &port,
                "--bind",
                &lan.addr(host),
            ]);
            lab.args(["--members", &MEMBERS.to_string(), "--capacity", CAPACITY]);
            let first = 1_000_001 + MEMBERS * (host as u32 - 1);
            lab.args([
                "--ids",
                &first.to_string(),
                "--for",
                "20s",
                "--log",
                "json-brief",
            ]);
            processes.spawn(format!("lab {host}"), &mut lab)
        })
        .collect();
    // Its days are the most that 600 consecutive ids have, and its id is the greater of two.
    let greatest = (1_000_001..=1_000_000 + 3 * MEMBERS)
        .map(|id| (1 + 97 * (id - 1_000_000) % 365, id))
        .max()
        .expect("there are some");
    for lab in &labs {
        let summary = lab.wait_for_event("summary");
        assert!(lab.wait().success(), "{summary}");
        let leader = &summary["leader"];
        let leader = (leader[0].as_u64(), leader[1].as_u64());
        assert_eq!(
            leader,
            (Some(greatest.0.into()), Some(greatest.1.into())),
            "{summary}"
        );
        assert_eq!(summary["up"], MEMBERS);
    }
}
