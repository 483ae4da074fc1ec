//! One turn of a stage: wait for sockets, accept, read, answer by the peers' manners.

use core::time::Duration;
use std::net::TcpListener;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::fault::Stop;
use crate::link::{Link, LinkEvent};
use crate::peer::{Listens, is_accepted};
use crate::program::Program;
use crate::seen::{Party, What};
use crate::stage::{Action, Joined, Stage};
use crate::wire::{Kind, Message, Outgoing, Reading};

/// How long to wait at most, so that a run nobody waits for ends soon.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How many connections are open at once, at most; further ones wait in the system's queue.
const OPEN_MAX: usize = 200;

/// How many messages are read from one connection.
const MESSAGES_MAX: usize = 50;

/// How many JOINs are answered: each adds to the list that all later ones get.
const JOINED_MAX: usize = 100;

/// How long a connection stays open after an answer: some programs die of one that is gone before
/// they have logged it.
const LINGER: Duration = Duration::from_millis(60);

/// When our side ends on a connection whose exchange is over, still reading: some programs wait for
/// that, and none was seen to mind.
const HALF_CLOSE: Duration = Duration::from_millis(400);

/// When such a connection is closed for good. A program has closed it by then if it ever does.
pub(crate) const LEFT_OPEN: Duration = Duration::from_secs(5);

/// When a connection is closed whose other side the program has ended.
const ENDED: Duration = Duration::from_millis(2_500);

