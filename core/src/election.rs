//! The election: one table of what moves a node, and the one place where it is moved.
//!
//! Read [`react`] as the protocol. Its lines are the assignment's rules, in the assignment's order,
//! and between them, marked `calm` or "doubt", the five rules that keep them from storming:
//!
//! 1. a leader that has just announced answers ELECTION and announces once more when calm ends;
//! 2. a follower that has just heard COORDINATOR answers ELECTION and probes the leader instead;
//! 3. ELECTIONs not yet sent are dropped once somebody greater has answered (see `send_owed`);
//! 4. a COORDINATOR naming a lesser process than the one followed is a claim: ask the greater;
//! 5. a member that is probed though it does not lead elects, at most once per window.

use crate::event::{Event, Reason};
use crate::node::Machine;
use crate::roster::{Addr, Member, Pid, Standing};
use crate::time::{Instant, Span};

/// Where a node stands. All but the last three have a deadline at which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Phase {
    /// Not in the group yet: the coordinator is asked until it answers.
    Joining,
    /// Everyone greater is being asked: election in progress.
    Electing,
    /// Somebody greater answered and will announce itself: election in progress.
    Waiting,
    /// Playing dead.
    Failed,
    /// I lead.
    Leading,
    /// This one leads.
    Following(Pid),
}

/// What can happen to a node, as far as its phase is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The coordinator answered JOIN for the first time.
    Joined,
    /// It answered again, and told of somebody greater than the leader who was not known.
    GreaterJoined,
    /// It answered again, and all whom it told of that were not known are lesser.
    LesserJoined,
    /// ELECTION was heard.
    Election,
    /// Somebody greater answered our ELECTION.
    Ok,
    /// Nobody greater is left who could still answer.
    NobodyAnswered,
    /// COORDINATOR was heard and names this leader, greater than me.
    Coordinator(Pid),
    /// COORDINATOR was heard and names me, or somebody lesser.
    LesserCoordinator,
    /// COORDINATOR was heard and names `doubtful`, who was last asked in vain or has yet to answer;
    /// `instead` is the greatest in it of whom that is not known, if greater than me.
    DoubtfulCoordinator { doubtful: Pid, instead: Option<Pid> },
    /// The leader I follow has failed.
    LeaderGone,
    /// Of two who are said to lead, this one does.
    DoubtSettled(Pid, Reason),
    /// I was probed.
    Probed,
    /// I lead, and somebody greater who was gone is there again.
    GreaterBack,
    /// The announcement expected for so long has not come.
    TimeOut,
    /// It is time to play dead.
    Fail,
    /// It is time to come back.
    Recover,
}

/// What a node does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Stay,
    Elect(Cause),
    AwaitVictor,
    Lead,
    AnnounceOnceMore,
    Follow(Pid, Reason),
    /// Follow the first, but ask the second, who is greater.
    FollowAndAsk(Pid, Pid),
    /// Two are said to lead: find out whether the greater one is there.
    Doubt(Doubt),
    ProbeLeader,
    PlayDead,
    Return,
}

/// Two are said to lead. The greater one is being asked; if it answers it leads, or else the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Doubt {
    pub(crate) greater: Pid,
    pub(crate) lesser: Pid,
}

/// Why an election was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause {
    /// I have joined the group.
    Joined,
    /// I have come back from a feigned failure.
    Recovered,
    /// A lesser process sent ELECTION.
    Asked,
    /// The leader has failed.
    LeaderLost,
    /// Somebody lesser announced itself.
    LesserLeader,
    /// A leader was announced that has not answered lately.
    DoubtfulLeader,
    /// Somebody greater answered, but nobody announced itself.
    NoVictor,
    /// I was probed as if I led.
    Probed,
    /// The coordinator told of somebody greater than the leader.
    GreaterJoined,
    /// Somebody greater than the leader, who was gone, is there again.
    GreaterBack,
}

