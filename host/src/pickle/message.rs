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

use bully::{Addr, Member, Origin, Pid, Refusal};

use super::data::{Data, Text, Value};
use super::reader::Reader;
use crate::names::{self, HOST_BYTES_MAX, Names};

/// What the keys of a dict of members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// `{(host, port): (days, id)}`, as the assignment says.
    Address,
    /// `{(days, id): (host, port)}`, as the published coordinator and most nodes do.
    Pid,
}

/// What is to be said of a list of members besides the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// How it was keyed; `None` if that cannot be seen, since nobody is in it or there was no list.
    pub keyed: Option<Keyed>,
    /// How many members were left out: out of range, or their host found no room.
    pub left_out: usize,
}

/// A message that somebody opened an exchange with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Asks to be let into the group, and for its members.
    Join(Member),
    /// Wants to lead unless it is answered.
    Election(Listed),
    /// The greatest of the members leads. There may be none in it.
    Coordinator(Listed),
    /// Asks whether we are there.
    Probe(Listed),
    /// Whole and readable, but not for us.
    Unfit {
        /// Why.
        refusal: Refusal,
        /// The name that is not served, or else the message, printable and at most some 200
        /// bytes: the `detail` for [`refusal_text`].
        detail: String,
    },
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are there.
    Ok(Listed),
    /// The members of the group.
    Members(Listed),
    /// The coordinator's reason not to let us in, as it is, at most [`Limits::text`](super::Limits) long.
    Text(String),
    /// Nothing that answers us: what it was, printable and at most some 200 bytes.
    Unfit(String),
}

/// Tells which message `reader` holds, and puts its members into `members`.
///
/// `members` is cleared first, and holds each key of the message's dict once, the last one set, in
/// no particular order. Hosts that were not known take room in `names`. A reader that is not at
/// the end of a message holds nothing: [`Refusal::NotAMessage`].
pub fn request(reader: &Reader, names: &mut Names, members: &mut Vec<Member>) -> Heard {
    members.clear();
    let Some((message, data)) = reader.message() else {
        return Heard::Unfit {
            refusal: Refusal::NotAMessage,
            detail: bytes_repr(reader.beginning()),
        };
    };
    let (name, payload) = match name_and_payload(data, message) {
        Ok(parts) => parts,
        Err(refusal) => return unfit(data, message, refusal),
    };
    let heard = match name {
        "JOIN" => join(data, payload, names).map(Heard::Join),
        "ELECTION" => list(data, payload, names, members).map(Heard::Election),
        "PROBE" => list(data, payload, names, members).map(Heard::Probe),
        // Unlike the others it says nothing without its list.
        "COORDINATOR" if payload != Value::None => {
            list(data, payload, names, members).map(Heard::Coordinator)
        }
        "COORDINATOR" => Err(Refusal::Malformed),
        _ => Err(Refusal::Unexpected),
    };
    heard.unwrap_or_else(|refusal| unfit(data, message, refusal))
}

/// Tells what `reader` holds as an answer, and puts its members into `members` as [`request`] does.
///
/// After a JOIN a dict is the members and a text is the reason for there being none. After an
/// ELECTION or PROBE any text says that somebody is there, were it a complaint: that is all that
/// was asked. So does a pair of `'OK'`, `'OKAY'` or `'alive'`, in any case, and anything: if that
/// is a dict of members, they are read. A pair of another name is the answer to another protocol.
pub fn answer(reader: &Reader, due: Due, names: &mut Names, members: &mut Vec<Member>) -> Answer {
    members.clear();
    let Some((message, data)) = reader.message() else {
        return Answer::Unfit(bytes_repr(reader.beginning()));
    };
    let answer = match (due, message) {
        (Due::Members, Value::Text(text)) => Some(Answer::Text(data.text(text).to_owned())),
        (Due::Members, Value::Dict(_)) => list(data, message, names, members)
            .ok()
            .map(Answer::Members),
        (Due::Members, _) => None,
        (Due::Ok, Value::Text(_)) => Some(Answer::Ok(Listed::default())),
        (Due::Ok, _) => match data.pair(message) {
            Some([Value::Text(text), payload]) if says_ok(data.text(text)) => {
                let listed = list(data, payload, names, members);
                Some(Answer::Ok(listed.unwrap_or_default()))
            }
            _ => None,
        },
    };
    answer.unwrap_or_else(|| Answer::Unfit(repr(data, message)))
}

