//! Which lab message a finished [`Reader`] holds.
//!
//! Real nodes differ in the form of their messages more than in what they mean. What is taken for
//! what:
//!
//! | | read as |
//! |---|---|
//! | `('JOIN', (pid, address))` | JOIN |
//! | `('ELECTION', members)`, `('ELECTION', None)`, `'ELECTION'` | ELECTION |
//! | `('COORDINATOR', members)`, at times of the leader only | COORDINATOR |
//! | `('PROBE', None)`, `('PROBE', members)`, `'PROBE'` | PROBE |
//! | any other text or tuple | unexpected |
//!
//! A name is as the assignment spells it. Lists are read where tuples are meant. `members` is a
//! dict, by address as the assignment has it or by process id as most nodes do; a member whose
//! process id or address is out of range is left out by itself, for one broken member must not
//! silence the others.

use core::fmt;

use bully::{Addr, Member, Origin, Pid, Refusal};

use crate::data::Data;
pub use crate::keys::Keyed;
use crate::keys::keep_last;
use crate::names::{HOST_BYTES_MAX, Names};
use crate::reader::Reader;
use crate::show::Repr;
pub use crate::show::{bytes_repr, raw_text, refusal_text};
use crate::storage::sealed::Storage;
use crate::table::Table;
use crate::value::{Text, Word};

/// What is to be said of a list of members besides the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// How it was keyed; `None` if that cannot be seen, since nobody is in it or there was no list.
    pub keyed: Option<Keyed>,
    /// How many members were left out: out of range, or their host found no room.
    pub left_out: usize,
}

/// A message that somebody opened an exchange with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Asks to be let into the group, and for its members.
    Join(Member),
    /// Wants to lead unless it is answered.
    Election(Listed),
    /// The greatest of the members leads. There may be none in it.
    Coordinator(Listed),
    /// Asks whether we are there.
    Probe(Listed),
    /// Whole and readable, but not for us. [`detail`] says what it was.
    Unfit(Refusal),
}

/// What is due to us as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// After a JOIN: the members of the group.
    Members,
    /// After an ELECTION or PROBE: a sign of life.
    Ok,
}

/// An answer to a message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'r> {
    /// They are there.
    Ok(Listed),
    /// The members of the group.
    Members(Listed),
    /// The coordinator's reason not to let us in, as it is, at most
    /// [`Limits::text`](crate::Limits::text) long.
    Text(&'r str),
    /// Nothing that answers us. [`describe`] says what it was.
    Unfit,
}

/// Returns which message `reader` holds, and puts its members into `members`.
///
/// `members` is cleared first, and holds each key of the message's dict once, the last one set, in
/// no particular order; what it has no capacity for is left out. Hosts that were not known take a
/// slot in `names`. A reader that is not at the end of a message holds nothing:
/// [`Refusal::NotAMessage`].
pub fn request<S: Storage>(
    reader: &Reader<S>,
    names: &mut impl Names,
    members: &mut impl Table<Member>,
) -> Received {
    members.truncate(0);
    let Some((message, data)) = reader.message() else {
        return Received::Unfit(Refusal::NotAMessage);
    };
    let (name, payload) = match name_and_payload(data, message) {
        Ok(parts) => parts,
        Err(refusal) => return Received::Unfit(refusal),
    };
    let with_list = match name {
        "JOIN" => match join(data, payload, names) {
            Ok(member) => return Received::Join(member),
            Err(refusal) => return Received::Unfit(refusal),
        },
        "ELECTION" => Received::Election,
        "PROBE" => Received::Probe,
        // Unlike the others it says nothing without its list.
        "COORDINATOR" if payload == Word::NONE => return Received::Unfit(Refusal::Malformed),
        "COORDINATOR" => Received::Coordinator,
        _ => return Received::Unfit(Refusal::Unexpected),
    };
    match list(data, payload, names, members) {
        Ok(listed) => with_list(listed),
        Err(refusal) => Received::Unfit(refusal),
    }
}

