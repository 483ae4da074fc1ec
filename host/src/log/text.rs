//! Events as sentences for people.

use core::fmt::Write as _;

use bully::{Pid, State};

use super::event::{Event, HostPort, Summary, pid_text, printable};
use super::message::{Direction, Kind, Message, Party, Problem};
use crate::gateway::Lost;
use crate::load::processors;

/// How much something matters: its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Routine.
    Faint,
    Plain,
    Election,
    Leader,
    Follower,
    Trouble,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// Changes of leader, and errors.
    Quiet,
    /// Everything but routine.
    Normal,
    /// Everything.
    Verbose,
}

/// Returns from which detail on `event` is shown.
pub(super) fn detail(event: &Event) -> Detail {
    match event {
        Event::Leader { .. }
        | Event::LeaderLost { .. }
        | Event::Rejected { .. }
        | Event::RejectedMore { .. }
        | Event::Unreachable { .. }
        | Event::ListenerFailed { .. }
        | Event::Moved { .. }
        | Event::JoinFailed { .. }
        | Event::PidInUse { .. }
        | Event::RosterFull { .. }
        | Event::LineLost { .. }
        | Event::ChipLost { .. }
        | Event::ChipVersion { .. }
        | Event::ListCut { .. }
        | Event::LogLost { .. }
        | Event::Summary(_) => Detail::Quiet,
        Event::Listening { .. }
        | Event::Joined { .. }
        | Event::Registered { .. }
        | Event::Removed { .. }
        | Event::Election { .. }
        | Event::Failed { .. }
        | Event::Recovered
        | Event::Resigned { successor: Some(_) }
        | Event::LineOpen { .. }
        | Event::ChipReady { .. }
        | Event::ChipRecorded { .. }
        | Event::Waiting
        | Event::Process { .. }
        | Event::Stopped => Detail::Normal,
        Event::Resigned { successor: None } => Detail::Verbose,
        Event::Message(message) => message_detail(message),
    }
}

/// What a member does itself is shown, and what others send if that is not in this log already. Not
/// shown are PROBEs that are answered, which would drown the rest, and what events of their own say.
fn message_detail(message: &Message) -> Detail {
    let ours = message.party != Party::Caller;
    let fails = message.error.is_some();
    let shown = match message.request {
        Some(Kind::Join) => ours && !fails,
        // It is no failure of anybody's if this end has stopped.
        Some(Kind::Probe) => ours && fails && message.error != Some(Problem::Stopped),
        _ => ours || (message.alone && !fails),
    };
    if shown {
        Detail::Normal
    } else {
        Detail::Verbose
    }
}

