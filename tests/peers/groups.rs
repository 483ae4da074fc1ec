//! Who leads: our node as the greatest, the middle and the least of a group; leaders killed, and
//! started again.

use bully_tests::process::free_port;

use crate::party::{Member, Party, at_once};

/// Both coordinators, each with its own way to key members.
fn parties() -> [Party; 2] {
    [Party::theirs(&[]), Party::ours(&[])]
}

fn refs(members: &[Member]) -> Vec<&Member> {
    members.iter().collect()
}

/// Whoever leads is killed, until nobody but one is left.
fn kill_down(party: &Party, mut members: Vec<Member>) {
    members.sort_by_key(|member| member.days);
    while let Some(leader) = members.pop() {
        party.agree(&refs(&members), leader.days);
        party.agree(&[&leader], leader.days);
        leader.process.kill();
        for member in &members {
            assert!(member.rejected().is_empty(), "{:?}", member.rejected());
        }
    }
}

#[test]
fn node_is_the_greatest_the_middle_and_the_least() {
    let places = [300, 200, 100];
    let cases = places
        .into_iter()
        .flat_map(|place| parties().map(|party| (party, place)));
    at_once(cases, |(party, place)| {
        let members = places.map(|days| {
            let start = if days == place {
                Party::node
            } else {
                Party::peer
            };
            let member = start(&party, days, &[]);
            if days == 300 { member.joined() } else { member }
        });
        kill_down(&party, members.into());
    });
}

/// The coordinator has them on record, and so have the others, when they come.
#[test]
fn members_come_one_after_the_other() {
    at_once(parties(), |party| {
        let first = party.peer(200, &[]);
        party.agree(&[&first], 200);
        let second = party.node(300, &[]);
        party.agree(&[&first, &second], 300);
        let third = party.node(100, &[]);
        party.agree(&[&first, &second, &third], 300);
        let fourth = party.peer(250, &[]);
        party.agree(&[&first, &second, &third, &fourth], 300);
        let fifth = party.peer(350, &[]);
        party.agree(&[&first, &second, &third, &fourth, &fifth], 350);
    });
}

/// Our node is killed and comes back: where it was, and somewhere else.
#[test]
fn node_is_started_again() {
    let party = Party::theirs(&[]);
    let bind = format!("127.0.0.1:{}", free_port());
    let node = party.node(300, &["--bind", &bind]).joined();
    let others = [
        party.peer(100, &[]),
        party.peer(200, &[]),
        party.node(150, &[]),
    ];
    party.agree(&refs(&others), 300);

    node.process.kill();
    party.agree(&refs(&others), 200);
    let node = party.node(300, &["--bind", &bind]);
    assert_eq!(bind, format!("127.0.0.1:{}", node.port()));
    party.agree(&[&refs(&others)[..], &[&node]].concat(), 300);

    node.process.kill();
    party.agree(&refs(&others), 200);
    let node = party.node(300, &[]);
    assert_ne!(bind, format!("127.0.0.1:{}", node.port()));
    party.agree(&[&refs(&others)[..], &[&node]].concat(), 300);
    node.assert_answers();
}

/// Peers are killed and come back on another port: one that follows, and one that leads.
#[test]
fn peers_move() {
    let party = Party::ours(&["--keyed-by", "pid"]);
    let leader = party.peer(300, &[]).joined();
    let node = party.node(200, &[]);
    let least = party.node(50, &[]);
    let lesser = party.peer(100, &[]);
    party.agree(&[&node, &least, &lesser, &leader], 300);

    lesser.process.kill();
    let lesser = party.peer(100, &[]);
    party.agree(&[&node, &least, &lesser, &leader], 300);

    leader.process.kill();
    party.agree(&[&node, &least, &lesser], 200);
    let leader = party.peer(300, &[]);
    party.agree(&[&node, &least, &lesser, &leader], 300);

    // At once, so that nobody has noticed when it is back where nobody knows it.
    leader.process.kill();
    let leader = party.peer(300, &[]);
    party.agree(&[&node, &least, &lesser, &leader], 300);
    leader.process.kill();
    party.agree(&[&node, &least, &lesser], 200);
}
