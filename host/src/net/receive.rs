//! From what the sockets say to what the core is told.

use std::rc::Rc;

use bully::{Gone, Member, Refusal, Roster};

use super::begun::Taken;
use super::conn::{Conn, Progress, Stage};
use super::known::{KnownLists, Meaning};
use super::poll::Interest;
use super::tcp::Tcp;
use crate::names::{self, Names};
use crate::pickle::Reader;
use crate::pickle::message::{self, Answer, Due, Heard, Keyed, Listed};

/// What [`Net::recv`](bully::Net::recv) is about to tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Accepted,
    Sent,
    Join(Member),
    Election,
    Coordinator,
    Probe,
    Unfit(Refusal),
    Ok,
    Members,
    Refused,
    Done,
    Gone(Gone),
}

impl Tcp {
    /// Goes on with one connection up to the next thing to tell.
    pub(super) fn step(&mut self, slot: usize) -> Option<Told> {
        loop {
            let conn = self.slots.get_mut(slot)?.conn.as_mut()?;
            let progress = match conn.stage {
                Stage::Accepted => {
                    conn.stage = Stage::Reading;
                    continue;
                }
                Stage::Connecting | Stage::Sending => conn.send(),
                Stage::Reading => return self.read(slot),
                Stage::Draining => return self.discard(slot).then(|| self.over(slot, Told::Done)),
                Stage::Lingering => {
                    if conn.ready && self.discard(slot) {
                        self.release(slot);
                    }
                    return None;
                }
                Stage::Ending(gone) => {
                    conn.stage = Stage::Over;
                    return Some(gone.map_or(Told::Done, Told::Gone));
                }
                Stage::Told | Stage::Over => return None,
            };
            match progress {
                Progress::Done => {
                    conn.stage = match (conn.theirs, conn.due) {
                        (true, _) => Stage::Ending(None),
                        (false, Some(_)) => Stage::Reading,
                        (false, None) => Stage::Draining,
                    };
                    // Nobody answers before they have read: what can only block is not tried.
                    if conn.theirs || conn.wait_for(Interest::Read) != Progress::Blocked {
                        self.enqueue(slot);
                    }
                    return Some(Told::Sent);
                }
                Progress::Blocked => return None,
                Progress::Broken(gone) => conn.stage = Stage::Ending(Some(gone)),
            }
        }
    }

    /// Reads on, one piece at a time so that no connection keeps the others waiting.
    fn read(&mut self, slot: usize) -> Option<Told> {
        let scope = self.scope();
        let shared = Rc::clone(&self.shared);
        let shared = &mut *shared.borrow_mut();
        let entry = self.slots.get_mut(slot)?;
        let conn = entry.conn.as_mut()?;
        let due = conn.due;
        let piece = match conn.read(&mut shared.buffer) {
            Ok(0) => return Some(self.closed_early(slot)),
            Ok(count) => shared.buffer.get(..count).unwrap_or(&[]),
            Err(Progress::Broken(gone)) => {
                conn.stage = Stage::Over;
                return Some(Told::Gone(gone));
            }
            Err(_) => return None,
        };
        let (lists, readers) = (&mut shared.known, &mut shared.readers);
        let received = conn.received;
        match core::mem::take(&mut entry.begun).take(piece, due, scope, lists, readers) {
            Taken::More(begun) => {
                entry.begun = begun;
                // There is more, or there will be.
                self.enqueue(slot);
                None
            }
            Taken::Known { known, end } => {
                self.counters.recognised += 1;
                if let Some(after @ [_, ..]) = piece.get(end..) {
                    let mut reader = readers.take();
                    self.origin = message::origin(after, &mut reader);
                    readers.give(reader, after.len());
                }
                let Meaning { told, keyed, .. } = known.meaning();
                self.list = Some(known);
                self.keyed_as(due, keyed);
                Some(self.say(slot, told))
            }
            Taken::Read {
                mut reader,
                end,
                alone,
            } => {
                let (message, after) = piece.split_at_checked(end).unwrap_or_default();
                let bytes = if alone { message } else { &[] };
                let told = self.understand(slot, &reader, bytes, &mut shared.members, lists);
                self.origin = message::origin(after, &mut reader);
                readers.give(reader, received);
                Some(told)
            }
            Taken::Refused(reader, refused) => {
                let told = self.not_a_message(slot, reader.beginning(), &refused.to_string());
                readers.give(reader, received);
                Some(told)
            }
        }
    }

