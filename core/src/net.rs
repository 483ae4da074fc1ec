//! What the core asks of a network, and what a network tells the core.

use core::error::Error;
use core::fmt;

use crate::roster::{Addr, Member, Roster};

/// One message and its answer, if it has one; then the connection ends.
///
/// The number is the [`Net`]'s to choose. It is taken from the moment it is returned by
/// [`Net::open`] or told with [`Incoming::Accepted`] until it is given back by [`Net::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Exchange(pub u32);

/// A message that opens an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Request<'a> {
    /// To the group coordinator: this is me, who is there? Answered by [`Reply::Members`].
    Join(Member),
    /// To a greater member: I want to lead, unless you answer. Answered by [`Reply::Ok`].
    Election(Roster<'a>),
    /// To everyone: the greatest in this list leads. Not answered.
    Coordinator(Roster<'a>),
    /// To the leader: are you there? Answered by [`Reply::Ok`]. The list is the sender's table, for
    /// wires that carry one with it; a receiver may find it empty.
    Probe(Roster<'a>),
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reply<'a> {
    /// I am here. The list is the sender's table, for wires that carry one with it; a receiver may
    /// find it empty.
    Ok(Roster<'a>),
    /// Everyone that ever joined.
    Members(Roster<'a>),
    /// A JOIN was turned down.
    Refused(Refusal),
}

/// Why a request was turned down. The texts that peers are sent belong to the wire, not to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The bytes were not a message at all.
    NotAMessage,
    /// A message of a name that is not served here.
    Unexpected,
    /// The message's data has not the form of its name.
    Malformed,
    /// The process id is not a pair of numbers in the lab's ranges.
    Pid,
    /// The listen address has no usable port.
    Port,
    /// The listen address is not on this machine.
    NotLocal,
    /// The group has no room for another member.
    Full,
    /// A reason that only its text tells; the wire has the text.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAMessage => "not a message",
            Self::Unexpected => "a message that is not served here",
            Self::Malformed => "data that do not fit the message",
            Self::Pid => "a process id out of range",
            Self::Port => "no usable port",
            Self::NotLocal => "an address on another machine",
            Self::Full => "no room for another member",
            Self::Other => "a reason that only the wire tells",
        })
    }
}

impl Error for Refusal {}

/// What can be told of an exchange. `Done` and `Gone` are the last that is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Incoming<'a> {
    /// Somebody has connected; their message is still out.
    Accepted,
    /// What was handed to [`Net::open`] or [`Net::reply`] has been sent, whole.
    Sent,
    /// The message of an exchange that was told as [`Accepted`](Self::Accepted).
    Request(Request<'a>),
    /// In place of a [`Request`](Self::Request): something else arrived, whole and readable, that
    /// is not served here.
    Unfit(Refusal),
    /// The answer to a message sent by [`Net::open`]. It implies [`Sent`](Self::Sent).
    Reply(Reply<'a>),
    /// The exchange ended in order: the peer closed it, or all that was due was exchanged. No
    /// answer before it means the peer chose to give none.
    Done,
    /// The exchange broke.
    Gone(Gone),
}

/// How an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Gone {
    /// Nobody listens there.
    Refused,
    /// The connection broke off.
    Reset,
    /// What came was not a message; it was dropped unread.
    Malformed,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "nobody listens there",
            Self::Reset => "the connection broke off",
            Self::Malformed => "what came was not a message",
        })
    }
}

impl Error for Gone {}

/// There is no room for another exchange; nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for another exchange")
    }
}

impl Error for Full {}

/// A network, as the core uses it. Six rules bind an implementation:
///
/// 1. No method blocks.
/// 2. [`Full`] is returned for want of room only. Whatever else goes wrong is told later, as
///    [`Incoming::Gone`].
/// 3. For one exchange things are told in order, and after `Done` or `Gone` nothing more.
/// 4. A list is delivered whole or not at all.
/// 5. There is no clock inside: every deadline is the core's. That is why `Accepted` is told.
/// 6. The core closes each exchange exactly once, and only then is its number free again.
pub trait Net {
    /// Starts to connect to `to` and send `request`; [`Incoming::Sent`] follows, or `Gone`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for another exchange. Nothing has changed then.
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full>;

    /// The next thing there is to tell, or `None` for now.
    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)>;

    /// Answers the request that came on `on`. `Sent` and `Done` follow, or `Gone`; if the exchange
    /// is over already, nothing happens.
    fn reply(&mut self, on: Exchange, reply: Reply<'_>);

    /// Ends `exchange`, whatever it still had to say, and frees its number.
    ///
    /// What has been sent must still be able to arrive.
    fn close(&mut self, exchange: Exchange);

    /// Opens the door, or closes it: a closed door refuses connections. It starts open.
    fn set_listening(&mut self, on: bool);
}

impl<N: Net + ?Sized> Net for &mut N {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        (**self).open(to, request)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        (**self).recv()
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        (**self).reply(on, reply);
    }

    fn close(&mut self, exchange: Exchange) {
        (**self).close(exchange);
    }

    fn set_listening(&mut self, on: bool) {
        (**self).set_listening(on);
    }
}

// Stays object safe, or stops compiling.
const _: Option<&mut dyn Net> = None;
