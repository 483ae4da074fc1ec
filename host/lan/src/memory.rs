//! The memory that a network works in, lent to it.

use bully::Member;
use bully_pickle::{Array, Fixed, Reader, Table as _};

use crate::backlog::Queue;
use crate::connection::Connection;
use crate::encodings::{ENCODING_BYTES, ENCODINGS, EncodingBytes, Encodings};

/// How many members of a list are read: the wire's lists have up to 64 members where most read them.
pub const LIST_MAX: usize = 64;

/// The memory of a [`Lan`](crate::Lan) with `SOCKETS` sockets, of which each receives into `RECEIVE` bytes
/// and sends from `SEND`.
///
/// A message is read where it was received, so that `RECEIVE` is the longest that comes through: 1,536
/// hold a list of 64 members of one host or 32 of as many in protocol 4, 2,048 one of 32 in any
/// protocol. `SEND` may be shorter than a message; 536 is one segment anywhere. Of the sockets two
/// listen and two may linger, so a node should have four exchanges fewer.
///
/// All of it is zeros when new: as a static it costs no flash.
#[derive(Debug)]
pub struct Memory<const SOCKETS: usize, const RECEIVE: usize, const SEND: usize> {
    pub(crate) receive: [[u8; RECEIVE]; SOCKETS],
    pub(crate) send: [[u8; SEND]; SOCKETS],
    pub(crate) connections: [Connection; SOCKETS],
    pub(crate) waiting: Queue,
    pub(crate) encodings: EncodingBytes,
    pub(crate) reader: Reader<Fixed<LIST_MAX>>,
    pub(crate) members: Array<Member, 1, LIST_MAX>,
}

impl<const SOCKETS: usize, const RECEIVE: usize, const SEND: usize> Memory<SOCKETS, RECEIVE, SEND> {
    /// Memory with nothing in it.
    pub const fn new() -> Self {
        const {
            assert!(
                SOCKETS >= 4,
                "two sockets listen, and two are the least to work with"
            )
        };
        const {
            assert!(
                RECEIVE <= u16::MAX as usize,
                "the window is counted in 16 bits"
            )
        };
        Self {
            receive: [[0; RECEIVE]; SOCKETS],
            send: [[0; SEND]; SOCKETS],
            connections: [Connection::ZEROS; SOCKETS],
            waiting: Queue::new(),
            encodings: [[0; ENCODING_BYTES]; ENCODINGS],
            reader: Reader::fixed(),
            members: Array::EMPTY,
        }
    }
}

impl<const SOCKETS: usize, const RECEIVE: usize, const SEND: usize> Default
    for Memory<SOCKETS, RECEIVE, SEND>
{
    fn default() -> Self {
        Self::new()
    }
}

/// What one connection at a time needs.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) encodings: Encodings<'a>,
    pub(crate) reader: &'a mut Reader<Fixed<LIST_MAX>>,
    pub(crate) members: &'a mut Array<Member, 1, LIST_MAX>,
}