    /// The peer closed its end before its message was whole.
    fn closed_early(&mut self, slot: usize) -> Told {
        let received = self.conn(slot).map_or(0, |conn| conn.received);
        if received == 0 {
            // It chose to say nothing.
            return self.over(slot, Told::Done);
        }
        let begun = self
            .slots
            .get_mut(slot)
            .map(|entry| core::mem::take(&mut entry.begun));
        let begun = begun.unwrap_or_default();
        let why = format!("it ends after {received} bytes, in the middle of a message");
        self.not_a_message(slot, begun.beginning(), &why)
    }

    /// What came, and begins with `beginning`, is no message, for the reason `why`.
    fn not_a_message(&mut self, slot: usize, beginning: &[u8], why: &str) -> Told {
        let Some(conn) = self.conn(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        if conn.due == Some(Due::Members) {
            // A coordinator that cannot read us says so without pickling it.
            self.refusal = Some(message::raw_text(beginning));
            return self.over(slot, Told::Refused);
        }
        let shown = message::bytes_repr(beginning);
        let (peer, theirs) = (conn.peer, conn.theirs);
        conn.detail = Some(shown.clone());
        self.note(peer, format!("not a lab message: {why}: {shown}"));
        if theirs {
            self.told(slot, Told::Unfit(Refusal::NotAMessage))
        } else {
            self.over(slot, Told::Gone(Gone::Malformed))
        }
    }

    /// The message is whole: what it says. `bytes` is all of it, or nothing if it came in pieces.
    fn understand(
        &mut self,
        slot: usize,
        reader: &Reader,
        bytes: &[u8],
        members: &mut Vec<Member>,
        lists: &mut KnownLists,
    ) -> Told {
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return Told::Gone(Gone::Malformed);
        };
        let (peer, due, names) = (conn.peer, conn.due, &mut self.names);
        let mut unfit = None;
        let mut listed = Listed::default();
        let told = match due {
            None => match message::request(reader, names, members) {
                Heard::Join(member) if self.config.local_only => match local(names, member) {
                    Some(member) => Told::Join(member),
                    None => Told::Unfit(Refusal::NotLocal),
                },
                Heard::Join(member) if is_elsewhere(names, member, conn) => {
                    unfit = Some(ELSEWHERE.to_owned());
                    conn.detail = unfit.clone();
                    Told::Unfit(Refusal::Other)
                }
                Heard::Join(member) => Told::Join(member),
                Heard::Election(of) => {
                    listed = of;
                    Told::Election
                }
                Heard::Coordinator(of) => {
                    listed = of;
                    Told::Coordinator
                }
                Heard::Probe(of) => {
                    listed = of;
                    Told::Probe
                }
                Heard::Unfit { refusal, detail } => {
                    unfit = Some(message::refusal_text(refusal, Some(&detail)));
                    conn.detail = Some(detail);
                    Told::Unfit(refusal)
                }
            },
            Some(due) => match message::answer(reader, due, names, members) {
                Answer::Ok(of) => {
                    listed = of;
                    Told::Ok
                }
                Answer::Members(of) => {
                    listed = of;
                    Told::Members
                }
                Answer::Text(text) => {
                    self.refusal = Some(message::raw_text(text.as_bytes()));
                    Told::Refused
                }
                Answer::Unfit(shown) => {
                    unfit = Some(format!("not an answer: {shown}"));
                    Told::Gone(Gone::Malformed)
                }
            },
        };
        self.keyed_as(due, listed.keyed);
        if !members.is_empty() {
            self.counters.decoded += 1;
            let same_to_all =
                listed.left_out == 0 && members.iter().all(|member| names::is_plain(member.addr));
            let meaning = Meaning {
                due,
                told,
                keyed: listed.keyed,
                scope: (!same_to_all).then(|| self.scope()),
            };
            let members = Roster::sorted(members).members();
            self.list = Some(lists.keep(bytes, members, meaning));
        }
        if let Some(why) = unfit {
            self.note(peer, why);
        }
        self.say(slot, told)
    }