/// Tells which program of our own kind sent a message, from the bytes that came along with it after
/// its end: one more pickle, `('BULLY', 1, days, id, large)`.
///
/// Anything else is ignored, also a longer or a later version of it. Bytes beyond the first 64 are
/// not looked at, and nothing is waited for. What `reader` held before is forgotten.
pub fn origin(after: &[u8], reader: &mut Reader) -> Option<Origin> {
    if after.is_empty() {
        return None;
    }
    reader.clear();
    let within = after.get(..ORIGIN_BYTES_MAX).unwrap_or(after);
    reader.push(within).ok()??;
    let (message, data) = reader.message()?;
    let mut items = data.items(message);
    let (name, version) = (items.next()?, items.next()?);
    let (days, id, large) = (items.next()?, items.next()?, items.next()?);
    let is_last = data.len(message) == 5;
    match (name, version, days, id, large) {
        (Value::Text(name), Value::Int(version), Value::Int(days), Value::Int(id), large)
            if is_last && data.text(name) == ORIGIN && version == i64::from(ORIGIN_VERSION) =>
        {
            let pid = Pid {
                days: days.try_into().ok()?,
                id: id.try_into().ok()?,
            };
            let large = match large {
                Value::Int(0) => false,
                Value::Int(1) => true,
                _ => return None,
            };
            Some(Origin { pid, large })
        }
        _ => None,
    }
}

/// The name of the pickle that tells who sent a message, and the version of its form.
pub(super) const ORIGIN: &str = "BULLY";
pub(super) const ORIGIN_VERSION: u32 = 1;

/// The longest form of it, in protocol 0, has 52 bytes.
const ORIGIN_BYTES_MAX: usize = 64;

/// Why a message is not served, as it is told to whoever sent it and in the log.
///
/// The published coordinator's own words where it has some, since programs and people know them.
/// `detail` is what [`Heard::Unfit`] tells; for [`Refusal::Other`] it is the whole text.
pub fn refusal_text(refusal: Refusal, detail: Option<&str>) -> String {
    let text = match refusal {
        Refusal::NotAMessage => "Expected a pickled message, got ",
        Refusal::Unexpected => "Unexpected message: ",
        Refusal::Malformed => "Malformed message: ",
        Refusal::Pid => {
            return "Malformed process id, expected (days_to_next_birthday, student_id)".into();
        }
        Refusal::Port => return "Invalid port number".into(),
        Refusal::NotLocal => return "Only local group members currently allowed".into(),
        Refusal::Full => return "The group is full, there is no room for another member".into(),
        Refusal::Other => return detail.unwrap_or("Refused").into(),
    };
    format!("{text}{}", detail.unwrap_or("?"))
}

/// What came instead of a pickle, for people to read: one line, printable, at most 500 characters.
pub fn raw_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut printable = String::new();
    for (at, letter) in text.trim().chars().enumerate() {
        match letter {
            _ if at == 500 => {
                printable.push('…');
                break;
            }
            _ if letter.is_control() => printable.extend(letter.escape_default()),
            _ => printable.push(letter),
        }
    }
    printable
}

/// Bytes as Python shows them, `b'...'`, at most 100 characters: the `detail` for
/// [`Refusal::NotAMessage`].
pub fn bytes_repr(bytes: &[u8]) -> String {
    let mut shown = String::from("b'");
    for byte in bytes {
        let escaped = byte.escape_ascii();
        if shown.len() + escaped.len() > 100 - 1 {
            break;
        }
        shown.extend(escaped.map(char::from));
    }
    shown.push('\'');
    shown
}

/// What a whole message is, nearly as Python would show it: printable, at most some 200 bytes.
pub fn describe(reader: &Reader) -> String {
    match reader.message() {
        Some((message, data)) => repr(data, message),
        None => bytes_repr(reader.beginning()),
    }
}

