//! A gateway between a chip that says anything and a network on which anything happens.

use core::time::Duration;

use bully::wire::{Encoder, Frame, Ready, VERSION, message_max};
use bully::{Addr, Checked, Exchange, Instant};
use bully_host::gateway::{Bridge, Chip, EXCHANGES_MAX, Memory};

use super::frames::{MEMBERS, members, reply, request};
use super::input::Input;
use crate::line::{Bytes, Quiet};
use crate::owned::{self, Message};
use crate::people::{DIRECTORY, member};

/// How many turns one instant may take.
const TURNS_MAX: usize = 100_000;

/// The gateway: it comes to rest at every instant, keeps the rules of its network, and has no more
/// exchanges than it may.
///
/// # Panics
///
/// If that is not so.
pub fn gateway(data: &[u8]) {
    play(data);
}

/// As [`gateway`]. Returns how many exchanges the chip has opened, and how many of others were answered.
fn play(data: &[u8]) -> (usize, usize) {
    let mut input = Input(data);
    let mut memory: Box<Memory> = Box::default();
    let chip = Chip {
        instance: 7,
        addr: member(9).addr,
        directory: DIRECTORY,
    };
    let mut bridge = Bridge::new(&mut memory, chip);
    let mut net: Checked<Quiet, EXCHANGES_MAX> = Checked::anybody(Quiet::default());
    let mut line = Bytes::default();
    let mut encoder = Encoder::new();
    let mut now = Instant::ZERO;
    while let Some(what) = input.byte() {
        match what % 12 {
            0 => {
                let count = usize::from(input.any());
                line.to_gateway.extend_from_slice(input.bytes(count));
            }
            1 => {
                encoder.begin(bridge.session());
                let ready = Frame::Ready(Ready {
                    version: VERSION.wrapping_add(u8::from(what > 240)),
                    members_max: u16::from(input.any()),
                    exchanges_max: u16::from(input.any() % 64),
                    listening: what & 16 != 0,
                });
                say(&mut encoder, &ready, &mut line);
            }
            2 => say(&mut encoder, &Frame::Pong, &mut line),
            3 => say(&mut encoder, &Frame::Lost, &mut line),
            4 => say(&mut encoder, &Frame::Listening(what > 128), &mut line),
            5 | 6 => {
                let (number, to, which) = (input.any(), input.any(), input.any());
                let mut list = members(&mut input);
                let request = request(which, &mut list);
                let open = Frame::Open(Exchange(number.into()), Addr(to.into()), request);
                say(&mut encoder, &open, &mut line);
            }
            7 => {
                let (number, which) = (number(&mut input), input.any());
                let mut list = members(&mut input);
                let reply = Frame::Reply(number, reply(which, &mut list));
                say(&mut encoder, &reply, &mut line);
            }
            8 => say(&mut encoder, &Frame::Close(number(&mut input)), &mut line),
            9 if net.inner().open.len() < EXCHANGES_MAX => {
                let which = input.any();
                let mut list = members(&mut input);
                let message = Message::from(request(which, &mut list));
                let request = (which < 200).then_some(owned::Input::Request(message));
                net.inner_mut().connect(request);
            }
            10 => line.stuck = what > 128,
            _ => {
                now = now + Duration::from_millis(u64::from(input.any()) * 8);
                net.inner_mut().full = what > 200;
            }
        }
        let rest = (0..TURNS_MAX)
            .find(|_| bridge.poll(now, &mut net, &mut line).is_none() && bridge.poll_at() > now);
        assert!(rest.is_some(), "it never comes to rest");
        assert!(bridge.exchanges() <= EXCHANGES_MAX);
        line.from_gateway.clear();
    }
    (net.inner().opened, net.inner().replies.len())
}

/// The number of an exchange: the chip's, or the gateway's.
fn number(input: &mut Input<'_>) -> Exchange {
    let number = u32::from(input.any());
    Exchange(if number > 127 {
        0x8000 + number - 128
    } else {
        number
    })
}

fn say(encoder: &mut Encoder, frame: &Frame<'_>, line: &mut Bytes) {
    let mut bytes = [0; message_max(MEMBERS)];
    let count = encoder.encode(frame, &mut bytes).expect("it fits");
    line.to_gateway.extend_from_slice(&bytes[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_gets_a_gateway_as_far_as_opening_and_answering() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/gateway");
        let mut sum = (0, 0);
        for file in std::fs::read_dir(folder).expect("it is there").flatten() {
            let bytes = std::fs::read(file.path()).expect("it can be read");
            let (opened, answered) = play(&bytes);
            sum = (sum.0 + opened, sum.1 + answered);
        }
        assert!(sum.0 > 0 && sum.1 > 0, "{sum:?}");
    }
}