    /// A list came that was keyed in some way, as an answer to what was `due`.
    fn keyed_as(&mut self, due: Option<Due>, keyed: Option<Keyed>) {
        if due == Some(Due::Members) {
            if self.config.keyed.is_none() {
                self.config.keyed = keyed;
            }
            self.config.forms.keyed = self.config.keyed.unwrap_or(self.config.forms.keyed);
        } else if let (None, Some(keyed)) = (self.config.keyed, keyed) {
            // Until the coordinator has shown its way, that of the last list received: the first
            // member of a group may be told of nobody.
            self.config.forms.keyed = keyed;
        }
    }

    /// Tells what a message says.
    fn say(&mut self, slot: usize, told: Told) -> Told {
        let Some(conn) = self.conn(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        conn.heard = match told {
            Told::Election => "ELECTION",
            Told::Coordinator => "COORDINATOR",
            Told::Probe => "PROBE",
            _ => "",
        };
        match conn.due {
            None => self.told(slot, told),
            Some(_) => self.over(slot, told),
        }
    }

    pub(super) fn conn(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_mut()
    }

    /// Tells a message of theirs; the next word is the core's.
    fn told(&mut self, slot: usize, told: Told) -> Told {
        if let Some(conn) = self.conn(slot) {
            conn.stage = Stage::Told;
        }
        told
    }

    /// Tells the last there is to tell, or all but an end that goes without saying.
    fn over(&mut self, slot: usize, told: Told) -> Told {
        let last = matches!(told, Told::Done | Told::Gone(_));
        if let Some(conn) = self.conn(slot) {
            conn.stage = if last {
                Stage::Over
            } else {
                Stage::Ending(None)
            };
        }
        if !last {
            self.enqueue(slot);
        }
        told
    }

    /// Throws away what comes after the end; the peer's own end is all that matters.
    /// Whether it has come.
    pub(super) fn discard(&mut self, slot: usize) -> bool {
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return false;
        };
        let lingering = conn.stage == Stage::Lingering;
        let buffer = &mut self.shared.borrow_mut().buffer;
        loop {
            match conn.read(buffer) {
                Ok(0) | Err(Progress::Broken(_) | Progress::Done) => return true,
                Ok(_) if conn.received > DISCARD_MAX => return lingering,
                Ok(_) => {}
                Err(Progress::Blocked) => return false,
            }
        }
    }
}

/// A newcomer on this machine as the coordinator knows it, by the address that all programs read.
fn local(names: &mut Names, member: Member) -> Option<Member> {
    let addr = names
        .is_local(member.addr)
        .then(|| names.addr("127.0.0.1", names::port(member.addr)))
        .flatten()?;
    Some(Member { addr, ..member })
}

/// Returns `true` if `member` says it listens at an address that means another machine to everybody
/// else: a loopback address, though it connects from another machine, or no address in particular.
fn is_elsewhere(names: &Names, member: Member, conn: &Conn) -> bool {
    names.endpoint(member.addr).is_some_and(|at| {
        let ip = at.ip().to_canonical();
        ip.is_unspecified() || ip.is_loopback() && !conn.is_from_here()
    })
}

/// What a member is told that is refused for that.
const ELSEWHERE: &str = "Unreachable listen address: it means another machine to every other \
                         member; listen at an address of your network";

/// How much of what a peer goes on sending after the end is thrown away before it is cut off.
const DISCARD_MAX: usize = 256 * 1024;