fn name_and_payload(data: &Data, message: Value) -> Result<(&str, Value), Refusal> {
    if let Value::Text(name) = message {
        return Ok((data.text(name), Value::None));
    }
    match data.pair(message) {
        Some([Value::Text(name), payload]) => Ok((data.text(name), payload)),
        _ => Err(Refusal::Malformed),
    }
}

fn unfit(data: &Data, message: Value, refusal: Refusal) -> Heard {
    let name = match name_and_payload(data, message) {
        Ok((name, _)) if refusal == Refusal::Unexpected => raw_text(name.as_bytes()),
        _ => repr(data, message),
    };
    Heard::Unfit {
        refusal,
        detail: name,
    }
}

fn says_ok(text: &str) -> bool {
    ["OK", "OKAY", "ALIVE"]
        .iter()
        .any(|ok| text.eq_ignore_ascii_case(ok))
}

fn join(data: &Data, payload: Value, names: &mut Names) -> Result<Member, Refusal> {
    let [pid, address] = data.pair(payload).ok_or(Refusal::Malformed)?;
    let pid = pid_of(data, pid).ok_or(Refusal::Pid)?;
    let Some([Value::Text(host), port]) = data.pair(address) else {
        return Err(Refusal::Malformed);
    };
    let port = port_of(port).ok_or(Refusal::Port)?;
    let host = data.text(host);
    match names.addr(host, port) {
        Some(addr) => Ok(Member { pid, addr }),
        None if host.len() > HOST_BYTES_MAX => Err(Refusal::Malformed),
        None => Err(Refusal::Full),
    }
}

/// Reads a dict of members, or `None` for no list at all.
fn list(
    data: &Data,
    payload: Value,
    names: &mut Names,
    members: &mut Vec<Member>,
) -> Result<Listed, Refusal> {
    let dict = match payload {
        Value::None => return Ok(Listed::default()),
        Value::Dict(dict) => dict,
        _ => return Err(Refusal::Malformed),
    };
    // The first key that has a form at all decides: no program mixes them.
    let keyed = data
        .entries(dict)
        .find_map(|(key, _)| match data.pair(key)? {
            [Value::Text(_), _] => Some(Keyed::Address),
            [Value::Int(_), _] => Some(Keyed::Pid),
            _ => None,
        });
    let mut hosts = Hosts::new(data, names);
    let mut left_out = 0;
    members.reserve(data.entries_max());
    for (key, value) in data.entries(dict) {
        let (pid, address) = match keyed {
            Some(Keyed::Address) => (value, key),
            _ => (key, value),
        };
        let member = Member {
            pid: pid_of(data, pid).unwrap_or(NOBODY.pid),
            addr: hosts.addr_of(address).unwrap_or(NOBODY.addr),
        };
        left_out += usize::from(!is_usable(&member));
        members.push(member);
    }
    // COORDINATOR comes greatest first; ascending lists are sorted in one pass.
    if members.is_sorted_by(|a, b| a > b) {
        members.reverse();
    }
    match keyed {
        Some(Keyed::Address) if are_distinct_ports(members) => {}
        Some(Keyed::Address) => keep_last(members, |member| member.addr),
        _ => keep_last(members, |member| member.pid),
    }
    // Only now: an unusable value replaces a usable one that its key had before.
    if left_out > 0 {
        members.retain(is_usable);
    }
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

/// Whether all are on one host, each at a port of its own: then no key was set twice, and the members
/// stay in the order in which they came, which is the table's more often than not.
fn are_distinct_ports(members: &[Member]) -> bool {
    let Some(first) = members.first() else {
        return true;
    };
    let mut seen = [0_u64; 1 << 10];
    members.iter().all(|member| {
        let port = names::port(member.addr);
        let bit = 1 << (port % 64);
        let word = &mut seen[usize::from(port / 64)];
        let is_new =
            *word & bit == 0 && names::host_key(member.addr) == names::host_key(first.addr);
        *word |= bit;
        is_new
    })
}

/// Keeps each key once, with what it was set to last.
fn keep_last<K: Ord>(members: &mut Vec<Member>, key: impl Fn(&Member) -> K) {
    if members.is_sorted_by(|a, b| key(a) < key(b)) {
        return;
    }
    members.sort_by_key(&key);
    members.dedup_by(|later, kept| {
        let same = key(later) == key(kept);
        if same {
            *kept = *later;
        }
        same
    });
}

#[inline]
fn pid_of(data: &Data, value: Value) -> Option<Pid> {
    match value {
        Value::Ints(days, id) => Some(Pid {
            days: days.into(),
            id,
        }),
        _ => odd_pid_of(data, value),
    }
}

/// A process id that is no plain pair of small numbers.
fn odd_pid_of(data: &Data, value: Value) -> Option<Pid> {
    match data.pair(value)? {
        [Value::Int(days), Value::Int(id)] => Some(Pid {
            days: days.try_into().ok()?,
            id: id.try_into().ok()?,
        }),
        _ => None,
    }
}

fn port_of(value: Value) -> Option<u16> {
    match value {
        Value::Int(port) => u16::try_from(port).ok().filter(|port| *port > 0),
        _ => None,
    }
}

/// Turns addresses into numbers and remembers the last host, for mostly there is but one.
struct Hosts<'a> {
    data: &'a Data,
    names: &'a mut Names,
    last: Option<Text>,
    base: Option<u64>,
}