impl Stage<'_> {
    /// Waits for the sockets at most so long, and does whatever is due.
    pub(crate) fn turn(&mut self, at_most: Duration) -> Result<(), Stop> {
        if !self.is_wanted() {
            return Err(Stop::Cancelled);
        }
        let now = self.now();
        let next = self.agenda.iter().map(|(at, _)| *at).min();
        let wait = next
            .map_or(at_most, |at| at.saturating_sub(now).min(at_most))
            .min(WAIT_MAX);
        let timeout = Timespec::try_from(wait).unwrap_or_default();
        let open = self.links.iter().filter(|link| link.is_open()).count();
        {
            let mut fds = Vec::with_capacity(open + 8);
            for program in &self.programs {
                program.watch(&mut fds);
            }
            if open < OPEN_MAX {
                let listeners = self.peers.iter().filter(|peer| peer.accepts());
                let listeners = listeners.filter_map(|peer| peer.listener.as_ref());
                fds.extend(
                    listeners
                        .chain([&self.gcd])
                        .map(|listener| PollFd::new(listener, PollFlags::IN)),
                );
            }
            let watched = self.links.iter().filter_map(Link::watch);
            fds.extend(watched.map(|(stream, flags)| PollFd::new(stream, flags)));
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Stop::System(error.to_string())),
            }
        }
        let late = self.now().saturating_sub(now + wait);
        self.lag = self.lag.max(late);
        self.programs.iter_mut().for_each(Program::turn);
        if open < OPEN_MAX {
            self.accept();
        }
        for number in 0..self.links.len() {
            self.look_at(number);
        }
        self.act();
        Ok(())
    }

    fn accept(&mut self) {
        for party in 0..=self.peers.len() {
            let (party, listener, unread) = match self.peers.get(party) {
                None => (Party::Gcd, &self.gcd, false),
                Some(peer) if !peer.accepts() => continue,
                Some(peer) => match &peer.listener {
                    Some(listener) => {
                        let unread = peer.manner.listens == Listens::Unread;
                        (Party::Peer(party), listener, unread)
                    }
                    None => continue,
                },
            };
            for link in accepted(listener, party, unread) {
                self.links.push(link);
                let number = self.links.len() - 1;
                self.record_on(number, Party::Program, party, What::Connected);
            }
        }
    }

    /// Sends and reads on a connection, and takes in what came.
    fn look_at(&mut self, number: usize) {
        let at = self.now();
        let link = &mut self.links[number];
        let (party, was_closed) = (link.ours, link.closed.is_some());
        match link.turn(at) {
            LinkEvent::None => {}
            LinkEvent::Refused => self.record_on(number, Party::Program, party, What::Refused),
            LinkEvent::Sent => self.sent(number),
            LinkEvent::Received => {
                self.take_in(number);
                if !was_closed && self.links[number].closed.is_some() {
                    self.closed(number);
                }
            }
        }
    }

    /// All that was to be sent on a connection is on its way.
    fn sent(&mut self, number: usize) {
        let at = self.now();
        let link = &mut self.links[number];
        let is_announcement = !link.inbound && link.messages == 0 && !self.awaits_answer(number);
        let link = &mut self.links[number];
        if link.inbound || is_announcement {
            link.done.get_or_insert(at);
            let half = if link.ours == Party::Gcd {
                Duration::ZERO
            } else {
                HALF_CLOSE
            };
            self.agenda.push((at + half, Action::HalfClose(number)));
            self.agenda.push((at + LEFT_OPEN, Action::Close(number)));
        }
    }

    /// Whether what we sent on a connection of ours is to be answered.
    fn awaits_answer(&self, number: usize) -> bool {
        self.seen.iter().any(|seen| {
            seen.link == Some(number)
                && matches!(
                    seen.what,
                    What::Sent(Kind::Election | Kind::Probe | Kind::Other)
                )
        })
    }

    /// The program has ended its side.
    fn closed(&mut self, number: usize) {
        let at = self.now();
        let link = &self.links[number];
        let missing = match (link.inbound, link.messages, link.received.is_empty()) {
            (true, 0, true) if !link.unread => "without a message",
            (true, 0, false) if !link.spoilt => "in the middle of a message",
            (false, 0, _) if self.awaits_answer(number) => "without an answer",
            _ => "",
        };
        let party = link.ours;
        self.record_on(number, Party::Program, party, What::Closed(missing));
        // An answer may still be due to one that has closed only its sending side.
        self.agenda.push((at + ENDED, Action::Close(number)));
    }

    /// Takes whole messages from what was received.
    fn take_in(&mut self, number: usize) {
        loop {
            let link = &mut self.links[number];
            if link.received.is_empty() || (link.spoilt && link.messages > 0) {
                return;
            }
            let party = link.ours;
            match self.setting.codec.read(&link.received, !link.inbound) {
                Reading::Incomplete => return,
                Reading::Unreadable(why) => {
                    let bytes = core::mem::take(&mut link.received);
                    let is_rest = link.messages > 0;
                    link.spoilt = true;
                    // What stands after a message belongs to nobody.
                    if !is_rest {
                        self.record_on(number, Party::Program, party, What::Unreadable(why, bytes));
                    }
                    return;
                }
                Reading::Whole(message, length) => {
                    let bytes: Vec<u8> = link.received.drain(..length).collect();
                    // After the end of a message stands what some programs send to their own kind.
                    if link.messages > 0 && message.kind == Kind::Other {
                        continue;
                    }
                    link.messages += 1;
                    link.spoilt |= link.messages >= MESSAGES_MAX;
                    let is_first = link.messages == 1;
                    let what = What::Message(message.clone(), bytes);
                    self.record_on(number, Party::Program, party, what);
                    if is_first {
                        self.respond(number, &message);
                    }
                }
            }
        }
    }

    /// Does what the first message of a connection calls for.
    fn respond(&mut self, number: usize, message: &Message) {
        let at = self.now();
        let party = self.links[number].ours;
        self.note_address(message);
        match (party, message.kind) {
            _ if !self.links[number].inbound => {
                self.links[number].done = Some(at);
                self.agenda.push((at + LINGER, Action::HalfClose(number)));
                self.agenda.push((at + LEFT_OPEN, Action::Close(number)));
            }
            (Party::Gcd, Kind::Join) => {
                let Some(entry) = message.joining.clone() else {
                    return;
                };
                let answer = if !is_accepted(entry.pid) {
                    Outgoing::Refusal
                } else if self.joined.len() < JOINED_MAX {
                    if self.joined.is_empty() {
                        self.rank_peers(entry.pid);
                    }
                    self.joined.push(Joined { entry });
                    Outgoing::Members
                } else {
                    self.note(format!(
                        "more than {JOINED_MAX} JOINs: the rest got no answer"
                    ));
                    return;
                };
                self.agenda.push((at, Action::Answer(number, answer)));
            }
            (Party::Peer(peer), Kind::Election) => {
                let manner = self.peers[peer].manner;
                if let Some(after) = manner.ok {
                    let answered = at + after;
                    self.agenda
                        .push((answered, Action::Answer(number, Outgoing::Ok)));
                    if let Some(after) = manner.announces {
                        self.agenda.push((answered + after, Action::Announce(peer)));
                    }
                }
            }
            (Party::Peer(peer), Kind::Probe) if self.peers[peer].manner.probe => {
                self.agenda.push((at, Action::Answer(number, Outgoing::Ok)));
            }
            (Party::Peer(_), Kind::Coordinator) => {
                self.links[number].done = Some(at);
                self.agenda.push((at + LINGER, Action::HalfClose(number)));
                self.agenda.push((at + LEFT_OPEN, Action::Close(number)));
            }
            _ => {}
        }
    }

    /// Now that the program's process id is known, so are those of its peers.
    fn rank_peers(&mut self, program: bully::Pid) {
        for peer in &mut self.peers {
            peer.pid = Some(peer.rank.pid(peer.nth, program));
        }
    }

    /// A program that listens elsewhere than before says so in its lists, if not by a JOIN.
    fn note_address(&mut self, message: &Message) {
        if self.programs.len() > 1 || message.kind == Kind::Join {
            return;
        }
        if let Some(last) = self.joined.last_mut()
            && let Some(members) = &message.members
            && let Some(now) = members.iter().find(|member| member.pid == last.entry.pid)
        {
            last.entry.port = now.port;
        }
    }

    /// Does what is due.
    fn act(&mut self) {
        let now = self.now();
        let mut due: Vec<(Duration, Action)> =
            self.agenda.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, action) in due {
            match action {
                Action::Answer(number, what) if self.links[number].is_open() => {
                    let members = self.roster();
                    let codec = self.setting.codec;
                    let bytes = codec.write(what, &members, self.setting.dialect);
                    self.links[number].send(&bytes);
                    let party = self.links[number].ours;
                    self.record_on(number, party, Party::Program, What::Sent(what.kind()));
                    self.look_at(number);
                }
                Action::Answer(..) => {}
                Action::Announce(peer) => self.announce(peer),
                Action::HalfClose(number) => self.links[number].half_close(),
                Action::Close(number) => self.links[number].close(),
            }
        }
    }
}

fn accepted(listener: &TcpListener, party: Party, unread: bool) -> Vec<Link> {
    const AT_ONCE: usize = 16;
    let accepts = core::iter::from_fn(|| listener.accept().ok());
    accepts
        .take(AT_ONCE)
        .filter_map(|(stream, _)| Link::accepted(stream, party, unread).ok())
        .collect()
}
