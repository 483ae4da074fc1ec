//! Three hosts with a lab each, in one group.

use core::time::Duration;
use std::collections::BTreeMap;

use bully_tests::process::Processes;
use serde_json::json;

use crate::lan::{BULLY, Lan, start_gcd};

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
    let gcd = start_gcd(&processes, &lan);
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
            lab.args(["--ids", &first.to_string(), "--log", "json-brief"]);
            processes.spawn(format!("lab {host}"), &mut lab)
        })
        .collect();
    // Its days are the most that 600 consecutive ids have, and its id is the greater of two.
    let greatest = (1_000_001..=1_000_000 + 3 * MEMBERS)
        .map(|id| (1 + 97 * (id - 1_000_000) % 365, id))
        .max()
        .expect("there are some");
    let leader = json!([greatest.0, greatest.1]);
    // However busy the machine: until the last that each member says is that this one leads.
    processes.wait_until("all 600 name the greatest", LIMIT, || {
        let named = labs.iter().map(|lab| {
            let mut last = BTreeMap::new();
            for line in lab.said() {
                if line["event"] == "leader" {
                    last.insert(line["node"].to_string(), line["leader"] == leader);
                }
            }
            last.values().filter(|right| **right).count()
        });
        named.sum::<usize>() == 3 * MEMBERS as usize
    });
    for lab in &labs {
        lab.terminate();
        let summary = lab.wait_for_event("summary");
        assert_eq!(summary["up"], MEMBERS);
        lab.wait();
    }
}

/// How long 600 members may take on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(180);