impl<'a> Hosts<'a> {
    fn new(data: &'a Data, names: &'a mut Names) -> Self {
        Self {
            data,
            names,
            last: None,
            base: None,
        }
    }

    #[inline]
    fn addr_of(&mut self, value: Value) -> Option<Addr> {
        match (value, self.base) {
            (Value::Address(host, port @ 1..), Some(base)) if self.last == Some(host) => {
                Some(Addr(base | u64::from(port)))
            }
            _ => self.next_addr_of(value),
        }
    }

    /// An address on another host than the last, or that is no plain pair.
    fn next_addr_of(&mut self, value: Value) -> Option<Addr> {
        let (host, port) = match value {
            Value::Address(host, port) if port > 0 => (host, port),
            value => match self.data.pair(value)? {
                [Value::Text(host), port] => (host, port_of(port)?),
                _ => return None,
            },
        };
        if self.last != Some(host) {
            self.last = Some(host);
            self.base = self.names.base(self.data.text(host));
        }
        Some(Addr(self.base? | u64::from(port)))
    }
}

fn repr(data: &Data, value: Value) -> String {
    let mut out = String::new();
    show(&mut out, data, value, 0);
    out
}

/// Writes a value as Python would, until it gets long or deep; so what contains itself ends too.
fn show(out: &mut String, data: &Data, value: Value, depth: usize) {
    const BYTES_MAX: usize = 200;
    const DEPTH_MAX: usize = 6;
    if depth > DEPTH_MAX || out.len() > BYTES_MAX {
        out.push('…');
        return;
    }
    let inner = |out: &mut String, value| show(out, data, value, depth + 1);
    match value {
        Value::Unset | Value::None => out.push_str("None"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Huge => out.push_str("<a huge number>"),
        Value::Text(text) => {
            let mut letters = data.text(text).chars();
            out.push('\'');
            out.extend(letters.by_ref().take(60).flat_map(char::escape_debug));
            out.push_str(if letters.next().is_some() {
                "…'"
            } else {
                "'"
            });
        }
        Value::Dict(dict) => {
            out.push('{');
            for (at, (key, value)) in data.entries(dict).enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                if out.len() > BYTES_MAX {
                    out.push('…');
                    break;
                }
                inner(out, key);
                out.push_str(": ");
                inner(out, value);
            }
            out.push('}');
        }
        Value::Ints(..) | Value::Address(..) | Value::Tuple(_) | Value::List(_) => {
            let (open, close) = match value {
                Value::List(_) => ('[', "]"),
                _ if data.len(value) == 1 => ('(', ",)"),
                _ => ('(', ")"),
            };
            let mut left = data.len(value);
            out.push(open);
            for item in data.items(value) {
                if out.len() > BYTES_MAX {
                    break;
                }
                inner(out, item);
                left -= 1;
                out.push_str(if left > 0 { ", " } else { "" });
            }
            out.push_str(if left > 0 { "…" } else { "" });
            out.push_str(close);
        }
    }
}
