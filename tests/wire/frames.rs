//! Frames against the page that describes them and a writer in Python made from that page.

use bully::wire::{
    ACCEPTED_FROM, Decoder, Encoder, FRAME_SHORT_MAX, Frame, Hello, Ready, Received, VERSION,
    frame_max, message_max,
};
use bully::{
    Addr, Exchange, Full, Gone, Incoming, Member, Origin, Pid, Refusal, Reply, Request, Roster,
};
use bully_tests::python::{hex, script, unhex};
use bully_tests::random::Random;

const HERE: u64 = 0x7f00_0001 << 16;
const PAGE: &str = include_str!("../../core/src/wire.md");

const fn member(days: u32, id: u32, addr: u64) -> Member {
    Member {
        pid: Pid { days, id },
        addr: Addr(addr),
    }
}

/// The list of the page: two of the same days, and one on another machine.
const LIST: [Member; 3] = [
    member(119, 7_654_321, HERE | 40_002),
    member(120, 1_234_567, HERE | 40_001),
    member(120, 1_234_569, (0x0a00_0001 << 16) | 40_001),
];

fn list(length: usize) -> Roster<'static> {
    Roster::new(&LIST[..length])
        .expect("it ascends")
        .with_revision(1)
}

/// The second of the list, as who sent it.
fn large(large: bool) -> Option<Origin> {
    let pid = LIST[1].pid;
    Some(Origin {
        pid,
        large,
        leads: false,
    })
}

/// The frames of the page by their names there, with their fields after session and sequence.
fn golden() -> Vec<(&'static str, Frame<'static>, String)> {
    let (ours, theirs) = (Exchange(3), Exchange(ACCEPTED_FROM + 1));
    let to = Addr(HERE | 40_002);
    let reported = |incoming| Frame::Input(theirs, incoming);
    let hello = Hello {
        version: VERSION,
        instance: 0x0102_0304,
        addr: Addr(HERE | 40_001),
        directory: Addr(HERE | 23_600),
    };
    let ready = Ready {
        version: VERSION,
        members_max: 32,
        exchanges_max: 12,
        listening: true,
    };
    let fields = |text: &str| {
        text.replace("HERE:40001", "139637976833089")
            .replace("HERE:40002", "139637976833090")
            .replace("HERE:23600", "139637976816688")
            .replace("FIRST", "u8 7 u8 0")
            .replace("SECOND", "u8 7 u8 1")
            .replace("OPEN", "u8 6 u16 3 u64 139637976833090")
            .replace("REPLY", "u8 7 u16 32769")
            .replace("INPUT", "u8 9 u16 32769")
    };
    [
        (
            "HELLO",
            Frame::Hello(hello),
            "FIRST u8 0 u8 3 u32 16909060 u64 HERE:40001 u64 HERE:23600",
        ),
        (
            "READY",
            Frame::Ready(ready),
            "FIRST u8 1 u8 3 u16 32 u16 12 u8 1",
        ),
        ("RECORD", Frame::Record, "FIRST u8 11"),
        (
            "RECORDED, more follows",
            Frame::Recorded(300, &[0x42, 0x59, 0x52]),
            "FIRST u8 12 u32 300 u8 3 u8 66 u8 89 u8 82",
        ),
        ("LOST", Frame::Lost, "FIRST u8 2"),
        ("PING", Frame::Ping, "FIRST u8 3"),
        ("PONG", Frame::Pong, "FIRST u8 4"),
        ("LISTENING, no", Frame::Listening(false), "FIRST u8 5 u8 0"),
        (
            "OPEN, JOIN",
            Frame::Open(ours, to, Request::Join(LIST[1])),
            "FIRST OPEN u8 0 u32 120 u32 1234567 u64 HERE:40001",
        ),
        (
            "OPEN, ELECTION",
            Frame::Open(ours, to, Request::Election(list(3))),
            "SECOND OPEN u8 1 u16 3 u8 0",
        ),
        (
            "OPEN, COORDINATOR",
            Frame::Open(
                ours,
                to,
                Request::Coordinator(list(3).with_origin(large(true))),
            ),
            "SECOND OPEN u8 2 u16 3 u8 2 u32 120 u32 1234567",
        ),
        (
            "OPEN, PROBE",
            Frame::Open(ours, to, Request::Probe(list(0))),
            "FIRST OPEN u8 3 u16 0 u8 0",
        ),
        (
            "REPLY, OK",
            Frame::Reply(theirs, Reply::Ok(list(3))),
            "SECOND REPLY u8 0 u16 3 u8 0",
        ),
        (
            "REPLY, members",
            Frame::Reply(theirs, Reply::Members(list(3))),
            "SECOND REPLY u8 1 u16 3 u8 0",
        ),
        (
            "REPLY, refused: port",
            Frame::Reply(theirs, Reply::Refused(Refusal::Port)),
            "FIRST REPLY u8 2 u8 4",
        ),
        ("CLOSE", Frame::Close(theirs), "FIRST u8 8 u16 32769"),
        (
            "INPUT, accepted",
            reported(Incoming::Accepted),
            "FIRST INPUT u8 0",
        ),
        ("INPUT, sent", reported(Incoming::Sent), "FIRST INPUT u8 1"),
        (
            "INPUT, ELECTION",
            reported(Incoming::Request(Request::Election(list(3)))),
            "SECOND INPUT u8 2 u8 1 u16 3 u8 0",
        ),
        (
            "INPUT, unfit: unexpected",
            reported(Incoming::Unfit(Refusal::Unexpected)),
            "FIRST INPUT u8 2 u8 4 u8 1",
        ),
        (
            "INPUT, OK",
            reported(Incoming::Reply(Reply::Ok(
                list(0).with_origin(large(false)),
            ))),
            "FIRST INPUT u8 3 u8 0 u16 0 u8 1 u32 120 u32 1234567",
        ),
        ("INPUT, done", reported(Incoming::Done), "FIRST INPUT u8 4"),
        (
            "INPUT, gone: malformed",
            reported(Incoming::Gone(Gone::Malformed)),
            "FIRST INPUT u8 5 u8 2",
        ),
    ]
    .map(|(name, frame, text)| (name, frame, fields(text)))
    .into()
}

