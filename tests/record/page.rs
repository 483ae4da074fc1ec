//! The page that describes the format, and its bytes.

use std::collections::VecDeque;

use bully::record::{Digest, Recordable, Recorder, Sink};
use bully::{
    Addr, Event, Exchange, Full, Incoming, Instant, Member, Net, Origin, Pid, Reply, Request,
    Roster,
};
use bully_record::SharedBytes;

const PAGE: &str = include_str!("../../core/src/record.md");

const fn member(days: u32, id: u32, addr: u64) -> Member {
    Member {
        pid: Pid { days, id },
        addr: Addr(addr),
    }
}

const LIST: [Member; 2] = [member(120, 1_234_567, 3), member(300, 7_654_321, 4)];

/// The node of the page: what it does in each poll is in the script.
struct Scripted {
    now: Instant,
    polls: VecDeque<fn(&mut dyn Net)>,
}

impl Recordable for Scripted {
    fn poll(&mut self, now: Instant, net: &mut dyn Net) -> Option<Event> {
        self.now = now;
        let does = self.polls.pop_front().expect("the script goes on");
        does(net);
        None
    }
    fn idle(&self) -> (Instant, Instant) {
        (self.now, Instant::ZERO)
    }
    fn resign(&mut self) {}
    fn capacities(&self) -> (usize, usize) {
        (32, 8)
    }
    fn image(&self, put: &mut dyn FnMut(u8)) {
        put(0xaa);
        put(0xbb);
    }
}

/// The network of the page.
#[derive(Default)]
struct Inputs(VecDeque<(Exchange, Incoming<'static>)>);

impl Net for Inputs {
    fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> {
        Ok(Exchange(300))
    }
    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.0.pop_front()
    }
    fn reply(&mut self, _: Exchange, _: Reply<'_>) {}
    fn close(&mut self, _: Exchange) {}
    fn set_listening(&mut self, _: bool) {}
}

/// The recording of the page.
fn recording() -> Vec<u8> {
    let mut node = Scripted {
        now: Instant::ZERO,
        polls: VecDeque::from([
            (|net| net.set_listening(true)) as fn(&mut dyn Net),
            |net| {
                while net.recv().is_some() {}
                net.reply(Exchange(1), Reply::Ok(Roster::EMPTY));
            },
            |net| {
                let list = Roster::new(&LIST[..1]).expect("it ascends");
                let opened = net.open(Addr(4), Request::Coordinator(list));
                assert_eq!(opened, Ok(Exchange(300)));
            },
            |_| {},
        ]),
    };
    let list = Roster::new(&LIST).expect("they ascend");
    let list = list.with_origin(Some(Origin {
        pid: LIST[0].pid,
        large: false,
        leads: false,
    }));
    let mut net = Inputs::default();
    let bytes = SharedBytes::default();
    let mut recorder = Recorder::<_, 32>::new(bytes.clone(), 0);
    let mut poll = |micros, net: &mut Inputs| {
        recorder.poll(&mut node, Instant::from_micros(micros), net);
    };
    poll(1_000_000, &mut net);
    net.0.push_back((Exchange(1), Incoming::Accepted));
    let request = Request::Election(list);
    net.0.push_back((Exchange(1), Incoming::Request(request)));
    poll(1_000_800, &mut net);
    poll(2_500_800, &mut net);
    poll(500_800, &mut net);
    recorder.resign(&mut node);
    recorder.finish(&node);
    bytes.take()
}

/// The digest as the page describes it.
fn add(digest: u32, number: u32) -> u32 {
    (digest.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b1)
}

fn add_bytes(digest: u32, bytes: &[u8]) -> u32 {
    let mut pieces = bytes.chunks_exact(4);
    let words = pieces.by_ref().fold(digest, |digest, word| {
        add(digest, u32::from_le_bytes(word.try_into().expect("four")))
    });
    let rest = pieces.remainder().iter();
    rest.fold(words, |digest, byte| add(digest, (*byte).into()))
}

#[test]
fn the_bytes_of_the_page_are_those_that_are_written() {
    let (_, lines) = PAGE.split_once("# Bytes").expect("it has that part");
    let (_, lines) = lines.split_once("```text\n").expect("it has bytes");
    let (lines, _) = lines.split_once("```").expect("they end");
    let bytes = |line: &str| {
        let (hex, _) = line.split_at(54);
        let bytes = hex
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16));
        bytes.collect::<Result<Vec<_>, _>>().expect("bytes in hex")
    };
    let page: Vec<_> = lines.lines().flat_map(bytes).collect();
    let written = recording();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x} "))
            .collect::<String>()
    };
    assert_eq!(hex(&page), hex(&written));
    // The lines whose comments name a sum have the one that the page describes.
    let (mut sum, mut at, mut from, mut sums) = (0, 0, 0, 0);
    for line in lines.lines() {
        at += bytes(line).len();
        if line.ends_with("sum") {
            sum = add_bytes(sum, &written[from..at - 4]);
            assert_eq!(written[at - 4..at], sum.to_le_bytes(), "{line}");
            sum = add(sum, sum);
            from = at;
            sums += 1;
        }
    }
    assert_eq!((sums, from), (3, written.len()));
}

#[test]
fn a_digest_is_what_the_page_says() {
    let mut digest = Digest::new();
    digest.bytes(b"abcdefghi");
    assert_eq!(digest.value(), add_bytes(0, b"abcdefghi"));
    digest.polled();
    assert_eq!(digest.value(), add(add_bytes(0, b"abcdefghi"), 11));
}

#[test]
fn bytes_are_there_once_they_are_committed() {
    let mut sink = SharedBytes::default();
    sink.put(7).expect("there is room");
    assert!(sink.take().is_empty());
    sink.commit();
    assert_eq!(sink.take(), [7]);
}
