//! Hosts of this machine's own: each a network namespace, at a port of a bridge in another one.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, Ordering};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use bully_tests::process::{Process, Processes};

pub(crate) const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// Hosts on one network. Dropping it removes them, whatever has become of the test.
///
/// Processes in them must have ended by then: make the [`Lan`] before them.
#[derive(Debug)]
pub(crate) struct Lan {
    /// What the names of its namespaces begin with.
    name: String,
    hosts: usize,
}

/// What the names of all namespaces begin with that any run of these tests makes; the number of the
/// process follows.
const PREFIX: &str = "bully-hosts-";

impl Lan {
    /// Makes hosts 1 to `hosts`, at [`addr`](Self::addr). `None`, and a line on standard error that
    /// names `test`, if this machine does not let us.
    ///
    /// # Panics
    ///
    /// If it lets us make a namespace, and then not a network.
    pub(crate) fn new(test: &str, hosts: usize) -> Option<Self> {
        static LANS: AtomicU32 = AtomicU32::new(0);
        let number = LANS.fetch_add(1, Ordering::Relaxed);
        let lan = Self {
            name: format!("{PREFIX}{}-{number}", std::process::id()),
            hosts,
        };
        remove_stale();
        // The bridge is no host: it stands in a namespace of its own, number 0.
        if let Err(why) = ip(&["netns", "add", &lan.namespace(0)]) {
            // Not by a macro, which the test harness would keep to itself.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED hosts::{test}: no network namespaces here: {why} (needs root and iproute2)"
            );
            return None;
        }
        lan.connect();
        Some(lan)
    }

    fn connect(&self) {
        let bridge = self.namespace(0);
        done(&["-n", &bridge, "link", "add", "br0", "type", "bridge"]);
        done(&["-n", &bridge, "link", "set", "br0", "up"]);
        for host in 1..=self.hosts {
            let (name, port) = (self.namespace(host), port(host));
            done(&["netns", "add", &name]);
            let ends = ["link", "add", &port, "netns", &bridge, "type", "veth"];
            done(&[&ends[..], &["peer", "name", "eth0", "netns", &name]].concat());
            done(&["-n", &bridge, "link", "set", &port, "master", "br0", "up"]);
            let addr = format!("{}/24", self.addr(host));
            done(&["-n", &name, "addr", "add", &addr, "dev", "eth0"]);
            done(&["-n", &name, "link", "set", "eth0", "up"]);
            done(&["-n", &name, "link", "set", "lo", "up"]);
        }
    }

    /// The address of a host. The same in every [`Lan`]: they cannot reach each other.
    pub(crate) fn addr(&self, host: usize) -> String {
        format!("10.77.0.{host}")
    }

    /// The same as a number.
    pub(crate) fn ip(&self, host: usize) -> Ipv4Addr {
        self.addr(host).parse().expect("an IPv4 address")
    }

    /// Plugs a device of this machine's into the bridge.
    pub(crate) fn plug(&self, device: &str) {
        let bridge = self.namespace(0);
        done(&["link", "set", device, "netns", &bridge]);
        done(&["-n", &bridge, "link", "set", device, "master", "br0", "up"]);
    }

    /// The command that runs `program` on a host, with no arguments yet. It becomes the program: its
    /// process is the program's.
    pub(crate) fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host), program]);
        command
    }

    /// Takes a host's link down: what is sent to it or by it is lost.
    pub(crate) fn cut(&self, host: usize) {
        self.set_link(host, "down");
    }

    /// Takes it up again.
    pub(crate) fn mend(&self, host: usize) {
        self.set_link(host, "up");
    }

    fn set_link(&self, host: usize, state: &str) {
        done(&["-n", &self.namespace(0), "link", "set", &port(host), state]);
    }

    fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in 0..=self.hosts {
            // Those that could not be made are not there.
            let _ = ip(&["netns", "del", &self.namespace(host)]);
        }
    }
}

/// The bridge's port that a host is at.
fn port(host: usize) -> String {
    format!("port{host}")
}

/// Starts the group coordinator on host 1.
pub(crate) fn start_gcd(processes: &Processes, lan: &Lan) -> Process {
    let mut gcd = lan.command(1, BULLY);
    gcd.args(["gcd", "0", "--bind", "0.0.0.0", "--log", "json"]);
    processes.spawn("gcd", &mut gcd)
}

/// Removes what runs of these tests have left that were killed.
fn remove_stale() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for line in listed.unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

/// Runs `ip` with these arguments; if it fails, what it said.
fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output();
    let output = output.map_err(|error| format!("the command ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn done(args: &[&str]) {
    ip(args).unwrap_or_else(|why| panic!("ip {}: {why}", args.join(" ")));
}
