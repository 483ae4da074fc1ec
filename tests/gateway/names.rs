//! Hosts that the chip holds addresses of keep their meaning, and those it has forgotten make room.

use bully::wire::{ACCEPTED_FROM, Frame};
use bully::{Addr, Exchange, Member, Request, Roster};
use bully_host::names::{HOSTS_MAX, Names};
use bully_tests::owned::{Input, Message};
use bully_tests::people::pid;

use crate::attack::Attack;

/// The member with that many days, at a host of its own.
fn at_host(names: &mut Names, days: u32) -> Option<Member> {
    let addr = names.addr(&format!("host-{days}"), 40_000)?;
    Some(Member {
        pid: pid(days),
        addr,
    })
}

/// Somebody sends `list` to the chip, for the `nth` time, and the chip is done with it.
fn send_list(attack: &mut Attack, nth: u32, list: &[Member]) {
    let election = Message::Election(list.to_vec());
    let net = attack.net.inner_mut();
    net.connect(Some(Input::Request(election)));
    attack.wait(1);
    attack.say(&Frame::Close(Exchange(ACCEPTED_FROM + nth)));
    attack.wait(1);
}

/// The chip shows its table.
fn show(attack: &mut Attack, number: u32, table: &[Member]) {
    let table = Roster::new(table).expect("it ascends").with_revision(1);
    attack.say(&Frame::Open(
        Exchange(number),
        Addr(1),
        Request::Probe(table),
    ));
    attack.say(&Frame::Close(Exchange(number)));
    attack.wait(1);
}

#[test]
fn a_slot_is_free_when_the_chip_has_forgotten_its_host_and_not_before() {
    let mut attack = Attack::new();
    attack.ready();
    let mut names = Names::new();
    let own = names.addr("localhost", 1).expect("there is room");
    assert!(names.know("localhost", [127, 0, 0, 1].into()));
    let held: Vec<Member> = (1..=5)
        .filter_map(|days| at_host(&mut names, days))
        .collect();
    send_list(&mut attack, 1, &held);

    // Hosts that the chip never gets are swept as soon as the table is half full.
    for number in 0..1_000 {
        let addr = names.addr(&format!("unknown-{number}"), 1);
        assert!(addr.is_some(), "no capacity for host {number}");
        attack.bridge.sweep(&mut names);
        assert!(names.hosts() <= HOSTS_MAX / 2 + 1);
    }
    for member in &held {
        assert_eq!(names.host(member.addr), format!("host-{}", member.pid.days));
    }
    assert_eq!(names.host(own), "localhost");

    // A table of before the PONG proves nothing: it may be older than what was sent.
    let [first, rest @ ..] = held.as_slice() else {
        panic!("five were sent");
    };
    let fill = |names: &mut Names| {
        for number in 0..HOSTS_MAX / 2 + 1 {
            names.addr(&format!("filler-{number}"), 1);
        }
    };
    fill(&mut names);
    attack.bridge.sweep(&mut names);
    attack.wait(1);
    assert!(attack.said().contains(&"Ping".to_owned()), "it asks");
    show(&mut attack, 1, rest);
    fill(&mut names);
    attack.bridge.sweep(&mut names);
    assert_eq!(names.host(first.addr), "host-1");

    // What was sent before the PING has been taken in; what was sent since may yet come up.
    let newer = at_host(&mut names, 77).expect("there is room");
    send_list(&mut attack, 2, &[newer]);
    attack.say(&Frame::Pong);
    show(&mut attack, 2, rest);
    fill(&mut names);
    attack.bridge.sweep(&mut names);
    assert_eq!(names.host(first.addr), "?", "it is in no table any more");
    for member in rest.iter().chain([&newer]) {
        assert_eq!(names.host(member.addr), format!("host-{}", member.pid.days));
    }
}
