//! Whatever bytes a chip can send: the gateway lives, stays small, and keeps to the laws of its
//! network.

use bully::wire::{ACCEPTED_FROM, Frame, Ready, VERSION};
use bully::{Addr, Exchange, Incoming, Origin, Pid, Refusal, Reply, Request, Roster};
use bully_host::gateway::{EXCHANGES_MAX, GatewayEvent, Lost};
use bully_tests::group::Dice;
use bully_tests::owned::{Answer, Input, Message};
use bully_tests::people::{member, members};

use crate::attack::{Attack, PLACES};

#[test]
fn noise_is_counted_and_nothing_comes_of_it() {
    let mut attack = Attack::new();
    attack.ready();
    attack.events.clear();
    let mut dice = Dice::new(1);
    for _ in 0..2_000 {
        let length = dice.below(700);
        let noise = (0..length).map(|_| dice.any() as u8);
        attack.line.to_gateway.extend(noise);
        attack.wait(20);
    }
    assert_eq!(attack.net.inner().opened, 0);
    assert!(attack.bridge.counts().corrupt > 1_000);
    assert_eq!(
        attack.lost(),
        Some(Lost::Silent),
        "noise is no sign of life"
    );
    assert!(!attack.net.is_listening());
    // It is served as soon as it speaks.
    attack.ready();
    attack.probe(1);
    attack.wait(1);
    assert_eq!(attack.net.inner().opened, 1);
}

/// No zero in a megabyte: the longest frame there can be, and then some.
#[test]
fn a_frame_without_an_end_takes_no_memory() {
    let mut attack = Attack::new();
    attack.ready();
    for _ in 0..1_024 {
        attack.line.to_gateway.extend([0xff; 1_024]);
        attack.poll();
    }
    let before = attack.bridge.counts();
    attack.line.to_gateway.push(0);
    attack.probe(1);
    attack.wait(1);
    assert_eq!(attack.bridge.counts().corrupt, before.corrupt + 1);
    assert_eq!(attack.net.inner().opened, 1, "the next frame is read");
}

