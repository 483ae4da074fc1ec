//! Three hosts, a coordinator on one of them, a node on each.

use core::time::Duration;
use std::io::{self, Write as _};
use std::time::SystemTime;

use bully_sim::{Crash, Partition, Scenario, Who};
use bully_tests::process::{Process, Processes};
use serde_json::{Value, json};

use crate::lan::{BULLY, Lan, start_gcd};
use crate::simulated;

/// The node on each host: the days to its birthday say which.
fn pid(host: usize) -> Value {
    json!([100 * host, 1_234_560 + host])
}

fn start_node(processes: &Processes, lan: &Lan, host: usize, gcd_port: u16) -> Process {
    let (days, id) = ((100 * host).to_string(), (1_234_560 + host).to_string());
    let mut command = lan.command(host, BULLY);
    command.args([
        "node",
        &lan.addr(1),
        &gcd_port.to_string(),
        &id,
        "--days",
        &days,
    ]);
    // Either way of saying how others reach it.
    match host {
        1 | 2 => command.args(["--bind", &lan.addr(host)]),
        _ => command.args(["--bind", "0.0.0.0", "--advertise", &lan.addr(host)]),
    };
    processes.spawn(format!("node {host}"), command.args(["--log", "json"]))
}

/// Something that happens to the hosts, and when.
struct Fault {
    /// How much each process had said before.
    marks: Vec<usize>,
    at: SystemTime,
}

impl Fault {
    fn now(nodes: &[&Process], happens: impl FnOnce()) -> Self {
        let marks = nodes.iter().map(|node| node.mark()).collect();
        let at = SystemTime::now();
        happens();
        Self { marks, at }
    }

    /// The time until all of them have named this leader.
    fn until_named(&self, nodes: &[&Process], leader: &Value) -> Duration {
        let since = self.at.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.expect("the clock is set").as_secs_f64();
        let times = nodes.iter().zip(&self.marks).map(|(node, mark)| {
            let named = node.wait_since(*mark, &format!("leader {leader}"), |line| {
                line["event"] == "leader" && line["leader"] == *leader
            });
            named["time"].as_f64().expect("seconds") - since
        });
        Duration::from_secs_f64(times.fold(0.0, f64::max))
    }
}

#[test]
fn a_host_is_cut_off_comes_back_and_loses_its_node() {
    let Some(lan) = Lan::new("three::a_host_is_cut_off_comes_back_and_loses_its_node", 3) else {
        return;
    };
    let processes = Processes::new();
    let gcd = start_gcd(&processes, &lan);
    let port = gcd.port();
    let nodes: Vec<_> = (1..=3)
        .map(|host| start_node(&processes, &lan, host, port))
        .collect();
    let lesser = [&nodes[0], &nodes[1]];
    let all = [&nodes[0], &nodes[1], &nodes[2]];
    for node in all {
        node.wait_for("its leader", |line| {
            line["event"] == "leader" && line["leader"] == pid(3)
        });
    }
    // The coordinator lists what each of them advertises.
    for host in 1..=3 {
        let joined = gcd.wait_for("a member", |line| {
            line["event"] == "joined" && line["member"] == pid(host)
        });
        assert_eq!(joined["address"][0], lan.addr(host));
    }

    let fault = Fault::now(&lesser, || lan.cut(3));
    let cut = fault.until_named(&lesser, &pid(2));
    let fault = Fault::now(&lesser, || lan.mend(3));
    let healed = fault.until_named(&lesser, &pid(3));
    let fault = Fault::now(&lesser, || nodes[2].kill());
    let ended = fault.until_named(&lesser, &pid(2));

    let rows = [
        (
            "its link is taken down: the others follow the next",
            cut,
            simulated_cut(2),
        ),
        (
            "its link is up again: they follow it",
            healed,
            simulated_cut(3),
        ),
        (
            "its node is killed: they follow the next",
            ended,
            simulated_end(),
        ),
    ];
    let mut out = io::stdout();
    let _ = writeln!(
        out,
        "\n{:52} {:>9} {:>31}",
        "the leader's host, of three", "namespaces", "simulator: least, median, most"
    );
    for (what, seen, simulated) in rows {
        let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
        let [least, median, most] =
            [0, SEEDS as usize / 2, SEEDS as usize - 1].map(|at| seconds(simulated[at]));
        let seen = seconds(seen);
        let _ = writeln!(
            out,
            "{what:52} {seen:>8} s {least:>12} {median:>8} {most:>8} s"
        );
    }
}

/// How often a fault is simulated.
const SEEDS: u64 = 200;

/// When it happens.
const AT: Duration = Duration::from_secs(5);

/// How long members 1 and 2 take to name this one: when 3 is cut off, or when that is over.
fn simulated_cut(leader: u32) -> Vec<Duration> {
    let over = AT + Duration::from_secs(10);
    let scenario = Scenario {
        members: 3,
        partitions: vec![Partition {
            below: 3,
            coordinator_above: false,
            from: AT,
            to: over,
        }],
        duration: Duration::from_secs(60),
        ..Scenario::default()
    };
    let since = if leader == 3 { over } else { AT };
    simulated::times(&scenario, SEEDS, since, &[1, 2], leader)
}

fn simulated_end() -> Vec<Duration> {
    let scenario = Scenario {
        members: 3,
        crashes: vec![Crash::new(Who::Leader, AT)],
        duration: Duration::from_secs(30),
        ..Scenario::default()
    };
    simulated::times(&scenario, SEEDS, AT, &[1, 2], 2)
}