/// The fields of a list's frame, by the page.
fn list_fields(members: &[Member]) -> String {
    let mut fields = format!("u8 7 u8 0 u8 10 u16 {}", members.len());
    let mut last = member(0, 0, 0);
    for member in members {
        fields += &format!(
            " u32 {} i32 {} i64 {}",
            member.pid.days.wrapping_sub(last.pid.days),
            member.pid.id.wrapping_sub(last.pid.id) as i32,
            member.addr.0.wrapping_sub(last.addr.0) as i64,
        );
        last = *member;
    }
    fields
}

/// What the page calls its literal frames.
fn page() -> Vec<(String, Vec<u8>)> {
    let literal = PAGE.split("# Bytes").nth(1).expect("it ends so");
    literal
        .lines()
        .filter_map(|line| {
            let (name, bytes) = line.split_once("  ")?;
            Some((name.to_owned(), unhex(&bytes.replace(' ', ""))))
        })
        .collect()
}

/// The bytes of `frame` as the first of session 7, after the list if it has one.
fn written(frame: &Frame<'_>) -> Vec<u8> {
    again(frame, 7)
}

/// All that a decoder makes of `bytes`, which follow HELLO in session 7.
fn read(bytes: &[u8], mut each: impl FnMut(Received, Option<Frame<'_>>)) {
    let (mut received, mut list) = (vec![0; 2_000], vec![member(0, 0, 0); 64]);
    let mut decoder = Decoder::new(&mut received, &mut list);
    decoder.begin(7);
    for byte in bytes {
        if let Some(received) = decoder.push(*byte) {
            each(received, decoder.frame());
        }
    }
}

#[test]
fn every_frame_is_written_as_the_page_has_it() {
    let page = page();
    let golden = golden();
    let names: Vec<_> = page.iter().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<_> = core::iter::once("LIST")
        .chain(golden.iter().map(|(name, ..)| *name))
        .collect();
    assert_eq!(names, expected, "the page has every frame");
    let (_, first) = &page[0];
    for ((name, literal), (_, frame, _)) in page[1..].iter().zip(&golden) {
        let written = written(frame);
        // Whatever carries a list comes second.
        let lists = written.strip_prefix(first.as_slice()).unwrap_or(&written);
        assert_eq!(hex(lists), hex(literal), "{name}");
    }
}

#[test]
fn the_page_s_bytes_are_what_python_makes_of_its_words() {
    let fields = golden().into_iter().map(|(_, _, fields)| fields);
    let input: Vec<_> = core::iter::once(list_fields(&LIST)).chain(fields).collect();
    let frames = script("frames.py", &[], &input.join("\n"));
    assert_eq!(frames.len(), page().len());
    for (frame, (name, literal)) in frames.iter().zip(page()) {
        assert_eq!(*frame, hex(&literal), "{name}");
    }
}

#[test]
fn every_frame_is_read_as_it_was_written() {
    for (name, frame, _) in golden() {
        let mut reported = Vec::new();
        let mut bytes = written(&frame);
        if name == "HELLO" {
            // It begins a session, so it is none of the one under way.
            bytes = again(&frame, 8);
        }
        read(&bytes, |received, frame| {
            reported.push((received, format!("{frame:?}")));
        });
        let expected = format!("{:?}", Some(frame)).replace("revision: Some(1)", "revision: None");
        assert_eq!(reported, [(Received::Frame, expected)], "{name}");
    }
}

/// `frame` as the first of another session.
fn again(frame: &Frame<'_>, session: u8) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.begin(session);
    let mut bytes = vec![0; 1_000];
    let length = encoder.encode(frame, &mut bytes).expect("there is room");
    bytes.truncate(length);
    bytes
}

#[test]
fn no_cut_or_changed_bit_makes_another_frame_of_one() {
    for (name, frame, _) in golden() {
        let bytes = written(&frame);
        for length in 0..bytes.len() - 1 {
            read(&bytes[..length], |received, frame| {
                let list = matches!(frame, Some(Frame::Input(..) | Frame::Open(..)));
                assert!(
                    !list || received == Received::Gap,
                    "{name}, cut at {length}: {frame:?}"
                );
            });
        }
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // The zero in front may go: nothing but noise would need it.
            let mut reported = 0;
            read(&changed, |received, received_frame| {
                if received == Received::Frame {
                    let as_it_was = format!("{received_frame:?}")
                        == format!("{:?}", Some(frame))
                            .replace("revision: Some(1)", "revision: None");
                    assert!(
                        as_it_was && bit < 8,
                        "{name}, bit {bit}: {received_frame:?}"
                    );
                }
                reported += 1;
            });
            assert!(reported <= 1);
        }
    }
}

