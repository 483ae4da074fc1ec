//! Peers that break off at any stage, segments in any order, many connections at once.

use bully::{Event, Member, Pid};
use bully_pickle::writer::{self, Forms};
use bully_pickle::{Buffer, Ipv4};
use smoltcp::wire::{TcpControl, TcpSeqNumber};

use crate::peer::{BREAKS, Break, End, MEMBER, PEER_PORT, PORT, PROBE, Pair, ip};

/// How often each way to break off is tried: more than there are sockets, so that one that is not given
/// back is missed.
const TIMES: usize = 20;

#[test]
fn a_peer_that_breaks_off_at_any_stage_of_its_message_leaves_nothing_behind() {
    let (first, second) = PROBE.split_at(9);
    for how in BREAKS {
        for stage in 0..5 {
            let mut pair = Pair::new(false);
            for _ in 0..TIMES {
                // Stage 0: after the SYN. 1: connected. 2: half a message. 3: a whole one. 4: answered.
                let mut end = pair.connect();
                if stage >= 1 {
                    pair.acknowledge(&end);
                }
                if stage >= 2 {
                    pair.say(&mut end, first);
                }
                if stage >= 3 {
                    pair.say(&mut end, second);
                }
                if stage >= 4 {
                    assert!(
                        !pair.receive_all(&mut end).is_empty(),
                        "{how:?} at stage {stage}"
                    );
                }
                pair.break_off(&mut end, how);
                pair.run(20);
            }
            println!("{how:?} at stage {stage}: {TIMES} times");
            pair.has_recovered();
        }
    }
}

#[test]
fn a_message_whose_segments_come_in_any_order_and_twice_is_answered_once() {
    let pieces = [&PROBE[..5], &PROBE[5..12], &PROBE[12..]];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let mut pair = Pair::new(false);
        let mut end = pair.connect();
        pair.acknowledge(&end);
        let begin = end.sequence;
        for copy in 0..2 {
            for at in order {
                let offset: usize = pieces[..at].iter().map(|piece| piece.len()).sum();
                let at_piece = End {
                    sequence: begin + offset,
                    ..end
                };
                pair.send(&at_piece, TcpControl::Psh, true, pieces[at]);
                if copy == 1 {
                    pair.acknowledge(&at_piece);
                }
            }
        }
        end.sequence = begin + PROBE.len();
        let received = pair.receive_all(&mut end);
        let count = received.windows(2).filter(|two| *two == b"OK").count();
        assert_eq!(count, 1, "{order:?}: {received:?}");
        pair.break_off(&mut end, Break::End);
        pair.has_recovered();
    }
}

#[test]
fn a_coordinator_that_breaks_off_at_any_stage_is_asked_again_and_then_joined() {
    let mut answer = [0; 1_024];
    let mut out = Buffer::new(&mut answer);
    let members = [Member {
        pid: Pid {
            days: 100,
            id: 1_000_001,
        },
        addr: Ipv4::addr(ip(MEMBER), PORT).expect("a port above 0"),
    }];
    let roster = bully::Roster::new(&members).expect("ascending");
    let reply = bully::Reply::Members(roster);
    writer::reply(&mut out, &reply, &Forms::default(), &Ipv4, None);
    let len = out.end().expect("it fits");
    let answer = &answer[..len];
    for how in BREAKS {
        // Stage 0: instead of an answer to the SYN. 1: connected. 2: the message is there. 3: half of the
        // answer. 4: all of it.
        for stage in 0..5 {
            let mut pair = Pair::new(true);
            let mut broken = 0;
            let has_joined = |pair: &Pair| {
                let joined = |event: &Event| matches!(event, Event::Joined { .. });
                pair.events.iter().any(joined)
            };
            let mut open: Option<End> = None;
            for _ in 0..120_000 {
                if has_joined(&pair) {
                    break;
                }
                for segment in pair.run(1) {
                    if segment.to != PEER_PORT {
                        continue;
                    }
                    if segment.control == TcpControl::Syn {
                        let mut end = End {
                            port: PEER_PORT,
                            to: segment.from,
                            sequence: TcpSeqNumber(9_000_000),
                            expects: segment.sequence + 1,
                        };
                        if broken < 2 && stage == 0 {
                            broken += 1;
                            end.sequence = TcpSeqNumber(0);
                            if how != Break::Vanish {
                                pair.send(&end, TcpControl::Rst, true, &[]);
                            }
                            continue;
                        }
                        pair.send(&end, TcpControl::Syn, true, &[]);
                        end.sequence += 1;
                        if broken < 2 && stage == 1 {
                            broken += 1;
                            pair.break_off(&mut end, how);
                            continue;
                        }
                        open = Some(end);
                    } else if !segment.payload.is_empty()
                        && let Some(end) = &mut open
                        && end.to == segment.from
                        && end.expects == segment.sequence
                    {
                        end.expects += segment.payload.len();
                        let mut end = *end;
                        let breaks = broken < 2 && stage >= 2;
                        match (breaks, stage) {
                            (true, 2) => {}
                            (true, 3) => pair.say(&mut end, &answer[..len / 2]),
                            _ => pair.say(&mut end, answer),
                        }
                        if breaks {
                            broken += 1;
                            pair.break_off(&mut end, how);
                        }
                        open = None;
                    }
                }
            }
            assert!(
                has_joined(&pair),
                "{how:?} at stage {stage}: {:?}",
                pair.events
            );
            println!(
                "{how:?} at stage {stage}: joined, {} events",
                pair.events.len()
            );
        }
    }
}

#[test]
fn a_hundred_connections_at_once_are_all_answered_and_none_is_refused() {
    let mut pair = Pair::new(false);
    pair.run(1_000);
    let mut ends: Vec<(End, bool, bool)> = (0..100)
        .map(|n| {
            let end = End {
                port: 31_000 + n,
                to: PORT,
                sequence: TcpSeqNumber(5_000_000 + i32::from(n)),
                expects: TcpSeqNumber(0),
            };
            (end, false, false)
        })
        .collect();
    for millis in 0..12_000 {
        if ends.iter().all(|(_, _, answered)| *answered) {
            println!("all answered after {millis} ms");
            return;
        }
        // As Linux does it, once a second.
        if millis % 1_000 == 0 {
            for (end, _, _) in ends.iter().filter(|(_, connected, _)| !connected) {
                pair.send(end, TcpControl::Syn, false, &[]);
            }
        }
        for segment in pair.run(1) {
            let (end, connected, answered) = &mut ends[usize::from(segment.to - 31_000)];
            let is_reset = segment.control == TcpControl::Rst;
            assert!(*answered || !is_reset, "{end:?} was reset unanswered");
            if segment.control == TcpControl::Syn && !*connected {
                *connected = true;
                end.sequence += 1;
                end.expects = segment.sequence + 1;
                pair.acknowledge(end);
                pair.say(end, PROBE);
            } else if segment.payload.windows(2).any(|two| two == b"OK") && !*answered {
                *answered = true;
                end.expects += segment.payload.len();
                pair.acknowledge(end);
                pair.break_off(end, Break::End);
            }
        }
    }
    let left = ends.iter().filter(|(_, _, answered)| !answered).count();
    panic!("{left} of 100 were not answered within 12 s");
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let mut pair = Pair::new(false);
    for _ in 0..TIMES {
        let end = pair.connect();
        pair.acknowledge(&end);
    }
    pair.is_served();
}
