//! What a node owes to others: a cursor over the table, moved on as there is room.

use core::time::Duration;

use crate::election::{Input, Phase};
use crate::net::{Exchange, Full, Net, Request};
use crate::node::Machine;
use crate::roster::{Addr, Member, Pid, Standing};
use crate::state::{Row, State};
use crate::time::Instant;

impl Machine<'_> {
    /// Sends one message that is owed; whether there was one and room for it.
    pub(crate) fn send_owed(&mut self, net: &mut dyn Net) -> bool {
        let asked = [State::SendElection, State::WaitingForOk];
        if self.life.phase == Phase::Electing
            && self.life.asking.is_none()
            && !self.rows.any(&asked)
        {
            self.decide(Input::NobodyAnswered);
            return true;
        }
        if !self.life.unblocked() {
            return false;
        }
        let me = self.life.config.me.pid;
        if let Some(cursor) = self.life.asking {
            return match self.table.below(cursor) {
                Some((next, standing)) if next.pid > me => {
                    if standing == Standing::Unasked {
                        let until = self.now() + self.life.config.ok_within;
                        if self.open(next, State::SendElection, until, net).is_err() {
                            return false;
                        }
                        self.table.mark(next.pid, Standing::Asked);
                        self.life.phase_until = self.life.phase_until.max(Some(until));
                    }
                    self.life.asking = Some(next);
                    true
                }
                _ => {
                    self.life.asking = None;
                    true
                }
            };
        }
        if self.life.phase == Phase::Leading
            && let Some(left_out) = self.life.left_out
        {
            let until = self.now() + self.life.config.ok_within;
            if self.open(left_out, State::SendVictory, until, net).is_err() {
                return false;
            }
            self.life.left_out = None;
            return true;
        }
        if let Some(cursor) = self.life.announcing {
            let Some((next, _)) = self.table.below(cursor) else {
                self.life.announcing = None;
                return true;
            };
            if next.pid != me {
                let until = self.now() + self.life.config.ok_within;
                if self.open(next, State::SendVictory, until, net).is_err() {
                    return false;
                }
            }
            self.life.announcing = Some(lowest(next.pid));
            return true;
        }
        false
    }

    /// Opens an exchange to say what `state`, one of the `Send` ones, stands for.
    pub(crate) fn open(
        &mut self,
        peer: Member,
        state: State,
        deadline: Instant,
        net: &mut dyn Net,
    ) -> Result<(), Full> {
        let opened = if self.make_room(true, net) {
            let sent = &mut self.life.counters.sent;
            let (request, count) = match state {
                State::SendJoin => (Request::Join(self.life.config.me), &mut sent.join),
                State::SendElection => (Request::Election(self.table.all()), &mut sent.election),
                State::SendProbe => (Request::Probe(self.table.all()), &mut sent.probe),
                _ => (
                    Request::Coordinator(self.table.up_to_me()),
                    &mut sent.coordinator,
                ),
            };
            net.open(peer.addr, request).map(|exchange| {
                *count += 1;
                Row {
                    exchange,
                    state,
                    peer: Some(peer),
                    owed: false,
                    deadline,
                }
            })
        } else {
            Err(Full)
        };
        match opened {
            Ok(row) => {
                // There is a place: it has just been made.
                let placed = self.rows.push(row);
                debug_assert!(placed, "a row got lost");
                Ok(())
            }
            Err(full) => {
                self.life.blocked_until = Some(self.now() + BLOCKED_PAUSE);
                Err(full)
            }
        }
    }

    /// Makes a place for one more exchange; whether there is one now.
    pub(crate) fn make_room(&mut self, opened_by_us: bool, net: &mut dyn Net) -> bool {
        if self.rows.crowded(opened_by_us) {
            let Some(expendable) = self.rows.expendable(opened_by_us) else {
                return false;
            };
            self.close(expendable, net);
            self.life.counters.crowded_out += 1;
        }
        !self.rows.crowded(opened_by_us)
    }

    pub(crate) fn close(&mut self, exchange: Exchange, net: &mut dyn Net) -> Option<Row> {
        let row = self.rows.remove(exchange)?;
        net.close(exchange);
        self.life.blocked_until = None;
        Some(row)
    }
}

/// Where a cursor stands when everyone down to `pid` has been dealt with.
fn lowest(pid: Pid) -> Member {
    Member { pid, addr: Addr(0) }
}

/// How long to wait after `Full` if nothing else happens: a network that is full for reasons of
/// its own, such as its file descriptors, is not asked again and again.
pub(crate) const BLOCKED_PAUSE: Duration = Duration::from_millis(50);
