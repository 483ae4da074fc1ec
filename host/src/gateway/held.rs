//! Which hosts the chip may still have addresses of.

use std::collections::BTreeSet;

use bully::{Addr, Member};

use crate::names;

/// Hosts that were named to the chip, as far as they take a slot among the [`Names`].
///
/// A slot must not become another host while the chip holds an address with it. A chip holds what
/// it received, until a table it sends has it no more; but that table may be older than what it
/// received last. So a PING separates one generation from the next: what was sent before it has
/// been read when the PONG comes, and a table that comes after that is the truth about it.
///
/// [`Names`]: crate::names::Names
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Sent before the PING, or in the chip's latest table.
    older: BTreeSet<usize>,
    /// Sent since.
    newer: BTreeSet<usize>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The answer to a PING is out.
    Asked,
    /// What is older has been read; a table is awaited.
    Read,
}

impl Held {
    /// These are passed to the chip.
    pub(super) fn pass(&mut self, list: &[Member]) {
        let hosts = list.iter().filter_map(|member| names::slot_of(member.addr));
        self.newer.extend(hosts);
    }

    /// Returns `true` if a PING would begin to find out what the chip has forgotten.
    pub(super) fn may_ask(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// A PING was sent, with no other on its way.
    pub(super) fn asked(&mut self) {
        self.older.append(&mut self.newer);
        self.stage = Stage::Asked;
    }

    /// A PONG was received.
    pub(super) fn answered(&mut self) {
        if self.stage == Stage::Asked {
            self.stage = Stage::Read;
        }
    }

    /// The chip's whole table was received; an empty one means nothing, for the chip itself is in it.
    pub(super) fn has_table(&mut self, table: &[Member]) {
        if self.stage != Stage::Read || table.is_empty() {
            return;
        }
        let hosts = table
            .iter()
            .filter_map(|member| names::slot_of(member.addr));
        self.older = hosts.collect();
        self.stage = Stage::Idle;
    }

    /// The session has ended: an answer to the PING is no longer to be had.
    pub(super) fn lost(&mut self) {
        self.stage = Stage::Idle;
    }

    /// One address on each host.
    pub(super) fn addrs(&self) -> impl Iterator<Item = Addr> {
        let hosts = self.older.iter().chain(&self.newer);
        hosts.map(|host| names::on_slot(*host))
    }
}
