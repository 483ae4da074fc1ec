//! The sockets of a network: which listen, which can be opened, which give way.

use core::net::Ipv4Addr;

use smoltcp::phy::Device;
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::arp;
use crate::backlog::Gate;
use crate::connection::Stage;
use crate::lan::Lan;

/// How many sockets listen while there are so many: one takes the next connection while the other is
/// being connected to.
pub const LISTENERS: usize = 2;

/// How long a connection may take until both sides know of it: its answer may be lost once or twice.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);

/// How long what was sent may take to be acknowledged before another connection may have the socket: a
/// reset would take it back. On a local network it is sent again several times in this time.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(500);

/// How long somebody waits for another who has yet to answer, or while those who were accepted say nothing; then one more is accepted, for
/// which the core closes the one that has been silent longest. Honest peers send their message at once.
const PATIENCE: Duration = Duration::from_millis(500);

impl<'a, D: Device> Lan<'a, D> {
    pub(crate) fn give_out(&mut self) {
        let (interface, device) = (&mut self.interface, &mut self.device);
        interface.poll_egress(self.now, device, &mut self.sockets);
    }

    pub(crate) fn stage(&self, at: usize) -> Stage {
        self.connections
            .get(at)
            .map_or(Stage::Idle, |connection| connection.stage)
    }

    pub(crate) fn set_stage(&mut self, at: usize, stage: Stage) {
        if let Some(connection) = self.connections.get_mut(at) {
            connection.stage = stage;
        }
    }

