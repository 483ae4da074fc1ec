use bully::{Addr, Member, Pid, Refusal, Reply, Request, Roster};
use bully_host::names::Names;
use bully_host::pickle::message::Keyed;
use bully_host::pickle::writer::{self, Forms, OkForm, ProbeForm};

use super::python::{hex, pickles};

const FORMS: Forms = Forms {
    ok: Some(OkForm::Text),
    probe: Some(ProbeForm::None),
    keyed: Keyed::Pid,
};

fn member(days: u32, id: u32, addr: Addr) -> Member {
    Member {
        pid: Pid { days, id },
        addr,
    }
}

fn request(message: Request<'_>, forms: Forms, names: &Names) -> Vec<u8> {
    let mut out = Vec::new();
    writer::request(&mut out, &message, &forms, names);
    out
}

fn reply(message: Reply<'_>, forms: Forms, names: &Names, detail: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    writer::reply(&mut out, &message, &forms, names, detail);
    out
}

#[test]
fn python_loads_every_message_and_answer() {
    let mut names = Names::new();
    let mut addr = |host: &str, port| names.addr(host, port).expect("there is room");
    let members = [
        member(0, 0, addr("::1", 1)),
        member(255, 256, addr("127.0.0.1", 255)),
        member(256, 65_535, addr("localhost", 256)),
        member(300, 7_654_321, addr("127.0.0.1", 40_000)),
        member(300, 7_654_321, addr("127.0.0.1", 40_001)),
        member(65_536, 0x7FFF_FFFF, addr("127.0.0.1", 65_535)),
        member(0x8000_0000, u32::MAX, addr("bücher", 5)),
    ];
    let group = Roster::new(&members).expect("they ascend").with_revision(1);
    let by_address = "{('::1', 1): (0, 0), ('127.0.0.1', 255): (255, 256), ('localhost', 256): (256, 65535), \
        ('127.0.0.1', 40000): (300, 7654321), ('127.0.0.1', 40001): (300, 7654321), \
        ('127.0.0.1', 65535): (65536, 2147483647), ('b\\xfccher', 5): (2147483648, 4294967295)}";
    // A process that stands there twice is written with the last of its addresses.
    let by_pid = "{(0, 0): ('::1', 1), (255, 256): ('127.0.0.1', 255), (256, 65535): ('localhost', 256), \
        (300, 7654321): ('127.0.0.1', 40001), (65536, 2147483647): ('127.0.0.1', 65535), \
        (2147483648, 4294967295): ('b\\xfccher', 5)}";

    let mut cases = Vec::new();
    let mut case = |bytes: Vec<u8>, expected: String| cases.push((bytes, expected));
    let refused = |refusal, detail| reply(Reply::Refused(refusal), FORMS, &names, detail);
    let plain = Forms::default();
    case(
        request(Request::Join(members[3]), plain, &names),
        "('JOIN', ((300, 7654321), ('127.0.0.1', 40000)))".into(),
    );
    case(
        request(Request::Probe(group), plain, &names),
        "('PROBE', None)".into(),
    );
    case(reply(Reply::Ok(group), plain, &names, None), "'OK'".into());
    for (keyed, shown) in [(Keyed::Address, by_address), (Keyed::Pid, by_pid)] {
        let plain = Forms { keyed, ..FORMS };
        let pair = Forms {
            ok: Some(OkForm::Pair),
            ..plain
        };
        let full = Forms {
            ok: Some(OkForm::Members),
            probe: Some(ProbeForm::Members),
            keyed,
        };
        for (roster, shown) in [(group, shown), (Roster::EMPTY, "{}")] {
            case(
                request(Request::Election(roster), plain, &names),
                format!("('ELECTION', {shown})"),
            );
            case(
                request(Request::Coordinator(roster), plain, &names),
                format!("('COORDINATOR', {})", reversed(shown)),
            );
            case(
                request(Request::Probe(roster), full, &names),
                format!("('PROBE', {shown})"),
            );
            case(
                reply(Reply::Ok(roster), pair, &names, None),
                "('OK', None)".into(),
            );
            case(
                reply(Reply::Ok(roster), full, &names, None),
                format!("('OK', {shown})"),
            );
            case(
                reply(Reply::Members(roster), plain, &names, None),
                shown.into(),
            );
        }
    }
    for (refusal, detail, text) in [
        (
            Refusal::Pid,
            None,
            "Malformed process id, expected (days_to_next_birthday, student_id)",
        ),
        (Refusal::Port, None, "Invalid port number"),
        (
            Refusal::NotLocal,
            None,
            "Only local group members currently allowed",
        ),
        (
            Refusal::Unexpected,
            Some("BEGIN"),
            "Unexpected message: BEGIN",
        ),
        (
            Refusal::Malformed,
            Some("('JOIN', None)"),
            "Malformed message: ('JOIN', None)",
        ),
        (
            Refusal::Full,
            None,
            "The group is full, there is no room for another member",
        ),
        (Refusal::Other, Some("Not today"), "Not today"),
    ] {
        let quote = if text.contains('\'') { '"' } else { '\'' };
        case(refused(refusal, detail), format!("{quote}{text}{quote}"));
    }

    let input: String = cases.iter().map(|(bytes, _)| hex(bytes) + "\n").collect();
    let loaded = pickles("load", input);
    assert_eq!(loaded.len(), cases.len());
    for (loaded, (bytes, expected)) in loaded.iter().zip(&cases) {
        let expected = format!("{expected}\t");
        assert_eq!(*loaded, expected, "{}", bytes.escape_ascii());
    }
}

