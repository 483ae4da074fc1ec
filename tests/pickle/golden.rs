use bully_host::pickle::{Limits, Reader};

use super::python::{pickles, unhex};
use super::reading::{read, reading, verdicts};

struct Golden {
    name: String,
    bytes: Vec<u8>,
    expected: Vec<String>,
}

/// The lab's messages by each protocol of CPython 3.6, which writes numbers in a way of its own.
const CPYTHON_3_6: &str = include_str!("cpython-3.6.txt");

fn golden() -> impl Iterator<Item = Golden> {
    let lines = pickles("golden", String::new());
    assert!(lines.len() > 3000, "only {} messages", lines.len());
    lines.into_iter().map(|line| parse(&line))
}

fn parse(line: &str) -> Golden {
    let mut fields = line.split('\t').map(str::to_owned);
    let mut field = || fields.next().expect("five fields");
    Golden {
        name: field(),
        bytes: unhex(&field()),
        expected: fields.collect(),
    }
}

#[test]
fn every_message_by_every_protocol() {
    for Golden {
        name,
        bytes,
        expected,
    } in golden()
    {
        assert_eq!(verdicts(&bytes)[..], expected, "{name}");
    }
}

#[test]
fn every_message_by_every_protocol_of_cpython_3_6() {
    let lines = CPYTHON_3_6.lines().filter(|line| !line.starts_with('#'));
    let mut by_protocol = [0; 5];
    for line in lines {
        let golden = parse(line);
        assert_eq!(
            verdicts(&golden.bytes)[..],
            golden.expected,
            "{}",
            golden.name
        );
        let protocol = golden.name.rsplit(['(', ')']).nth(1).expect("in brackets");
        by_protocol[protocol.parse::<usize>().expect("a number")] += 1;
    }
    assert_eq!(by_protocol, [22; 5]);
    assert!(
        CPYTHON_3_6.contains(&super::python::hex(b"L1111111L\n")),
        "what only 3.6 writes"
    );
}

#[test]
fn every_split_of_a_message_in_two() {
    let mut reader = Reader::new(Limits::default());
    let mut splits = 0;
    for Golden { name, bytes, .. } in golden().filter(|golden| golden.bytes.len() < 300) {
        let end = reader.push(&bytes).expect(&name).expect(&name);
        let whole = reading(&reader);
        reader.clear();
        for at in 0..end {
            let (first, second) = bytes.split_at(at);
            assert_eq!(reader.push(first), Ok(None), "{name} at {at}");
            assert_eq!(reader.push(second), Ok(Some(end - at)), "{name} at {at}");
            // What was read is compared where reading it is cheap.
            if at % 16 == 0 {
                assert_eq!(reading(&reader), whole, "{name} at {at}");
            }
            reader.clear();
            splits += 1;
        }
    }
    assert!(splits > 100_000, "only {splits}");
}

#[test]
fn byte_by_byte() {
    for Golden {
        name,
        bytes,
        expected,
    } in golden()
    {
        let pieces: Vec<_> = bytes.chunks(1).collect();
        let reader = read(&pieces).expect(&name);
        assert_eq!(reading(&reader)[..], expected, "{name}");
    }
}

#[test]
fn a_message_ends_at_its_stop() {
    let mut reader = Reader::new(Limits::default());
    let two = b"\x80\x04\x8c\x02OK.\x80\x04\x8c\x05NEVER.";
    assert_eq!(reader.push(two), Ok(Some(7)));
    assert_eq!(reader.push(b"anything"), Ok(Some(0)), "it stays as it is");
    assert_eq!(reading(&reader)[1], "Text 4f4b");
    reader.clear();
    assert_eq!(reader.push(b""), Ok(None));
    assert_eq!(
        reader.push(&two[7..]),
        Ok(Some(10)),
        "and is cleared for the next"
    );
    assert_eq!(reading(&reader)[1], "Text 4e45564552");
}
