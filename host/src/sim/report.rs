//! What comes out of a run.

use core::time::Duration;

use bully::{Messages, Pid};

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed it ran from.
    pub seed: u64,
    /// Whether at the end every member that is up names the greatest one that is.
    pub agreed: bool,
    /// Who leads, if all agree.
    pub leader: Option<Pid>,
    /// When the agreement that lasts to the end began, counted from the start, or from when the
    /// late one joined.
    pub settled: Option<Duration>,
    /// The time from the last crash to that agreement.
    pub crash_to_leader: Option<Duration>,
    /// Messages sent, from the start, or from when the late one joined.
    pub messages: Messages,
    /// Connections opened.
    pub exchanges: u64,
    /// Bytes of all messages and answers as the pickle wire would have them.
    pub wire_bytes: u64,
    /// The most entries that any table held.
    pub fullest_table: usize,
    /// How often a machine was polled.
    pub polls: u64,
    /// Whether the run was cut off for sending too many messages.
    pub cut: bool,
}

impl Outcome {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            agreed: false,
            leader: None,
            settled: None,
            crash_to_leader: None,
            messages: Messages::default(),
            exchanges: 0,
            wire_bytes: 0,
            fullest_table: 0,
            polls: 0,
            cut: false,
        }
    }

    /// Forgets what was counted so far.
    pub(super) fn restart_count(&mut self) {
        self.messages = Messages::default();
        self.exchanges = 0;
        self.wire_bytes = 0;
    }

    /// Messages of all kinds.
    pub fn messages_sum(&self) -> u64 {
        let Messages {
            join,
            election,
            ok,
            coordinator,
            probe,
        } = self.messages;
        join + election + ok + coordinator + probe
    }
}
