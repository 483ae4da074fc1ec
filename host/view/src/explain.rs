//! A run in sentences, each step with the assignment's words for it.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use bully::Cause;

use crate::line::{Kind, What};
use crate::run::{Fate, Message, Phase, PointWhat, Run, Who};
use crate::select::Selection;

/// Returns the run in sentences. A sentence of the assignment stands where its step comes first, and
/// later by its number.
pub fn explain(run: &Run, selection: &Selection) -> String {
    let mut story = Story {
        run,
        selection,
        causes: run.causes(),
        quoted: Vec::new(),
        text: String::new(),
        followers: None,
    };
    story.open();
    for place in &selection.points {
        story.step(*place);
    }
    story.close();
    story.text
}

/// The assignment's sentences.
mod quote {
    pub(super) const JOIN: &str = "When starting up, contact the GCD and send a JOIN message, which is a double: (process_id, listen_address)";
    pub(super) const START: &str = "You then start an election.";
    pub(super) const FAILED_LEADER: &str =
        "Notice when the current leader has failed and initiate an election.";
    pub(super) const GREATER: &str =
        "The ELECTION message is sent to each member with a higher process id than your own.";
    pub(super) const ASKED: &str =
        "If you aren't in an election, then proceed as though you are initiating a new election.";
    pub(super) const IN_PROGRESS: &str = "While you are waiting for responses from higher processes, you put yourself into an election-in-progress state.";
    pub(super) const WIN: &str = "If you are the highest process id in the group or if none of the higher processes respond within the given time limit, you win the election.";
    pub(super) const VICTORY: &str =
        "If you win an election, you immediately send a COORDINATOR message to everyone.";
    pub(super) const FOLLOW: &str = "If you receive a COORDINATOR message, then change your state to not be election-in-progress and update your group membership list as necessary.";
    pub(super) const PROBE: &str = "The PROBE message is sent occasionally to the group leader by all the other members of the group.";
    pub(super) const FEIGN: &str =
        "the length of your failure should be chosen independently between 1000 and 4000ms.";
}

const JOINED: &str = Cause::Joined.name();
const RECOVERED: &str = Cause::Recovered.name();
const LEADER_LOST: &str = Cause::LeaderLost.name();
const ASKED: &str = Cause::Asked.name();

struct Story<'a> {
    run: &'a Run,
    selection: &'a Selection,
    causes: Vec<Option<usize>>,
    /// The sentences that were quoted, in the order of their numbers.
    quoted: Vec<&'static str>,
    text: String,
    /// Members that follow the same leader, one after the other, and share one sentence.
    followers: Option<Followers>,
}

struct Followers {
    leader: Who,
    reason: String,
    since: i64,
    until: i64,
    who: Vec<Who>,
}

/// How many members are named in a sentence.
const NAMED_MAX: usize = 6;

/// How wide a line is.
const WIDTH: usize = 100;

/// How far everything but the time is from the left.
const INDENT: &str = "              ";

