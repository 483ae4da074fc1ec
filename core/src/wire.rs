#![doc = include_str!("wire.md")]

mod decode;
mod encode;
mod frame;
mod framing;

pub use decode::{Counts, Decoder, Received};
pub use encode::Encoder;
pub use frame::{
    ACCEPTED_FROM, FRAME_SHORT_MAX, Frame, HELLO_AGAIN, Hello, RECORDED_MAX, Ready, VERSION,
    frame_max, message_max,
};
