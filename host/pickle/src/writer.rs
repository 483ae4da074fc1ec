//! Writes our messages and answers, each as one pickle, and lists as small as can be.
//!
//! Most nodes read 1,024 bytes, once. So a list of members names each host once and refers to it
//! after, and nothing is written that a reader does not need. Everything is protocol 2, which
//! every Python from 2.3 on reads.

use core::fmt::{Display, Write as _};

use bully::{Addr, Member, Origin, Pid, Refusal, Reply, Request, Roster};

use crate::keys::Keyed;
use crate::message::{ORIGIN, ORIGIN_VERSION};
use crate::names::{Names, host_key, port};
use crate::opcode as op;
use crate::output::{Formatted, Output};
use crate::show::refusal_text;

/// In which of the forms that real programs know our messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// How an ELECTION or PROBE is answered. Default: `None`, as [`ok_form`](Self::ok_form) says.
    pub ok: Option<OkForm>,
    /// What goes with a PROBE. Default: `None`, as [`probe_form`](Self::probe_form) says.
    pub probe: Option<ProbeForm>,
    /// What the members' dicts are keyed by. Default: the address.
    pub keyed: Keyed,
}

impl Default for Forms {
    /// Word for word the assignment.
    fn default() -> Self {
        Self {
            ok: None,
            probe: None,
            keyed: Keyed::Address,
        }
    }
}

/// Where nothing is chosen, how lists are keyed decides. The assignment keys them by address, and
/// its OK is text. The course's own coordinator and nodes key them by process id, and among those
/// OK and PROBE carry the members: of 14 real programs text kills two and is ignored by five,
/// members kill one and are ignored by three (measured).
impl Forms {
    /// The form of an OK: the one chosen, or else [`OkForm::Members`] where lists are keyed by
    /// process id and [`OkForm::Text`] where they are keyed by address.
    pub fn ok_form(&self) -> OkForm {
        self.ok.unwrap_or(match self.keyed {
            Keyed::Pid => OkForm::Members,
            Keyed::Address => OkForm::Text,
        })
    }

    /// What goes with a PROBE: as chosen, or else [`ProbeForm::Members`] where lists are keyed by
    /// process id and [`ProbeForm::None`] where they are keyed by address.
    pub fn probe_form(&self) -> ProbeForm {
        self.probe.unwrap_or(match self.keyed {
            Keyed::Pid => ProbeForm::Members,
            Keyed::Address => ProbeForm::None,
        })
    }
}

/// The form of an OK. No form suits every program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OkForm {
    /// `'OK'`, which most understand.
    Text,
    /// `('OK', None)`.
    Pair,
    /// `('OK', members)`.
    Members,
}

/// What goes with a PROBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeForm {
    /// `('PROBE', None)`.
    None,
    /// `('PROBE', members)`.
    Members,
}

/// Appends `request` to `out`, as it goes over the wire: the message, and after its end the
/// [`Origin`] of its list, if it has one and [`READ_ONCE_MAX`] is not passed.
pub fn request(out: &mut impl Output, request: &Request<'_>, forms: &Forms, names: &impl Names) {
    let begin = out.written();
    match *request {
        Request::Join(Member { pid, addr }) => {
            out.put(&[op::PROTO, PROTOCOL, op::MARK]);
            text(out, "JOIN");
            out.put(&[op::MARK, op::MARK]);
            wide(out, pid.days);
            wide(out, pid.id);
            out.put(&[op::TUPLE, op::MARK]);
            text(out, names.host(addr).as_ref());
            let [low, high] = port(addr).to_le_bytes();
            out.put(&[op::BININT2, low, high]);
            out.put(&[op::TUPLE, op::TUPLE, op::TUPLE, op::STOP]);
        }
        Request::Election(roster) => named(out, "ELECTION", roster, forms.keyed, names),
        Request::Coordinator(roster) => {
            text_of(out, "COORDINATOR");
            members(out, roster, Order::GreatestFirst, forms.keyed, names);
            out.put(&[op::TUPLE2, op::STOP]);
        }
        Request::Probe(roster) => match forms.probe_form() {
            ProbeForm::None => pair_of_none(out, "PROBE"),
            ProbeForm::Members => named(out, "PROBE", roster, forms.keyed, names),
        },
    }
    match request {
        Request::Join(_) => {}
        Request::Election(roster) | Request::Coordinator(roster) | Request::Probe(roster) => {
            origin(out, begin, roster.origin());
        }
    }
}

