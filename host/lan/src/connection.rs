//! One connection: the message one way, the answer the other.

use bully::Gone;
use bully_pickle::message::Due;
use smoltcp::iface::SocketHandle;
use smoltcp::time::Instant;

/// What a connection is about to do, or waits for.
// With a tag of its own, so that memory with nothing in it is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Its socket is free.
    Idle,
    /// Its socket listens, or is being connected to.
    Listening,
    /// Ours: the handshake is under way.
    Connecting,
    /// The message or the answer is being sent.
    Sending,
    /// Theirs: a message is to be read. Ours: the answer that is due.
    Reading,
    /// Theirs: the message was reported, the answer is the core's to give.
    Reported,
    /// All is sent; the peer may take its time to close.
    Draining,
    /// Its end is to be reported to the core.
    Ending(Option<Gone>),
    /// Over, and the core knows; it has yet to close it.
    Over,
    /// Closed by the core: our half is shut, and what still comes is thrown away.
    Lingering,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) stage: Stage,
    pub(crate) handle: Option<SocketHandle>,
    /// The answer that is due to a message of ours.
    pub(crate) due: Option<Due>,
    pub(crate) theirs: bool,
    /// What is sent, by its number among the encodings, and how much of it has been.
    pub(crate) out: Option<u8>,
    pub(crate) sent: usize,
    /// How many received bytes have been looked at.
    pub(crate) seen: usize,
    /// When it began to linger or to be connected to, or when nobody could be reset.
    pub(crate) since: Instant,
    /// The hardware address of whoever connects has been asked for.
    pub(crate) asked: bool,
}

impl Connection {
    pub(crate) const IDLE: Self = Self {
        stage: Stage::Idle,
        handle: None,
        due: None,
        theirs: false,
        out: None,
        sent: 0,
        seen: 0,
        since: Instant::ZERO,
        asked: false,
    };

    /// What it is before it has a socket.
    pub(crate) const ZEROS: Self = Self {
        due: Some(Due::Members),
        ..Self::IDLE
    };

    /// Begins a use of its socket.
    pub(crate) fn begin(&mut self, stage: Stage, due: Option<Due>, theirs: bool) {
        *self = Self {
            stage,
            due,
            theirs,
            handle: self.handle,
            ..Self::IDLE
        };
    }
}
