//! Bytes that are nearly messages: whatever CPython makes of them, we make of them too.

use bully_tests::random::Random;

use super::python::{hex, pickles, unhex};
use super::reading::verdicts;

/// What is put into messages: each opcode of theirs, and whole operands of some.
const PARTS: &[&[u8]] = &[
    b"(",
    b".",
    b"N",
    b"a",
    b"d",
    b"}",
    b"e",
    b"l",
    b"]",
    b"s",
    b"t",
    b")",
    b"u",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x89",
    b"\x94",
    b"K\x05",
    b"M\x05\x00",
    b"J\x05\x00\x00\x00",
    b"I5\n",
    b"I01\n",
    b"L5L\n",
    b"L-5\n",
    b"J\xff\xff\xff\xff",
    b"\x8a\x01\xff",
    b"\x8a\x00",
    b"\x8c\x01h",
    b"X\x01\x00\x00\x00h",
    b"Vh\n",
    b"V\\u0041\n",
    b"h\x00",
    b"h\x01",
    b"h\x02",
    b"j\x03\x00\x00\x00",
    b"g0\n",
    b"q\x00",
    b"q\x01",
    b"p2\n",
    b"r\x03\x00\x00\x00",
    b"\x80\x04",
    b"K\x01K\x02\x86",
    b"\x8c\x01hK\x03\x86",
    b"]\x94(K\x01K\x02e",
    b"\x8c\x08ELECTION",
    b"\x8c\x05PROBE",
    b"\x8c\x04JOIN",
    b"\x8c\x02OK",
    b"\x8c\x0bCOORDINATOR",
    b"0",
    b"2",
    b"R",
    b"\x95\x03\x00\x00\x00\x00\x00\x00\x00",
];

/// One small change.
fn mutate(message: &mut Vec<u8>, donors: &[Vec<u8>], random: &mut Random) {
    let at = random.below(message.len());
    match random.below(8) {
        0 => message[at] = random.number() as u8,
        1 => message[at] ^= 1 << random.below(8),
        2 => drop(message.remove(at)),
        3 => drop(message.splice(at..at, random.pick(PARTS).iter().copied())),
        4 => message[at] = random.pick(PARTS)[0],
        5 => {
            let end = at + random.below((message.len() - at).min(20));
            let copy = message[at..end].to_vec();
            let to = random.below(message.len());
            drop(message.splice(to..to, copy));
        }
        6 => {
            let end = at + random.below((message.len() - at).min(20));
            drop(message.drain(at..end));
        }
        _ => {
            let donor = random.pick(donors);
            let from = random.below(donor.len());
            let part = &donor[from..(from + 12).min(donor.len())];
            drop(message.splice(at..at, part.iter().copied()));
        }
    }
}

/// Messages with some changes, and others put together from opcodes.
pub(crate) fn nearly_messages(seed: u64) -> Vec<Vec<u8>> {
    let golden: Vec<_> = pickles("golden", String::new())
        .iter()
        .filter_map(|line| line.split('\t').nth(1).map(unhex))
        .filter(|bytes| bytes.len() < 250)
        .collect();
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for _ in 0..12_000 {
        let mut message = random.pick(&golden).clone();
        // A frame's length would give nearly every change away.
        if message.len() > 11 && message[2] == 0x95 && random.below(8) > 0 {
            message.drain(2..11);
        }
        for _ in 0..1 + random.below(3) {
            if !message.is_empty() {
                mutate(&mut message, &golden, &mut random);
            }
        }
        cases.push(message);
    }
    for _ in 0..6_000 {
        let mut message = Vec::new();
        for _ in 0..1 + random.below(16) {
            let part: &&[u8] = random.pick(PARTS);
            message.extend_from_slice(part);
        }
        message.push(b'.');
        cases.push(message);
    }
    cases
}

#[test]
fn we_read_what_cpython_reads() {
    let cases = nearly_messages(7);
    let input: String = cases.iter().map(|bytes| hex(bytes) + "\n").collect();
    let judged = pickles("judge", input);
    assert_eq!(judged.len(), cases.len());
    let mut read = 0;
    for (expected, bytes) in judged.iter().zip(&cases) {
        let ours = verdicts(bytes).join("\t");
        assert_eq!(ours, *expected, "{}\n{}", bytes.escape_ascii(), hex(bytes));
        read += usize::from(!expected.starts_with("Refused"));
    }
    // Neither all nor nothing, or there is nothing to compare.
    assert!(
        (3_000..15_000).contains(&read),
        "{read} of {} were read",
        cases.len()
    );
}