    pub(crate) fn socket(&mut self, at: usize) -> Option<&mut Socket<'a>> {
        let handle = self.connections.get(at)?.handle?;
        Some(self.sockets.get_mut(handle))
    }

    pub(crate) fn state(&self, at: usize) -> State {
        let handle = self
            .connections
            .get(at)
            .and_then(|connection| connection.handle);
        handle.map_or(State::Closed, |handle| {
            self.sockets.get::<Socket<'_>>(handle).state()
        })
    }

    /// Lets sockets listen, up to the number that shall; if there is none, whoever connects waits.
    pub(crate) fn refill_listeners(&mut self) {
        let mut listen = 0;
        for at in 0..self.connections.len() {
            let state = self.state(at);
            let is_closed = matches!(state, State::Closed | State::TimeWait);
            match self.stage(at) {
                Stage::Idle if state == State::Closed => self.forget(at),
                Stage::Lingering if is_closed => self.set_stage(at, Stage::Idle),
                // It was reset before it was reported to the core.
                Stage::Listening if is_closed && !self.has_received(at) => {
                    self.set_stage(at, Stage::Idle);
                }
                Stage::Listening if state == State::Listen => listen += 1,
                Stage::Listening if state == State::SynReceived => self.attend(at),
                _ => {}
            }
        }
        let port = self.config.port;
        let shall = self.listeners_max();
        while listen < shall && self.has_capacity() {
            let Some(at) = self.free() else { break };
            let Some(socket) = self.socket(at) else { break };
            socket.set_timeout(Some(HANDSHAKE_WITHIN));
            if socket.listen(port).is_err() {
                break;
            }
            if let Some(connection) = self.connections.get_mut(at) {
                connection.begin(Stage::Listening, None, true);
            }
            listen += 1;
        }
        let gate = match (self.listening, listen) {
            (false, _) => Gate::Refusing,
            (true, 0) => Gate::Shut,
            (true, _) => Gate::Open,
        };
        let ip = self.interface.ipv4_addr();
        self.device
            .set_gate(gate, ip.unwrap_or(Ipv4Addr::UNSPECIFIED));
        // The next turn accepts them.
        self.pending |= gate == Gate::Open && self.device.has_waiting();
    }

    /// Sees to somebody who connects: asks once for their hardware address, and gives them up without a
    /// word if they do not go on while others wait. Should they be there, they try again after a second.
    fn attend(&mut self, at: usize) {
        let now = self.now;
        let remote = self.socket(at).and_then(|socket| socket.remote_endpoint());
        let Some(IpAddress::Ipv4(ip)) = remote.map(|remote| remote.addr) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        if !connection.asked {
            (connection.asked, connection.since) = (true, now);
            arp::ask(&self.interface, &mut self.device, now, ip);
        } else if self.device.has_waiting() && now >= connection.since + PATIENCE {
            connection.stage = Stage::Idle;
            if let Some(socket) = self.socket(at) {
                socket.abort();
            }
            self.forget(at);
        }
    }

    /// Drops the reset that a free socket still has for somebody whose hardware address is unknown: it
    /// would be asked for each second from now on, and with that nobody else's.
    fn forget(&mut self, at: usize) {
        let (now, port) = (self.now, self.config.port);
        if let Some(socket) = self.socket(at)
            && socket.remote_endpoint().is_some()
            && socket.listen(port).is_ok()
        {
            socket.close();
            if let Some(connection) = self.connections.get_mut(at) {
                connection.since = now;
            }
        }
    }

    /// How many sockets shall listen: no more than the core takes on. It keeps a quarter of its
    /// exchanges for those it opens itself.
    fn listeners_max(&self) -> usize {
        if !self.listening {
            return 0;
        }
        let (mut accepted, mut opened) = (0, 0);
        for (at, connection) in self.connections.iter().enumerate() {
            match connection.stage {
                Stage::Listening if self.state(at) != State::Listen => accepted += 1,
                Stage::Reported => accepted += 1,
                Stage::Reading | Stage::Sending if connection.theirs => accepted += 1,
                Stage::Connecting | Stage::Reading | Stage::Sending => opened += 1,
                _ => {}
            }
        }
        let all = self.config.exchanges;
        let theirs = all.saturating_sub((all / 4).max(1));
        let free = theirs
            .saturating_sub(accepted)
            .min(all.saturating_sub(accepted + opened));
        let is_overdue = self.overdue_at().is_some_and(|at| self.now >= at);
        free.max(usize::from(is_overdue)).min(LISTENERS)
    }

    /// When somebody who waits is accepted in any case.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        Some(self.device.waiting_since()? + PATIENCE)
    }

    pub(crate) fn has_received(&mut self, at: usize) -> bool {
        self.socket(at).is_some_and(|socket| socket.can_recv())
    }

    /// Returns `true` while the core may have another exchange: those it has, and those it is about to
    /// be told of, leave two sockets to listen.
    pub(crate) fn has_capacity(&self) -> bool {
        let in_use = (0..self.connections.len()).filter(|at| match self.stage(*at) {
            Stage::Idle => false,
            Stage::Lingering => !self.gives_way(*at),
            Stage::Listening => self.state(*at) != State::Listen,
            _ => true,
        });
        in_use.count() + LISTENERS < self.connections.len()
    }

    /// Returns `true` if a connection that lingers has nothing left to send, or has had its time to.
    fn gives_way(&self, at: usize) -> bool {
        let connection = self.connections.get(at);
        connection.is_some_and(|connection| {
            let handle = connection.handle;
            let is_sent = handle
                .is_none_or(|handle| self.sockets.get::<Socket<'_>>(handle).send_queue() == 0);
            is_sent || self.now >= connection.since + ACKNOWLEDGED_WITHIN
        })
    }

    /// A connection whose socket can be opened; of those that may give way the one that has lingered
    /// longest does.
    pub(crate) fn free(&mut self) -> Option<usize> {
        let all = || self.connections.iter().enumerate();
        // A socket that could not reach somebody is silent for the next second.
        let idle = all().filter(|(_, one)| one.stage == Stage::Idle);
        if let Some((at, _)) = idle.min_by_key(|(_, one)| one.since) {
            return Some(at);
        }
        let lingering =
            all().filter(|(at, one)| one.stage == Stage::Lingering && self.gives_way(*at));
        let (at, _) = lingering.min_by_key(|(_, one)| one.since)?;
        self.abort(at);
        Some(at)
    }

    /// Resets a connection. The reset is sent at once: the socket's next use would forget to.
    pub(crate) fn abort(&mut self, at: usize) {
        self.release(at);
        self.set_stage(at, Stage::Idle);
        if let Some(socket) = self.socket(at) {
            socket.abort();
        }
        self.give_out();
    }

    /// Shuts our half; the rest is worth waiting for until the socket is needed.
    pub(crate) fn shut(&mut self, at: usize) {
        self.release(at);
        if let Some(connection) = self.connections.get_mut(at) {
            connection.stage = Stage::Lingering;
            connection.since = self.now;
        }
        if let Some(socket) = self.socket(at) {
            socket.close();
        }
    }

    /// Gives back what was to be sent.
    pub(crate) fn release(&mut self, at: usize) {
        let connection = self.connections.get_mut(at);
        if let Some(out) = connection.and_then(|connection| connection.out.take()) {
            self.shared.encodings.release(out);
        }
        if self.read == Some(at) {
            self.read = None;
        }
    }

    pub(crate) fn set_listener(&mut self, on: bool) {
        self.listening = on;
        for at in 0..self.connections.len() {
            let waits = matches!(self.state(at), State::Listen | State::SynReceived);
            if !on && waits && self.stage(at) == Stage::Listening {
                self.abort(at);
            }
        }
        self.refill_listeners();
    }
}
