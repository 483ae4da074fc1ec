//! The sockets of a network: which listen, which can be opened, which give way.

use smoltcp::socket::tcp::{Socket, State};

use crate::backlog::Backlog;
use crate::connection::Stage;
use crate::lan::Lan;

/// How many sockets listen while there are so many: one takes the next connection while the other is
/// being connected to.
pub const LISTENERS: usize = 2;

impl<'a, D: Backlog> Lan<'a, D> {
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

    /// Lets sockets listen, up to the number that shall; if there is none, the device holds whoever
    /// connects.
    pub(crate) fn refill_listeners(&mut self) {
        let mut listen = 0;
        for at in 0..self.connections.len() {
            let state = self.state(at);
            let is_closed = matches!(state, State::Closed | State::TimeWait);
            match self.stage(at) {
                Stage::Lingering if is_closed => self.set_stage(at, Stage::Idle),
                // It was reset before the core heard of it.
                Stage::Listening if is_closed && !self.has_received(at) => {
                    self.set_stage(at, Stage::Idle);
                }
                Stage::Listening if state == State::Listen => listen += 1,
                _ => {}
            }
        }
        let port = self.config.port;
        while self.listening && listen < LISTENERS && self.has_capacity() {
            let Some(at) = self.free() else { break };
            let is_open = self
                .socket(at)
                .is_some_and(|socket| socket.listen(port).is_ok());
            if !is_open {
                break;
            }
            self.set_stage(at, Stage::Listening);
            listen += 1;
        }
        let hold = self.listening && listen == 0;
        self.held = self.held.wrapping_add(u32::from(hold));
        self.device.hold(hold.then_some(port));
    }

    pub(crate) fn has_received(&mut self, at: usize) -> bool {
        self.socket(at).is_some_and(|socket| socket.can_recv())
    }

    /// Returns `true` while the core may have another exchange: those it has, and those it is about to
    /// be told of, leave two sockets to listen.
    pub(crate) fn has_capacity(&self) -> bool {
        let in_use = (0..self.connections.len()).filter(|at| match self.stage(*at) {
            Stage::Idle | Stage::Lingering => false,
            Stage::Listening => self.state(*at) != State::Listen,
            _ => true,
        });
        in_use.count() + LISTENERS < self.connections.len()
    }

    /// A connection whose socket can be opened; the one that has lingered longest gives way.
    pub(crate) fn free(&mut self) -> Option<usize> {
        let all = || self.connections.iter().enumerate();
        if let Some((at, _)) = all().find(|(_, one)| one.stage == Stage::Idle) {
            return Some(at);
        }
        let lingering = all().filter(|(_, one)| one.stage == Stage::Lingering);
        let (at, _) = lingering.min_by_key(|(_, one)| one.since)?;
        self.abort(at);
        Some(at)
    }

    /// Resets a connection. The peer is told at once: the socket's next use would forget to.
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
        self.lingered = self.lingered.wrapping_add(1);
        let since = self.lingered;
        if let Some(connection) = self.connections.get_mut(at) {
            connection.stage = Stage::Lingering;
            connection.since = since;
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
