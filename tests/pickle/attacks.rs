//! What brings other readers down: here it costs a bounded amount of memory, or is refused.

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use allocation_counter::measure;
use bully_host::names::Names;
use bully_host::pickle::message::{self, Due};
use bully_host::pickle::{Limits, Reader, Refused};

/// What a reader may have on the heap at once, as its limits say: for each byte received ...
const HEAP_PER_BYTE: u64 = 32;
/// ... besides what it keeps of the beginning ...
const HEAP_FIRST: u64 = 4096;
/// ... and in all.
const HEAP_MAX: u64 = 6 << 20;

struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    /// The words in the refusal; `None` if it is read, harmlessly.
    refusal: Option<&'static str>,
}

fn attacks() -> Vec<Attack> {
    let attack = |name, bytes, refusal| Attack {
        name,
        bytes,
        refusal,
    };
    let many = |unit: &[u8]| unit.repeat(1_000_000 / unit.len());
    // Each list holds the one before it ten times: 10^12 values if references were copies.
    let clones: Vec<u8> = [b"]\x94N\x94a".to_vec()]
        .into_iter()
        .chain((0..12).map(|level| {
            let get = [b'h', if level == 0 { 0 } else { level + 1 }];
            [&b"]\x94("[..], &get.repeat(10), b"e"].concat()
        }))
        .collect::<Vec<_>>()
        .concat();
    let distinct = (0..100_000u32).flat_map(|n| {
        [
            &b"X\x04\0\0\0"[..],
            format!("{:04x}", n % 0x1_0000).as_bytes(),
        ]
        .concat()
    });
    vec![
        attack(
            "DUP doubling",
            [&b"(N"[..], &b"2t(".repeat(20)].concat(),
            Some("DUP"),
        ),
        attack("a million marks", many(b"("), Some("nested")),
        attack("a million None", many(b"N"), Some("more than 65536 values")),
        attack(
            "a million lists",
            many(b"]"),
            Some("more than 65536 values"),
        ),
        attack(
            "a million dicts",
            many(b"}"),
            Some("more than 65536 values"),
        ),
        attack(
            "a million empty tuples",
            many(b")"),
            Some("more than 65536 values"),
        ),
        attack(
            "nesting in tuples",
            [&b"N"[..], &b"\x85".repeat(100_000)].concat(),
            Some("more than 65536 values"),
        ),
        attack(
            "nesting in lists",
            [&b"]".repeat(100_000)[..], &b"a".repeat(99_999)].concat(),
            Some("more than 65536 values"),
        ),
        attack(
            "nesting that fits",
            [&b"]".repeat(30_000)[..], &b"a".repeat(29_999), b"."].concat(),
            None,
        ),
        attack("memo clones", [&clones[..], b"."].concat(), None),
        attack(
            "memo clones in a dict",
            [&b"}\x94"[..], &b"K\x01h\x00s".repeat(16_000), b"."].concat(),
            None,
        ),
        attack(
            "endless GET",
            [&b"N\x94"[..], &b"h\x00".repeat(500_000)].concat(),
            Some("more than 65536 values"),
        ),
        attack(
            "endless MEMOIZE",
            [&b"N"[..], &many(b"\x94")].concat(),
            Some("more than 65536 values"),
        ),
        attack(
            "a memo with gaps",
            [&b"N".repeat(60_000)[..], b"r\x60\xea\0\0."].concat(),
            None,
        ),
        attack(
            "a sparse memo",
            b"Nr\x60\xea\0\0".to_vec(),
            Some("out of bounds"),
        ),
        attack(
            "a dict of one key",
            [&b"}"[..], &many(b"K\x01Ns")].concat(),
            Some("more than 16384 members"),
        ),
        attack(
            "dicts of nothing",
            [&b"N"[..], &many(b"}\x94\x85")].concat(),
            Some("more than 65536 values"),
        ),
        attack(
            "a list that is its own",
            b"]\x94h\x00ah\x00h\x00\x86.".to_vec(),
            None,
        ),
        attack(
            "a dict that is its own",
            b"}\x94K\x01h\x00s.".to_vec(),
            None,
        ),
        attack(
            "a huge text",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
            Some("text longer"),
        ),
        attack(
            "a large text",
            b"X\xff\xff\xff\x7f".to_vec(),
            Some("text longer"),
        ),
        attack(
            "a huge frame",
            b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
            Some("longer than 1048576 bytes"),
        ),
        attack("a huge number", b"\x8a\xff".to_vec(), Some("number")),
        attack(
            "an endless line",
            [&b"V"[..], &many(b"x")].concat(),
            Some("text longer"),
        ),
        attack(
            "an endless number",
            [&b"I"[..], &many(b"1")].concat(),
            Some("text longer"),
        ),
        attack(
            "an endless index",
            [&b"Ng"[..], &many(b"1")].concat(),
            Some("text longer"),
        ),
        attack(
            "a text of many texts",
            distinct.collect(),
            Some("more than 65536 values"),
        ),
        attack(
            "no end",
            many(b"\x80\x04")
                .into_iter()
                .chain(many(b"\x80\x04"))
                .collect(),
            Some("longer than 1048576 bytes"),
        ),
        attack(
            "no end of texts",
            [&b"X\0\x10\0\0".to_vec()[..], &[b'x'; 4096], b"0"].concat(),
            Some("POP"),
        ),
    ]
}

