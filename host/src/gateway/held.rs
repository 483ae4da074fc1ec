//! Which hosts the chip may still have addresses of.

use std::collections::BTreeSet;

use bully::{Addr, Member};

use crate::names;

/// Hosts that the chip has been told of, as far as they take a slot among the [`Names`].
///
/// A slot must not become another host while the chip holds an address with it. A chip holds what
/// it was told, until a table it sends has it no more; but that table may be older than what was
/// told last. So one generation is told apart from the next by a PING: what was said before it has
/// been taken in when the PONG comes, and a table that comes after that is the truth about it.
///
/// [`Names`]: crate::names::Names
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Told before the PING, or in the chip's latest table.
    older: BTreeSet<usize>,
    /// Told since.
    newer: BTreeSet<usize>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The answer to a PING is out.
    Asked,
    /// What is older has been taken in; a table is awaited.
    TakenIn,
}

impl Held {
    /// The chip is told of these.
    pub(super) fn told(&mut self, list: &[Member]) {
        let hosts = list.iter().filter_map(|member| names::slot_of(member.addr));
        self.newer.extend(hosts);
    }

    /// Whether a PING would begin to find out what has been forgotten.
    pub(super) fn may_ask(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// A PING has been said, with no other on its way.
    pub(super) fn asked(&mut self) {
        self.older.append(&mut self.newer);
        self.stage = Stage::Asked;
    }

    /// A PONG has come.
    pub(super) fn answered(&mut self) {
        if self.stage == Stage::Asked {
            self.stage = Stage::TakenIn;
        }
    }

    /// The chip's whole table has come; an empty one says nothing, for the chip itself is in it.
    pub(super) fn has_table(&mut self, table: &[Member]) {
        if self.stage != Stage::TakenIn || table.is_empty() {
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
