//! One exchange: what is due on it, and what the message or the answer on it came to.

use std::rc::Rc;

use bully::{Gone, Member, Refusal};

use super::inbox::{Arrival, Kind, List, Obtained, Partial};
use crate::pickle::message::{self, Due, Keyed};

/// What a connection is used for: one message and its answer.
#[derive(Debug)]
pub(super) struct Exchanged {
    /// Whose it is: see [`Shared::user`](super::shared::Shared::user).
    user: u64,
    due: Option<Due>,
    partial: Partial,
    /// The name of their message, if it is one that a member serves.
    name: Option<&'static str>,
    /// What is wrong with their message, for the answer.
    detail: Option<String>,
    queued: bool,
}

/// What is reported to the core of an exchange; a list of members is apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report {
    Accepted,
    Sent,
    Join(Member),
    List(Kind),
    Unfit(Refusal),
    Refused,
    Done,
    Gone(Gone),
}

/// What a whole message or answer, or the end of one, has come to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) list: Option<(Rc<List>, Obtained)>,
    /// How its list was keyed.
    pub(super) keyed: Option<Keyed>,
    /// Why it is rejected, for a person.
    pub(super) rejected: Option<String>,
    /// What a coordinator sent instead of a list of members.
    pub(super) words: Option<String>,
}

impl Outcome {
    /// An outcome with nothing but a report.
    pub(super) const fn new(report: Report) -> Self {
        Self {
            report,
            list: None,
            keyed: None,
            rejected: None,
            words: None,
        }
    }
}

impl Exchanged {
    /// An exchange of `user` in which nothing has been received; `due` answers a message of ours.
    pub(super) fn new(user: u64, due: Option<Due>) -> Self {
        Self {
            user,
            due,
            partial: Partial::Nothing,
            name: None,
            detail: None,
            queued: false,
        }
    }

    pub(super) fn is_of(&self, user: u64) -> bool {
        self.user == user
    }

    /// The answer that is due to a message of ours.
    pub(super) fn due(&self) -> Option<Due> {
        self.due
    }

    /// As much of the message or answer as has come.
    pub(super) fn partial_mut(&mut self) -> &mut Partial {
        &mut self.partial
    }

    /// What is wrong with their message, if that is known.
    pub(super) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What the answer to their message is about: what is wrong with it, and else its name.
    pub(super) fn take_subject(&mut self) -> Subject {
        match self.detail.take() {
            Some(detail) => Subject::Detail(detail),
            None => Subject::Name(self.name),
        }
    }

    /// Notes that it is in its user's queue. Returns `false` if it was already.
    pub(super) fn enter_queue(&mut self) -> bool {
        !core::mem::replace(&mut self.queued, true)
    }

    /// The reverse of [`enter_queue`](Self::enter_queue).
    pub(super) fn leave_queue(&mut self) {
        self.queued = false;
    }

    /// What a piece of a message has made of it; `None`: more is to come.
    pub(super) fn arrived(&mut self, arrival: Arrival) -> Option<Outcome> {
        Some(match arrival {
            Arrival::Partial => return None,
            Arrival::List(list, obtained) => Outcome {
                keyed: list.keyed(),
                list: Some((Rc::clone(&list), obtained)),
                ..self.listed(list.kind())
            },
            Arrival::Plain(kind, keyed) => Outcome {
                keyed,
                ..self.listed(kind)
            },
            Arrival::Join(member) => Outcome::new(Report::Join(member)),
            Arrival::Unfit { refusal, detail } => self.unfit(refusal, detail),
            Arrival::Refused(text) => Outcome {
                words: Some(message::raw_text(text.as_bytes()).to_string()),
                ..Outcome::new(Report::Refused)
            },
            Arrival::NotAnAnswer(shown) => Outcome {
                rejected: Some(format!("not an answer: {shown}")),
                words: (self.due == Some(Due::Members)).then_some(shown),
                ..Outcome::new(Report::Gone(Gone::Malformed))
            },
            Arrival::NotAMessage(why, beginning) => self.not_a_message(&beginning, &why),
        })
    }

    /// The peer closed its end after `received` bytes, before its message was whole.
    pub(super) fn closed_early(&mut self, received: usize) -> Outcome {
        if received == 0 {
            // It chose to say nothing.
            return Outcome::new(Report::Done);
        }
        let partial = core::mem::take(&mut self.partial);
        let why = format!("it ends after {received} bytes, in the middle of a message");
        self.not_a_message(partial.beginning(), &why)
    }