/// Frames that no chip may say end the session, and do nothing else.
#[test]
fn what_no_chip_may_say_ends_the_session() {
    let probe = Request::Probe(Roster::EMPTY);
    let list = members(1..=9);
    let list = Roster::new(&list).expect("it ascends").with_revision(1);
    let illegal: &[&[Frame<'_>]] = &[
        &[Frame::Ping],
        &[Frame::Input(Exchange(1), Incoming::Sent)],
        &[Frame::Ready(Ready {
            version: VERSION,
            members_max: 1,
            exchanges_max: 1,
            listening: true,
        })],
        // Numbers that are the gateway's, not known, or taken.
        &[Frame::Open(Exchange(ACCEPTED_FROM), Addr(5), probe)],
        &[Frame::Close(Exchange(3))],
        &[Frame::Close(Exchange(ACCEPTED_FROM + 3))],
        &[Frame::Reply(Exchange(ACCEPTED_FROM), Reply::Ok(list))],
        &[
            Frame::Open(Exchange(1), Addr(5), probe),
            Frame::Open(Exchange(1), Addr(6), probe),
        ],
        // What members never send.
        &[Frame::Reply(Exchange(1), Reply::Refused(Refusal::Full))],
        &[Frame::Reply(Exchange(1), Reply::Members(list))],
    ];
    for frames in illegal {
        let mut attack = Attack::new();
        attack.ready();
        for frame in *frames {
            attack.say(frame);
        }
        attack.wait(1);
        assert_eq!(attack.lost(), Some(Lost::Nonsense), "{frames:?}");
        assert!(attack.net.is_listening(), "it may well be alive");
        assert!(attack.net.inner().opened < 2);
        attack.ready();
        attack.probe(1);
        attack.wait(1);
        assert_eq!(
            attack.events.last(),
            Some(&GatewayEvent::ChipReady {
                members: 16,
                exchanges: PLACES,
            })
        );
    }
}

/// A chip that opens more than it has said it can.
#[test]
fn opens_by_the_thousand_are_bounded_by_what_ready_said() {
    let mut attack = Attack::new();
    attack.ready();
    for number in 0..5_000 {
        attack.probe(number);
    }
    attack.wait(1);
    assert_eq!(attack.lost(), Some(Lost::Nonsense));
    assert_eq!(attack.net.inner().opened, usize::from(PLACES));
    attack.wait(1_500);
    assert_eq!(attack.net.open_exchanges(), 0);
}

/// A chip that says it has room for everything, and takes it: no more than the gateway's own share
/// of its network is open, and each exchange more than that breaks off.
#[test]
fn a_chip_with_many_places_gets_the_gateways_share() {
    for full in [false, true] {
        gets_the_share(full);
    }
}

/// The network may have no room until all has been asked for.
fn gets_the_share(full: bool) {
    let mut attack = Attack::new();
    attack.ready_as(VERSION, u16::MAX);
    attack.net.inner_mut().full = full;
    for number in 0..1_000 {
        attack.probe(number);
        attack.poll();
    }
    attack.net.inner_mut().full = false;
    attack.wait(100);
    assert_eq!(attack.lost(), None);
    let opened = attack.net.inner().opened;
    assert!(opened > 64 && opened < EXCHANGES_MAX, "{opened}");
    let said = attack.said();
    let gone = |frame: &&String| frame.contains("Gone(Reset)");
    assert_eq!(said.iter().filter(gone).count(), 1_000 - opened);
    for number in 0..1_000 {
        attack.say(&Frame::Close(Exchange(number)));
    }
    attack.wait(1);
    assert_eq!((attack.lost(), attack.bridge.exchanges()), (None, 0));
}

/// Sessions without end, each with exchanges: what is left of them is bounded too.
#[test]
fn sessions_by_the_hundred_leave_nothing_behind() {
    let mut attack = Attack::new();
    for _ in 0..300 {
        attack.ready();
        for number in 0..PLACES.into() {
            attack.probe(number);
        }
        attack.poll();
        attack.say(&Frame::Ping);
        attack.wait(60);
        assert_eq!(attack.lost(), Some(Lost::Nonsense));
    }
    assert!(attack.net.inner().most <= EXCHANGES_MAX);
    attack.wait(1_500);
    assert_eq!(attack.bridge.exchanges(), 0);
    assert_eq!(attack.net.open_exchanges(), 0);
}

/// A chip that takes no bytes is silent, whatever the network has for it.
#[test]
fn a_line_that_takes_nothing_bounds_what_waits() {
    let mut attack = Attack::new();
    attack.ready();
    attack.line.stuck = true;
    let list = members(1..=1_000);
    for _ in 0..200 {
        let election = Message::Election(list.clone());
        let input = Input::Request(election);
        if attack.net.open_exchanges() < EXCHANGES_MAX {
            attack.net.inner_mut().connect(Some(input));
        }
        attack.wait(5);
    }
    attack.wait(2_000);
    assert_eq!(attack.lost(), Some(Lost::Silent));
    assert!(!attack.net.is_listening());
    attack.wait(8_000);
    assert_eq!(
        attack.net.open_exchanges(),
        0,
        "nobody is kept waiting for long"
    );
}

/// Those who connect and say nothing are none of the chip's business: its places stay free.
#[test]
fn idle_connections_take_no_place_of_the_chip() {
    let mut attack = Attack::new();
    attack.ready();
    for _ in 0..150 {
        attack.net.inner_mut().connect(None);
        attack.wait(1);
    }
    assert!(attack.said().is_empty());
    let request = Input::Request(Message::Probe);
    let asked = attack.net.inner_mut().connect(Some(request));
    attack.wait(1);
    let accepted = Exchange(ACCEPTED_FROM + 1);
    assert_eq!(attack.said().len(), 2, "accepted, and the request");
    attack.say(&Frame::Reply(accepted, Reply::Ok(Roster::EMPTY)));
    attack.wait(1);
    assert_eq!(attack.net.inner().replies, [asked]);
    attack.wait(8_000);
    assert_eq!(attack.net.open_exchanges(), 0, "the idle ones are let go");
}

/// What is unanswered when a session ends is reported anew in the next, and answered once.
#[test]
fn a_request_outlives_the_session() {
    let mut attack = Attack::new();
    attack.ready();
    let election = Message::Election(members([2, 3]));
    let asked = attack
        .net
        .inner_mut()
        .connect(Some(Input::Request(election)));
    attack.wait(1);
    let before = attack.said();
    attack.say(&Frame::Ping);
    attack.wait(60);
    attack.ready();
    attack.wait(1);
    assert_eq!(attack.net.inner().replies, []);
    let accepted = Exchange(ACCEPTED_FROM + 2);
    attack.say(&Frame::Reply(accepted, Reply::Ok(Roster::EMPTY)));
    attack.wait(1);
    assert_eq!(attack.net.inner().replies, [asked]);
    assert_eq!(before.len(), 2);
}

#[test]
fn who_sent_a_message_passes_both_ways() {
    let origin = |days, large| {
        let pid = Pid { days, id: 1 };
        Some(Origin {
            pid,
            large,
            leads: !large,
        })
    };
    let mut attack = Attack::new();
    attack.ready();
    attack.said();
    for (number, theirs, ours) in [
        (1, origin(7, false), origin(9, true)),
        (2, origin(8, true), origin(9, false)),
        (3, None, None),
    ] {
        let net = attack.net.inner_mut();
        net.origin = theirs;
        net.sent.clear();
        let asked = match number {
            1 => Message::Probe,
            _ => Message::Election(members([2, 3])),
        };
        net.connect(Some(Input::Request(asked)));
        attack.wait(1);
        let frame = attack.said().pop().expect("the chip gets it");
        assert!(frame.contains(&format!("origin: {theirs:?}")), "{frame}");
        let group = members([2, 3]);
        // With a list, and without one as a chip short of capacity answers.
        for list in [Roster::new(&group).expect("ascending"), Roster::EMPTY] {
            let probe = Request::Probe(list.with_origin(ours));
            let exchange = Exchange(10 * number + list.len() as u32);
            attack.say(&Frame::Open(exchange, member(2).addr, probe));
        }
        let reply = Reply::Ok(Roster::EMPTY.with_origin(ours));
        attack.say(&Frame::Reply(Exchange(ACCEPTED_FROM + number), reply));
        attack.wait(1);
        assert_eq!(attack.net.inner().sent, [ours; 3]);
        attack.said();
        let opened = *attack.net.inner().open.last_key_value().expect("open").0;
        let answer = Input::Reply(Answer::Ok);
        attack.net.inner_mut().input.push((opened, answer));
        attack.wait(1);
        let frame = attack.said().pop().expect("the chip gets it");
        assert!(frame.contains(&format!("origin: {theirs:?}")), "{frame}");
        attack.say(&Frame::Close(Exchange(10 * number)));
        attack.say(&Frame::Close(Exchange(10 * number + 2)));
        attack.say(&Frame::Close(Exchange(ACCEPTED_FROM + number)));
        attack.wait(1);
    }
    assert_eq!(attack.lost(), None);
}

/// A network without room is asked again, and the chip does not get that its peer is gone.
#[test]
fn want_of_room_is_waited_out() {
    let mut attack = Attack::new();
    attack.ready();
    attack.said();
    attack.net.inner_mut().full = true;
    attack.probe(1);
    attack.wait(200);
    assert_eq!(attack.net.inner().opened, 0);
    assert!(!attack.said().iter().any(|frame| frame.contains("Gone")));
    attack.net.inner_mut().full = false;
    attack.wait(60);
    assert_eq!(attack.net.inner().opened, 1);
}

/// Lists that are too long for the chip are cut, and that is reported once for each growth.
#[test]
fn long_lists_are_cut_to_the_sender_and_the_greatest() {
    let mut attack = Attack::new();
    attack.ready();
    attack.said();
    let cases = [(16, None), (40, Some(24)), (30, None), (50, Some(34))];
    for (number, (size, left_out)) in (ACCEPTED_FROM + 1..).zip(cases) {
        let election = Message::Election(members(1..=size));
        attack
            .net
            .inner_mut()
            .connect(Some(Input::Request(election)));
        attack.events.clear();
        attack.wait(1);
        let cut = left_out.map(|left_out| GatewayEvent::ListCut { left_out });
        assert_eq!(attack.events, Vec::from_iter(cut));
        let said = attack.said();
        let frame = said.last().expect("the chip gets it");
        let days = |days: u32| frame.contains(&format!("days: {days},"));
        assert!(frame.contains("Election"), "{frame}");
        assert_eq!(frame.matches("Member {").count(), 16);
        // The greatest that fit, and the least, who is the sender.
        assert!(days(1) && days(size) && days(size - 14));
        assert!(size == 16 || !days(2) && !days(size - 15));
        attack.say(&Frame::Close(Exchange(number)));
    }
    attack.wait(1);
    assert_eq!(attack.lost(), None);
}

/// Another version is reported once, and not served.
#[test]
fn another_version_is_reported_and_not_served() {
    let mut attack = Attack::new();
    for _ in 0..5 {
        attack.ready_as(VERSION + 1, PLACES);
        attack.probe(1);
        attack.wait(100);
    }
    let theirs = VERSION + 1;
    assert_eq!(attack.events, [GatewayEvent::OtherVersion { theirs }]);
    assert_eq!(attack.net.inner().opened, 0);
    assert!(!attack.net.is_listening());
}

/// A line that brings back what is written to it.
#[test]
fn an_echo_is_reported_once() {
    let mut attack = Attack::new();
    for _ in 0..100 {
        let echo = core::mem::take(&mut attack.line.from_gateway);
        attack.line.to_gateway.extend(echo);
        attack.wait(50);
    }
    assert_eq!(attack.events, [GatewayEvent::ChipLost { why: Lost::Echo }]);
}