impl Story<'_> {
    fn open(&mut self) {
        let members = self.run.lanes.iter().filter_map(|lane| match lane.who {
            Who::Member(pid) => Some(pid),
            Who::Coordinator => None,
        });
        let members: BTreeSet<_> = members.collect();
        let Some(greatest) = members.last() else {
            return;
        };
        let greatest = Who::Member(*greatest);
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.text,
            "{} take part. The greatest is {greatest}: the first number of a process id is the days to \
             its next birthday,\nthe second its SU ID, which decides between equals. While it runs, it \
             is to lead.\n",
            counted(members.len(), "member"),
        );
    }

    /// Writes a step, wrapped, and the assignment's sentence for it.
    fn write(&mut self, at: i64, text: &str, quote: Option<&'static str>) {
        let number = quote.map(|quote| {
            let known = self.quoted.iter().position(|known| *known == quote);
            known.map_or_else(
                || {
                    self.quoted.push(quote);
                    (self.quoted.len(), Some(quote))
                },
                |known| (known + 1, None),
            )
        });
        let mark = number.map_or_else(String::new, |(number, _)| format!(" [{number}]"));
        let time = format!("{:>12.6}  ", at as f64 / 1e6);
        self.wrap(&time, &format!("{text}{mark}"));
        if let Some((number, Some(quote))) = number {
            self.wrap(INDENT, &format!("[{number}] “{quote}”"));
        }
    }

    fn wrap(&mut self, first: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        // What is in parentheses is a name, and is not broken.
        for word in text.replace(", 1", ",\u{a0}1").split(' ') {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text += &line.replace('\u{a0}', " ");
                self.text.push('\n');
                INDENT.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        self.text += &line.replace('\u{a0}', " ");
        self.text.push('\n');
    }

    fn step(&mut self, place: usize) {
        let Some(point) = self.run.points.get(place) else {
            return;
        };
        let PointWhat::Event(what) = &point.what else {
            return;
        };
        let who = point.lane.map(|lane| self.run.who(lane));
        if let (
            What::Leader {
                leader: Some(leader),
                reason,
            },
            Some(who),
        ) = (what, who)
            && Who::Member(*leader) != who
        {
            self.follows(point.at, who, Who::Member(*leader), reason);
            return;
        }
        self.tell_followers();
        let Some(lane) = point.lane else {
            if let What::Process { what } = what {
                self.write(point.at, &format!("{what}."), None);
            }
            return;
        };
        let who = self.run.who(lane);
        match what {
            What::Joined {
                members,
                member: None,
            } => {
                let text = format!(
                    "{who} joins: it sends JOIN to the coordinator, and learns of {}, itself included.",
                    counted(usize::try_from(*members).unwrap_or(usize::MAX), "member")
                );
                self.write(point.at, &text, Some(quote::JOIN));
            }
            What::Election { cause } => self.election(place, lane, who, cause),
            What::Waiting => {
                let text = format!(
                    "{who} gives way: a greater member has answered OK, so it is that one's to win. It waits \
                     for a COORDINATOR."
                );
                self.write(point.at, &text, Some(quote::IN_PROGRESS));
            }
            What::Leader { reason, .. } => self.victory(place, who, reason),
            What::LeaderLost { leader, how } => {
                let leader = leader.map_or_else(
                    || "its leader".to_owned(),
                    |pid| Who::Member(pid).to_string(),
                );
                let how = match how.as_str() {
                    "refused" => "nobody listens at its address any more",
                    "reset" => "it broke off the connection",
                    "unreachable" => "its host cannot be reached",
                    "silent" => "it answers no PROBE",
                    other => other,
                };
                let text = format!("{who} notices that {leader}, which led, has failed: {how}.");
                self.write(point.at, &text, Some(quote::PROBE));
            }
            What::Failed { for_ms } => {
                let text = format!("{who} feigns failure for {for_ms} ms.");
                self.write(point.at, &text, Some(quote::FEIGN));
            }
            What::Recovered => self.write(point.at, &format!("{who} is back."), None),
            What::Resigned { successor } => {
                let text = match successor {
                    Some(successor) => format!(
                        "{who} leaves, and announces {} as the next leader.",
                        Who::Member(*successor)
                    ),
                    None => format!("{who} leaves."),
                };
                self.write(point.at, &text, None);
            }
            What::Process { what } if who != Who::Coordinator && what != "starts" => {
                self.write(point.at, &format!("{who} {what}."), None);
            }
            _ => {}
        }
    }

    fn election(&mut self, place: usize, lane: usize, who: Who, cause: &str) {
        let at = self.run.at(place);
        let (why, quote) = match cause {
            JOINED => ("it has just joined".to_owned(), quote::START),
            RECOVERED => ("it has recovered".to_owned(), quote::START),
            LEADER_LOST => ("the leader has failed".to_owned(), quote::FAILED_LEADER),
            ASKED => (self.asker(place, lane), quote::ASKED),
            other => (other.to_owned(), quote::START),
        };
        self.write(
            at,
            &format!("{who} starts an election: {why}."),
            Some(quote),
        );
        let sent: Vec<_> = self.sent_for(place, &Kind::Election).collect();
        if sent.is_empty() {
            return;
        }
        let answered: Vec<_> = sent
            .iter()
            .filter(|(number, _)| self.is_answered(*number))
            .map(|(_, message)| *message)
            .collect();
        let failed = sent.iter().map(|(_, message)| *message);
        let failed: Vec<_> = failed
            .filter(|message| matches!(message.fate, Fate::Failed(_)))
            .collect();
        let silent = sent.len() - answered.len() - failed.len();
        let mut text = format!(
            "It sends ELECTION to {}.",
            self.receivers(sent.iter().map(|(_, message)| *message), "greater member")
        );
        if !answered.is_empty() {
            let names = self.receivers(answered.iter().copied(), "");
            let verb = if answered.len() == 1 {
                "answers"
            } else {
                "answer"
            };
            let _ = write!(text, " {names} {verb} OK.");
        }
        if !failed.is_empty() {
            let names = self.receivers(failed.iter().copied(), "");
            let _ = write!(text, " {names} cannot be reached.");
        }
        if silent > 0 {
            let verb = if silent == 1 { "does" } else { "do" };
            let _ = write!(text, " {silent} {verb} not answer.");
        }
        self.write(at, &text, Some(quote::GREATER));
    }

    /// Says whose ELECTION made somebody start its own.
    fn asker(&self, place: usize, lane: usize) -> String {
        let before = self.run.points.get(..place).unwrap_or_default();
        let asked = before.iter().rev().find_map(|point| match &point.what {
            PointWhat::Message(number) if point.lane == Some(lane) => {
                let message = self.run.messages.get(*number)?;
                (message.kind == Some(Kind::Election) && message.to == Some(lane))
                    .then_some(message)
            }
            _ => None,
        });
        match asked.and_then(|message| message.from) {
            Some(from) => format!("{} sent it ELECTION, and it is greater", self.run.who(from)),
            None => "a lesser member sent it ELECTION".to_owned(),
        }
    }

    fn victory(&mut self, place: usize, who: Who, reason: &str) {
        let at = self.run.at(place);
        let reason = if reason.is_empty() {
            "no greater one is there"
        } else {
            reason
        };
        self.write(at, &format!("{who} wins: {reason}."), Some(quote::WIN));
        let sent: Vec<_> = self.sent_for(place, &Kind::Coordinator).collect();
        if sent.is_empty() {
            return;
        }
        let failed = sent.iter().map(|(_, message)| *message);
        let failed: Vec<_> = failed
            .filter(|message| matches!(message.fate, Fate::Failed(_)))
            .collect();
        let mut text = format!(
            "It sends COORDINATOR to {}.",
            self.receivers(sent.iter().map(|(_, message)| *message), "member")
        );
        if !failed.is_empty() {
            let names = self.receivers(failed.iter().copied(), "");
            let _ = write!(text, " {names} cannot be reached.");
        }
        self.write(at, &text, Some(quote::VICTORY));
    }

    fn follows(&mut self, at: i64, who: Who, leader: Who, reason: &str) {
        if let Some(followers) = &mut self.followers
            && followers.leader == leader
            && followers.reason == reason
        {
            followers.until = at;
            followers.who.push(who);
            return;
        }
        self.tell_followers();
        self.followers = Some(Followers {
            leader,
            reason: reason.to_owned(),
            since: at,
            until: at,
            who: vec![who],
        });
    }

    fn tell_followers(&mut self) {
        let Some(followers) = self.followers.take() else {
            return;
        };
        let Followers {
            leader,
            reason,
            since,
            until,
            who,
        } = followers;
        let verb = if who.len() == 1 { "follows" } else { "follow" };
        let names = names(&who);
        let reason = match reason.as_str() {
            "" | "it was announced" => "its COORDINATOR has come",
            reason => reason,
        };
        let within = match until - since {
            0 => String::new(),
            span => format!(", within {}", crate::run::span_text(span)),
        };
        let text = format!("{names} {verb} {leader}: {reason}{within}.");
        self.write(since, &text, Some(quote::FOLLOW));
    }

    /// Returns the messages of this kind that were sent for what the point at `place` says.
    fn sent_for<'b>(
        &'b self,
        place: usize,
        kind: &'b Kind,
    ) -> impl Iterator<Item = (usize, &'b Message)> {
        self.selection.messages.iter().filter_map(move |number| {
            let message = self.run.messages.get(*number)?;
            let is_cause = self.causes.get(*number).copied().flatten() == Some(place);
            (is_cause && message.kind.as_ref() == Some(kind)).then_some((*number, message))
        })
    }

    fn is_answered(&self, request: usize) -> bool {
        let later = self.run.messages.get(request..).unwrap_or_default();
        later.iter().any(|message| {
            message.answers == Some(request)
                && message.received.is_some()
                && matches!(message.fate, Fate::Arrived | Fate::HalfSeen)
        })
    }

    fn receivers<'b>(&self, messages: impl Iterator<Item = &'b Message>, noun: &str) -> String {
        let who: Vec<_> = messages.map(|message| message.to).collect();
        let known: BTreeSet<_> = who
            .iter()
            .flatten()
            .map(|lane| self.run.who(*lane))
            .collect();
        let known: Vec<_> = known.into_iter().collect();
        if noun.is_empty() {
            return names(&known);
        }
        let unknown = who.iter().filter(|lane| lane.is_none()).count();
        match (known.len() + unknown, known.len()) {
            (count, 0) => counted(count, noun),
            (1, 1) => names(&known),
            (count, _) => format!("{}: {}", counted(count, noun), names(&known)),
        }
    }

    fn close(&mut self) {
        self.tell_followers();
        let end = self.selection.points.last().copied().unwrap_or(0);
        let mut leaders = BTreeMap::<Who, usize>::new();
        let mut up = BTreeSet::new();
        for (lane, spans) in self.run.phases().iter().enumerate() {
            let last = spans.iter().rev().find(|span| span.from <= end);
            let who = self.run.who(lane);
            match last.map(|span| span.phase) {
                Some(Phase::Leading) => *leaders.entry(who).or_default() += 1,
                Some(Phase::Following(leader)) => {
                    *leaders.entry(Who::Member(leader)).or_default() += 1
                }
                _ => {}
            }
            if let Some(span) = last
                && span.phase.is_up()
                && who != Who::Coordinator
            {
                up.insert(who);
            }
        }
        self.text.push('\n');
        let names: Vec<_> = leaders
            .iter()
            .map(|(who, count)| format!("{} for {who}", counted(*count, "member")))
            .collect();
        let text = match (leaders.len(), up.is_empty()) {
            (_, true) => "In the end nobody runs any more.".to_owned(),
            (0, _) => "In the end nobody knows a leader.".to_owned(),
            (1, _) => {
                let leader = leaders
                    .keys()
                    .next()
                    .map_or_else(String::new, Who::to_string);
                format!("In the end all that know a leader follow {leader}.")
            }
            _ => format!("In the end they do not agree: {}.", names.join(", ")),
        };
        self.text += &text;
        self.text.push(' ');
        let mut kinds = BTreeMap::<&str, usize>::new();
        for number in &self.selection.messages {
            if let Some(message) = self.run.messages.get(*number) {
                *kinds.entry(message.name()).or_default() += 1;
            }
        }
        let kinds: Vec<_> = kinds
            .into_iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = writeln!(self.text, "Messages: {}.", kinds.join(", "));
    }
}

/// Returns some members by name, and how many there are besides.
fn names(who: &[Who]) -> String {
    let shown: Vec<_> = who.iter().take(NAMED_MAX).map(Who::to_string).collect();
    let more = who.len().saturating_sub(NAMED_MAX);
    match (shown.split_last(), more) {
        (None, _) => "somebody".to_owned(),
        (Some(_), 1..) => format!("{} and {more} more", shown.join(", ")),
        (Some((last, [])), 0) => last.clone(),
        (Some((last, before)), 0) => format!("{} and {last}", before.join(", ")),
    }
}

fn counted(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}