/// Up to 64 members that have anything whatever in common.
fn random_list(random: &mut Random) -> Vec<Member> {
    let mut numbers = |some: &[u64]| match random.below(3) {
        0 => random.number(),
        1 => *random.pick(some) + random.below(300) as u64,
        _ => *random.pick(some),
    };
    let mut list: Vec<_> = (0..64)
        .map(|_| {
            let days = numbers(&[1, 119, 120, u64::from(u32::MAX)]) as u32;
            let id = numbers(&[0, 1_234_567, 9_999_999]) as u32;
            member(days, id, numbers(&[HERE, HERE | 40_000, 0, u64::MAX / 2]))
        })
        .collect();
    list.sort_unstable();
    list.dedup();
    let length = 1 + random.below(list.len());
    list.truncate(length);
    list
}

#[test]
fn any_list_is_written_as_python_writes_it_within_its_bound_and_read_again() {
    let mut random = Random(4);
    let lists: Vec<_> = (0..300).map(|_| random_list(&mut random)).collect();
    let input: Vec<_> = lists.iter().map(|list| list_fields(list)).collect();
    let expected = script("frames.py", &[], &input.join("\n"));
    for (list, expected) in lists.iter().zip(expected) {
        let roster = Roster::new(list).expect("it ascends").with_revision(5);
        let frame = Frame::Input(
            Exchange(ACCEPTED_FROM),
            Incoming::Reply(Reply::Members(roster)),
        );
        let mut encoder = Encoder::new();
        encoder.begin(7);
        let mut bytes = vec![0; message_max(list.len())];
        let length = encoder
            .encode(&frame, &mut bytes)
            .expect("that is the bound");
        bytes.truncate(length);
        assert!(hex(&bytes).starts_with(&expected));
        assert!(expected.len() / 2 <= frame_max(list.len()));
        assert!(length - expected.len() / 2 <= FRAME_SHORT_MAX);
        let mut received = None;
        read(&bytes, |_, frame| match frame {
            Some(Frame::Input(_, Incoming::Reply(Reply::Members(roster)))) => {
                received = Some(roster.members().to_vec());
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(received.as_ref(), Some(list));
    }
}

#[test]
fn the_bounds_are_reached_and_not_exceeded() {
    // Every difference as long as it can be.
    let far: Vec<_> = (0..40_u32)
        .map(|at| {
            let odd = u64::from(at % 2);
            member(
                at << 28 | at,
                (at % 2).wrapping_neg() / 2,
                odd.wrapping_neg() / 2,
            )
        })
        .take(8)
        .collect();
    let roster = Roster::new(&far).expect("it ascends").with_revision(1);
    let longest = Frame::Open(
        Exchange(ACCEPTED_FROM - 1),
        Addr(u64::MAX),
        Request::Join(member(u32::MAX, u32::MAX, u64::MAX)),
    );
    assert!(written(&longest).len() <= FRAME_SHORT_MAX);
    assert!(written(&longest).len() + 3 >= FRAME_SHORT_MAX);

    let frame = Frame::Reply(Exchange(40_000), Reply::Ok(roster));
    let length = written(&frame).len();
    assert!(length <= message_max(far.len()) && length + 60 > message_max(far.len()));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut encoder = Encoder::new();
    encoder.begin(7);
    let frame = Frame::Open(Exchange(3), Addr(HERE | 40_002), Request::Election(list(3)));
    let whole = written(&frame);
    for length in 0..whole.len() {
        assert_eq!(encoder.encode(&frame, &mut vec![0; length]), Err(Full));
    }
    let mut bytes = vec![0; whole.len()];
    assert_eq!(encoder.encode(&frame, &mut bytes), Ok(whole.len()));
    assert_eq!(bytes, whole);
    // An exchange whose number does not fit in 16 bits.
    let wide = Frame::Close(Exchange(1 << 16));
    assert_eq!(encoder.encode(&wide, &mut [0; 100]), Err(Full));
}

#[test]
fn a_list_goes_once_for_all_who_get_it_and_for_those_who_get_its_beginning() {
    let mut encoder = Encoder::new();
    encoder.begin(7);
    let mut bytes = [0; 1_000];
    let mut length = |encoder: &mut Encoder, roster| {
        let frame = Frame::Open(Exchange(1), Addr(1), Request::Coordinator(roster));
        encoder.encode(&frame, &mut bytes).expect("there is room")
    };
    let first = length(&mut encoder, list(3));
    let later = length(&mut encoder, list(3));
    assert!(later <= 16 && first > later + 3 * 7, "{first}, {later}");
    assert_eq!(length(&mut encoder, list(2)), later, "its beginning");
    let other = Roster::new(&LIST).expect("it ascends").with_revision(2);
    assert_eq!(length(&mut encoder, other), first, "another revision");
    encoder.begin(8);
    assert_eq!(length(&mut encoder, other), first, "another session");
}

#[test]
fn a_list_that_is_too_long_or_does_not_ascend_is_a_gap() {
    let frames = |fields: &str| unhex(&script("frames.py", &[], fields).concat());
    let descending = frames("u8 7 u8 0 u8 10 u16 2 u32 5 i32 5 i64 5 u32 0 i32 -1 i64 0");
    let trailing = frames("u8 7 u8 0 u8 10 u16 1 u32 5 i32 5 i64 5 u8 0");
    let missing = frames("u8 7 u8 0 u8 10 u16 2 u32 5 i32 5 i64 5");
    let unknown = frames("u8 7 u8 0 u8 99");
    let beyond = frames("u8 7 u8 0 u8 9 u16 32769 u8 2 u8 1 u16 1");
    let long = {
        let members: Vec<_> = (1..=65).map(|at| member(at, 1, 1)).collect();
        frames(&list_fields(&members))
    };
    for bytes in [descending, trailing, missing, unknown, beyond, long] {
        let mut reported = Vec::new();
        read(&bytes, |received, _| reported.push(received));
        assert_eq!(reported, [Received::Gap], "{}", hex(&bytes));
    }
}
