//! `bully node`: the flags that decide what goes over the wire, seen from its peers.

use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::program::{LIMIT, Program};
use crate::python::unpickled;

/// A group of the test's own: its coordinator, and a member greater than the node.
struct Group {
    coordinator: TcpListener,
    leader: TcpListener,
}

impl Group {
    fn new() -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        Self {
            coordinator: listen(),
            leader: listen(),
        }
    }

    /// Starts a node (9, 1234567) and answers its JOIN; the node and the JOIN.
    fn join(&self, by_pid: bool, flags: &[&str]) -> (Program, u16, String) {
        let port = self.coordinator.local_addr().expect("bound").port();
        let port = port.to_string();
        let node = format!("node localhost {port} 1234567 --days 9 --log json --for 60s");
        let node: Vec<_> = node.split(' ').chain(flags.iter().copied()).collect();
        let node = Program::start(&node);
        let listens = node.port();
        let (mut stream, _) = self.coordinator.accept().expect("it comes");
        let join = unpickled(&read(&mut stream));
        let leader = self.leader.local_addr().expect("bound").port();
        let (pid, address) = ("(I365\nI7654321\nt", format!("(V127.0.0.1\nI{leader}\nt"));
        let members = if by_pid {
            format!("(d{pid}{address}s.")
        } else {
            format!("(d{address}{pid}s.")
        };
        stream.write_all(members.as_bytes()).expect("it reads");
        (node, listens, join)
    }

    /// What the greater member is sent next; it answers OK.
    fn receive(&self) -> String {
        let (mut stream, _) = self.leader.accept().expect("it comes");
        let received = unpickled(&read(&mut stream));
        let _ = stream.write_all(b"VOK\n.");
        received
    }

    /// As [`receive`](Self::receive), if anything comes for so long.
    fn receive_within(&self, limit: Duration) -> Option<String> {
        self.leader.set_nonblocking(true).expect("it can");
        let started = Instant::now();
        while started.elapsed() < limit {
            match self.leader.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nonblocking(false).expect("it can");
                    let received = unpickled(&read(&mut stream));
                    let _ = stream.write_all(b"VOK\n.");
                    return Some(received);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
        None
    }

    /// Announces to the node that the greater member leads.
    fn announce(&self, node: u16) {
        let leader = self.leader.local_addr().expect("bound").port();
        let message = format!("(VCOORDINATOR\n(d(I365\nI7654321\nt(V127.0.0.1\nI{leader}\ntst.");
        let mut stream = TcpStream::connect(("127.0.0.1", node)).expect("it listens");
        stream.write_all(message.as_bytes()).expect("it reads");
        // It closes when it has received; before that it must not be cut off.
        let _ = stream.set_read_timeout(Some(LIMIT));
        let _ = stream.read(&mut [0; 1]);
    }
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    let mut message = vec![0; 4096];
    // Every message of the node's is one write.
    let count = stream.read(&mut message).expect("a message");
    message.truncate(count);
    message
}

#[test]
fn keyed_by_decides_how_lists_are_keyed() {
    for (flags, coordinator_by_pid, by_pid) in [
        (&[][..], false, false),
        (&[], true, true),
        (&["--keyed-by", "auto"], true, true),
        (&["--keyed-by", "address"], true, false),
        (&["--keyed-by", "pid"], false, true),
    ] {
        let group = Group::new();
        let (_node, _, _) = group.join(coordinator_by_pid, flags);
        let election = group.receive();
        let expected = if by_pid {
            "('ELECTION', {(9, 1234567): ("
        } else {
            "('ELECTION', {('"
        };
        assert!(election.starts_with(expected), "{flags:?}: {election}");
    }
}

#[test]
fn ok_decides_what_probes_are_answered_with() {
    // By itself it follows the coordinator's lists: keyed by process id, text kills real programs.
    for (flags, by_pid, expected) in [
        (&[][..], false, "'OK'"),
        (&[], true, "('OK', {(9, 1234567): ('127.0.0.1', "),
        (
            &["--ok", "auto"],
            true,
            "('OK', {(9, 1234567): ('127.0.0.1', ",
        ),
        (&["--ok", "text"], true, "'OK'"),
        (&["--ok", "pair"], false, "('OK', None)"),
        (&["--ok", "members"], false, "('OK', {('127.0.0.1', "),
    ] {
        let group = Group::new();
        let (node, port, _) = group.join(by_pid, flags);
        node.await_event("joined");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(b"(VPROBE\nNt.").expect("it reads");
        let ok = unpickled(&read(&mut stream));
        assert!(ok.starts_with(expected), "{flags:?}: {ok}");
    }
}

#[test]
fn probe_decides_what_the_leader_is_asked() {
    for (flags, by_pid, expected) in [
        (&[][..], false, Some("('PROBE', None)")),
        (&[], true, Some("('PROBE', {(9, 1234567): ('127.0.0.1', ")),
        (&["--probe", "none"], true, Some("('PROBE', None)")),
        (
            &["--probe", "members"],
            false,
            Some("('PROBE', {('127.0.0.1', "),
        ),
        (&["--no-probe"], false, None),
    ] {
        let group = Group::new();
        let (node, port, _) = group.join(by_pid, flags);
        group.receive();
        group.announce(port);
        node.await_event("leader");
        // Probes come after 500 to 3,000 ms.
        let limit = if expected.is_some() {
            LIMIT
        } else {
            Duration::from_millis(3_300)
        };
        let probe = group.receive_within(limit);
        match (probe, expected) {
            (Some(probe), Some(expected)) => {
                assert!(probe.starts_with(expected), "{flags:?}: {probe}");
            }
            (probe, expected) => assert_eq!(probe.as_deref(), expected, "{flags:?}"),
        }
    }
}

#[test]
fn join_says_who_and_where_as_advertised() {
    for (flags, host) in [
        (&[][..], "127.0.0.1"),
        (&["--advertise", "localhost"], "localhost"),
        (&["--bind", "localhost:0"], "127.0.0.1"),
        (
            &["--bind", "0.0.0.0:0", "--advertise", "127.0.0.1"],
            "127.0.0.1",
        ),
    ] {
        let group = Group::new();
        let (_node, port, join) = group.join(false, flags);
        assert_eq!(
            join,
            format!("('JOIN', ((9, 1234567), ('{host}', {port})))"),
            "{flags:?}"
        );
    }
}
