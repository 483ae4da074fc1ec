//! A group of both kinds of program, and who leads it according to each of them.

use core::fmt::Write as _;
use std::process::Command;
use std::thread;

use bully_tests::process::{LIMIT, Process, Processes};
use serde_json::Value;

use crate::client;

/// The program under test.
pub(crate) const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// Longer than any test; only there so that nothing outlives a test program that is killed.
const OURS_FOR: [&str; 2] = ["--for", "150s"];
const THEIRS_FOR: [&str; 2] = ["--for", "150"];

/// A coordinator, and what it takes to start members that join it.
pub(crate) struct Party {
    pub(crate) gcd: Process,
    pub(crate) gcd_port: u16,
    // Last, so that what all of them said is printed when all of them have ended.
    pub(crate) processes: Processes,
}

/// A member, ours or theirs.
pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) days: u32,
    ours: bool,
}

/// The process id with that many days.
pub(crate) fn pid(days: u32) -> client::Pid {
    (days, 1_000_000 + days)
}

/// A command that runs the program under test.
pub(crate) fn bully(args: &[&str]) -> Command {
    let mut command = Command::new(BULLY);
    command.args(args);
    command
}

impl Party {
    /// A group around the coordinator in Python.
    pub(crate) fn theirs(switches: &[&str]) -> Self {
        let processes = Processes::new();
        let gcd = processes.python(
            "gcd.py",
            "gcd.py",
            &[&["0"], &THEIRS_FOR[..], switches].concat(),
        );
        Self::around(processes, gcd)
    }

    /// A group around our own coordinator.
    pub(crate) fn ours(switches: &[&str]) -> Self {
        let processes = Processes::new();
        let args = [&["gcd", "0", "--log", "json"], &OURS_FOR[..], switches].concat();
        let gcd = processes.spawn("bully gcd", &mut bully(&args));
        Self::around(processes, gcd)
    }

    fn around(processes: Processes, gcd: Process) -> Self {
        Self {
            gcd_port: gcd.port(),
            gcd,
            processes,
        }
    }

    /// One of their nodes.
    pub(crate) fn peer(&self, days: u32, switches: &[&str]) -> Member {
        let mut name = format!("peer {days}");
        for switch in switches {
            let _ = write!(name, " {switch}");
        }
        let (port, id, until) = (
            self.gcd_port.to_string(),
            pid(days).1.to_string(),
            days.to_string(),
        );
        let args = ["localhost", &port, &id, "--days", &until];
        let args = [&args, &THEIRS_FOR[..], switches].concat();
        Member {
            process: self.processes.python(name, "peer.py", &args),
            days,
            ours: false,
        }
    }

    /// One of our nodes.
    pub(crate) fn node(&self, days: u32, switches: &[&str]) -> Member {
        Member {
            process: self.processes.spawn(
                format!("node {days}"),
                &mut node_command(self.gcd_port, days, switches),
            ),
            days,
            ours: true,
        }
    }

    /// Waits until all of `members` name the one with `days` as their leader.
    pub(crate) fn agree(&self, members: &[&Member], days: u32) {
        let what = format!("everybody follows {days}");
        self.processes.wait_until(&what, LIMIT, || {
            members.iter().all(|member| {
                member.assert_alive();
                member.leader() == Some(days)
            })
        });
    }
}

/// The command of one of our nodes.
pub(crate) fn node_command(gcd_port: u16, days: u32, switches: &[&str]) -> Command {
    let (port, id, until) = (
        gcd_port.to_string(),
        pid(days).1.to_string(),
        days.to_string(),
    );
    let args = [
        "node",
        "localhost",
        &port,
        &id,
        "--days",
        &until,
        "--log",
        "json",
    ];
    bully(&[&args, &OURS_FOR[..], switches].concat())
}

impl Member {
    /// Who leads according to it, by their days; `None` while it knows of nobody.
    pub(crate) fn leader(&self) -> Option<u32> {
        let said = self.process.said();
        let last = said
            .iter()
            .rev()
            .find(|line| match line["event"].as_str() {
                Some("leader" | "leader_lost") => true,
                // Theirs logs a leader only when it changes, ours after every election.
                Some("election" | "failed") => self.ours,
                _ => false,
            })?;
        let days = last["leader"][0]
            .as_u64()
            .filter(|_| last["event"] == "leader")?;
        u32::try_from(days).ok()
    }

    /// Waits until it is in the group, so that whoever joins from now on gets it listed.
    ///
    /// The greatest of a group has to be in it before the others: two peers who both believe for a
    /// moment that they lead may announce themselves to a third in either order, and if the lesser is the later one
    /// the third follows it for good, by the assignment.
    pub(crate) fn joined(self) -> Self {
        self.process.wait_for_event("joined");
        self
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.process.port()
    }

    /// Fails if it has ended, by an exception or otherwise.
    pub(crate) fn assert_alive(&self) {
        if let Some(status) = self.process.ended() {
            panic!("{} has ended: {status}", self.process.name());
        }
    }

    /// What it says it has rejected.
    pub(crate) fn rejected(&self) -> Vec<String> {
        rejected(&self.process)
    }

    /// Fails unless it answers PROBE.
    pub(crate) fn assert_answers(&self) {
        client::expect_ok(self.port(), &client::probe());
    }
}

/// What `process`, one of ours, says it has rejected.
pub(crate) fn rejected(process: &Process) -> Vec<String> {
    let said = process.said();
    let lines = said.iter().filter(|line| line["event"] == "rejected");
    lines
        .filter_map(|line| line["why"].as_str().map(str::to_owned))
        .collect()
}

/// Runs `test` with each of `cases` at the same time: they wait far more than they work.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

/// Returns `true` if a line names a leader with that many days.
pub(crate) fn names_leader(line: &Value, days: u32) -> bool {
    line["event"] == "leader" && line["leader"][0] == days
}