impl Cause {
    /// The cause in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Recovered => "recovered",
            Self::Asked => "asked by a lesser member",
            Self::LeaderLost => "leader lost",
            Self::LesserLeader => "a lesser leader was announced",
            Self::DoubtfulLeader => "a silent leader was announced",
            Self::NoVictor => "no leader was announced",
            Self::Probed => "probed without leading",
            Self::GreaterJoined => "a greater member joined",
            Self::GreaterBack => "a greater member is back",
        }
    }
}

/// What the table depends on besides phase and input.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The assignment to the letter.
    strict: bool,
    /// Less than a window has passed since COORDINATOR was announced or heard (never if strict).
    calm: bool,
    /// Less than a window has passed since an election because of rule 5.
    probed_lately: bool,
    /// Doubts may be resolved by a PROBE (never if strict).
    asking: bool,
    /// The doubtful one has our ELECTION, and time to answer it.
    asked: bool,
    /// The coordinator has answered JOIN, or there is none.
    joined: bool,
}

/// Every transition there is.
fn react(phase: Phase, input: Input, rules: Rules) -> Move {
    use Cause as C;
    use Input as I;
    use Move as M;
    use Phase as P;

    match (phase, input) {
        // Feigned failure: nothing is heard but its end.
        (P::Failed, I::Recover) if rules.joined => M::Elect(C::Recovered),
        (P::Failed, I::Recover) => M::Return,
        (P::Failed, _) => M::Stay,
        (_, I::Fail) => M::PlayDead,
        (_, I::Recover) => M::Stay,

        // "You then start an election."
        (P::Joining | P::Leading | P::Following(_), I::Joined) => M::Elect(C::Joined),
        // Those I wait for may not know the greatest, or have no place for me.
        (P::Leading | P::Following(_) | P::Waiting, I::GreaterJoined) => M::Elect(C::GreaterJoined),
        (P::Leading, I::LesserJoined) => M::AnnounceOnceMore,
        (_, I::Joined | I::GreaterJoined | I::LesserJoined) => M::Stay,

        // "If you are currently in an election, that's all you do. If you aren't in an election,
        // then proceed as though you are initiating a new election."
        (P::Electing | P::Waiting, I::Election) => M::Stay,
        (P::Leading, I::Election) if rules.calm => M::AnnounceOnceMore,
        (P::Following(_), I::Election) if rules.calm => M::ProbeLeader,
        (_, I::Election) => M::Elect(C::Asked),

        // "If you are the highest process id in the group or if none of the higher processes
        // respond within the given time limit, you win the election."
        (P::Electing, I::NobodyAnswered) => M::Lead,
        (P::Electing, I::Ok) => M::AwaitVictor,
        (_, I::NobodyAnswered | I::Ok) => M::Stay,
        (P::Waiting, I::TimeOut) => M::Elect(C::NoVictor),
        (_, I::TimeOut) => M::Stay,

        // "Change your state to not be election-in-progress [...] Note the (possibly) new leader."
        // Doubt: whom I follow is greater, and may just have been overtaken.
        (P::Following(greater), I::Coordinator(lesser)) if lesser < greater && rules.asking => {
            M::Doubt(Doubt { greater, lesser })
        }
        (_, I::Coordinator(named)) => M::Follow(named, Reason::Announced),

        // It names me or somebody below me: I am higher, so I say so by an election.
        (P::Electing | P::Waiting, I::LesserCoordinator) => M::Stay,
        (P::Leading, I::LesserCoordinator) if rules.calm => M::AnnounceOnceMore,
        (P::Following(_), I::LesserCoordinator) if rules.asking => M::ProbeLeader,
        (_, I::LesserCoordinator) => M::Elect(C::LesserLeader),

        // It names somebody who does not answer: its sender, if alive after all, or else the next
        // one announced with everybody in the list. Ask.
        (P::Following(leader), I::DoubtfulCoordinator { doubtful, instead }) if rules.asking => {
            match instead {
                Some(named) if named >= leader => M::FollowAndAsk(named, doubtful),
                _ => M::Doubt(Doubt {
                    greater: doubtful.max(leader),
                    lesser: doubtful.min(leader),
                }),
            }
        }
        // It has been asked already, and the answer is still out.
        (
            P::Waiting,
            I::DoubtfulCoordinator {
                doubtful: greater,
                instead: Some(lesser),
            },
        ) if rules.asked => M::Doubt(Doubt { greater, lesser }),
        (
            _,
            I::DoubtfulCoordinator {
                doubtful,
                instead: Some(named),
            },
        ) => M::FollowAndAsk(named, doubtful),
        (P::Electing | P::Waiting, I::DoubtfulCoordinator { .. }) => M::Stay,
        (_, I::DoubtfulCoordinator { .. }) => M::Elect(C::DoubtfulLeader),

        // "Notice when the current leader has failed and initiate an election."
        (P::Following(_), I::LeaderGone) => M::Elect(C::LeaderLost),
        (_, I::LeaderGone) => M::Stay,
        (P::Following(_) | P::Waiting, I::DoubtSettled(named, reason)) => M::Follow(named, reason),
        (_, I::DoubtSettled(..)) => M::Stay,

        // Somebody takes me for the leader: have the leader announce itself again.
        (P::Following(_), I::Probed) if !rules.strict && !rules.probed_lately => {
            M::Elect(C::Probed)
        }
        (_, I::Probed) => M::Stay,

        // Two parts of a group that could not reach each other can again.
        (P::Leading, I::GreaterBack) => M::Elect(C::GreaterBack),
        (_, I::GreaterBack) => M::Stay,
    }
}

