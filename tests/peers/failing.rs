//! Leaders that feign failure, and leaders that stand still.

use core::time::Duration;

use bully_tests::process::LIMIT;

use crate::client;
use crate::party::{Member, Party, at_once, names_leader};

/// Several failures long, in case one is too short for anyone to notice.
const FAILURES: Duration = Duration::from_secs(75);

/// A first failure that comes soon, and one after everybody has had time to probe; both are close
/// to the longest. Others do as well, but take longer.
const SEED_CLOSE: &str = "78";
const SEED_IGNORE: &str = "34";

/// A leader of ours that feigns failure, the peers that follow it, and another node of ours.
struct Failing {
    leader: Member,
    others: [Member; 3],
    party: Party,
}

impl Failing {
    fn start(mode: &str, seed: &str) -> Self {
        let party = Party::theirs(&[]);
        let leader = party.node(300, &["--feign", mode, "--seed", seed]).joined();
        let others = [
            party.peer(100, &[]),
            party.peer(200, &[]),
            party.node(150, &[]),
        ];
        Self {
            leader,
            others,
            party,
        }
    }

    /// Waits for the leader to be replaced, to come back and to lead again.
    fn replaced_and_back(&self) {
        let [_, next, _] = &self.others;
        let wait = |what: &str, condition: &mut dyn FnMut() -> bool| {
            self.party.processes.wait_until(what, FAILURES, condition);
        };
        wait("the next one leads", &mut || {
            let said = next.process.said();
            said.iter().any(|line| names_leader(line, 200))
        });
        wait("it is back and leads", &mut || {
            let said = self.leader.process.said();
            let mut since = said.iter().skip_while(|line| line["event"] != "recovered");
            since.any(|line| names_leader(line, 300))
        });
        wait("everybody follows it again", &mut || {
            self.others.iter().all(|other| {
                other.assert_alive();
                other.leader() == Some(300)
            })
        });
        assert_eq!(self.leader.process.count_since(0, "listening"), 1);
    }
}

#[test]
fn leader_plays_dead() {
    at_once(
        [leader_closes_its_listener as fn(), leader_ignores_everybody],
        |test| test(),
    );
}

/// Its listener is closed meanwhile, and open again at the same port.
fn leader_closes_its_listener() {
    let failing = Failing::start("close", SEED_CLOSE);
    let leader = &failing.leader;
    leader.process.wait_for_event("failed");
    let outcome = client::connect(leader.port());
    // Unless this test was slower than the failure was long, nobody listens.
    if leader.process.count_since(0, "recovered") == 0 {
        assert!(outcome.is_err(), "{outcome:?}");
    }
    drop(outcome);
    failing.replaced_and_back();
    leader.assert_answers();
}

/// It accepts meanwhile, and sends the pending OKs when it is back.
fn leader_ignores_everybody() {
    let failing = Failing::start("ignore", SEED_IGNORE);
    let leader = &failing.leader;
    leader.process.wait_for_event("failed");
    let answer = client::ask(leader.port(), &client::probe()).expect("it accepts");
    client::assert_ok(&answer);
    leader.process.wait_for_event("recovered");
    failing.replaced_and_back();
}

/// Silent after having answered is as good as gone, even though the system goes on accepting.
#[test]
fn leader_stands_still() {
    at_once(
        [our_leader_stands_still as fn(), their_leader_stands_still],
        |test| test(),
    );
}

fn our_leader_stands_still() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    let leader = party.node(300, &[]).joined();
    let others = [party.peer(100, &[]), party.peer(200, &[])];
    party.agree(&[&leader, &others[0], &others[1]], 300);
    for other in &others {
        other.process.wait_for("its PROBE was answered", |line| {
            line["event"] == "answered" && line["to"] == "PROBE"
        });
    }
    leader.process.freeze();
    party.agree(&others.each_ref(), 200);
    leader.process.thaw();
    party.agree(&[&leader, &others[0], &others[1]], 300);
    leader.assert_answers();
}

/// Here it is our node that notices.
fn their_leader_stands_still() {
    let party = Party::theirs(&[]);
    let leader = party.peer(300, &[]).joined();
    let node = party.node(200, &[]);
    let other = party.peer(100, &["--no-send-probe"]);
    party.agree(&[&leader, &node, &other], 300);
    // The second one shows that the answer to the first has arrived.
    party
        .processes
        .wait_until("two PROBEs were received", LIMIT, || {
            let said = leader.process.said();
            let probes = said.iter().filter(|line| line["name"] == "PROBE");
            probes.count() >= 2
        });
    leader.process.freeze();
    let lost = node.process.wait_for_event("leader_lost");
    assert_eq!(lost["how"], "silent");
    party.agree(&[&node, &other], 200);
    leader.process.thaw();
    party.agree(&[&leader, &node, &other], 300);
}
