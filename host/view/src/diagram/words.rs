//! What is said of messages and events in a few words, the same in all diagrams.

use crate::line::{Line, What};
use crate::run::{Fate, Message, Run, Who, seconds_text, span_text};

/// Returns an event as a sentence without its subject; `None` for a message, and for what is not reported.
pub fn sentence(line: &Line) -> Option<String> {
    let own = line.node.map(Who::Member);
    describe(own, &line.what).map(|(long, _)| long)
}

/// Returns an event of `who` as a sentence without its subject; `None` for what is not reported.
pub(crate) fn sentence_of(who: Option<Who>, what: &What) -> Option<String> {
    describe(who, what).map(|(long, _)| long)
}

/// Returns who somebody is; `None` is somebody unknown.
pub(super) fn who(run: &Run, lane: Option<usize>) -> String {
    lane.map_or_else(|| "somebody".to_owned(), |lane| run.who(lane).to_string())
}

/// Returns an event in a few words, and in one or two for where there is little space; `None` for one
/// that is not reported.
pub(super) fn event(run: &Run, lane: Option<usize>, what: &What) -> Option<(String, &'static str)> {
    describe(lane.map(|lane| run.who(lane)), what)
}

fn describe(own: Option<Who>, what: &What) -> Option<(String, &'static str)> {
    Some(match what {
        What::Listening { .. } => ("starts".to_owned(), "starts"),
        What::Joined { members, member } => match member {
            Some(member) => (format!("{} joined", Who::Member(*member)), "joined"),
            None => (format!("joined: {members} members known"), "joined"),
        },
        What::Election { cause } => (format!("elects: {cause}"), "elects"),
        What::Waiting => ("waits for COORDINATOR".to_owned(), "waits"),
        What::Leader { leader, reason } => {
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            match (leader, own) {
                (Some(leader), Some(own)) if Who::Member(*leader) == own => {
                    (format!("leads{reason}"), "leads")
                }
                (Some(leader), _) => (
                    format!("follows {}{reason}", Who::Member(*leader)),
                    "follows",
                ),
                (None, _) => ("knows no leader".to_owned(), "no leader"),
            }
        }
        What::LeaderLost { leader, how } => {
            let leader = leader.map_or_else(String::new, |pid| format!(" {}", Who::Member(pid)));
            (format!("lost its leader{leader}: {how}"), "lost")
        }
        What::Failed { for_ms } => (format!("feigns failure for {for_ms} ms"), "fails"),
        What::Recovered => ("recovers".to_owned(), "recovers"),
        What::Resigned { successor } => match successor {
            Some(successor) => (
                format!("leaves, and announces {}", Who::Member(*successor)),
                "leaves",
            ),
            None => ("leaves".to_owned(), "leaves"),
        },
        What::Stopped => ("ends".to_owned(), "ends"),
        What::Process { what } => {
            let short = match what.as_str() {
                "starts" => "starts",
                "is stopped" => "stopped",
                "goes on" => "goes on",
                what if what.starts_with("crashes") => "crashes",
                _ => "",
            };
            (what.clone(), short)
        }
        What::Message(_) | What::Other => return None,
    })
}

/// Returns all there is to say of a message, a line each.
pub(super) fn message(run: &Run, message: &Message) -> String {
    let mut text = String::from(message.name());
    if message.answers.is_some()
        && let Some(request) = run.request_kind(message)
    {
        text += &format!(" to {}", request.name());
    }
    text += &format!(" {} → {}\n", who(run, message.from), who(run, message.to));
    if let Some(first) = message.points().min() {
        text += &seconds_text(run.at(first));
    }
    if let (Some(sent), Some(received)) = (message.sent, message.received) {
        let took = run.at(received).saturating_sub(run.at(sent));
        text += &format!(" + {}", span_text(took));
    }
    if message.bytes > 0 {
        text += &format!(" · {} B", message.bytes);
    }
    if let Some(members) = message.members {
        text += &format!(" · {members} members");
    }
    if let Some(leader) = message.leader {
        text += &format!(" · leader {}", Who::Member(leader));
    }
    match &message.fate {
        Fate::Arrived => {}
        Fate::HalfSeen if message.sent.is_some() => text += "\nseen by its sender only",
        Fate::HalfSeen => text += "\nseen by its receiver only",
        Fate::Failed(why) => text += &format!("\nnot received: {}", problem(why)),
        Fate::Missing(why) => text += &format!("\nit did not come: {}", problem(why)),
    }
    text + &lines(run, message)
}

/// Returns where a message is in the logs.
fn lines(run: &Run, message: &Message) -> String {
    let several = run.clocks.len() > 1;
    let lines = message.points().filter_map(|point| {
        let point = run.points.get(point)?;
        Some(match run.clocks.get(point.source) {
            Some(clock) if several => format!("{}:{}", clock.name, point.line),
            _ => point.line.to_string(),
        })
    });
    let lines: Vec<_> = lines.collect();
    format!("\nline {}", lines.join(", "))
}

/// Returns why a message failed, by the log's word for it.
pub(super) fn problem(word: &str) -> &str {
    match word {
        "refused" => "nobody listens there",
        "reset" => "the connection was reset",
        "closed" => "the peer closed the connection",
        "timed_out" => "the time for it was over",
        "given_up" => "it was no longer wanted",
        "malformed" => "what came is no message",
        "rejected" => "it is not served there",
        "stopped" => "that end stopped listening",
        "lost" => "it was lost",
        other => other,
    }
}
