//! Programs of other terms and with protocols of their own answer on the same ports. What they
//! send is distinguished from the lab's messages; none of it is followed.

use bully::Refusal;
use bully_host::names::Names;
use bully_host::pickle::message::{self, Answer, Due, Received};

use super::python::unhex;
use super::reading::read;

/// A message in Python's own words, as protocol 4 has it, and how it is turned down.
const UNFIT: &[(&str, &[u8], Refusal)] = &[
    (
        "('COORDINATE', {})",
        b"\x8c\x0aCOORDINATE}\x86.",
        Refusal::Unexpected,
    ),
    (
        "('BEGIN', (pid, address))",
        b"\x8c\x05BEGINK\x01K\x02\x86\x8c\x01hK\x03\x86\x86\x86.",
        Refusal::Unexpected,
    ),
    (
        "('HOWDY', (pid, address))",
        b"\x8c\x05HOWDYK\x01K\x02\x86\x8c\x01hK\x03\x86\x86\x86.",
        Refusal::Unexpected,
    ),
    (
        "('I_AM_LEADER', pid)",
        b"\x8c\x0bI_AM_LEADERK\x01K\x02\x86\x86.",
        Refusal::Unexpected,
    ),
    ("('ELECT', {})", b"\x8c\x05ELECT}\x86.", Refusal::Unexpected),
    (
        "('QUIESCENT', {})",
        b"\x8c\x09QUIESCENT}\x86.",
        Refusal::Unexpected,
    ),
    (
        "('coordinator', {})",
        b"\x8c\x0bcoordinator}\x86.",
        Refusal::Unexpected,
    ),
    ("'OK'", b"\x8c\x02OK.", Refusal::Unexpected),
    ("'COORDINATOR'", b"\x8c\x0bCOORDINATOR.", Refusal::Malformed),
    (
        "('COORDINATOR', pid)",
        b"\x8c\x0bCOORDINATORK\x01K\x02\x86\x86.",
        Refusal::Malformed,
    ),
    (
        "('COORDINATOR', (pid, {}))",
        b"\x8c\x0bCOORDINATORK\x01K\x02\x86}\x86\x86.",
        Refusal::Malformed,
    ),
    (
        "('COORDINATOR', pid, address)",
        b"\x8c\x0bCOORDINATORK\x01K\x02\x86\x8c\x01hK\x03\x86\x87.",
        Refusal::Malformed,
    ),
    (
        "('ELECTION', pid)",
        b"\x8c\x08ELECTIONK\x01K\x02\x86\x86.",
        Refusal::Malformed,
    ),
    (
        "('ELECTION', (pid, {}))",
        b"\x8c\x08ELECTIONK\x01K\x02\x86}\x86\x86.",
        Refusal::Malformed,
    ),
    (
        "('ELECTION', pid, {})",
        b"\x8c\x08ELECTIONK\x01K\x02\x86}\x87.",
        Refusal::Malformed,
    ),
    ("('PROBE',)", b"\x8c\x05PROBE\x85.", Refusal::Malformed),
    (
        "(('PROBE', {}), (pid, pid))",
        b"\x8c\x05PROBE}\x86K\x01K\x02\x86K\x01K\x02\x86\x86\x86.",
        Refusal::Malformed,
    ),
    (
        "('JOIN', ((-2426, 1111111), ('h', 3)))",
        b"\x8c\x04JOINJ\x86\xf6\xff\xffJG\xf4\x10\x00\x86\x8c\x01hK\x03\x86\x86\x86.",
        Refusal::Pid,
    ),
];

#[test]
fn messages_of_other_protocols_are_turned_down() {
    for (spelled, bytes, expected) in UNFIT {
        let reader = read(&[bytes]).expect(spelled);
        let mut members = Vec::new();
        match message::request(&reader, &mut Names::new(), &mut members) {
            Received::Unfit(refusal) => {
                assert_eq!(refusal, *expected, "{spelled}");
                let detail = message::detail(&reader, refusal).to_string();
                let name = spelled.split('\'').nth(1).unwrap_or_default();
                assert!(detail.contains(name), "{spelled}: {detail}");
            }
            parsed => panic!("{spelled} was taken for {parsed:?}"),
        }
        assert_eq!(members, []);
    }
}

#[test]
fn answers_of_other_protocols_are_no_answers() {
    for (spelled, bytes) in [
        ("('GOT_IT', None)", &b"\x8c\x06GOT_ITN\x86."[..]),
        ("('GOT_IT', pid)", b"\x8c\x06GOT_ITK\x01K\x02\x86\x86."),
        ("{}", b"}."),
        ("None", b"N."),
        ("('OK',)", b"\x8c\x02OK\x85."),
        ("('OK', None, None)", b"\x8c\x02OKNN\x87."),
    ] {
        let reader = read(&[bytes]).expect(spelled);
        let answer = message::answer(&reader, Due::Ok, &mut Names::new(), &mut Vec::new());
        assert_eq!(answer, Answer::Unfit, "{spelled}");
    }
}

#[test]
fn classes_and_bytes_are_refused_before_anything_is_made_of_them() {
    for (spelled, hex, offset, name) in [
        // (State('ELECTION'), {}), an Enum's member.
        (
            "Enum",
            "80048c085f5f6d61696e5f5f8c05537461746593948c08454c454354494f4e85527d86942e",
            19,
            "STACK_GLOBAL",
        ),
        ("b'OK'", "800343024f4b2e", 2, "SHORT_BINBYTES"),
        ("1.5", "8004473ff80000000000002e", 2, "BINFLOAT"),
        (
            "os.system",
            "636f730a73797374656d0a28530a7472522e",
            0,
            "GLOBAL",
        ),
    ] {
        let refused = read(&[&unhex(hex)]).unwrap_err().expect(spelled);
        assert_eq!(refused.offset, offset, "{spelled}");
        assert!(refused.to_string().contains(name), "{spelled}: {refused}");
    }
}

/// `('JOIN', ((100, 1111111), ('127.0.0.1', 40001)))` by each protocol of Python 2.7.18.
const PYTHON_2: [&[u8]; 3] = [
    b"(S'JOIN'\np0\n((I100\nI1111111\ntp1\n(S'127.0.0.1'\np2\nI40001\ntp3\ntp4\ntp5\n.",
    b"(U\x04JOINq\x00((KdJG\xf4\x10\x00tq\x01(U\t127.0.0.1q\x02MA\x9ctq\x03tq\x04tq\x05.",
    b"\x80\x02U\x04JOINq\x00KdJG\xf4\x10\x00\x86q\x01U\t127.0.0.1q\x02MA\x9c\x86q\x03\x86q\x04\x86q\x05.",
];

#[test]
fn python_2_is_refused_with_a_sentence_that_says_so() {
    for bytes in PYTHON_2 {
        let refused = read(&[bytes]).unwrap_err().expect("it is refused");
        let text = refused.to_string();
        assert!(
            text.contains("is how Python 2 writes text")
                && text.contains("run that program with Python 3"),
            "{text}"
        );
    }
}