impl Machine<'_> {
    /// Moves the node; nothing else does.
    pub(crate) fn decide(&mut self, input: Input) {
        let life = &*self.life;
        let asked = match input {
            Input::DoubtfulCoordinator { doubtful, .. } => {
                self.table.standing(doubtful) == Standing::Asked
            }
            _ => false,
        };
        // It stays calm until everybody has been told.
        let calm = self.now() < life.calm_until || life.announcing.is_some();
        let rules = Rules {
            strict: life.config.strict,
            calm: !life.config.strict && calm,
            asked,
            probed_lately: self.now() < life.probed_until,
            asking: !life.config.strict && life.config.probing,
            joined: life.joined,
        };
        match react(life.phase, input, rules) {
            Move::Stay => {}
            Move::Elect(cause) => self.elect(cause),
            Move::AwaitVictor => {
                if !rules.strict {
                    self.life.asking = None;
                }
                let within = self.life.config.victor_within;
                // Many who wait in vain for one who has no place for them must not ask in step.
                let spread = if self.table.is_full() {
                    within.half()
                } else {
                    Span::ZERO
                };
                let until = self.now() + self.life.rng.between(within, within + spread);
                self.enter(Phase::Waiting, until);
            }
            Move::Lead => self.lead(),
            Move::AnnounceOnceMore => self.life.announce_at = self.life.calm_until,
            // A full table may have lost whoever answers late; it announces itself again.
            Move::Follow(leader, _) if self.table.find(leader).is_none() => {}
            Move::Follow(leader, reason) => self.follow(leader, reason),
            Move::FollowAndAsk(lesser, greater) => {
                self.follow(lesser, Reason::Announced);
                self.doubt(Doubt { greater, lesser });
            }
            Move::Doubt(doubt) => self.doubt(doubt),
            Move::ProbeLeader => {
                if !(rules.calm && self.life.probed_in_calm) {
                    self.life.probed_in_calm = true;
                    self.probe_now();
                }
            }
            Move::PlayDead => self.play_dead(),
            Move::Return => self.enter(Phase::Joining, Instant::NEVER),
        }
    }

    fn elect(&mut self, cause: Cause) {
        if cause == Cause::Probed {
            self.life.probed_until = self.now() + self.life.config.window;
        }
        self.retire_asked();
        // Who has answered twice and not announced itself is not waited for a third time: it may
        // be somebody lesser at the port of a greater one who is gone.
        let again = cause == Cause::NoVictor && !self.life.config.strict;
        if again {
            // Somebody leads who is not known here, or has no place for me in its table.
            self.ask_directory_again();
        }
        let pass_over = self.life.no_victor && !self.table.is_full();
        self.table.ask_anew(again && pass_over);
        self.life.no_victor = again && !self.life.no_victor;
        let until = self.now() + self.life.config.ok_within;
        self.enter(Phase::Electing, until);
        self.life.asking = Some(TOP);
        // The outcome is told even if it is the same leader again.
        self.life.told_leader = None;
        self.tell(Event::Election { cause });
    }

    fn lead(&mut self) {
        self.enter(Phase::Leading, Instant::NEVER);
        self.life.sought = TOP;
        self.seek_greater();
        self.look_later();
        self.announce();
        let reason = match self.table.count_greater() {
            0 => Reason::Greatest,
            greater => Reason::NoneAnswered { greater },
        };
        self.tell_leader(self.life.config.me.pid, reason);
    }

    /// Owes everyone a COORDINATOR, and is calm for a window.
    pub(crate) fn announce(&mut self) {
        self.life.announcing = Some(TOP);
        self.life.announce_at = Instant::NEVER;
        self.be_calm();
    }

    fn follow(&mut self, leader: Pid, reason: Reason) {
        // Hearing of the same leader again, however often, does not put its next PROBE off.
        let mut probe_at = self.life.probe_at;
        if self.life.phase != Phase::Following(leader) {
            let (shortest, longest) = self.life.config.probe_gap;
            probe_at = self.now() + self.life.rng.between(shortest, longest);
        }
        self.table.mark(leader, Standing::Alive);
        self.enter(Phase::Following(leader), Instant::NEVER);
        self.life.probe_at = probe_at;
        self.be_calm();
        self.tell_leader(leader, reason);
    }

    /// Notes that two are said to lead, unless somebody still greater is in doubt already, and
    /// probes the greater one at once if it has not been asked otherwise.
    fn doubt(&mut self, doubt: Doubt) {
        if self
            .life
            .doubt
            .is_some_and(|other| other.greater > doubt.greater)
        {
            return;
        }
        if matches!(self.life.phase, Phase::Waiting) {
            self.life.doubt = Some(doubt);
        } else if self.life.config.probing {
            self.life.doubt = Some(doubt);
            self.probe_now();
        }
    }

    fn be_calm(&mut self) {
        self.life.calm_until = self.now() + self.life.config.window;
        self.life.probed_in_calm = false;
    }

    fn enter(&mut self, phase: Phase, until: Instant) {
        self.life.phase = phase;
        self.life.phase_until = until;
        self.life.doubt = None;
        self.life.probe_at = Instant::NEVER;
        self.life.look_at = Instant::NEVER;
        self.life.announce_at = Instant::NEVER;
        self.life.announcing = None;
        if !matches!(phase, Phase::Electing | Phase::Waiting) {
            self.life.asking = None;
        }
    }

    fn play_dead(&mut self) {
        let Some(feign) = self.life.config.feign else {
            return;
        };
        let length = self.life.rng.between(feign.length.0, feign.length.1);
        let until = self.now() + length;
        self.enter(Phase::Failed, until);
        self.life.join_at = Instant::NEVER;
        self.life.told_leader = None;
        self.tell(Event::Failed {
            length: length.into(),
        });
    }
}

/// Above everyone: where a cursor over the table starts.
pub(crate) const TOP: Member = Member {
    pid: Pid {
        days: u32::MAX,
        id: u32::MAX,
    },
    addr: Addr(u64::MAX),
};
