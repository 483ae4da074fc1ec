//! What real programs do that the assignment does not say: a small group for each habit.
//!
//! Two peers have it, between a node of ours that is the least of the group and one that is the
//! greatest. Then the greatest is killed, so that a peer with the habit leads a node of ours.

use core::time::Duration;
use std::thread;

use bully_tests::process::LIMIT;

use crate::client;
use crate::party::{Member, Party, at_once};

/// A habit: the switches of both peers, and what is special about a group that has it.
struct Habit {
    lesser: &'static [&'static str],
    greater: &'static [&'static str],
    /// How the coordinator keys members.
    keyed: &'static str,
    /// Whether the peers themselves end up with the leader that the assignment wants.
    peers_agree: bool,
    /// Whether ours must let the leader be, though it does not answer PROBE.
    leader_stays: bool,
}

const LEAST: u32 = 50;
const LESSER: u32 = 100;
const GREATER: u32 = 200;
const GREATEST: u32 = 300;

const fn mixed(lesser: &'static [&'static str], greater: &'static [&'static str]) -> Habit {
    Habit {
        lesser,
        greater,
        keyed: "pid",
        peers_agree: true,
        leader_stays: false,
    }
}

const fn habit(switches: &'static [&'static str]) -> Habit {
    mixed(switches, switches)
}

const fn keyed(switches: &'static [&'static str], keyed: &'static str) -> Habit {
    Habit {
        keyed,
        ..habit(switches)
    }
}

const fn silent_leader(switches: &'static [&'static str]) -> Habit {
    Habit {
        leader_stays: true,
        ..habit(switches)
    }
}

/// Runs one group for each habit, all at once.
fn hold(habits: &[Habit]) {
    at_once(habits, |habit| {
        let party = Party::theirs(&["--keyed-by", habit.keyed]);
        let greatest = party.node(GREATEST, &[]).joined();
        let lesser = party.peer(LESSER, habit.lesser).joined();
        let greater = party.peer(GREATER, habit.greater);
        // Settled, since by the assignment it matters who announces last.
        party.agree(&[&lesser, &greater, &greatest], GREATEST);
        let least = party.node(LEAST, &[]);
        party.agree(&[&lesser, &greater, &least, &greatest], GREATEST);
        assert_unharmed(&[&lesser, &greater], &[&least, &greatest]);

        greatest.process.kill();
        let mut survivors = vec![&least];
        if habit.peers_agree {
            survivors.extend([&lesser, &greater]);
        }
        party.agree(&survivors, GREATER);
        if habit.leader_stays {
            assert_stays(&least);
        }
        assert_unharmed(&[&lesser, &greater], &[&least]);
    });
}

/// Nobody has died, and ours neither turned anything away nor has stopped answering.
fn assert_unharmed(peers: &[&Member], nodes: &[&Member]) {
    for peer in peers {
        peer.assert_alive();
        let crashes = peer.process.count_since(0, "crashed_by");
        assert_eq!(crashes, 0, "{}", peer.process.name());
    }
    for node in nodes {
        node.assert_answers();
        assert_eq!(node.rejected(), Vec::<String>::new());
    }
}

/// A leader that never answers PROBE is alive as long as it accepts: no elections because of it.
fn assert_stays(node: &Member) {
    // Longer than two of the longest gaps between PROBEs, one of which waits for its answer.
    const WATCH: Duration = Duration::from_secs(6);
    let mark = node.process.mark();
    // The one test that waits for time to pass: it holds that nothing happens.
    thread::sleep(WATCH);
    // An election that was under way may have ended in the meantime, or a peer may have asked.
    let lost = node.process.count_since(mark, "leader_lost");
    let elections = node.process.count_since(mark, "election");
    assert_eq!(lost, 0, "it deposed a leader that is alive");
    assert!(elections <= 1, "{elections} elections in {WATCH:?}");
    assert_eq!(node.leader(), Some(GREATER));
}