/// Returns what happened, as a sentence about `who`, and how much it matters.
pub(super) fn sentence(event: &Event, who: Option<Pid>) -> (String, Tone) {
    match event {
        Event::Listening { address, .. } => (format!("listens at {address}"), Tone::Plain),
        Event::Joined { members } => (format!("joined: {}", members_text(*members)), Tone::Plain),
        Event::Registered {
            member,
            address,
            members,
        } => {
            let (all, pid) = (members_text(*members), pid_text(*member));
            (format!("{pid} joined at {address}: {all}"), Tone::Plain)
        }
        Event::Moved {
            member,
            address,
            before,
        } => {
            let member = pid_text(*member);
            let text = format!(
                "lists {member} at {address}, and no longer at {before}: it was started anew, \
                 or two programs run as {member}; if so, give one of them another SU ID"
            );
            (text, Tone::Trouble)
        }
        Event::Removed { member, address } => {
            let member = pid_text(*member);
            let text = format!("removes {member}: nobody listens at {address}, and it is full");
            (text, Tone::Plain)
        }
        Event::Election { cause } => (format!("starts an election: {cause}"), Tone::Election),
        Event::Leader { leader, reason } if who == Some(*leader) => {
            (format!("leads: {reason}"), Tone::Leader)
        }
        Event::Leader { leader, reason } => {
            let text = format!("follows {}: {reason}", pid_text(*leader));
            (text, Tone::Follower)
        }
        Event::LeaderLost { leader, how } => {
            let text = format!("has lost its leader {}: {how}", pid_text(*leader));
            (text, Tone::Trouble)
        }
        Event::Failed { length } => {
            let text = format!("feigns failure for {:.1} s", length.as_secs_f64());
            (text, Tone::Trouble)
        }
        Event::Recovered => ("has recovered".to_owned(), Tone::Plain),
        Event::Resigned { successor: None } => ("leaves".to_owned(), Tone::Plain),
        Event::Resigned {
            successor: Some(next),
        } => {
            let text = format!("leaves: announces {} as the leader", pid_text(*next));
            (text, Tone::Plain)
        }
        Event::Rejected { peer, why } => (
            format!("rejects a message from {peer}: {}", printable(why)),
            Tone::Trouble,
        ),
        Event::Unreachable { member, why } => {
            let HostPort(host, port) = member;
            let whom = match port {
                0 => format!("members at {}", printable(host)),
                _ => member.to_string(),
            };
            (format!("cannot connect to {whom}: {why}"), Tone::Trouble)
        }
        Event::ListenerFailed { why } => (why.clone(), Tone::Trouble),
        Event::RejectedMore { host, count } => {
            let more = counted(*count, "more message");
            let host = host.as_deref().map_or("others".into(), printable);
            (format!("rejected {more} from {host}"), Tone::Trouble)
        }
        Event::JoinFailed {
            why, tip, again_in, ..
        } => {
            let why = printable(why);
            let text = match again_in.map(|again| again.as_secs_f64()) {
                Some(again) => format!("{why}, again in {again:.1} s; {tip}"),
                None => format!("is refused by the coordinator: {why}"),
            };
            (text, Tone::Trouble)
        }
        Event::PidInUse { address } => {
            let me = who.map_or_else(|| "it".to_owned(), pid_text);
            let text = format!(
                "the coordinator lists {me} at {address} too: it was started anew, or two \
                 programs run as {me}, and both will lead; if so, give one of them another SU ID"
            );
            (text, Tone::Trouble)
        }
        Event::RosterFull { left_out } => {
            let left_out = members_text(*left_out);
            let text = format!(
                "table full: {left_out} left out; neighbours, the greatest and a sample are kept"
            );
            (text, Tone::Trouble)
        }
        Event::LineOpen { line } => (format!("opens {}", printable(line)), Tone::Plain),
        Event::LineLost { line, why } => {
            let text = format!("waits for {}: {}", printable(line), printable(why));
            (text, Tone::Trouble)
        }
        Event::ChipReady { members, exchanges } => {
            let members = members_text((*members).into());
            let text = format!("serves a chip with capacity for {members}, {exchanges} exchanges");
            (text, Tone::Leader)
        }
        Event::ChipLost { why } => (chip_lost(*why).to_owned(), Tone::Trouble),
        Event::ChipVersion { theirs, ours } => {
            let older = if theirs < ours {
                "the chip is older: build its firmware with this version's core"
            } else {
                "this program is older: get the one that the chip's core comes from"
            };
            let text = format!(
                "cannot serve the chip: it speaks version {theirs} on the line, this program \
                 {ours}; {older}"
            );
            (text, Tone::Trouble)
        }
        Event::ChipRecorded { bytes } => {
            let text = format!("has the chip's recording, {bytes} bytes");
            (text, Tone::Plain)
        }
        Event::ListCut { left_out } => {
            let left_out = members_text(*left_out);
            let text =
                format!("leaves {left_out} out of a list; the chip gets those it would keep");
            (text, Tone::Trouble)
        }
        Event::LogLost { lines } => {
            let lines = counted(*lines, "line");
            let text = format!("{lines} of this log lost: nobody read them in time");
            (text, Tone::Trouble)
        }
        Event::Process { what } => (printable(what), Tone::Plain),
        Event::Waiting => {
            let text = "waits for COORDINATOR: a greater member has answered";
            (text.to_owned(), Tone::Election)
        }
        Event::Stopped => ("stopped".to_owned(), Tone::Plain),
        Event::Summary(summary) => (summary_text(summary), Tone::Plain),
        Event::Message(message) => message_text(message),
    }
}

/// Returns the names of the columns. `time` and `who` head what is before the sentence.
pub(super) fn heading(time: &str, who: &str) -> String {
    let (peer, state) = ("peer", "state");
    let who = name_column(who);
    format!("{time:<TIME_WIDTH$}  {who}   {peer:<WHO_WIDTH$}  {state:<STATE_WIDTH$}  message")
}

/// Returns `who` as it stands in its column.
pub(super) fn name_column(who: &str) -> String {
    format!("{who:>WHO_WIDTH$}")
}

/// As wide as a time of day.
const TIME_WIDTH: usize = "07:21:06.123".len();

/// As wide as the widest process id of the lab's ranges, `(365, 1234567)`.
const WHO_WIDTH: usize = 14;

/// As wide as the lab's longest name of a state.
const STATE_WIDTH: usize = State::WaitingForAnyMessage.name().len();

