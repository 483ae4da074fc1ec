//! The lab's states, and the table of them: one slot per open exchange, each with its deadline.

use heapless::VecView;

use crate::net::Exchange;
use crate::roster::{Member, Pid, TOP};
use crate::time::Instant;

/// What is going on with a peer, by the lab's names.
///
/// The lab's own program joins with a blocking call and never probes; the last four are named for
/// these two in the same manner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum State {
    /// Nothing is awaited of this peer any more; the connection is about to be closed.
    Quiescent,
    /// An ELECTION is on its way to them.
    SendElection,
    /// A COORDINATOR is on its way to them.
    SendVictory,
    /// Their message was received; the OK is on its way, or will be once a feigned failure is over.
    SendOk,
    /// They have our ELECTION.
    WaitingForOk,
    /// Somebody greater has answered: of myself only.
    WaitingForVictor,
    /// They have connected.
    WaitingForAnyMessage,
    /// A JOIN is on its way to the coordinator.
    SendJoin,
    /// The coordinator has our JOIN.
    WaitingForMembers,
    /// A PROBE is on its way to them.
    SendProbe,
    /// They have our PROBE.
    WaitingForProbeOk,
}

impl State {
    /// Returns `true` if a message of theirs is pending, not one of ours.
    pub const fn is_incoming(self) -> bool {
        !matches!(
            self,
            Self::SendElection
                | Self::SendVictory
                | Self::SendOk
                | Self::SendJoin
                | Self::SendProbe
        )
    }

    /// The name as the lab spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiescent => "QUIESCENT",
            Self::SendElection => "SEND_ELECTION",
            Self::SendVictory => "SEND_VICTORY",
            Self::SendOk => "SEND_OK",
            Self::WaitingForOk => "WAITING_FOR_OK",
            Self::WaitingForVictor => "WAITING_FOR_VICTOR",
            Self::WaitingForAnyMessage => "WAITING_FOR_ANY_MESSAGE",
            Self::SendJoin => "SEND_JOIN",
            Self::WaitingForMembers => "WAITING_FOR_MEMBERS",
            Self::SendProbe => "SEND_PROBE",
            Self::WaitingForProbeOk => "WAITING_FOR_PROBE_OK",
        }
    }
}

/// One open exchange.
#[derive(Clone, Copy, Debug, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Slot {
    pub(crate) exchange: Exchange,
    pub(crate) state: State,
    /// `true` if we connected to them.
    pub(crate) opened_by_us: bool,
    /// Whom we connected to; nobody if they connected to us, for then nobody knows who they are.
    pub(crate) peer: Member,
    /// An OK is due on it: ours, if they asked while failure was feigned; theirs to our ELECTION.
    pub(crate) unanswered: bool,
    /// It repeats a message that was not answered.
    pub(crate) second_try: bool,
    /// When this state has lasted too long.
    pub(crate) deadline: Instant,
}

impl Slot {
    /// Returns `true` if the OK to an ELECTION of ours is awaited on it.
    const fn is_asking(&self) -> bool {
        matches!(self.state, State::SendElection | State::WaitingForOk)
    }
}

/// The table of open exchanges, without its capacity.
///
/// A quarter of the slots is reserved for exchanges we open and a quarter for those opened to us, so
/// that neither a flood from outside nor a broadcast of our own can shut the other out. Searches
/// are linear on purpose: the table is small.
pub(crate) struct Slots<'a>(pub(crate) &'a mut VecView<Slot>);