/// Appends `reply` to `out`, as it goes over the wire; after an OK its [`Origin`] as [`request`]
/// does.
///
/// `detail` completes the text of a refusal: [`detail`](crate::message::detail) returns it. Who sent
/// something that is no pickle is answered in plain text, as the published coordinator does; all
/// else is pickled.
pub fn reply(
    out: &mut impl Output,
    reply: &Reply<'_>,
    forms: &Forms,
    names: &impl Names,
    detail: Option<&dyn Display>,
) {
    match *reply {
        Reply::Ok(roster) => {
            let begin = out.written();
            match forms.ok_form() {
                OkForm::Text => {
                    text_of(out, "OK");
                    out.put(&[op::STOP]);
                }
                OkForm::Pair => pair_of_none(out, "OK"),
                OkForm::Members => named(out, "OK", roster, forms.keyed, names),
            }
            origin(out, begin, roster.origin());
        }
        Reply::Members(roster) => {
            out.put(&[op::PROTO, PROTOCOL]);
            members(out, roster, Order::Table, forms.keyed, names);
            out.put(&[op::STOP]);
        }
        Reply::Refused(refusal) => {
            let text = refusal_text(refusal, detail);
            if refusal == Refusal::NotAMessage {
                formatted(out, &text);
                out.put(b"\n");
            } else {
                // Once to see how long it is.
                let begin = out.written();
                formatted(out, &text);
                let length = out.written() - begin;
                out.take_back(begin);
                out.put(&[op::PROTO, PROTOCOL, op::BINUNICODE]);
                out.put(&(length as u32).to_le_bytes());
                formatted(out, &text);
                out.put(&[op::STOP]);
            }
        }
    }
}

/// What most programs read of a message, in bytes: one call of `recv(1024)` (measured).
pub const READ_ONCE_MAX: usize = 1_024;

/// Appends to the message from `begin` on who sent it: one more pickle,
/// `('BULLY', 1, days, id, large + 2 * leads)`, where 1 is the version of this form.
///
/// Whatever follows the end of a pickle is dropped by all of eleven programs tried, so it is seen by
/// our own kind alone. It is left out if the whole would pass [`READ_ONCE_MAX`].
pub fn origin(out: &mut impl Output, begin: usize, origin: Option<Origin>) {
    let Some(Origin { pid, large, leads }) = origin else {
        return;
    };
    let end = out.written();
    out.put(&[op::PROTO, PROTOCOL, op::MARK]);
    text(out, ORIGIN);
    number(out, ORIGIN_VERSION);
    number(out, pid.days);
    number(out, pid.id);
    number(out, u32::from(large) + 2 * u32::from(leads));
    out.put(&[op::TUPLE, op::STOP]);
    if out.written() - begin > READ_ONCE_MAX {
        out.take_back(end);
    }
}

const PROTOCOL: u8 = 2;

/// `(name, None)`.
fn pair_of_none(out: &mut impl Output, name: &str) {
    out.put(&[op::PROTO, PROTOCOL, op::MARK]);
    text(out, name);
    out.put(&[op::NONE, op::TUPLE, op::STOP]);
}

/// `(name, members)`.
fn named(out: &mut impl Output, name: &str, roster: Roster<'_>, keyed: Keyed, names: &impl Names) {
    text_of(out, name);
    members(out, roster, Order::Table, keyed, names);
    out.put(&[op::TUPLE2, op::STOP]);
}

/// The beginning of a message, and its name.
fn text_of(out: &mut impl Output, name: &str) {
    out.put(&[op::PROTO, PROTOCOL]);
    text(out, name);
}

/// In which order members stand in a dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Table,
    /// Some programs take the first entry of a COORDINATOR's dict for the leader.
    GreatestFirst,
}

/// The dict of members.
fn members(
    out: &mut impl Output,
    roster: Roster<'_>,
    order: Order,
    keyed: Keyed,
    names: &impl Names,
) {
    out.put(&[op::EMPTY_DICT]);
    if roster.is_empty() {
        return;
    }
    out.put(&[op::MARK]);
    let mut hosts = Hosts::default();
    let members = roster.members();
    out.expect(members.len() * MEMBER_BYTES);
    for turn in 0..members.len() {
        let at = match order {
            Order::Table => turn,
            Order::GreatestFirst => members.len() - 1 - turn,
        };
        let Some(&Member { pid, addr }) = members.get(at) else {
            break;
        };
        match keyed {
            Keyed::Address => {
                address(out, addr, names, &mut hosts);
                process(out, pid);
            }
            // One key has one value. The last of a process's addresses is the one tried first.
            Keyed::Pid if members.get(at + 1).is_some_and(|next| next.pid == pid) => {}
            Keyed::Pid => {
                process(out, pid);
                address(out, addr, names, &mut hosts);
            }
        }
    }
    out.put(&[op::SETITEMS]);
}

