//! The election: one table of what moves a node, and the one place where it is moved.
//!
//! Read [`react`] as the protocol. Its lines are the assignment's rules, in the assignment's order,
//! and between them, marked `in_window` or `may_probe`, the five rules that keep them from storming:
//!
//! 1. a leader that has just announced answers ELECTION and announces once more when the
//!    suppression window ends;
//! 2. a follower that has just received COORDINATOR answers ELECTION and probes the leader instead;
//! 3. ELECTIONs not yet sent are dropped once somebody greater has answered (see `send.rs`);
//! 4. a COORDINATOR that names a lesser process than the one followed is a claim: the greater is asked;
//! 5. a member that is probed though it does not lead elects, ever less often.

use crate::event::{Cause, Event, Reason};
use crate::phase::{Contest, Phase, Stage, Unsent};
use crate::roster::{Pid, TOP};
use crate::table::{Flag, Liveness};
use crate::time::{Instant, Span};
use crate::timers::Timer;
use crate::view::NodeView;

/// What can happen to a node, as far as its phase is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The coordinator answered JOIN for the first time.
    Joined,
    /// It answered again, and its list has somebody greater than the leader who was not known.
    GreaterJoined,
    /// It answered again, and all in its list that were not known are less than the leader.
    LesserJoined,
    /// ELECTION was received.
    Election,
    /// Somebody greater answered our ELECTION.
    Ok,
    /// Nobody greater is left who could still answer.
    NobodyAnswered,
    /// COORDINATOR was received and names this leader, greater than me.
    Coordinator(Pid),
    /// COORDINATOR was received and names me, or somebody lesser.
    LesserCoordinator,
    /// COORDINATOR was received and names `doubtful`, who was last asked in vain or has yet to answer;
    /// `instead` is the greatest in it of whom that is not known, if greater than me.
    DoubtfulCoordinator { doubtful: Pid, instead: Option<Pid> },
    /// The leader I follow has failed.
    LeaderGone,
    /// The lesser one, whom I follow, may follow the greater one itself.
    NotKnownToLead(Contest),
    /// Of two who are said to lead, this one does.
    ContestSettled(Pid, Reason),
    /// I was probed.
    Probed,
    /// I lead, and somebody greater who was gone is there again.
    GreaterBack(Pid),
    /// The announcement expected for so long has not come.
    TimeOut,
    /// It is time to feign failure.
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
    Contest(Contest),
    ProbeLeader,
    AnswerAsker,
    /// Send ELECTION to this one, who may lead.
    Ask(Pid),
    Fail,
    JoinAgain,
}

/// What the table depends on besides phase and input.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The assignment to the letter.
    strict: bool,
    /// Less than a window has passed since COORDINATOR was sent or received (never if strict).
    in_window: bool,
    /// Less than a window has passed since an election because of rule 5.
    probed_lately: bool,
    /// A contest may be settled by a PROBE (never if strict).
    may_probe: bool,
    /// The group is larger than a table (see `large.rs`; never if strict).
    large: bool,
    /// The doubtful one has our ELECTION, and time to answer it.
    asked: bool,
    /// The coordinator has answered JOIN, or there is none.
    joined: bool,
    /// A program of another kind leads, which never asks the coordinator again (never if strict).
    foreign: bool,
}