/// Direction, peer, the lab's state, and the message or what became of it.
fn message_text(message: &Message) -> (String, Tone) {
    let peer = match (&message.party, message.peer) {
        (Party::Coordinator, _) => "coordinator".to_owned(),
        (_, Some(pid)) => pid_text(pid),
        (Party::Caller, None) => "unknown".to_owned(),
        (Party::Member(shown), None) => shown.clone(),
    };
    let arrow = match message.dir {
        Direction::Send => '→',
        Direction::Recv => '←',
    };
    let (what, tone) = match message.error {
        Some(problem) => (problem_text(message, problem), Tone::Trouble),
        None if message.request == Some(Kind::Probe) => (message_name(message), Tone::Faint),
        None => (message_name(message), Tone::Plain),
    };
    let state = state(message).map_or("", State::name);
    let text = format!("{arrow} {peer:<WHO_WIDTH$}  {state:<STATE_WIDTH$}  {what}");
    (text.trim_end().to_owned(), tone)
}

/// What the member is doing with this peer, if the lab has a name for it.
fn state(message: &Message) -> Option<State> {
    let ours = message.party != Party::Caller;
    Some(match (message.dir, ours, &message.request) {
        (Direction::Send, false, _) if message.kind != Some(Kind::Ok) => return None,
        (Direction::Send, false, _) => State::SendOk,
        (Direction::Recv, false, _) => State::WaitingForAnyMessage,
        (Direction::Send, true, Some(Kind::Join)) => State::SendJoin,
        (Direction::Send, true, Some(Kind::Coordinator)) => State::SendVictory,
        (Direction::Send, true, Some(Kind::Probe)) => State::SendProbe,
        (Direction::Send, true, _) => State::SendElection,
        (Direction::Recv, true, Some(Kind::Join)) => State::WaitingForMembers,
        (Direction::Recv, true, Some(Kind::Probe)) => State::WaitingForProbeOk,
        (Direction::Recv, true, _) => State::WaitingForOk,
    })
}

/// A message and what matters in it.
fn message_name(message: &Message) -> String {
    let name = message.kind.as_ref().map_or("a message", Kind::name);
    let name = printable(name);
    let members = message.members.and_then(|count| u32::try_from(count).ok());
    match (message.leader, members) {
        (Some(leader), _) => format!("{name} {}", pid_text(leader)),
        (None, Some(members)) => format!("{name}, {}", members_text(members)),
        _ => name,
    }
}

/// What became of a message that did not arrive, or of one that did not come.
fn problem_text(message: &Message, problem: Problem) -> String {
    let name = message.kind.as_ref().map_or("message", Kind::name);
    let name = printable(name);
    let seconds = message.waited.as_secs_f64();
    let why = match (problem, message.dir) {
        (Problem::Refused, _) => "nobody listens there".to_owned(),
        (Problem::Reset, _) => "the connection was reset".to_owned(),
        (Problem::Closed, Direction::Send) => "the peer has closed the connection".to_owned(),
        (Problem::Closed, Direction::Recv) => "closed without it".to_owned(),
        (Problem::TimedOut, _) => format!("not within {seconds:.1} s"),
        (Problem::GivenUp, _) => format!("given up after {seconds:.1} s"),
        (Problem::Malformed, _) => "what came is not a lab message".to_owned(),
        (Problem::Rejected, _) => return format!("{name} is not served here"),
        (Problem::Stopped, _) => "stopped before".to_owned(),
        (Problem::Lost, _) => "lost by the network".to_owned(),
    };
    match message.dir {
        Direction::Send => format!("{name} not sent: {why}"),
        Direction::Recv => format!("no {name}: {why}"),
    }
}

fn summary_text(summary: &Summary) -> String {
    let (up, of) = (summary.up, summary.members);
    let mut text = match summary.leader {
        Some(leader) => format!(
            "agreed: {up} of {of} members are up, {} leads",
            pid_text(leader)
        ),
        None if up == 0 => format!("agreed: none of {of} members is up"),
        None => format!("not agreed: {up} of {of} members are up, and do not name one leader"),
    };
    let sent = summary.messages;
    let load = match summary.load {
        Some(load) => format!(" at load {load} on {} processors", processors()),
        None => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nsent in {:.1} s{load}: {} JOIN, {} ELECTION, {} OK, {} COORDINATOR, {} PROBE",
        summary.elapsed_s, sent.join, sent.election, sent.ok, sent.coordinator, sent.probe
    );
    text
}

fn chip_lost(why: Lost) -> &'static str {
    match why {
        Lost::Silent => "stops listening: the chip is silent",
        Lost::Gap => "starts a new session: bytes from the chip are damaged or missing",
        Lost::Asked => "starts a new session: the chip has restarted, or misses bytes",
        Lost::Echo => "receives its own bytes: the line echoes what is written to it",
        Lost::Nonsense => "starts a new session: the chip sends what no chip may send",
        Lost::Overrun => "starts a new session: the line takes no more bytes",
    }
}

/// Returns `1 member`, `5 members`.
pub(super) fn members_text(count: u32) -> String {
    counted(count.into(), "member")
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