#[test]
fn forms_of_ok() {
    hold(&[
        mixed(&["--ok", "text"], &["--ok", "pair"]),
        mixed(&["--ok", "members"], &["--ok", "members-pid"]),
        mixed(&["--ok", "okay"], &["--two-pickles"]),
    ]);
}

#[test]
fn forms_of_members() {
    hold(&[
        keyed(&["--keyed-by", "pid", "--lists"], "pid"),
        keyed(&["--keyed-by", "address"], "address"),
        keyed(&["--shared"], "address"),
        mixed(
            &["--tolerant", "--keyed-by", "address"],
            &["--tolerant", "--keyed-by", "pid", "--shared", "--lists"],
        ),
        mixed(&["--tolerant"], &["--tolerant", "--keyed-by", "address"]),
        keyed(&["--report-localhost"], "address"),
    ]);
}

#[test]
fn forms_of_messages() {
    hold(&[
        mixed(&["--probe-form", "members"], &["--probe-form", "bare"]),
        mixed(&["--bare"], &["--bare", "--only-leader"]),
        habit(&["--only-leader"]),
        // Those who are sent the dead among the members take the greatest of them for the leader,
        // again and again; ours knows better.
        Habit {
            peers_agree: false,
            ..habit(&["--everybody"])
        },
    ]);
}

#[test]
fn protocols_of_pickle() {
    hold(&[
        mixed(&["--protocol", "1"], &["--protocol", "0"]),
        mixed(&["--protocol", "3"], &["--protocol", "2"]),
        mixed(&["--protocol", "4"], &["--protocol", "5"]),
        mixed(
            &["--protocol", "2", "--shared"],
            &["--protocol", "0", "--shared"],
        ),
    ]);
}

#[test]
fn manners_of_reading() {
    hold(&[
        habit(&["--recv-once"]),
        keyed(&["--recv-once"], "address"),
        habit(&["--close-early"]),
        habit(&["--half-close"]),
        habit(&["--never-close"]),
    ]);
}

/// Those that take their time, all in one go.
#[test]
fn manners_of_writing_and_probing() {
    hold(&[
        habit(&["--idle-before", "5"]),
        habit(&["--split", "3"]),
        habit(&["--late-ok", "2"]),
        mixed(
            &["--split", "3", "--half-close"],
            &["--late-ok", "2", "--split", "2"],
        ),
        silent_leader(&["--probe", "silent"]),
        silent_leader(&["--probe", "close"]),
        silent_leader(&["--probe", "none"]),
        habit(&["--no-send-probe"]),
    ]);
}

/// A bare ELECTION does not say who sent it: only the coordinator knows of a newcomer who sends
/// nothing else, so the leader has to ask there whom to announce itself to.
#[test]
fn a_newcomer_sends_bare_elections() {
    let party = Party::theirs(&[]);
    let node = party.node(GREATEST, &[]);
    party.agree(&[&node], GREATEST);
    let newcomer = party.peer(LESSER, &["--bare"]);
    party.agree(&[&node, &newcomer], GREATEST);
}

/// A flood from one member of the group, of which our node is the greatest: it goes on leading the
/// others.
#[test]
fn a_member_storms() {
    let party = Party::theirs(&[]);
    let node = party.node(GREATEST, &[]).joined();
    let other = party.peer(GREATER, &[]);
    party.agree(&[&node, &other], GREATEST);
    let storm = party.peer(LESSER, &["--storm"]);
    storm.process.wait_for("a storm", |line| {
        line["event"] == "storm" && line["sent"].as_u64() >= Some(2_000)
    });
    let took = client::expect_ok(node.port(), &client::probe());
    assert!(took < LIMIT);
    party.agree(&[&node, &other, &storm], GREATEST);
    let late = party.peer(LEAST, &[]);
    party.agree(&[&node, &other, &storm, &late], GREATEST);
    assert_unharmed(&[&other, &storm, &late], &[&node]);
}