/// The entries of a dict, as Python shows it, from the last to the first.
fn reversed(dict: &str) -> String {
    let inside = dict.trim_matches(['{', '}']);
    // Between two entries, and nowhere else, a comma stands after the bracket of a value.
    let mut entries: Vec<_> = inside.split("), (").collect();
    entries.reverse();
    let entry = |entry: &str| format!("({})", entry.trim_matches(['(', ')']));
    let entries: Vec<_> = entries
        .into_iter()
        .filter(|shown| !shown.is_empty())
        .map(entry)
        .collect();
    format!("{{{}}}", entries.join(", "))
}

/// Some programs take the first entry of a COORDINATOR's dict for the leader.
#[test]
fn the_leader_comes_first_in_a_coordinator_s_list_and_nowhere_else() {
    let mut names = Names::new();
    let members = [(7, 40_001), (8, 40_002), (9, 40_003)].map(|(days, port)| {
        let addr = names.addr("127.0.0.1", port).expect("there is capacity");
        member(days, 1_000_000, addr)
    });
    let roster = Roster::new(&members).expect("they ascend");
    for keyed in [Keyed::Address, Keyed::Pid] {
        let forms = Forms {
            keyed,
            ok: Some(OkForm::Members),
            probe: Some(ProbeForm::Members),
        };
        let first = |bytes: Vec<u8>| {
            let place = |port: u16| {
                let [low, high] = port.to_le_bytes();
                let at = bytes.windows(3).position(|part| part == [b'M', low, high]);
                at.expect("each is in it")
            };
            place(40_003) < place(40_001)
        };
        let sent = |message| first(request(message, forms, &names));
        assert!(sent(Request::Coordinator(roster)), "{keyed:?}");
        assert!(!sent(Request::Election(roster)), "{keyed:?}");
        assert!(!sent(Request::Probe(roster)), "{keyed:?}");
        for answer in [Reply::Ok(roster), Reply::Members(roster)] {
            assert!(!first(reply(answer, forms, &names, None)), "{keyed:?}");
        }
    }
}

#[test]
fn ok_and_probe_take_the_form_of_the_world_that_lists_are_keyed_in() {
    let forms = |keyed| Forms {
        keyed,
        ..Forms::default()
    };
    let (letter, real) = (forms(Keyed::Address), forms(Keyed::Pid));
    assert_eq!(letter.ok_form(), OkForm::Text);
    assert_eq!(letter.probe_form(), ProbeForm::None);
    assert_eq!(real.ok_form(), OkForm::Members);
    assert_eq!(real.probe_form(), ProbeForm::Members);
    let chosen = Forms {
        ok: Some(OkForm::Pair),
        probe: Some(ProbeForm::None),
        ..real
    };
    assert_eq!(chosen.ok_form(), OkForm::Pair);
    assert_eq!(chosen.probe_form(), ProbeForm::None);
}

#[test]
fn what_is_no_pickle_is_answered_in_plain_text() {
    let detail = Some("b'GET / HTTP/1.1'");
    let text = reply(
        Reply::Refused(Refusal::NotAMessage),
        FORMS,
        &Names::new(),
        detail,
    );
    assert_eq!(text, b"Expected a pickled message, got b'GET / HTTP/1.1'\n");
}

#[test]
fn sixty_one_members_and_more_in_1024_bytes() {
    let mut names = Names::new();
    for keyed in [Keyed::Address, Keyed::Pid] {
        let forms = Forms { keyed, ..FORMS };
        let mut fits = 0;
        // Days above 255 take a byte more: the worst there is.
        let members: Vec<_> = (0..100)
            .map(|n| {
                let addr = names
                    .addr("127.0.0.1", 40_000 + n as u16)
                    .expect("there is room");
                member(300, 7_000_000 + n, addr)
            })
            .collect();
        for count in 0..=members.len() {
            let group = Roster::new(&members[..count]).expect("they ascend");
            let bytes = request(Request::Coordinator(group), forms, &names);
            if bytes.len() <= 1024 {
                fits = count;
            }
        }
        assert_eq!(fits, 65, "by {keyed:?}");
    }
}

#[test]
fn more_hosts_than_a_byte_counts() {
    let mut names = Names::new();
    let members: Vec<_> = (0..600u32)
        .map(|n| {
            let host = format!("10.0.{}.{}", n / 2 / 250, n / 2 % 250);
            let addr = names.addr(&host, 1000 + n as u16).expect("there is room");
            member(1, n, addr)
        })
        .collect();
    let group = Roster::new(&members).expect("they ascend");
    let bytes = request(Request::Election(group), FORMS, &names);
    let mut expected: Vec<_> = members
        .iter()
        .map(|member| {
            let host = hex(names.host(member.addr).as_bytes());
            format!(" 1,{},{host},{}", member.pid.id, 1000 + member.pid.id)
        })
        .collect();
    expected.sort();
    let judged = pickles("judge", hex(&bytes) + "\n");
    let expected = format!("ELECTION pid{}\tUnfit\tUnfit", expected.concat());
    assert_eq!(judged, [expected]);
}
