//! What has come, one report at a time.

use bully::{Gone, Member, Refusal};
use bully_pickle::message::{self, Answer, Due, Keyed, Listed, Received};
use bully_pickle::{Ipv4, Table as _};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{Socket, State};

use crate::connection::Stage;
use crate::lan::Lan;
use crate::memory::Shared;
use crate::sending::SOCKET_WITHIN;

/// What [`Net::recv`](bully::Net::recv) is about to report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
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

impl<D: Device> Lan<'_, D> {
    /// The next report, of any connection.
    pub(crate) fn next_report(&mut self) -> Option<(usize, Report)> {
        let count = self.connections.len();
        for _ in 0..count {
            let at = self.next;
            self.next = (at + 1) % count;
            if let Some(report) = self.step(at) {
                self.pending = true;
                return Some((at, report));
            }
        }
        self.pending = false;
        None
    }

    /// Goes on with one connection up to the next thing to report.
    pub(crate) fn step(&mut self, at: usize) -> Option<Report> {
        loop {
            let state = self.state(at);
            let next = match self.stage(at) {
                Stage::Idle | Stage::Reported | Stage::Over => return None,
                Stage::Listening => match state {
                    State::Listen | State::SynReceived => return None,
                    State::Closed | State::TimeWait if !self.has_received(at) => {
                        self.set_stage(at, Stage::Idle);
                        return None;
                    }
                    _ => {
                        if let Some(socket) = self.socket(at) {
                            socket.set_timeout(Some(SOCKET_WITHIN));
                        }
                        self.connections
                            .get_mut(at)?
                            .begin(Stage::Reading, None, true);
                        return Some(Report::Accepted);
                    }
                },
                Stage::Connecting => match state {
                    State::SynSent => return None,
                    State::Closed => Stage::Ending(Some(Gone::Refused)),
                    _ => Stage::Sending,
                },
                Stage::Sending => match self.send(at)? {
                    Ok(()) => {
                        self.release(at);
                        let connection = self.connections.get_mut(at)?;
                        connection.stage = match (connection.theirs, connection.due) {
                            (true, _) => Stage::Ending(None),
                            (false, Some(_)) => Stage::Reading,
                            (false, None) => Stage::Draining,
                        };
                        return Some(Report::Sent);
                    }
                    Err(()) => Stage::Ending(Some(Gone::Reset)),
                },
                Stage::Reading => return self.read(at),
                Stage::Draining => {
                    self.discard(at);
                    if self.socket(at)?.may_recv() {
                        return None;
                    }
                    Stage::Ending(None)
                }
                Stage::Ending(gone) => {
                    self.release(at);
                    self.set_stage(at, Stage::Over);
                    return Some(gone.map_or(Report::Done, Report::Gone));
                }
                Stage::Lingering => {
                    self.discard(at);
                    if !self.socket(at)?.is_open() {
                        self.set_stage(at, Stage::Idle);
                    }
                    return None;
                }
            };
            self.set_stage(at, next);
        }
    }

    /// Throws away what has come.
    fn discard(&mut self, at: usize) {
        if let Some(socket) = self.socket(at) {
            while socket
                .recv(|bytes| (bytes.len(), bytes.len()))
                .is_ok_and(|len| len > 0)
            {}
        }
    }

    /// Reads what has come, from its beginning: nothing is taken out of the socket before it is whole.
    fn read(&mut self, at: usize) -> Option<Report> {
        let connection = self.connections.get_mut(at)?;
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle?);
        let has_ended = !socket.may_recv() || socket.recv_queue() > 0 && !is_open(socket.state());
        let (queued, capacity) = (socket.recv_queue(), socket.recv_capacity());
        if queued == connection.seen && !has_ended {
            return None;
        }
        connection.seen = queued;
        if queued == 0 {
            let report = match socket.state() {
                State::Closed => Report::Gone(Gone::Reset),
                _ => Report::Done,
            };
            return Some(self.end(at, report));
        }
        let (due, theirs) = (connection.due, connection.theirs);
        let Shared {
            reader, members, ..
        } = &mut self.shared;
        reader.clear();
        let bytes = socket.peek(queued).unwrap_or(&[]);
        let pushed = reader.push(bytes);
        // Longer than the buffer it is no message for us.
        if pushed == Ok(None) && !has_ended && queued < capacity {
            return None;
        }
        let (report, listed) = understand(due, reader, members);
        // Only after a list: what is not served is still to be shown to whoever sent it.
        self.origin = match (pushed, listed) {
            (Ok(Some(end)), Some(_)) => bytes
                .get(end..)
                .and_then(|after| message::origin(after, reader)),
            _ => None,
        };
        self.read = Some(at);
        if let Some(Listed {
            keyed: Some(keyed), ..
        }) = listed
        {
            self.keyed_as(due, keyed);
        }
        self.discard(at);
        if theirs {
            self.set_stage(at, Stage::Reported);
            Some(report)
        } else {
            Some(self.end(at, report))
        }
    }

    /// A list came that was keyed in this way, as an answer to what was `due`.
    fn keyed_as(&mut self, due: Option<Due>, keyed: Keyed) {
        if due == Some(Due::Members) && self.config.keyed.is_none() {
            self.config.keyed = Some(keyed);
        }
        self.config.forms.keyed = self.config.keyed.unwrap_or(keyed);
    }

    fn end(&mut self, at: usize, report: Report) -> Report {
        let is_last = matches!(report, Report::Done | Report::Gone(_));
        self.set_stage(
            at,
            if is_last {
                Stage::Over
            } else {
                Stage::Ending(None)
            },
        );
        report
    }
}

fn is_open(state: State) -> bool {
    matches!(
        state,
        State::Established | State::FinWait1 | State::FinWait2
    )
}

/// What a message says; and of a list, what is to be said besides its members.
fn understand<const LIST: usize>(
    due: Option<Due>,
    reader: &bully_pickle::Reader<bully_pickle::Fixed<LIST>>,
    members: &mut bully_pickle::Array<Member, 1, LIST>,
) -> (Report, Option<Listed>) {
    members.truncate(0);
    match due {
        None => match message::request(reader, &mut Ipv4, members) {
            Received::Join(member) => (Report::Join(member), None),
            Received::Election(listed) => (Report::Election, Some(listed)),
            Received::Coordinator(listed) => (Report::Coordinator, Some(listed)),
            Received::Probe(listed) => (Report::Probe, Some(listed)),
            Received::Unfit(refusal) => (Report::Unfit(refusal), None),
        },
        Some(due) => match message::answer(reader, due, &mut Ipv4, members) {
            Answer::Ok(listed) => (Report::Ok, Some(listed)),
            Answer::Members(listed) => (Report::Members, Some(listed)),
            Answer::Text(_) => (Report::Refused, None),
            // A coordinator that cannot read us says so without pickling it.
            Answer::Unfit if due == Due::Members => (Report::Refused, None),
            Answer::Unfit => (Report::Gone(Gone::Malformed), None),
        },
    }
}