/// Pushes `bytes` in pieces of `size`, and looks at a message that is whole in every way.
fn read(bytes: &[u8], size: usize) -> Result<(), Refused> {
    let mut reader = Reader::new(Limits::default());
    for piece in bytes.chunks(size) {
        if reader.push(piece)?.is_some() {
            let (mut names, mut members) = (Names::new(), Vec::new());
            black_box(message::request(&reader, &mut names, &mut members));
            for due in [Due::Members, Due::Ok] {
                black_box(message::answer(&reader, due, &mut names, &mut members));
            }
            assert!(message::describe(&reader).to_string().len() < 1000);
        }
    }
    Ok(())
}

#[test]
fn none_takes_more_memory_than_the_limits_say() {
    for Attack {
        name,
        bytes,
        refusal,
    } in attacks()
    {
        for size in [1, 1000, usize::MAX] {
            let begin = Instant::now();
            let mut result = Ok(());
            let heap = measure(|| result = read(&bytes, size)).bytes_max;
            match (result, refusal) {
                (Err(refused), Some(words)) => {
                    assert!(refused.to_string().contains(words), "{name}: {refused}");
                }
                (Ok(()), None) => {}
                (result, _) => panic!("{name}: {result:?}"),
            }
            let received = bytes.len() as u64;
            let bound = (HEAP_FIRST + received * HEAP_PER_BYTE).min(HEAP_MAX);
            assert!(
                heap <= bound,
                "{name}: {heap} bytes for {received}, {size} at once"
            );
            assert!(
                begin.elapsed() < Duration::from_secs(2),
                "{name}: {:?}",
                begin.elapsed()
            );
        }
    }
}

#[test]
fn the_beginning_of_an_attack_takes_no_more_than_its_share() {
    for Attack { name, bytes, .. } in attacks() {
        for received in (4..17)
            .map(|power| 1 << power)
            .filter(|end| *end <= bytes.len())
        {
            let heap = measure(|| _ = read(&bytes[..received], usize::MAX)).bytes_max;
            let bound = HEAP_FIRST + received as u64 * HEAP_PER_BYTE;
            assert!(heap <= bound, "{name}: {heap} bytes for {received}");
        }
    }
}

#[test]
fn a_reader_that_is_used_again_keeps_to_its_bound() {
    let attacks = attacks();
    let mut reader = Reader::new(Limits::default());
    let mut all = || {
        for Attack { bytes, .. } in &attacks {
            let _ = reader.push(bytes);
            reader.clear();
        }
    };
    let heap = measure(&mut all).bytes_max;
    assert!(heap <= HEAP_MAX, "{heap} bytes");
    assert_eq!(measure(all).count_total, 0, "it allocates no more");
}

/// The check can fail: serde-pickle alone does not stay within the bound.
#[test]
fn an_unguarded_reader_breaks_the_bound() {
    // Five levels of ten: 10^5 values from a hundred bytes are enough to see it.
    let mut clones = b"]q\0(NNNNNNNNNNe".to_vec();
    for level in 1..5 {
        clones.extend(
            [
                &b"]q"[..],
                &[level],
                b"(",
                &[b'h', level - 1].repeat(10),
                b"e",
            ]
            .concat(),
        );
    }
    clones.push(b'.');
    let bound = HEAP_FIRST + clones.len() as u64 * HEAP_PER_BYTE;
    let unguarded = measure(|| {
        let options = serde_pickle::DeOptions::new();
        let _ = black_box(serde_pickle::value_from_slice(&clones, options));
    });
    let guarded = measure(|| read(&clones, usize::MAX).expect("harmless"));
    assert!(guarded.bytes_max <= bound, "{} bytes", guarded.bytes_max);
    assert!(unguarded.bytes_max > bound, "{} bytes", unguarded.bytes_max);
}
