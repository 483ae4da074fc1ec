//! What is counted of a message, and what the trace says.

use bully::Event;

use crate::identity::number as number_of;
use crate::network::Fate;
use crate::port::Message;
use crate::scenario::Kind;
use crate::simulation::{Process, Simulation};

impl Simulation<'_> {
    /// Counts a message of member `from`; `answers` is what it is an answer to.
    pub(crate) fn count(&mut self, from: usize, message: &Message, answers: Option<Kind>) {
        let outcome = &mut self.outcome;
        let kind = message.kind();
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
        if !matches!(message, Message::Refused(_)) {
            outcome.wire_bytes += (self.measure)(kind.name(), message.list()) as u64;
        }
        self.check_cost(from);
    }

    pub(crate) fn trace_line(&mut self, number: usize, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace(self.now, number, what);
        }
    }

    pub(crate) fn trace_event(&mut self, number: usize, event: Event) {
        if self.trace.is_none() {
            return;
        }
        let what = match event {
            Event::Joined { members } => format!("joined: {members} known"),
            Event::JoinFailed { failure, .. } => format!("cannot join: {failure:?}"),
            Event::Election { cause } => format!("elects: {}", cause.name()),
            Event::Leader { leader, .. } => format!("leader is {}", number_of(leader)),
            Event::LeaderLost { leader, how } => format!("lost {}: {how:?}", number_of(leader)),
            Event::Failed { length } => format!("plays dead for {} ms", length.as_millis()),
            Event::Recovered => "is back".to_owned(),
            Event::RosterFull { left_out } => format!("has no room for {left_out}"),
            other => format!("{other:?}"),
        };
        self.trace_line(number, &what);
    }

    /// Tells a member's own state, by the lab's names, when it has changed.
    pub(crate) fn trace_state(&mut self, number: usize) {
        if self.trace.is_none() {
            return;
        }
        let Some(seat) = self.seats.get_mut(number) else {
            return;
        };
        if let Process::Member(machine) = &seat.who {
            let state = machine.state().name();
            if core::mem::replace(&mut seat.state, state) != state {
                self.trace_line(number, state);
            }
        }
    }

    pub(crate) fn trace_reach(&mut self) {
        let now = self.now;
        let what: Vec<String> = (1..=self.scenario.members)
            .filter(|number| self.fault_model.parts(now, number - 1, *number))
            .map(|number| format!("{} | {number}", number - 1))
            .collect();
        if what.is_empty() {
            self.trace_line(0, "reaches everyone, and everyone everyone");
        } else {
            let what = format!("is cut off: {}", what.join(", "));
            self.trace_line(0, &what);
        }
    }

    pub(crate) fn trace_message(
        &mut self,
        from: usize,
        to: usize,
        message: &Message,
        answers: Option<Kind>,
        fate: Fate,
    ) {
        if self.trace.is_none() {
            return;
        }
        let what = match message {
            Message::Election(list, _) | Message::Coordinator(list, _) | Message::Members(list) => {
                let last = list.last().map_or(0, |last| number_of(last.pid));
                format!("{} of {}, up to {last}", message.kind().name(), list.len())
            }
            Message::Refused(refusal) => format!("{refusal:?}"),
            _ => message.kind().name().to_owned(),
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
        self.trace_line(from, &format!("→ {to}  {what}{to_what}{fate}"));
    }
}
