//! The decoder of a chip's line, and frames made of any bytes.

use bully::wire::{
    Decoder, Encoder, Frame, Hello, Ready, Received, VERSION, frame_max, message_max,
};
use bully::{Addr, Exchange, Gone, Incoming, Member, Pid, Refusal, Reply, Request, Roster};

use super::input::Input;

const NOBODY: Member = Member {
    pid: Pid { days: 0, id: 0 },
    addr: Addr(0),
};

/// The longest list in a frame here.
pub(super) const MEMBERS: usize = 16;

/// The decoder: what it takes for a frame is the same frame after it was encoded and decoded again. The
/// first byte says whether the others come over the line, or say which frames do.
///
/// # Panics
///
/// If that is not so.
pub fn decoder(data: &[u8]) {
    match data.split_first() {
        Some((0..128, line)) => decode(line),
        Some((_, choices)) => decode(&line(&mut Input(choices))),
        None => {}
    }
}

/// The bytes of any frames, a few of them spoilt.
fn line(input: &mut Input<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut line = Vec::new();
    let mut bytes = [0; message_max(MEMBERS)];
    while let Some(what) = input.byte() {
        let number = Exchange(u32::from(input.any()) << 8 | u32::from(input.any()));
        let (which, mut list) = (input.any(), members(input));
        let frame = match what % 16 {
            0 => {
                encoder.begin(which);
                Frame::Hello(Hello {
                    version: VERSION,
                    instance: number.0,
                    addr: Addr(input.any().into()),
                    directory: Addr(input.any().into()),
                })
            }
            1 => Frame::Ready(Ready {
                version: VERSION,
                members_max: which.into(),
                exchanges_max: input.any().into(),
                listening: what > 128,
            }),
            2 => Frame::Lost,
            3 => Frame::Ping,
            4 => Frame::Pong,
            5 => Frame::Listening(what > 128),
            6 => Frame::Close(number),
            7 | 8 => Frame::Open(number, Addr(input.any().into()), request(which, &mut list)),
            9 | 10 => Frame::Reply(number, reply(which, &mut list)),
            11 => {
                line.extend_from_slice(input.bytes(which.into()));
                continue;
            }
            _ => Frame::Input(number, incoming(which, &mut list)),
        };
        let count = encoder.encode(&frame, &mut bytes).expect("it fits");
        line.extend_from_slice(&bytes[..count]);
        if what > 250
            && let Some(last) = line.last_mut()
        {
            *last ^= which;
        }
    }
    line
}

fn decode(data: &[u8]) {
    let mut bytes = [0; frame_max(MEMBERS)];
    let mut list = [NOBODY; MEMBERS];
    let mut decoder = Decoder::new(&mut bytes, &mut list);
    for byte in data {
        if decoder.push(*byte) == Some(Received::Frame) {
            let frame = decoder.frame().expect("it was said to be one");
            let text = format!("{frame:?}");
            assert_eq!(text, again(&frame, decoder.session()), "{data:02x?}");
        }
    }
    let counts = decoder.counts();
    assert!(u64::from(counts.sound) + u64::from(counts.corrupt) <= data.len() as u64);
}

/// A frame as text, after it was encoded and decoded.
fn again(frame: &Frame<'_>, session: u8) -> String {
    let mut encoder = Encoder::new();
    encoder.begin(session);
    let mut bytes = [0; message_max(MEMBERS)];
    let count = encoder.encode(frame, &mut bytes).expect("it came in less");
    let mut memory = [0; frame_max(MEMBERS)];
    let mut list = [NOBODY; MEMBERS];
    let mut decoder = Decoder::new(&mut memory, &mut list);
    if !matches!(frame, Frame::Hello(_)) {
        decoder.begin(session);
    }
    let mut text = String::new();
    for byte in &bytes[..count] {
        if decoder.push(*byte) == Some(Received::Frame) {
            text = format!("{:?}", decoder.frame().expect("it was said to be one"));
        }
    }
    text
}

/// A few members, in no order.
pub(super) fn members(input: &mut Input<'_>) -> Vec<Member> {
    let count = usize::from(input.any()) % (MEMBERS + 1);
    let member = |_| Member {
        pid: Pid {
            days: 1 + u32::from(input.any()),
            id: 1_000_000 + u32::from(input.any()),
        },
        addr: Addr(u64::from(input.any())),
    };
    (0..count).map(member).collect()
}

/// Any request with this list.
pub(super) fn request<'a>(which: u8, list: &'a mut [Member]) -> Request<'a> {
    match which % 4 {
        0 => Request::Election(Roster::sorted(list)),
        1 => Request::Coordinator(Roster::sorted(list)),
        2 => Request::Probe(Roster::sorted(list)),
        _ => Request::Join(list.first().copied().unwrap_or(NOBODY)),
    }
}

/// Any answer with this list.
pub(super) fn reply<'a>(which: u8, list: &'a mut [Member]) -> Reply<'a> {
    match which % 3 {
        0 => Reply::Ok(Roster::sorted(list)),
        1 => Reply::Members(Roster::sorted(list)),
        _ => Reply::Refused(Refusal::Full),
    }
}

/// Anything that a network reports, with this list.
pub(super) fn incoming<'a>(which: u8, list: &'a mut [Member]) -> Incoming<'a> {
    match which % 8 {
        0 => Incoming::Accepted,
        1 => Incoming::Sent,
        2 | 3 => Incoming::Request(request(which / 8, list)),
        4 | 5 => Incoming::Reply(reply(which / 8, list)),
        6 => Incoming::Done,
        _ => Incoming::Gone(
            [Gone::Refused, Gone::Reset, Gone::Malformed][usize::from(which / 8) % 3],
        ),
    }
}