/// Returns what `reader` holds as an answer, and puts its members into `members` as [`request`] does.
///
/// After a JOIN a dict is the members and a text is the reason for there being none. After an
/// ELECTION or PROBE any text says that somebody is there, were it a complaint: that is all that
/// was asked. So does a pair of `'OK'`, `'OKAY'` or `'alive'`, in any case, and anything: if that
/// is a dict of members, they are read. A pair of another name is the answer to another protocol.
pub fn answer<'r, S: Storage>(
    reader: &'r Reader<S>,
    due: Due,
    names: &mut impl Names,
    members: &mut impl Table<Member>,
) -> Answer<'r> {
    members.truncate(0);
    let Some((message, data)) = reader.message() else {
        return Answer::Unfit;
    };
    let text = message.as_text();
    let list = match (due, text) {
        (Due::Members, Some(text)) => return Answer::Text(data.text(text)),
        (Due::Members, None) if message != Word::NONE => message,
        (Due::Ok, Some(_)) => return Answer::Ok(Listed::default()),
        (Due::Ok, None) => match name_and_payload(data, message) {
            Ok((name, payload)) if says_ok(name) => payload,
            _ => return Answer::Unfit,
        },
        _ => return Answer::Unfit,
    };
    match (due, self::list(data, list, names, members)) {
        (Due::Ok, listed) => Answer::Ok(listed.unwrap_or_default()),
        (Due::Members, Ok(listed)) => Answer::Members(listed),
        (Due::Members, Err(_)) => Answer::Unfit,
    }
}

/// Returns which program of our own kind sent a message, from the bytes that came along with it after
/// its end: one more pickle, `('BULLY', 1, days, id, large + 2 * leads)`.
///
/// Anything else is ignored, also a longer or a later version of it. Bytes beyond the first 64 are
/// not looked at, and nothing is waited for. What `reader` held before is forgotten.
pub fn origin<S: Storage>(after: &[u8], reader: &mut Reader<S>) -> Option<Origin> {
    if after.is_empty() {
        return None;
    }
    reader.clear();
    let within = after.get(..ORIGIN_BYTES_MAX).unwrap_or(after);
    reader.push(within).ok()??;
    let (message, data) = reader.message()?;
    let name = data.item(message, 0)?.as_text()?;
    let number = |at| u32::try_from(data.item(message, at)?.as_int()?).ok();
    let is_known = data.text(name) == ORIGIN && number(1)? == ORIGIN_VERSION;
    let pid = Pid {
        days: number(2)?,
        id: number(3)?,
    };
    let flags = number(4).filter(|flags| *flags < 4)?;
    (is_known && data.len(message) == 5).then_some(Origin {
        pid,
        large: flags & 1 != 0,
        leads: flags & 2 != 0,
    })
}

/// The name of the pickle that says who sent a message, and the version of its form.
pub(crate) const ORIGIN: &str = "BULLY";
pub(crate) const ORIGIN_VERSION: u32 = 1;

/// The longest form of it, in protocol 0, has 52 bytes.
const ORIGIN_BYTES_MAX: usize = 64;

/// What is not served in a message that is [`Received::Unfit`], for [`refusal_text`]: its name if that
/// is what is not served, or else all of it as [`describe`] shows it.
pub fn detail<S: Storage>(reader: &Reader<S>, refusal: Refusal) -> impl fmt::Display {
    let name_alone = refusal == Refusal::Unexpected;
    Held { reader, name_alone }
}

/// What `reader` holds: on the heap a whole message nearly as Python would show it, and of anything
/// else the first bytes. Printable, at most some 200 bytes.
pub fn describe<S: Storage>(reader: &Reader<S>) -> impl fmt::Display {
    let name_alone = false;
    Held { reader, name_alone }
}

struct Held<'r, S: Storage> {
    reader: &'r Reader<S>,
    name_alone: bool,
}

impl<S: Storage> fmt::Display for Held<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((message, data)) = self.reader.message() else {
            return bytes_repr(self.reader.beginning()).fmt(f);
        };
        match name_and_payload(data, message) {
            Ok((name, _)) if self.name_alone && S::COMPACT => bytes_repr(name.as_bytes()).fmt(f),
            Ok((name, _)) if self.name_alone => raw_text(name.as_bytes()).fmt(f),
            _ if S::COMPACT => bytes_repr(self.reader.beginning()).fmt(f),
            _ => Repr(data, message).fmt(f),
        }
    }
}

fn name_and_payload<S: Storage>(data: &Data<S>, message: Word) -> Result<(&str, Word), Refusal> {
    let (name, payload) = match data.pair(message) {
        Some([name, payload]) => (name, payload),
        None => (message, Word::NONE),
    };
    let name = name.as_text().ok_or(Refusal::Malformed)?;
    Ok((data.text(name), payload))
}

fn says_ok(text: &str) -> bool {
    ["OK", "OKAY", "ALIVE"]
        .iter()
        .any(|ok| text.eq_ignore_ascii_case(ok))
}