/// Every transition there is.
fn react(phase: Phase, input: Input, rules: Rules) -> Move {
    use Cause as C;
    use Input as I;
    use Move as M;
    use Phase as P;

    match (phase, input) {
        // For good: nothing moves it any more.
        (P::Resigned, _) => M::Stay,

        // Feigned failure: nothing counts but its end.
        (P::Failed, I::Recover) if rules.joined => M::Elect(C::Recovered),
        (P::Failed, I::Recover) => M::JoinAgain,
        (P::Failed, _) => M::Stay,
        (_, I::Fail) => M::Fail,
        (_, I::Recover) => M::Stay,

        // "You then start an election."
        (P::Joining | P::Leading | P::Following(_), I::Joined) => M::Elect(C::Joined),
        // Large: of the many in the list a few are asked by lot, if there is reason to.
        (_, I::GreaterJoined | I::LesserJoined) if rules.large => M::Stay,
        (P::Leading | P::Following(_) | P::Waiting, I::GreaterJoined) => M::Elect(C::GreaterJoined),
        (P::Leading, I::LesserJoined) => M::AnnounceOnceMore,
        // A leader of another kind never asks the coordinator again: our ELECTION brings it the list.
        (P::Following(_), I::LesserJoined) if rules.foreign => M::Elect(C::LesserJoined),
        (_, I::Joined | I::GreaterJoined | I::LesserJoined) => M::Stay,

        // "If you are currently in an election, that's all you do. If you aren't in an election,
        // then proceed as though you are initiating a new election."
        (P::Electing | P::Waiting, I::Election) => M::Stay,
        // Large: the leader, or whoever knows it to be alive, answers with a COORDINATOR.
        (P::Leading, I::Election) if rules.large => M::Stay,
        (P::Following(_), I::Election) if rules.large => M::AnswerAsker,
        (P::Leading, I::Election) if rules.in_window => M::AnnounceOnceMore,
        (P::Following(_), I::Election) if rules.in_window => M::ProbeLeader,
        (_, I::Election) => M::Elect(C::Asked),

        // "If you are the highest process id in the group or if none of the higher processes
        // respond within the given time limit, you win the election."
        (P::Electing, I::NobodyAnswered) => M::Lead,
        (P::Electing, I::Ok) => M::AwaitVictor,
        (_, I::NobodyAnswered | I::Ok) => M::Stay,
        (P::Waiting, I::TimeOut) => M::Elect(C::NoVictor),
        (_, I::TimeOut) => M::Stay,

        // "Change your state to not be election-in-progress [...] Note the (possibly) new leader."
        // A contest: whom I follow is greater, and may just have been overtaken.
        (P::Following(greater), I::Coordinator(lesser)) if lesser < greater && rules.may_probe => {
            M::Contest(Contest { greater, lesser })
        }
        (_, I::Coordinator(named)) => M::Follow(named, Reason::Announced),

        // It names me or somebody below me: I am higher, so I say so by an election.
        (P::Electing | P::Waiting, I::LesserCoordinator) => M::Stay,
        (P::Leading, I::LesserCoordinator) if rules.large => M::Stay,
        (P::Following(_), I::LesserCoordinator) if rules.large => M::AnswerAsker,
        (P::Leading, I::LesserCoordinator) if rules.in_window => M::AnnounceOnceMore,
        (P::Following(_), I::LesserCoordinator) if rules.may_probe => M::ProbeLeader,
        (_, I::LesserCoordinator) => M::Elect(C::LesserLeader),

        // It names somebody who does not answer: its sender, if alive after all, or else the next
        // one announced with everybody in the list. Ask.
        (P::Following(leader), I::DoubtfulCoordinator { doubtful, instead }) if rules.may_probe => {
            match instead {
                Some(named) if named >= leader => M::FollowAndAsk(named, doubtful),
                _ => M::Contest(Contest {
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
        ) if rules.asked => M::Contest(Contest { greater, lesser }),
        (
            _,
            I::DoubtfulCoordinator {
                doubtful,
                instead: Some(named),
            },
        ) => M::FollowAndAsk(named, doubtful),
        // Large: if it answers and leads, it sends its asker a COORDINATOR itself.
        (P::Leading | P::Electing | P::Waiting, I::DoubtfulCoordinator { doubtful, .. })
            if rules.large =>
        {
            M::Ask(doubtful)
        }
        (P::Electing | P::Waiting, I::DoubtfulCoordinator { .. }) => M::Stay,
        (_, I::DoubtfulCoordinator { .. }) => M::Elect(C::DoubtfulLeader),

        // "Notice when the current leader has failed and initiate an election."
        (P::Following(_), I::LeaderGone) => M::Elect(C::LeaderLost),
        (_, I::LeaderGone) => M::Stay,
        (P::Following(_), I::NotKnownToLead(contest)) if rules.may_probe => M::Contest(contest),
        (_, I::NotKnownToLead(_)) => M::Stay,
        (P::Following(_) | P::Waiting, I::ContestSettled(named, reason)) => {
            M::Follow(named, reason)
        }
        (_, I::ContestSettled(..)) => M::Stay,

        // Somebody takes me for the leader: have the leader announce itself again.
        (P::Following(_), I::Probed) if rules.large => M::Stay,
        (P::Following(_), I::Probed) if !rules.strict && !rules.probed_lately => {
            M::Elect(C::Probed)
        }
        (_, I::Probed) => M::Stay,

        // Two parts of a group that could not reach each other can again.
        (P::Leading, I::GreaterBack(_)) => M::Elect(C::GreaterBack),
        (P::Following(lesser), I::GreaterBack(pid)) if rules.large && lesser < pid => {
            M::Follow(pid, Reason::Answered)
        }
        (_, I::GreaterBack(_)) => M::Stay,
    }
}

impl NodeView<'_> {
    /// Moves the node; nothing else does.
    pub(crate) fn decide(&mut self, input: Input) {
        let state = &*self.state;
        let asked = match input {
            Input::DoubtfulCoordinator { doubtful, .. } => {
                self.table.liveness(doubtful) == Liveness::Asked
            }
            _ => false,
        };
        let rules = Rules {
            strict: state.config.strict,
            in_window: !state.config.strict && self.in_window(),
            large: state.large.on,
            asked,
            probed_lately: self.now() < state.probed_until,
            may_probe: !state.config.strict && state.config.probing,
            joined: state.membership.joined,
            foreign: self.is_led_by_another_kind(),
        };
        match react(state.phase(), input, rules) {
            Move::Stay => {}
            Move::Elect(cause) => self.elect(cause),
            Move::AwaitVictor => self.await_victor(),
            Move::Lead => self.lead(),
            Move::AnnounceOnceMore => self.announce_once_more(),
            // A full table may have lost whoever answers late, and what contradicts better knowledge is
            // not added to it; whoever is there announces itself again.
            Move::Follow(leader, _) | Move::FollowAndAsk(leader, _)
                if self.table.find(leader).is_none() => {}
            Move::Follow(leader, reason) => self.follow(leader, reason),
            Move::FollowAndAsk(lesser, greater) => {
                self.follow(lesser, Reason::Announced);
                self.contest(Contest { greater, lesser });
            }
            Move::Contest(contest) => self.contest(contest),
            Move::ProbeLeader => self.probe_leader(rules.in_window),
            Move::AnswerAsker => self.answer_asker(),
            Move::Ask(pid) => self.ask_patiently(pid),
            Move::Fail => self.enter_failure(),
            Move::JoinAgain => self.enter(Stage::Joining, Instant::NEVER),
        }
    }

    fn elect(&mut self, cause: Cause) {
        if cause == Cause::Probed {
            let pause = self.state.probed_pause;
            self.state.probed_until = self.now() + pause;
            self.state.probed_pause = pause.twice().min(PROBED_PAUSE_MAX);
        }
        self.retire_elections();
        let again = cause == Cause::NoVictor && !self.state.config.strict;
        if again {
            // Somebody leads who is not known here, or has no entry for me in its table.
            self.ask_directory_again();
        }
        // Who has answered twice and not announced itself is not waited for a third time: it may
        // be somebody lesser at the port of a greater one who is gone. One of our own kind says who
        // it is, and may itself be waiting for such a one, with longer time-outs: it is waited for
        // four times as long.
        let fruitless = if again { self.state.fruitless + 1 } else { 0 };
        self.state.fruitless = fruitless % 8;
        let pass_over = again && fruitless.is_multiple_of(2) && !self.state.large.on;
        self.table.ask_anew(pass_over, pass_over && fruitless == 8);
        let within = self.slow(self.state.config.ok_within);
        let unsent = Unsent {
            below: TOP,
            reached: true,
            until: self.now() + within.times(ROUNDS_MAX),
        };
        let until = self.now() + within;
        let unsent = Some(unsent);
        self.enter(Stage::Electing { unsent }, until);
        self.choose_asked();
        self.introduce();
        // The outcome is reported even if it is the same leader again.
        self.state.reported.leader = None;
        self.emit(Event::Election { cause });
    }

    fn await_victor(&mut self) {
        let unsent = self.state.stage.unsent_election();
        let unsent = unsent.filter(|_| self.state.config.strict);
        let within = self.slow(self.state.config.victor_within);
        // Many who wait in vain for one who has no entry for them must not ask in step.
        let spread = if self.state.large.on {
            within.half()
        } else {
            Span::ZERO
        };
        let until = self.now() + self.state.rng.between(within, within + spread);
        let contest = None;
        self.enter(Stage::Waiting { unsent, contest }, until);
    }

    fn lead(&mut self) {
        let stage = Stage::Leading {
            unsent: None,
            window_until: Instant::ZERO,
        };
        self.enter(stage, Instant::NEVER);
        self.state.search.cursor = TOP;
        self.seek_greater();
        self.look_later();
        self.announce();
        let reason = match self.table.count_greater() {
            0 => Reason::Greatest,
            greater => Reason::NoneAnswered { greater },
        };
        self.emit_leader(self.table.me.pid, reason);
    }

    /// Sends everyone COORDINATOR, as far as there are slots now and the rest later.
    pub(crate) fn announce(&mut self) {
        self.state.timers.stop(Timer::Announce);
        self.state.search.looks = 0;
        let until = self.now() + self.state.config.window;
        let all = Some(TOP).filter(|_| !self.state.large.on);
        if let Stage::Leading {
            unsent,
            window_until,
        } = &mut self.state.stage
        {
            (*unsent, *window_until) = (all, until);
        }
        self.relay(self.table.me.pid);
    }

    /// Whoever was not there for the announcement is sent it when the leader looks for others, ever
    /// less often: it may be back, and follow one that does not know better.
    pub(crate) fn announce_to_absent(&mut self) {
        let looks = self.state.search.looks;
        let tells = looks < LOOKS_MAX && !self.state.config.strict;
        if tells && self.table.any_lesser_gone() {
            self.state.search.looks = looks + 1;
            if (looks + 1).is_power_of_two() {
                self.table.relay_to_gone();
                self.state.pending = true;
            }
        }
    }

    fn announce_once_more(&mut self) {
        if let Stage::Leading { window_until, .. } = self.state.stage {
            self.state.timers.set(Timer::Announce, window_until);
        }
    }

    fn follow(&mut self, leader: Pid, reason: Reason) {
        // Hearing of the same leader again, however often, does not put its next PROBE off.
        let mut probe_at = self.state.timers.at(Timer::Probe);
        if !matches!(self.state.stage, Stage::Following { leader: other, .. } if other == leader) {
            let (shortest, longest) = self.state.config.probe_gap;
            probe_at = self.now() + self.state.rng.between(shortest, longest);
        }
        self.table.mark(leader, Liveness::Alive);
        self.table.set_flag(leader, Flag::Gone, false);
        let stage = Stage::Following {
            leader,
            contest: None,
            window_until: self.now() + self.state.config.window,
            probed_in_window: false,
        };
        if self.state.is_led_by(leader) {
            // What has not been relayed yet of the same announcement will be.
            self.state.stage = stage;
            self.state.timers.stop(Timer::Patience);
        } else {
            // What comes of a PROBE from before is old.
            self.slots.retire_probes(leader);
            self.enter(stage, Instant::NEVER);
            self.relay_news(leader);
            self.look_later();
        }
        self.state.timers.set(Timer::Probe, probe_at);
        if !self.is_listed(leader) {
            self.confirm_named();
        }
        self.emit_leader(leader, reason);
    }

    /// Notes that two are said to lead, unless somebody still greater is contested already, and
    /// probes the greater one at once if it has not been asked otherwise.
    fn contest(&mut self, contest: Contest) {
        let mut contest = contest;
        if let Some(other) = self.state.stage.contest() {
            if other.greater > contest.greater {
                return;
            }
            if other.greater == contest.greater {
                contest.lesser = contest.lesser.max(other.lesser);
            }
        }
        if matches!(self.state.stage, Stage::Waiting { .. }) {
            self.state.stage.set_contest(Some(contest));
        } else if self.state.config.probing {
            self.state.stage.set_contest(Some(contest));
            self.prove_leader();
        }
    }

    /// Somebody asked who leads, or claims to lead and is lesser than whom I follow: it is sent
    /// COORDINATOR once my leader is known to be alive.
    fn answer_asker(&mut self) {
        if let Some(leader) = self.state.leader()
            && !self.may_answer_askers()
        {
            if self.is_out_of_patience(leader) {
                self.elect(Cause::Asked);
            } else {
                self.prove_leader();
            }
        }
    }

    /// Probes the leader, once in a window.
    fn probe_leader(&mut self, in_window: bool) {
        if let Stage::Following {
            probed_in_window, ..
        } = &mut self.state.stage
            && !(in_window && *probed_in_window)
        {
            *probed_in_window = true;
            self.probe_now();
        }
    }

    fn enter_failure(&mut self) {
        let Some(feign) = self.state.config.feign else {
            return;
        };
        let length = self.state.rng.between(feign.length.0, feign.length.1);
        let until = self.now() + length;
        self.enter(Stage::Failed, until);
        self.state.timers.stop(Timer::Join);
        self.state.reported.leader = None;
        self.emit(Event::Failed {
            length: length.into(),
        });
    }

    /// Enters a phase that ends at `until`; what was due in the last one no longer is.
    pub(crate) fn enter(&mut self, stage: Stage, until: Instant) {
        self.state.stage = stage;
        self.state.timers.set(Timer::Phase, until);
        for timer in [
            Timer::Probe,
            Timer::Look,
            Timer::Announce,
            Timer::Patience,
            Timer::Relay,
        ] {
            self.state.timers.stop(timer);
        }
        // What has not been sent of another leader's announcement never will be.
        self.table.clear_flag(Flag::Relay);
    }
}

/// An election lasts at most this many times the wait for an OK: who has not been asked by then, for
/// want of slots, hears of the outcome and objects if it is greater.
pub(crate) const ROUNDS_MAX: u32 = 3;

/// Whoever was not there for an announcement is sent it at the first, second, fourth and eighth look,
/// 80 s later, and then no more: many never come back.
const LOOKS_MAX: u8 = 8;

/// The longest pause between two elections for being probed without leading: a program that probes
/// everybody for ever costs one election a minute.
const PROBED_PAUSE_MAX: Span = Span::from_millis(60_000);
