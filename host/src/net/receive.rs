//! From what the sockets say to what the core is told.

use bully::{Gone, Member, Refusal};

use super::conn::{Conn, Progress, Stage};
use super::tcp::{LIMITS, Tcp};
use crate::names::{self, Names};
use crate::pickle::Reader;
use crate::pickle::message::{self, Answer, Due, Heard, Listed};

/// What [`Net::recv`](bully::Net::recv) is about to tell.
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
                Stage::Connecting => conn.connected(),
                Stage::Sending => conn.send(),
                Stage::Reading => return self.read(slot),
                Stage::Draining | Stage::Lingering => return self.discard(slot),
                Stage::Ending(gone) => {
                    conn.stage = Stage::Over;
                    return Some(gone.map_or(Told::Done, Told::Gone));
                }
                Stage::Told | Stage::Over => return None,
            };
            match (progress, conn.stage) {
                (Progress::Done, Stage::Connecting) => conn.stage = Stage::Sending,
                (Progress::Done, _) => {
                    conn.stage = match (conn.theirs, conn.due) {
                        (true, _) => Stage::Ending(None),
                        (false, Some(_)) => Stage::Reading,
                        (false, None) => Stage::Draining,
                    };
                    self.enqueue(slot);
                    return Some(Told::Sent);
                }
                (Progress::Blocked, _) => return None,
                (Progress::Broken(gone), _) => conn.stage = Stage::Ending(Some(gone)),
            }
        }
    }

    /// Reads on, one piece at a time so that no connection keeps the others waiting.
    fn read(&mut self, slot: usize) -> Option<Told> {
        let entry = self.slots.get_mut(slot)?;
        let conn = entry.conn.as_mut()?;
        match conn.read(&mut self.buffer) {
            Ok(0) => Some(self.closed_early(slot)),
            Ok(count) => match entry.reader.push(self.buffer.get(..count).unwrap_or(&[])) {
                Ok(Some(_)) => Some(self.understand(slot)),
                Ok(None) => {
                    // There is more, or there will be.
                    self.enqueue(slot);
                    None
                }
                Err(refused) => Some(self.not_a_message(slot, &refused.to_string())),
            },
            Err(Progress::Broken(gone)) => {
                conn.stage = Stage::Over;
                Some(Told::Gone(gone))
            }
            Err(_) => None,
        }
    }

    /// The peer closed its end before its message was whole.
    fn closed_early(&mut self, slot: usize) -> Told {
        let received = self.conn(slot).map_or(0, |conn| conn.received);
        if received == 0 {
            // It chose to say nothing.
            return self.over(slot, Told::Done);
        }
        let why = format!("it ends after {received} bytes, in the middle of a message");
        self.not_a_message(slot, &why)
    }

    /// What came is no message, for the reason `why`.
    fn not_a_message(&mut self, slot: usize, why: &str) -> Told {
        let Some(entry) = self.slots.get_mut(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        let Some(conn) = entry.conn.as_mut() else {
            return Told::Gone(Gone::Malformed);
        };
        let beginning = entry.reader.beginning();
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

    /// The message is whole: what it says.
    fn understand(&mut self, slot: usize) -> Told {
        let Some(entry) = self.slots.get_mut(slot) else {
            return Told::Gone(Gone::Malformed);
        };
        let Some(conn) = entry.conn.as_mut() else {
            return Told::Gone(Gone::Malformed);
        };
        let (peer, due) = (conn.peer, conn.due);
        let (names, members) = (&mut self.names, &mut self.members);
        let mut unfit = None;
        let mut heard_keyed = None;
        let told = match due {
            None => match message::request(&entry.reader, names, members) {
                Heard::Join(member) if !self.config.local_only => Told::Join(member),
                Heard::Join(member) => match local(names, member) {
                    Some(member) => Told::Join(member),
                    None => Told::Unfit(Refusal::NotLocal),
                },
                Heard::Election(listed) => {
                    heard_keyed = listed.keyed;
                    conn.heard = "ELECTION";
                    Told::Election
                }
                Heard::Coordinator(listed) => {
                    heard_keyed = listed.keyed;
                    conn.heard = "COORDINATOR";
                    Told::Coordinator
                }
                Heard::Probe(listed) => {
                    heard_keyed = listed.keyed;
                    conn.heard = "PROBE";
                    Told::Probe
                }
                Heard::Unfit { refusal, detail } => {
                    unfit = Some(message::refusal_text(refusal, Some(&detail)));
                    conn.detail = Some(detail);
                    Told::Unfit(refusal)
                }
            },
            Some(due) => match message::answer(&entry.reader, due, names, members) {
                Answer::Ok(_) => Told::Ok,
                Answer::Members(Listed { keyed, .. }) => {
                    if self.config.keyed.is_none() {
                        self.config.keyed = keyed;
                    }
                    self.config.forms.keyed = self.config.keyed.unwrap_or(self.config.forms.keyed);
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
        // Until the coordinator has shown its way, anybody's will do: the first member of a group
        // may be told of nobody.
        if let (None, Some(keyed)) = (self.config.keyed, heard_keyed) {
            self.config.forms.keyed = keyed;
        }
        if conn.received > KEEP_MAX {
            entry.reader = Reader::new(LIMITS);
        } else {
            entry.reader.clear();
        }
        if let Some(why) = unfit {
            self.note(peer, why);
        }
        match due {
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
    fn discard(&mut self, slot: usize) -> Option<Told> {
        let conn = self.slots.get_mut(slot)?.conn.as_mut()?;
        let lingering = conn.stage == Stage::Lingering;
        let over = loop {
            match conn.read(&mut self.buffer) {
                Ok(0) | Err(Progress::Broken(_) | Progress::Done) => break true,
                Ok(_) if conn.received > DISCARD_MAX => break lingering,
                Ok(_) => {}
                Err(Progress::Blocked) => break false,
            }
        };
        if !over {
            return None;
        }
        if lingering {
            self.release(slot);
            return None;
        }
        Some(self.over(slot, Told::Done))
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

/// How much of what a peer goes on sending after the end is thrown away before it is cut off.
const DISCARD_MAX: usize = 256 * 1024;

/// From this message size on its memory is given back instead of being kept for the next one.
const KEEP_MAX: usize = 16 * 1024;