fn join<S: Storage>(
    data: &Data<S>,
    payload: Word,
    names: &mut impl Names,
) -> Result<Member, Refusal> {
    let [pid, address] = data.pair(payload).ok_or(Refusal::Malformed)?;
    let pid = pid_of(data, pid).ok_or(Refusal::Pid)?;
    let [host, port] = data.pair(address).ok_or(Refusal::Malformed)?;
    let host = host.as_text().ok_or(Refusal::Malformed)?;
    let port = port_of(port).ok_or(Refusal::Port)?;
    let host = data.text(host);
    if host.len() > HOST_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let base = names.base(host).ok_or(Refusal::Full)?;
    let addr = Addr(base | u64::from(port));
    Ok(Member { pid, addr })
}

/// Reads a dict of members, or `None` for no list at all.
fn list<S: Storage>(
    data: &Data<S>,
    payload: Word,
    names: &mut impl Names,
    members: &mut impl Table<Member>,
) -> Result<Listed, Refusal> {
    if payload == Word::NONE {
        return Ok(Listed::default());
    }
    let dict = payload.as_dict().ok_or(Refusal::Malformed)?;
    // The first key that has a form at all decides: no program mixes them.
    let keyed = data
        .entries(dict)
        .find_map(|(key, _)| match data.pair(key)? {
            [host, _] if host.as_text().is_some() => Some(Keyed::Address),
            [days, _] if days.as_int().is_some() => Some(Keyed::Pid),
            _ => None,
        });
    let mut hosts = Hosts::new(data, names);
    let mut left_out = 0;
    for (key, value) in data.entries(dict) {
        let (pid, address) = match keyed {
            Some(Keyed::Address) => (value, key),
            _ => (key, value),
        };
        let member = Member {
            pid: pid_of(data, pid).unwrap_or(NOBODY.pid),
            addr: hosts.addr_of(address).unwrap_or(NOBODY.addr),
        };
        let is_kept = members.push(member);
        left_out += usize::from(!is_usable(&member) || !is_kept);
    }
    keep_last(members, keyed, left_out == 0, is_usable);
    Ok(Listed { keyed, left_out })
}

/// Stands for what is out of range, on either side. Neither is ever that of a member.
const NOBODY: Member = Member {
    pid: Pid {
        days: u32::MAX,
        id: u32::MAX,
    },
    addr: Addr(u64::MAX),
};

fn is_usable(member: &Member) -> bool {
    member.pid != NOBODY.pid && member.addr != NOBODY.addr
}

#[inline]
fn pid_of<S: Storage>(data: &Data<S>, word: Word) -> Option<Pid> {
    match word.as_ints() {
        Some((days, id)) if !S::COMPACT => Some(Pid {
            days: days.into(),
            id,
        }),
        _ => odd_pid_of(data, word),
    }
}

/// A process id of whatever form: it need be no plain pair of small numbers.
fn odd_pid_of<S: Storage>(data: &Data<S>, word: Word) -> Option<Pid> {
    let [days, id] = data.pair(word)?;
    Some(Pid {
        days: days.as_int()?.try_into().ok()?,
        id: id.as_int()?.try_into().ok()?,
    })
}

fn port_of(word: Word) -> Option<u16> {
    let port = u16::try_from(word.as_int()?).ok()?;
    (port > 0).then_some(port)
}

/// Turns addresses into numbers and remembers the last host, for mostly there is but one.
struct Hosts<'a, S: Storage, N> {
    data: &'a Data<S>,
    names: &'a mut N,
    last: Option<Text>,
    base: Option<u64>,
}

impl<'a, S: Storage, N: Names> Hosts<'a, S, N> {
    fn new(data: &'a Data<S>, names: &'a mut N) -> Self {
        Self {
            data,
            names,
            last: None,
            base: None,
        }
    }

    #[inline]
    fn addr_of(&mut self, word: Word) -> Option<Addr> {
        match (word.as_address(), self.base) {
            (Some((host, port @ 1..)), Some(base)) if !S::COMPACT && self.last == Some(host) => {
                Some(Addr(base | u64::from(port)))
            }
            _ => self.next_addr_of(word),
        }
    }

    /// An address on another host than the last, or that is no plain pair.
    fn next_addr_of(&mut self, word: Word) -> Option<Addr> {
        let [host, port] = self.data.pair(word)?;
        let (host, port) = (host.as_text()?, port_of(port)?);
        if self.last != Some(host) {
            self.last = Some(host);
            let host = self.data.text(host);
            self.base = if host.len() > HOST_BYTES_MAX {
                None
            } else {
                self.names.base(host)
            };
        }
        Some(Addr(self.base? | u64::from(port)))
    }
}