fn process(out: &mut impl Output, pid: Pid) {
    number(out, pid.days);
    number(out, pid.id);
    out.put(&[op::TUPLE2]);
}

/// Bytes of a member in a list, so that the output grows once: 14 to 18 but for its host's text.
const MEMBER_BYTES: usize = 18;

/// Under which index each host was memoized when it was first written.
#[derive(Default)]
struct Hosts {
    /// The one written last, for mostly there is but one.
    last: Option<(u64, u32)>,
    /// How many have been memoized.
    memoized: u32,
    all: Memoized,
}

/// Every host's index.
#[cfg(feature = "alloc")]
#[derive(Default)]
struct Memoized(alloc::collections::BTreeMap<u64, u32>);

#[cfg(feature = "alloc")]
impl Memoized {
    fn get(&self, key: u64) -> Option<u32> {
        self.0.get(&key).copied()
    }

    fn set(&mut self, key: u64, index: u32) {
        self.0.insert(key, index);
    }
}

/// The first hosts' indices; others are written out again.
#[cfg(not(feature = "alloc"))]
#[derive(Default)]
struct Memoized(crate::table::Array<(u64, u32), 1, 32>);

#[cfg(not(feature = "alloc"))]
impl Memoized {
    fn get(&self, key: u64) -> Option<u32> {
        use crate::table::Table as _;
        let all = self.0.as_slice();
        let found = all.iter().find(|(known, _)| *known == key);
        found.map(|(_, index)| *index)
    }

    fn set(&mut self, key: u64, index: u32) {
        use crate::table::Table as _;
        self.0.push((key, index));
    }
}

/// `(host, port)`.
fn address(out: &mut impl Output, addr: Addr, names: &impl Names, hosts: &mut Hosts) {
    let key = host_key(addr);
    let last = hosts.last.filter(|(last, _)| *last == key);
    let index = match last.map(|(_, index)| index).or_else(|| hosts.all.get(key)) {
        Some(index) => {
            memo(out, op::BINGET, op::LONG_BINGET, index);
            index
        }
        None => {
            let next = hosts.memoized;
            text(out, names.host(addr).as_ref());
            memo(out, op::BINPUT, op::LONG_BINPUT, next);
            hosts.all.set(key, next);
            hosts.memoized += 1;
            next
        }
    };
    hosts.last = Some((key, index));
    number(out, port(addr).into());
    out.put(&[op::TUPLE2]);
}

fn memo(out: &mut impl Output, short: u8, long: u8, index: u32) {
    match u8::try_from(index) {
        Ok(index) => out.put(&[short, index]),
        Err(_) => {
            out.put(&[long]);
            out.put(&index.to_le_bytes());
        }
    }
}

fn text(out: &mut impl Output, text: &str) {
    out.put(&[op::BINUNICODE]);
    out.put(&(text.len() as u32).to_le_bytes());
    out.put(text.as_bytes());
}

fn formatted(out: &mut impl Output, text: &impl Display) {
    // It cannot fail: an output takes all.
    let _ = write!(Formatted(out), "{text}");
}

/// A number in as few bytes as can be.
fn number(out: &mut impl Output, number: u32) {
    match number {
        0..=0xFF => out.put(&[op::BININT1, number as u8]),
        0x100..=0xFFFF => {
            let [a, b] = (number as u16).to_le_bytes();
            out.put(&[op::BININT2, a, b]);
        }
        _ => wide(out, number),
    }
}

/// A number in 32 bits, or more if it needs them.
fn wide(out: &mut impl Output, number: u32) {
    let [a, b, c, d] = number.to_le_bytes();
    match number {
        0..=0x7FFF_FFFF => out.put(&[op::BININT, a, b, c, d]),
        // BININT is signed; a fifth byte keeps the number positive.
        _ => out.put(&[op::LONG1, 5, a, b, c, d, 0]),
    }
}
