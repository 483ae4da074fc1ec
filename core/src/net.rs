//! What the core asks of a network, and what a network reports to the core.

use core::error::Error;
use core::fmt;

use crate::roster::{Addr, Member, Roster};

/// One message and its answer, if it has one; then the connection ends.
///
/// The number is chosen by the [`Net`]: see its rule 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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
    /// JOIN is refused.
    Refused(Refusal),
}

/// Why a request was refused. The texts that peers are sent belong to the wire, not to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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
    /// The group coordinator's table is full.
    Full,
    /// A reason that is a text only; the network has the text.
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
            Self::Full => "no slot for another member",
            Self::Other => "a reason that only its text gives",
        })
    }
}

impl Error for Refusal {}

/// What a network reports of an exchange. `Done` and `Gone` are the last of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Incoming<'a> {
    /// A peer has connected; its message is pending.
    Accepted,
    /// The message given to [`Net::open`] or [`Net::reply`] has been written, whole.
    Sent,
    /// The message of a peer that was [`Accepted`](Self::Accepted).
    Request(Request<'a>),
    /// In place of a [`Request`](Self::Request): what arrived is none, for this reason. A coordinator
    /// answers all the same.
    Unfit(Refusal),
    /// The answer to a message sent by [`Net::open`]. It implies [`Sent`](Self::Sent).
    Reply(Reply<'a>),
    /// The exchange ended in order: the peer closed it, or all that was due was exchanged. Without
    /// an answer before it, the peer chose to give none.
    Done,
    /// The exchange broke.
    Gone(Gone),
}

/// How an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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

/// There is no capacity for another exchange; nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no capacity for another exchange")
    }
}

impl Error for Full {}

/// A network, as the core uses it: five methods, none of which blocks.
///
/// # An exchange
///
/// One connection, one message, at most one answer. What [`recv`](Self::recv) reports of it, each at
/// most once and in this order; all but the first may be missing:
///
/// | opened by | reported |
/// |---|---|
/// | [`open`](Self::open) | `Sent`, `Reply`, then `Done` or `Gone` |
/// | a peer | `Accepted`, `Request` or `Unfit`, after [`reply`](Self::reply) `Sent`, then `Done` or `Gone` |
///
/// `Accepted` is reported as soon as a peer has connected, not with its message: the core limits how
/// long a connection may stay silent, and how many do.
///
/// # Rules for an implementation
///
/// 1. No method blocks, and there is no clock inside: every deadline is the core's.
/// 2. [`Full`] is returned for want of capacity only, and then nothing has changed. Any other
///    failure is reported later, as [`Gone`].
/// 3. The number of an exchange is unique among those that are open. An exchange is open from the
///    moment at which its number is returned, by `open` or with `Accepted`, until it is given to
///    [`close`](Self::close); its end does not close it.
/// 4. One request and one answer an exchange, in the order above. Of a peer that sends more, the rest
///    is dropped.
/// 5. `Done` or `Gone` is the last that is reported of an exchange. Either may be missing where a
///    network cannot know: the core's deadlines end every exchange.
/// 6. Of an exchange that is closed nothing is reported any more: input of it that waits is dropped.
///    What was sent on it must still be able to arrive.
/// 7. An answer fits the request: [`Reply::Ok`] to ELECTION and PROBE, [`Reply::Members`] or
///    [`Reply::Refused`] to JOIN, none to COORDINATOR. Whatever else arrives in its place is reported
///    as [`Gone::Malformed`].
/// 8. `Sent` is due for every message, once it is written whole. `Reply` and `Done` imply it; where
///    neither follows, the core takes a peer without `Sent` for one that did not accept the
///    connection.
/// 9. A list is delivered whole or not at all, strictly ascending ([`Roster::sorted`] makes it so).
///    What is received has no [revision](Roster::revision). Who sent it, its
///    [origin](Roster::origin), is delivered if the wire can carry it; nothing depends on that.
/// 10. While the network does not listen, it refuses connections. Exchanges that are open stay open,
///     and `Accepted` of a connection that was made before may still follow.
///
/// # What the core keeps
///
/// * a. It has at most as many exchanges open as it has slots for. One more that is accepted is
///   closed before anything else is done.
/// * b. It closes each exchange exactly once, whether or not that has ended.
/// * c. It answers a request at most once, before it closes the exchange, with an answer that fits. A
///   member answers ELECTION and PROBE only, a coordinator refuses what is not JOIN.
/// * d. It opens no exchange with itself.
/// * e. It sends JOIN for itself, ELECTION with itself in the list and to greater members only, and
///   never an empty COORDINATOR. A coordinator sends PROBE only.
/// * f. While failure is feigned it opens nothing, and answers nothing while it does not listen. A
///   member that has resigned does not listen, sends COORDINATOR without itself and nothing else,
///   and answers whoever had connected before.
/// * g. Its lists are strictly ascending: part of its table, with a revision, or of at most 16
///   members. Two lists with the same revision and length have the same members, so a network may
///   keep the encoding of one for the other; without a revision it must not.
///
/// `Checked` (feature `checked`) watches all of this but rule 1, between the two.
pub trait Net {
    /// Starts to connect to `to` and to send `request`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no capacity for another exchange. Nothing has changed then.
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full>;

    /// The next input, or `None` if there is none at present.
    ///
    /// Input waits until the core fetches it. When there is new input, `poll` of the node or
    /// coordinator is due, whatever its `poll_at`.
    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)>;

    /// Answers the request that was received on `on`. If that exchange has ended, nothing happens.
    fn reply(&mut self, on: Exchange, reply: Reply<'_>);

    /// Closes `exchange`, and frees its number.
    fn close(&mut self, exchange: Exchange);

    /// Opens or closes the listener. It is open at first.
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
