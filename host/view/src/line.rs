//! A line of a JSON log, as `bully node`, `lab`, `gcd`, `gateway`, `replay` and `sim --trace` write it.

use core::fmt;

use bully::Pid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A line of a log: who, when and what. Events of later versions are read as [`What::Other`].
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Line {
    /// Seconds since the process started.
    pub t: f64,
    /// Unix time in seconds.
    pub time: f64,
    /// Whom it is about; `None`: the coordinator, a group or a gateway.
    #[serde(deserialize_with = "pid")]
    pub node: Option<Pid>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened, by the names of the log.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Connections are accepted from now on.
    Listening {
        /// Host and port.
        address: (String, u16),
    },
    /// A member is in the group; in a coordinator's log, which one.
    Joined {
        /// How many members are known now.
        members: u64,
        /// Who joined; `None`: the member that the line is about.
        #[serde(default, deserialize_with = "pid")]
        member: Option<Pid>,
    },
    /// An election starts.
    Election {
        /// Why, in a few words.
        cause: String,
    },
    /// A greater member has answered; its COORDINATOR is awaited.
    Waiting,
    /// It is known who leads.
    Leader {
        /// Who.
        #[serde(deserialize_with = "pid")]
        leader: Option<Pid>,
        /// Why that one.
        #[serde(default)]
        reason: String,
    },
    /// The leader has failed.
    LeaderLost {
        /// Who led.
        #[serde(deserialize_with = "pid")]
        leader: Option<Pid>,
        /// How that was noticed.
        #[serde(default)]
        how: String,
    },
    /// A feigned failure begins.
    Failed {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// It is over.
    Recovered,
    /// The member leaves for good.
    Resigned {
        /// Whom a leader announces.
        #[serde(default, deserialize_with = "pid")]
        successor: Option<Pid>,
    },
    /// A process ends, in order.
    Stopped,
    /// What a simulation does to a process.
    Process {
        /// In words.
        what: String,
    },
    /// A message, seen from one of its ends.
    Message(Message),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A message, seen from one of its ends.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Message {
    /// At which end.
    pub dir: Direction,
    /// Its name; `None` if it is unknown.
    pub kind: Option<Kind>,
    /// Which connection it was on; `None`: there was none.
    pub conn: Option<Conn>,
    /// Who is at the other end, if that is certain.
    #[serde(default, deserialize_with = "pid")]
    pub peer: Option<Pid>,
    /// Whom a COORDINATOR announces.
    #[serde(default, deserialize_with = "pid")]
    pub leader: Option<Pid>,
    /// How many members its list names.
    #[serde(default)]
    pub members: Option<u64>,
    /// How many bytes were sent or received.
    #[serde(default)]
    pub bytes: u64,
    /// Why it was not sent or did not come whole; `None`: it was, or did.
    #[serde(default)]
    pub error: Option<String>,
}

/// At which end a message was seen.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Its sender's.
    Send,
    /// Its receiver's.
    Recv,
}

/// The name of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(from = "String")]
pub enum Kind {
    /// To the coordinator: a member wants to be listed.
    Join,
    /// The coordinator's list, which answers a JOIN.
    Members,
    /// The coordinator's refusal.
    Refused,
    /// An election is under way.
    Election,
    /// The answer to ELECTION and PROBE.
    Ok,
    /// The announcement of who leads.
    Coordinator,
    /// Whether the leader is alive.
    Probe,
    /// Another name, as it came.
    Other(String),
}

/// A connection, the same at both ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(untagged)]
pub enum Conn {
    /// Of a simulation: its number.
    Number(u64),
    /// Of TCP: `initiator>listener`.
    Ends(String),
}

impl Line {
    /// Returns the line that `text` is.
    ///
    /// # Errors
    ///
    /// Why it is none, in the words of the JSON reader.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Kind {
    /// Returns the name as it is on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Join => "JOIN",
            Self::Members => "MEMBERS",
            Self::Refused => "REFUSED",
            Self::Election => "ELECTION",
            Self::Ok => "OK",
            Self::Coordinator => "COORDINATOR",
            Self::Probe => "PROBE",
            Self::Other(name) => name,
        }
    }

    /// Returns `true` for what answers another message.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Members | Self::Refused | Self::Ok)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "JOIN" => Self::Join,
            "MEMBERS" => Self::Members,
            "REFUSED" => Self::Refused,
            "ELECTION" => Self::Election,
            "OK" => Self::Ok,
            "COORDINATOR" => Self::Coordinator,
            "PROBE" => Self::Probe,
            _ => Self::Other(name),
        }
    }
}

impl Conn {
    /// Returns the listener's address, if this is a TCP connection.
    pub(crate) fn listener(&self) -> Option<&str> {
        match self {
            Self::Number(_) => None,
            Self::Ends(ends) => {
                let (_, listener) = ends.split_once('>')?;
                Some(listener.split('#').next().unwrap_or(listener))
            }
        }
    }
}

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Ends(ends) => f.write_str(ends),
        }
    }
}

fn pid<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Pid>, D::Error> {
    let pair = Option::<(u32, u32)>::deserialize(from)?;
    Ok(pair.map(|(days, id)| Pid { days, id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_version_is_read() {
        let line = Line::parse(
            r#"{"t":1.5,"time":2.5,"node":[98,1000001],"event":"renamed","now":{"a":[1]}}"#,
        );
        assert_eq!(line.expect("a line").what, What::Other);
    }

    #[test]
    fn what_lacks_the_fields_of_every_line_is_no_line() {
        for text in [
            "",
            "{}",
            "seed 7 (repeat with --seed 7)",
            r#"{"t":1,"time":2,"node":null}"#,
            r#"{"t":1,"time":2,"node":[1],"event":"waiting"}"#,
            r#"{"t":"1","time":2,"node":null,"event":"waiting"}"#,
            r#"{"t":1,"time":2,"node":null,"event":"message","dir":"up","kind":null,"conn":null}"#,
        ] {
            assert!(Line::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_listener_is_the_second_end_without_its_number() {
        let conn = Conn::Ends("127.0.0.1:40112>[::1]:37609#12".to_owned());
        assert_eq!(conn.listener(), Some("[::1]:37609"));
        assert_eq!(Conn::Number(3).listener(), None);
    }
}