    /// Their message is not served; `detail` is for the answer to it.
    pub(super) fn unfit(&mut self, refusal: Refusal, detail: String) -> Outcome {
        let why = match refusal {
            // The words are the reason.
            Refusal::Other => detail.clone(),
            _ => message::refusal_text(refusal, Some(&detail)).to_string(),
        };
        self.detail = Some(detail);
        Outcome {
            rejected: Some(why),
            ..Outcome::new(Report::Unfit(refusal))
        }
    }

    fn listed(&mut self, kind: Kind) -> Outcome {
        if self.due.is_none() {
            self.name = match kind {
                Kind::Election => Some("ELECTION"),
                Kind::Coordinator => Some("COORDINATOR"),
                Kind::Probe => Some("PROBE"),
                Kind::Ok | Kind::Members => None,
            };
        }
        Outcome::new(Report::List(kind))
    }

    /// What came, and begins with `beginning`, is no message, for the reason `why`.
    fn not_a_message(&mut self, beginning: &[u8], why: &str) -> Outcome {
        let http = is_http(beginning);
        let asked = self.due == Some(Due::Members);
        let text = http || is_text(beginning);
        let words = asked.then(|| match text {
            true => message::raw_text(beginning).to_string(),
            false => format!("what is no lab message ({why})"),
        });
        if asked && text && !http {
            // A coordinator that cannot read us says so without pickling it.
            return Outcome {
                words,
                ..Outcome::new(Report::Refused)
            };
        }
        let why = if http {
            "it speaks HTTP: a browser or a web server"
        } else {
            why
        };
        let shown = message::bytes_repr(beginning).to_string();
        let rejected = Some(format!("not a lab message: {why}: {shown}"));
        self.detail = Some(shown);
        let report = match self.due {
            None => Report::Unfit(Refusal::NotAMessage),
            Some(_) => Report::Gone(Gone::Malformed),
        };
        Outcome {
            rejected,
            words,
            ..Outcome::new(report)
        }
    }
}

/// Returns `true` if this may have been written for people: no control characters, and no pickle's
/// first byte.
fn is_text(beginning: &[u8]) -> bool {
    let printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    beginning.first() != Some(&0x80) && beginning.iter().all(printable)
}

/// What an answer is about.
#[derive(Debug)]
pub(super) enum Subject {
    /// What is wrong with the message.
    Detail(String),
    /// The message's name, if it is one that a member serves.
    Name(Option<&'static str>),
}

impl Subject {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Detail(detail) => Some(detail),
            Self::Name(name) => *name,
        }
    }
}

/// Returns `true` if this is the beginning of a request or an answer of HTTP, which is what a wrong
/// port most often has to do with.
fn is_http(beginning: &[u8]) -> bool {
    let words: [&[u8]; 6] = [
        b"GET /",
        b"HEAD /",
        b"POST /",
        b"PUT /",
        b"OPTIONS ",
        b"HTTP/",
    ];
    words.iter().any(|word| beginning.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a JOIN comes to that is answered with these bytes, and what is shown of it.
    fn joining(answer: &[u8]) -> (bool, Option<String>) {
        let mut exchanged = Exchanged::new(1, Some(Due::Members));
        let outcome = exchanged.not_a_message(answer, "opcode 0x01 is not allowed");
        let refused = matches!(outcome.report, Report::Refused);
        let malformed = matches!(outcome.report, Report::Gone(Gone::Malformed));
        assert!(refused != malformed);
        (refused, outcome.words)
    }

    /// They were shown as the coordinator's own words, and the node ended for good.
    #[test]
    fn bytes_that_are_no_text_do_not_refuse_a_member() {
        let no_message = "what is no lab message (opcode 0x01 is not allowed)";
        for answer in [&b"\x80\x04abc"[..], b"a\x01b", b"\x00"] {
            assert_eq!(joining(answer), (false, Some(no_message.to_owned())));
        }
        let words = "Only local nodes, please";
        for answer in ["Only local nodes, please", "Only local nodes, please\r\n"] {
            assert_eq!(joining(answer.as_bytes()), (true, Some(words.to_owned())));
        }
        assert!(joining("Ung\u{fc}ltig".as_bytes()).0);
        assert!(!joining(b"HTTP/1.1 400 Bad Request\r\n\r\n").0);
    }
}