impl Slots<'_> {
    /// The greatest number of exchanges of one direction.
    fn side_max(&self) -> usize {
        self.0.capacity() - (self.0.capacity() / 4).max(1)
    }

    fn count(&self, opened_by_us: bool) -> usize {
        self.0
            .iter()
            .filter(|slot| slot.opened_by_us == opened_by_us)
            .count()
    }

    pub(crate) fn get(&mut self, exchange: Exchange) -> Option<&mut Slot> {
        self.0.iter_mut().find(|slot| slot.exchange == exchange)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.0.iter_mut()
    }

    /// Returns `true` if any exchange is in one of `states`.
    pub(crate) fn any(&self, states: &[State]) -> bool {
        self.0.iter().any(|slot| states.contains(&slot.state))
    }

    /// Any exchange that we opened.
    pub(crate) fn opened_by_us(&self) -> Option<Exchange> {
        self.0
            .iter()
            .find(|slot| slot.opened_by_us)
            .map(|slot| slot.exchange)
    }

    /// Any exchange of others whose message has not been answered.
    pub(crate) fn unanswered(&self) -> Option<Exchange> {
        self.0
            .iter()
            .find(|slot| slot.unanswered && !slot.opened_by_us)
            .map(|slot| slot.exchange)
    }

    /// Returns `true` if our messages that are under way leave at most one slot to others of ours:
    /// that one is for JOIN and PROBE.
    pub(crate) fn only_one_left(&self) -> bool {
        let busy = |slot: &&Slot| slot.opened_by_us && slot.state != State::Quiescent;
        self.0.iter().filter(busy).count() + 1 >= self.side_max()
    }

    /// How many ELECTIONs are under way.
    pub(crate) fn asking(&self) -> usize {
        self.0.iter().filter(|slot| slot.is_asking()).count()
    }

    /// The ELECTION to `pid` that is under way.
    pub(crate) fn asking_of(&mut self, pid: Pid) -> Option<&mut Slot> {
        let mut slots = self.0.iter_mut();
        slots.find(|slot| slot.is_asking() && slot.peer.pid == pid)
    }

    /// Takes PROBEs to `pid` for answered: it is known to be gone, and what they bring is old.
    pub(crate) fn retire_probes(&mut self, pid: Pid) {
        for slot in self.0.iter_mut() {
            let probe = matches!(slot.state, State::SendProbe | State::WaitingForProbeOk);
            if probe && slot.peer.pid == pid {
                slot.state = State::Quiescent;
            }
        }
    }

    /// Returns `true` if a PROBE to `pid` is under way.
    pub(crate) fn probing(&self, pid: Pid) -> bool {
        self.0.iter().any(|slot| {
            matches!(slot.state, State::SendProbe | State::WaitingForProbeOk)
                && slot.peer.pid == pid
        })
    }

    /// Adds an exchange. Returns `false`, and adds nothing, if all slots are taken.
    pub(crate) fn push(
        &mut self,
        exchange: Exchange,
        state: State,
        peer: Option<Member>,
        deadline: Instant,
    ) -> bool {
        let slot = Slot {
            exchange,
            state,
            opened_by_us: peer.is_some(),
            peer: peer.unwrap_or(TOP),
            unanswered: state == State::SendElection,
            second_try: false,
            deadline,
        };
        self.0.push(slot).is_ok()
    }

    /// Removes an exchange. Returns `false` if it is not in the table.
    pub(crate) fn remove(&mut self, exchange: Exchange) -> bool {
        if let Some((last, others)) = self.0.split_last_mut() {
            match others.iter_mut().find(|slot| slot.exchange == exchange) {
                Some(slot) => core::mem::swap(slot, last),
                None if last.exchange == exchange => {}
                None => return false,
            }
        }
        self.0.pop().is_some()
    }

    /// Returns `true` if there is no slot for another exchange of this direction.
    pub(crate) fn is_full_for(&self, opened_by_us: bool) -> bool {
        self.0.is_full() || self.count(opened_by_us) >= self.side_max()
    }

    /// The exchange to close for another one of this direction: one that waits for nothing, the one
    /// nearest its end. For an accepted connection also one that was accepted and has stayed silent,
    /// the longest silent first: a peer that holds connections open must not keep others out.
    pub(crate) fn evictable(&self, opened_by_us: bool) -> Option<Exchange> {
        let side_full = self.count(opened_by_us) >= self.side_max();
        let fits = |slot: &Slot| !side_full || slot.opened_by_us == opened_by_us;
        let choice: &[State] = if opened_by_us {
            &[State::Quiescent]
        } else {
            &[State::Quiescent, State::WaitingForAnyMessage, State::SendOk]
        };
        choice.iter().find_map(|state| {
            let first = self.first(&|slot| slot.state == *state && fits(slot))?;
            Some(first.exchange)
        })
    }

    /// The exchange whose deadline comes first.
    pub(crate) fn earliest(&self) -> Option<&Slot> {
        self.first(&|_| true)
    }

    /// The exchange whose deadline comes first of those that are `wanted`.
    fn first(&self, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        let mut first: Option<&Slot> = None;
        for slot in self.0.iter() {
            if wanted(slot) && first.is_none_or(|first| slot.deadline < first.deadline) {
                first = Some(slot);
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use heapless::Vec;

    use super::*;
    use crate::roster::Addr;

    const OURS: bool = true;
    const THEIRS: bool = false;

    fn slot(number: u32, (ours, state, ends): (bool, State, u64)) -> Slot {
        let peer = Member {
            pid: Pid {
                days: 1,
                id: number,
            },
            addr: Addr(u64::from(number)),
        };
        Slot {
            exchange: Exchange(number),
            state,
            opened_by_us: ours,
            peer,
            unanswered: false,
            second_try: false,
            deadline: Instant::from_micros(ends),
        }
    }

    /// A table of these, numbered from 0: who opened them, their state and when they end.
    fn slots<const N: usize>(those: &[(bool, State, u64)]) -> Vec<Slot, N> {
        let numbered = (0..).zip(those.iter().copied());
        numbered.map(|(number, this)| slot(number, this)).collect()
    }

    #[test]
    fn either_side_leaves_a_quarter_of_the_places_and_at_least_one_to_the_other() {
        fn most<const N: usize>(side: bool) -> usize {
            let mut table = Vec::<_, N>::new();
            let mut slots = Slots(&mut table);
            while !slots.is_full_for(side) {
                let Slot { peer, .. } = slot(0, (side, State::WaitingForOk, 0));
                let peer = (side == OURS).then_some(peer);
                assert!(slots.push(Exchange(0), State::WaitingForOk, peer, Instant::ZERO));
            }
            assert!(!slots.is_full_for(!side));
            table.len()
        }
        for side in [OURS, THEIRS] {
            assert_eq!(
                [most::<4>(side), most::<6>(side), most::<8>(side)],
                [3, 5, 6]
            );
            assert_eq!([most::<12>(side), most::<16>(side)], [9, 12]);
        }
    }

    #[test]
    fn full_it_has_no_place_for_either_side() {
        let [ours, theirs] = [OURS, THEIRS].map(|side| (side, State::SendOk, 0));
        let mut table = slots::<4>(&[ours, theirs, ours, theirs]);
        let slots = Slots(&mut table);
        assert!(slots.is_full_for(OURS) && slots.is_full_for(THEIRS));
    }

    #[test]
    fn who_is_not_there_is_not_removed() {
        let mut table = slots::<4>(&[(OURS, State::SendOk, 0), (THEIRS, State::SendOk, 0)]);
        let mut slots = Slots(&mut table);
        assert!(!slots.remove(Exchange(7)));
        assert!(slots.remove(Exchange(0)) && !slots.remove(Exchange(0)));
        assert!(slots.remove(Exchange(1)) && !slots.remove(Exchange(1)));
    }

    /// What makes a place for one that this side opens, one after the other until nothing may.
    fn leaving<const N: usize>(those: &[(bool, State, u64)], side: bool) -> Vec<u32, 16> {
        let mut table = slots::<N>(those);
        let mut slots = Slots(&mut table);
        core::iter::from_fn(|| {
            let leaves = slots.evictable(side)?;
            slots.remove(leaves).then_some(leaves.0)
        })
        .collect()
    }

    #[test]
    fn what_waits_for_nothing_makes_a_place_and_at_the_door_the_silent_and_the_answered_too() {
        let those = [
            (OURS, State::Quiescent, 20),
            (OURS, State::Quiescent, 10),
            (OURS, State::WaitingForOk, 1),
            (THEIRS, State::Quiescent, 21),
            (THEIRS, State::Quiescent, 11),
            (THEIRS, State::SendOk, 8),
            (THEIRS, State::SendOk, 7),
            (THEIRS, State::WaitingForAnyMessage, 9),
            (THEIRS, State::WaitingForAnyMessage, 8),
        ];
        assert_eq!(leaving::<64>(&those, OURS), [1, 4, 0, 3]);
        assert_eq!(leaving::<64>(&those, THEIRS), [1, 4, 0, 3, 8, 7, 6, 5]);
    }

    #[test]
    fn a_side_that_has_its_share_makes_a_place_itself() {
        let first = |those: &[_], side| leaving::<4>(those, side)[0];
        let [ours, theirs] =
            [(OURS, 2), (THEIRS, 1)].map(|(side, ends)| (side, State::Quiescent, ends));
        let late = (THEIRS, State::Quiescent, 3);
        // Three of four are the share of a side.
        assert_eq!(first(&[theirs, ours, ours, ours], OURS), 1);
        assert_eq!(first(&[ours, late, late, late], THEIRS), 1);
        // Short of that the one nearest its end leaves, whosever it is.
        assert_eq!(first(&[ours, ours, theirs, theirs], OURS), 2);
        assert_eq!(first(&[late, late, ours, ours], THEIRS), 2);
    }
}
