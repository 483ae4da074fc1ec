//! Events as JSON, one object a line.

use std::io;

use bully::Pid;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::event::{Event, is_printable};
use super::form::maybe_pair;

/// Every line.
#[derive(Serialize)]
struct Line<'a> {
    t: f64,
    time: f64,
    #[serde(serialize_with = "maybe_pair")]
    node: Option<Pid>,
    #[serde(flatten)]
    event: &'a Event,
}

/// Returns the object for `event` alone.
pub(super) fn object(event: &Event) -> String {
    text(event)
}

/// Returns the line for an event whose object is `json`: see [`object`] and [`line`].
pub(super) fn spliced(t: f64, time: f64, node: Option<Pid>, json: &str) -> String {
    let head = Head { t, time, node };
    let head = text(&head);
    let head = head.strip_suffix('}').unwrap_or(&head);
    format!("{head},{}", json.strip_prefix('{').unwrap_or(json))
}

/// What every line begins with.
#[derive(Serialize)]
struct Head {
    t: f64,
    time: f64,
    #[serde(serialize_with = "maybe_pair")]
    node: Option<Pid>,
}

/// Returns the line for `event` of `node`, `t` seconds after the start and at the Unix time `time`.
pub(crate) fn line(t: f64, time: f64, node: Option<Pid>, event: &Event) -> String {
    let line = Line {
        t,
        time,
        node,
        event,
    };
    text(&line)
}

fn text(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(256);
    let mut to = Serializer::with_formatter(&mut bytes, Printable);
    // Numbers and text always have a JSON form.
    let written = value.serialize(&mut to);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(bytes).unwrap_or_default()
}

