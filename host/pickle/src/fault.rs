//! What a message may hold at most, and why one is refused.

use core::fmt;

use crate::opcode::foreign;

/// What a [`Reader`](crate::Reader) accepts at most; beyond it a message is refused.
///
/// The defaults let 10,000 members pass in any protocol. A reader's memory is at most 32 bytes for
/// each byte received and 4 KiB, and with the defaults never more than 6 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, its end included. Default 1 MiB: 10,000 members take 0.6 MB in the
    /// wordiest protocol, which is 0.
    pub bytes: usize,
    /// Bytes of one text or line, as they come. Default 4,096: a host name has at most 253 and an
    /// error text is a line, but one that quotes what it was sent may quote a whole buffer.
    pub text: usize,
    /// Marks open at once. Default 64: the deepest lab message opens five.
    pub marks: usize,
    /// Values on the stack, in the memo, and in tuples and lists, each; texts; and tuples and
    /// lists. Default 65,536: CPython memoizes three values for a member, and 10,000 members under
    /// one mark are 20,000 values.
    pub values: usize,
    /// Items of all dicts together. Default 16,384.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            text: 4096,
            marks: 64,
            values: 1 << 16,
            members: 1 << 14,
        }
    }
}

/// Where and why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was wrong.
    pub what: Fault,
    /// The byte at which the offending opcode begins, counted from 0.
    pub offset: usize,
}

/// What was wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A byte that is no opcode which lab messages use: another of Python's, or none at all.
    Opcode(u8),
    /// A protocol above 5.
    Protocol(u8),
    /// More bytes than [`Limits::bytes`], by count or by a length that was announced.
    Bytes(usize),
    /// A text or a line longer than [`Limits::text`].
    Text(usize),
    /// More marks open than [`Limits::marks`].
    Marks(usize),
    /// More of something than [`Limits::values`].
    Values(usize),
    /// More dict items than [`Limits::members`].
    Members(usize),
    /// A memo index greater than the count of bytes so far: nothing honest leaves such gaps.
    Sparse(u64),
    /// A memo index under which nothing was put.
    Unset(u64),
    /// A number that is none, or of more than 64 bits.
    Number,
    /// A text that is not Unicode.
    Unicode,
    /// An opcode that takes more than there is, or other than there is.
    Operand,
    /// A dict key other than a text, a number, `None`, or a tuple of up to three of those.
    Key,
    /// The message ends before the frame it announced.
    Frame,
}

/// What was wrong, without the figures of a [`Fault`]: one byte, since nearly every step of the reader
/// may return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Opcode,
    Protocol,
    Bytes,
    Text,
    Marks,
    Values,
    Members,
    Sparse,
    Unset,
    Number,
    Unicode,
    Operand,
    Key,
    Frame,
}

impl Kind {
    /// The same with its figures: a limit, or else `figure`.
    pub(crate) const fn fault(self, limits: &Limits, figure: u64) -> Fault {
        match self {
            Self::Opcode => Fault::Opcode(figure as u8),
            Self::Protocol => Fault::Protocol(figure as u8),
            Self::Bytes => Fault::Bytes(limits.bytes),
            Self::Text => Fault::Text(limits.text),
            Self::Marks => Fault::Marks(limits.marks),
            Self::Values => Fault::Values(limits.values),
            Self::Members => Fault::Members(limits.members),
            Self::Sparse => Fault::Sparse(figure),
            Self::Unset => Fault::Unset(figure),
            Self::Number => Fault::Number,
            Self::Unicode => Fault::Unicode,
            Self::Operand => Fault::Operand,
            Self::Key => Fault::Key,
            Self::Frame => Fault::Frame,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.what {
            Fault::Opcode(byte) => match (byte, foreign(byte)) {
                (b'S' | b'T' | b'U', Some(name)) => write!(
                    f,
                    "opcode {name} (0x{byte:02x}) at byte {at} is how Python 2 writes text, which is \
                     not read: run that program with Python 3"
                ),
                (_, Some(name)) => write!(
                    f,
                    "opcode {name} (0x{byte:02x}) at byte {at} is not one that lab messages use"
                ),
                (_, None) => write!(f, "0x{byte:02x} at byte {at} is no opcode: not a pickle"),
            },
            Fault::Protocol(version) => {
                write!(
                    f,
                    "protocol {version} at byte {at} is not known, only 0 to 5"
                )
            }
            Fault::Bytes(max) => write!(f, "longer than {max} bytes, at byte {at}"),
            Fault::Text(max) => write!(f, "a text longer than {max} bytes, at byte {at}"),
            Fault::Marks(max) => write!(f, "nested deeper than {max}, at byte {at}"),
            Fault::Values(max) => write!(f, "more than {max} values, at byte {at}"),
            Fault::Members(max) => write!(f, "more than {max} members, at byte {at}"),
            Fault::Sparse(index) => write!(f, "memo index {index} out of bounds, at byte {at}"),
            Fault::Unset(index) => write!(f, "memo index {index} was never set, at byte {at}"),
            Fault::Number => write!(f, "not a whole number of at most 64 bits, at byte {at}"),
            Fault::Unicode => write!(f, "a text that is not Unicode, at byte {at}"),
            Fault::Operand => write!(f, "an opcode without what it works on, at byte {at}"),
            Fault::Key => write!(f, "a dict key that cannot be one, at byte {at}"),
            Fault::Frame => write!(f, "the message ends inside its frame, at byte {at}"),
        }
    }
}

impl core::error::Error for Refused {}
