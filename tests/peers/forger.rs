//! Somebody who names a thousand members that do not exist: at addresses that refuse, that accept and
//! are silent, that answer, and at those of members.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use crate::client::{self, Pid, pickled};
use crate::party::{Member, Party};

/// How many members one list names.
const FORGED: u32 = 1_100;

/// How often each node is sent the list, in ELECTION and in COORDINATOR.
const ROUNDS: usize = 2;

/// Where nobody listens: each number is another address of this machine.
fn refusing(number: u32) -> (String, u16) {
    (format!("127.0.1.{}", number % 250 + 1), 9)
}

/// The forged members, a quarter of them at each kind of address, all greater than anybody.
fn forged(silent: u16, answering: u16, nodes: &[&Member]) -> BTreeMap<Pid, (String, u16)> {
    let local = |port: u16| ("127.0.0.1".to_owned(), port);
    let address = |number: u32| match number % 4 {
        0 => refusing(number / 4),
        1 => local(silent),
        2 => local(answering),
        _ => local(nodes[number as usize / 4 % nodes.len()].port()),
    };
    let pid = |number: u32| (60_000, 7_000_000 + number);
    (0..FORGED)
        .map(|number| (pid(number), address(number)))
        .collect()
}

/// Answers OK to whatever is asked, until it is asked to stop; returns how many connections there were.
fn answer_all(listener: &TcpListener, stop: &AtomicBool, bytes: &AtomicUsize) -> usize {
    let mut connections = 0;
    let ok = pickled(&"OK");
    listener.set_nonblocking(true).expect("it can be");
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        connections += 1;
        // Whoever does not read it is none the worse.
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut piece = [0; 65_536];
        let read = stream.read(&mut piece).unwrap_or_default();
        bytes.fetch_add(read, Ordering::Relaxed);
        let _ = stream.write_all(&ok);
    }
    connections
}

#[test]
fn after_a_thousand_forged_members_five_live_nodes_agree_on_the_next_leader() {
    let party = Party::ours(&[]);
    let leader = party.node(60, &[]).joined();
    let five: Vec<Member> = [10, 20, 30, 40, 50]
        .map(|days| party.node(days, &[]))
        .into();
    let all: Vec<&Member> = five.iter().chain([&leader]).collect();
    party.agree(&all, 60);

    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = |of: &TcpListener| of.local_addr().expect("it is bound").port();
    let (silent, answering) = (listener(), listener());
    let list = forged(port(&silent), port(&answering), &all);
    let (stop, bytes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut messages, mut sent) = (0, 0);
    let connections = thread::scope(|scope| {
        let answerer = scope.spawn(|| answer_all(&answering, &stop, &bytes));
        for _ in 0..ROUNDS {
            for node in &all {
                for name in ["ELECTION", "COORDINATOR"] {
                    let message = pickled(&(name, &list));
                    // A COORDINATOR has no answer, and on some machines its end is a reset.
                    let _ = client::ask(node.port(), &message);
                    messages += 1;
                    sent += message.len();
                }
            }
            thread::sleep(Duration::from_secs(1));
        }
        stop.store(true, Ordering::Relaxed);
        answerer.join().expect("it ends when it is asked to")
    });
    drop((silent, answering));
    assert!(connections <= 4 * messages, "{connections} for {messages}");
    let received = bytes.load(Ordering::Relaxed);
    assert!(received <= 10 * sent, "{received} bytes for {sent}");

    leader.process.kill();
    let since = Instant::now();
    let survivors: Vec<&Member> = five.iter().collect();
    party.agree(&survivors, 50);
    println!(
        "{connections} connections for {messages} messages; all agreed {:?} after the crash",
        since.elapsed()
    );
}