/// Compact, and with escapes for what a terminal would not show as a letter.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, letter) in fragment.char_indices() {
            if letter.is_ascii() && letter != '\x7f' || is_printable(letter) {
                continue;
            }
            writer.write_all(fragment.get(plain..at).unwrap_or("").as_bytes())?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + letter.len_utf8();
        }
        writer.write_all(fragment.get(plain..).unwrap_or("").as_bytes())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;
    use core::time::Duration;

    use bully::{Loss, Messages, Reason};

    use super::super::event::{HostPort, Summary};
    use super::super::message::{Conn, Direction, Kind, Message, Party, Problem};
    use super::*;
    use crate::gateway::Lost;
    use crate::net::Ends;

    fn pid(days: u32, id: u32) -> Pid {
        Pid { days, id }
    }

    fn at(port: u16) -> HostPort {
        HostPort("127.0.0.1".to_owned(), port)
    }

    fn message(dir: Direction, kind: Option<Kind>, conn: Option<(u16, u16)>) -> Message {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ends = |(initiator, listener)| Ends {
            initiator: local(initiator),
            listener: local(listener),
        };
        Message {
            at: bully::Instant::ZERO,
            node: None,
            dir,
            kind,
            conn: conn.map(|conn| Conn::Tcp(ends(conn), None)),
            peer: None,
            leader: None,
            members: None,
            bytes: 0,
            error: None,
            request: None,
            party: Party::Caller,
            alone: true,
            waited: Duration::ZERO,
        }
    }

    /// Every event that there is, as the page has them.
    fn events() -> Vec<Event> {
        let election = Message {
            members: Some(3),
            bytes: 97,
            ..message(
                Direction::Send,
                Some(Kind::Election),
                Some((40_112, 37_609)),
            )
        };
        let messages = Messages {
            join: 5,
            election: 9,
            ok: 17,
            coordinator: 14,
            probe: 11,
        };
        let summary = |agreed: bool| Summary {
            agreed,
            leader: agreed.then_some(pid(292, 1_000_003)),
            members: 5,
            up: 5,
            messages,
            elapsed_s: 5.000_371,
            load: agreed.then_some(0.25),
        };
        vec![
            Event::Listening {
                address: at(40_001),
                capacity: 1_024,
                connections: 64,
            },
            Event::Joined { members: 3 },
            Event::Election { cause: "joined" },
            Event::Waiting,
            Event::Leader {
                leader: pid(292, 1_000_003),
                reason: Reason::Announced,
            },
            Event::LeaderLost {
                leader: pid(292, 1_000_003),
                how: Loss::Refused,
            },
            Event::Failed {
                length: Duration::from_micros(2_417_205),
            },
            Event::Recovered,
            Event::PidInUse {
                address: HostPort("127.0.0.1".into(), 40007),
            },
            Event::RosterFull { left_out: 36 },
            Event::Rejected {
                peer: at(50_211),
                why: "Unexpected message: LEAVE".to_owned(),
            },
            Event::RejectedMore {
                host: Some("127.0.0.1".to_owned()),
                count: 998,
            },
            Event::RejectedMore {
                host: None,
                count: 12,
            },
            Event::Unreachable {
                member: HostPort("cs2.example.edu".to_owned(), 0),
                why: "hosts are not looked up while running".to_owned(),
            },
            Event::ListenerFailed {
                why: "cannot accept connections: Operation not permitted".to_owned(),
            },
            Event::Resigned {
                successor: Some(pid(195, 1_000_002)),
            },
            Event::Resigned { successor: None },
            Event::Stopped,
            Event::Message(Message {
                peer: Some(pid(292, 1_000_003)),
                ..election.clone()
            }),
            Event::Message(Message {
                dir: Direction::Recv,
                ..election
            }),
            Event::Message(Message {
                peer: Some(pid(292, 1_000_003)),
                leader: Some(pid(292, 1_000_003)),
                members: Some(3),
                bytes: 97,
                ..message(
                    Direction::Recv,
                    Some(Kind::Coordinator),
                    Some((40_118, 40_001)),
                )
            }),
            Event::Message(Message {
                peer: Some(pid(292, 1_000_003)),
                bytes: 16,
                error: Some(Problem::Refused),
                ..message(Direction::Send, Some(Kind::Probe), None)
            }),
            Event::Message(Message {
                bytes: 12,
                error: Some(Problem::Malformed),
                ..message(Direction::Recv, None, Some((40_120, 23_600)))
            }),
            Event::Message(Message {
                conn: Some(Conn::Number(17)),
                bytes: 10,
                ..message(Direction::Send, Some(Kind::Ok), None)
            }),
            Event::Registered {
                member: pid(98, 1_000_001),
                address: at(40_001),
                members: 3,
            },
            Event::Moved {
                member: pid(98, 1_000_001),
                address: at(40_007),
                before: at(40_001),
            },
            Event::Removed {
                member: pid(98, 1_000_001),
                address: at(40_007),
            },
            Event::Summary(summary(true)),
            Event::Summary(summary(false)),
            Event::LineOpen {
                line: "/dev/ttyACM0".to_owned(),
            },
            Event::LineLost {
                line: "/dev/ttyACM0".to_owned(),
                why: "No such file or directory".to_owned(),
            },
            Event::ChipReady {
                members: 32,
                exchanges: 8,
            },
            Event::ChipLost { why: Lost::Silent },
            Event::ChipVersion { theirs: 1, ours: 2 },
            Event::ListCut { left_out: 4 },
            Event::ChipRecorded { bytes: 4_200 },
            Event::Process {
                what: "crashes".to_owned(),
            },
            Event::LogLost { lines: 1_380 },
        ]
    }

    /// Does not compile with an event that is missing above.
    fn is_listed(event: &Event) {
        match event {
            Event::Listening { .. }
            | Event::Joined { .. }
            | Event::Registered { .. }
            | Event::Moved { .. }
            | Event::Removed { .. }
            | Event::Election { .. }
            | Event::Leader { .. }
            | Event::LeaderLost { .. }
            | Event::Failed { .. }
            | Event::Recovered
            | Event::Resigned { .. }
            | Event::Rejected { .. }
            | Event::RejectedMore { .. }
            | Event::Unreachable { .. }
            | Event::ListenerFailed { .. }
            | Event::JoinFailed { .. }
            | Event::PidInUse { .. }
            | Event::RosterFull { .. }
            | Event::LineOpen { .. }
            | Event::LineLost { .. }
            | Event::ChipReady { .. }
            | Event::ChipLost { .. }
            | Event::ChipVersion { .. }
            | Event::ChipRecorded { .. }
            | Event::ListCut { .. }
            | Event::LogLost { .. }
            | Event::Waiting
            | Event::Process { .. }
            | Event::Stopped
            | Event::Summary(_)
            | Event::Message(_) => {}
        }
    }

    #[test]
    fn the_page_shows_every_event_as_it_is_written() {
        let page = include_str!("schema.md");
        let examples: Vec<_> = page.lines().filter(|line| line.starts_with('{')).collect();
        let events = events();
        assert_eq!(examples.len(), events.len());
        for (example, event) in examples.into_iter().zip(events) {
            is_listed(&event);
            let value: serde_json::Value = serde_json::from_str(example).expect("JSON");
            let number = |name: &str| value[name].as_f64().expect("a number");
            let node = value["node"].as_array().map(|pair| {
                let half = |at: usize| pair[at].as_u64().and_then(|half| u32::try_from(half).ok());
                pid(half(0).expect("days"), half(1).expect("an id"))
            });
            assert_eq!(line(number("t"), number("time"), node, &event), example);
        }
    }

    #[test]
    fn a_line_is_ascii_where_a_terminal_could_be_misled_and_means_the_same() {
        let why = "a\x1b[2J\u{202e}b\u{9b}\x7f 'c' \"d\" \\ é東 \u{e0041}";
        let peer = HostPort("h\u{2066}".to_owned(), 7);
        let event = Event::Rejected {
            peer,
            why: why.to_owned(),
        };
        let text = line(0.25, 1.5, None, &event);
        assert!(text.chars().all(is_printable), "{text}");
        assert!(text.contains("é東"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["why"], why);
        assert_eq!(value["peer"], serde_json::json!(["h\u{2066}", 7]));
        assert!(text.starts_with(r#"{"t":0.25,"time":1.5,"node":null,"event":"rejected","#));
    }
}
