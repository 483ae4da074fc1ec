use bully::{Member, Refusal, Roster};
use bully_host::names::{HOSTS_MAX, Names, port};
use bully_host::pickle::message::{self, Answer, Due, Keyed, Listed, Received};
use bully_host::pickle::{Limits, Reader};

use super::reading::read;

/// What a whole message is read as, and its members.
fn parsed(bytes: &[u8], names: &mut Names) -> (Received, Vec<Member>) {
    let reader = read(&[bytes]).expect("whole");
    let mut members = Vec::new();
    (message::request(&reader, names, &mut members), members)
}

fn election(items: &[u8]) -> Vec<u8> {
    [b"\x8c\x08ELECTION}(", items, b"u\x86."].concat()
}

#[test]
fn the_last_of_a_key_s_values_counts_even_if_it_is_unusable() {
    let items = b"K\x01K\x01\x86\x8c\x01hK\x01\x86\
        K\x02K\x02\x86\x8c\x01hK\x02\x86\
        K\x01K\x01\x86\x8c\x01hK\x09\x86\
        K\x02K\x02\x86N";
    let (parsed, members) = parsed(&election(items), &mut Names::new());
    let listed = Listed {
        keyed: Some(Keyed::Pid),
        left_out: 1,
    };
    assert_eq!(parsed, Received::Election(listed));
    let ports: Vec<_> = members.iter().map(|member| port(member.addr)).collect();
    assert_eq!(ports, [9]);
}

#[test]
fn two_dicts_of_one_message_do_not_mix() {
    // The first stays on the stack, below the message.
    let bytes = b"}K\x01K\x01\x86\x8c\x01hK\x01\x86s\
        \x8c\x08ELECTION}K\x02K\x02\x86\x8c\x01hK\x02\x86s\x86.";
    let (_, members) = parsed(bytes, &mut Names::new());
    let ids: Vec<_> = members.iter().map(|member| member.pid.id).collect();
    assert_eq!(ids, [2]);
}

#[test]
fn members_whose_hosts_find_no_room_are_counted() {
    let mut names = Names::new();
    let mut items = Vec::new();
    for n in 0..HOSTS_MAX as u16 + 5 {
        let [low, high] = n.to_le_bytes();
        items.extend([b'M', low, high, b'K', 1, 0x86]);
        items.extend(b"\x8c\x04");
        items.extend(format!("h{n:03}").bytes());
        items.extend(b"K\x01\x86");
    }
    let (parsed, members) = parsed(&election(&items), &mut names);
    let listed = Listed {
        keyed: Some(Keyed::Pid),
        left_out: 5,
    };
    assert_eq!(parsed, Received::Election(listed));
    assert_eq!(members.len(), HOSTS_MAX);
    let join = b"\x8c\x04JOINK\x01K\x02\x86\x8c\x04moreK\x03\x86\x86\x86.";
    let (refused, _) = self::parsed(join, &mut names);
    assert_eq!(refused, Received::Unfit(Refusal::Full));
}

#[test]
fn ten_thousand_members_by_every_protocol() {
    let mut reader = Reader::new(Limits::default());
    for line in super::python::pickles("large", String::new()) {
        let bytes = super::python::unhex(&line);
        for size in [1024, bytes.len()] {
            reader.clear();
            for piece in bytes.chunks(size) {
                reader.push(piece).expect("within the limits");
            }
            let (mut names, mut members) = (Names::new(), Vec::new());
            let answer = message::answer(&reader, Due::Members, &mut names, &mut members);
            assert!(matches!(
                answer,
                Answer::Members(Listed { left_out: 0, .. })
            ));
            assert_eq!(Roster::sorted(&mut members).len(), 10_000);
        }
    }
}

#[test]
fn what_came_is_shown_on_one_short_line() {
    let shown = |bytes: &[u8]| message::describe(&read(&[bytes]).expect("whole")).to_string();
    for (bytes, expected) in [
        (&b"N."[..], "None"),
        (b"\x88.", "1"),
        (b")\x85.", "((),)"),
        (b"\x8c\x02OKN}\x87.", "('OK', None, {})"),
        (b"](K\x01K\x02K\x03e.", "[1, 2, …]"),
        (b"}K\x01K\x02\x86\x8c\x01hK\x03\x86s.", "{(1, 2): ('h', 3)}"),
        (b"\x8c\x05a\x1b[2J.", "'a\\u{1b}[2J'"),
        (b"\x8a\x08\0\0\0\0\0\0\0\x7f.", "<a huge number>"),
        (b"]\x94h\0a.", "[[[[[[[…]]]]]]]"),
    ] {
        assert_eq!(shown(bytes), expected);
    }
    let long = [&b"("[..], &b"\x8c\x03abc".repeat(1000), b"t."].concat();
    assert!(shown(&long).len() < 250);
    let mut reader = Reader::new(Limits::default());
    assert!(reader.push(b"GET / HTTP/1.1\r\n").is_err());
    assert_eq!(
        message::describe(&reader).to_string(),
        "b'GET / HTTP/1.1\\r\\n'"
    );
}

#[test]
fn raw_text_reaches_people_printable_and_short() {
    assert_eq!(
        message::raw_text(b"  Expected a pickled message\n").to_string(),
        "Expected a pickled message"
    );
    assert_eq!(
        message::raw_text(b"a\x1b[2J\xff\n\nb").to_string(),
        "a\\u{1b}[2J\u{fffd}\\n\\nb"
    );
    assert_eq!(
        message::raw_text(&b"x".repeat(5000))
            .to_string()
            .chars()
            .count(),
        501
    );
    assert_eq!(
        message::bytes_repr(b"a'\n\x80").to_string(),
        "b'a\\'\\n\\x80'"
    );
    assert!(message::bytes_repr(&[0; 5000]).to_string().len() <= 100);
}
