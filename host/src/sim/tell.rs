//! What is counted of a message, and what the trace says.

use bully::{Event, Pid};

use super::group::{Group, Occupant};
use super::network::Fate;
use super::port::Letter;
use super::scenario::Kind;

impl Group<'_> {
    /// Counts a message of member `from`; `answers` is what it is an answer to.
    pub(super) fn count(&mut self, from: usize, letter: &Letter, answers: Option<Kind>) {
        let outcome = &mut self.outcome;
        let kind = letter.kind();
        let messages = &mut outcome.messages;
        match kind {
            Kind::Join => messages.join += 1,
            Kind::Election => messages.election += 1,
            Kind::Coordinator => messages.coordinator += 1,
            Kind::Probe => messages.probe += 1,
            Kind::Ok => messages.ok += 1,
            Kind::Members => {}
        }
        if (kind, answers) == (Kind::Ok, Some(Kind::Probe)) {
            outcome.probe_oks += 1;
        }
        if !matches!(letter, Letter::Refused(_)) {
            outcome.wire_bytes += (self.measure)(kind.name(), letter.list()) as u64;
        }
        self.judge_count(from);
    }

    pub(super) fn say(&mut self, number: usize, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace(self.now, number, what);
        }
    }

    pub(super) fn say_event(&mut self, number: usize, event: Event) {
        if self.trace.is_none() {
            return;
        }
        let what = match event {
            Event::Joined { members } => format!("joined: {members} known"),
            Event::JoinFailed { failure, .. } => format!("cannot join: {failure:?}"),
            Event::Election { cause } => format!("elects: {}", cause.name()),
            Event::Leader { leader } => format!("leader is {}", name(leader)),
            Event::LeaderLost { leader, how } => format!("lost {}: {how:?}", name(leader)),
            Event::Failed { length } => format!("plays dead for {} ms", length.as_millis()),
            Event::Recovered => "is back".to_owned(),
            Event::RosterFull { left_out } => format!("has no room for {left_out}"),
        };
        self.say(number, &what);
    }

    /// Tells a member's own state, by the lab's names, when it has changed.
    pub(super) fn say_state(&mut self, number: usize) {
        if self.trace.is_none() {
            return;
        }
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if let Occupant::Member(machine) = &seat.who {
            let state = machine.state().name();
            if core::mem::replace(&mut seat.state, state) != state {
                self.say(number, state);
            }
        }
    }

    pub(super) fn say_parts(&mut self) {
        let now = self.now;
        let what: Vec<String> = (1..=self.scenario.members)
            .filter(|number| self.weather.parts(now, number - 1, *number))
            .map(|number| format!("{} | {number}", number - 1))
            .collect();
        if what.is_empty() {
            self.say(0, "reaches everyone, and everyone everyone");
        } else {
            let what = format!("is cut off: {}", what.join(", "));
            self.say(0, &what);
        }
    }

    pub(super) fn say_letter(
        &mut self,
        from: usize,
        to: usize,
        letter: &Letter,
        answers: Option<Kind>,
        fate: Fate,
    ) {
        if self.trace.is_none() {
            return;
        }
        let what = match letter {
            Letter::Election(list) | Letter::Coordinator(list) | Letter::Members(list) => {
                let last = list.last().map_or(0, |last| name(last.pid));
                format!("{} of {}, up to {last}", letter.kind().name(), list.len())
            }
            Letter::Refused(refusal) => format!("{refusal:?}"),
            _ => letter.kind().name().to_owned(),
        };
        let to_what = match answers {
            Some(Kind::Probe) => " to PROBE",
            _ => "",
        };
        let fate = match fate {
            Fate::Arrives => "",
            Fate::Late => ", which comes late",
            Fate::Lost => ", which is lost",
            Fate::Parted => ", which cannot get through",
        };
        let to = match to {
            0 => "gcd".to_owned(),
            to => to.to_string(),
        };
        self.say(from, &format!("→ {to}  {what}{to_what}{fate}"));
    }
}

/// The number of a member.
pub(super) fn name(pid: Pid) -> u32 {
    pid.id.saturating_sub(1_000_000)
}
