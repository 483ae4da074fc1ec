//! A chip: node and link at the end of a line on which anything comes.

use core::cell::RefCell;
use core::time::Duration;

use bully::wire::{Decoder, Encoder, Frame, Hello, Received, VERSION, frame_max, message_max};
use bully::{Addr, Buffers, Config, Event, Exchange, Instant, Line, Link, Member, Node, Pid};

use super::frames::{MEMBERS, incoming, members};
use super::input::Input;
use crate::line::Bytes;

const ME: Pid = Pid {
    days: 100,
    id: 1_000_100,
};

/// How many turns one instant may take.
const TURNS_MAX: usize = 100_000;

/// The chip's end of the line.
struct End<'a>(&'a RefCell<Bytes>);

impl Line for End<'_> {
    fn read(&mut self, into: &mut [u8]) -> usize {
        self.0.borrow_mut().read(into)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.0.borrow_mut().write(from)
    }
}

/// Node and link: whatever a gateway says, the node comes to rest at every instant, leads nobody
/// greater than it knows, and what it writes is sound.
///
/// # Panics
///
/// If that is not so.
pub fn link(data: &[u8]) {
    play(data);
}

/// As [`link`]. Returns what the node has reported.
fn play(data: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut input = Input(data);
    let line = RefCell::new(Bytes::default());
    let mut buffers = Box::new(Buffers::<8, 4, { message_max(8) }>::new());
    let mut link = Link::new(End(&line), &mut *buffers);
    let mut encoder = Encoder::new();
    let mut node: Option<Node<8, 4>> = None;
    let mut now = Instant::ZERO;
    let mut memory = vec![0; frame_max(MEMBERS)];
    let mut list = vec![
        Member {
            pid: ME,
            addr: Addr(0)
        };
        MEMBERS
    ];
    let mut written = Decoder::new(&mut memory, &mut list);
    let mut session = 0_u8;
    while let Some(what) = input.byte() {
        let mut listed = Vec::new();
        match what % 8 {
            0 => {
                let count = usize::from(input.any());
                let noise = input.bytes(count).to_vec();
                line.borrow_mut().to_gateway.extend(noise);
            }
            1 => {
                session = session.wrapping_add(1);
                encoder.begin(session);
                let hello = Frame::Hello(Hello {
                    version: VERSION.wrapping_add(u8::from(what > 240)),
                    instance: u32::from(input.any() / 64),
                    addr: Addr(9),
                    directory: Addr(1),
                });
                say(&mut encoder, &hello, &line);
            }
            2 => say(&mut encoder, &Frame::Ping, &line),
            3 => now = now + Duration::from_millis(u64::from(input.any()) * 16),
            4 => line.borrow_mut().stuck = what > 128,
            _ => {
                let number = u32::from(input.any()) % 16;
                let number = if what > 128 { number } else { 0x8000 + number };
                let which = input.any();
                listed.extend(members(&mut input));
                let frame = Frame::Input(Exchange(number), incoming(which, &mut listed));
                say(&mut encoder, &frame, &line);
            }
        }
        link.turn();
        if node.is_none()
            && let Some(gateway) = link.gateway()
        {
            let mut config = Config::new(Member {
                pid: ME,
                addr: gateway.addr,
            });
            config.directory = Some(gateway.directory);
            node = Some(Node::new(config));
        }
        if let Some(node) = &mut node {
            let turns = (0..TURNS_MAX).find(|_| {
                let event = node.poll(now, &mut link);
                events.extend(event);
                event.is_none()
            });
            assert!(turns.is_some(), "it never comes to rest");
            assert!(
                node.roster()
                    .members()
                    .iter()
                    .any(|member| member.pid == ME)
            );
            assert!(node.roster().members().len() <= 8);
        }
        for byte in line.borrow_mut().from_gateway.drain(..) {
            if written.push(byte) == Some(Received::Frame) {
                assert!(written.frame().is_some());
            }
        }
        assert_eq!(written.counts().corrupt, 0, "what a chip writes is sound");
    }
    events
}

fn say(encoder: &mut Encoder, frame: &Frame<'_>, line: &RefCell<Bytes>) {
    let mut bytes = [0; message_max(MEMBERS)];
    let count = encoder.encode(frame, &mut bytes).expect("it fits");
    line.borrow_mut()
        .to_gateway
        .extend_from_slice(&bytes[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_gets_a_node_as_far_as_following_and_leading() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/link");
        let mut seen = String::new();
        for file in std::fs::read_dir(folder).expect("it is there").flatten() {
            let bytes = std::fs::read(file.path()).expect("it can be read");
            seen += &format!("{:?}", play(&bytes));
        }
        for event in ["Joined", "Election", "Leader"] {
            assert!(seen.contains(event), "no {event} in {seen}");
        }
    }
}
