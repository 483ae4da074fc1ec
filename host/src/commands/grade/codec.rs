//! The pickled wire, as the grader asks for it.

use bully::{Member, Reply, Request, Roster};
use bully_grade::wire::{
    Codec, Dialect, Entry, Keyed, Kind, Message, OkForm, Outgoing, ProbeForm, Reading,
};

use crate::names::{Names, port};
use crate::pickle::message::{self, Answer, Due, Heard, Listed};
use crate::pickle::writer::{self, Forms};
use crate::pickle::{Limits, Reader};

/// Pickle as this program reads and writes it.
#[derive(Debug)]
pub(super) struct Pickle;

impl Codec for Pickle {
    fn read(&self, bytes: &[u8], answer: bool) -> Reading {
        let mut reader = Reader::new(Limits::default());
        let length = match reader.push(bytes) {
            Ok(None) => return Reading::Incomplete,
            Ok(Some(length)) => length,
            Err(why) => {
                return Reading::Unreadable(format!("{why}: {}", message::bytes_repr(bytes)));
            }
        };
        let mut found = Found::new(message::describe(&reader).to_string());
        if answer {
            found.answer(&reader);
        } else {
            found.request(&reader);
        }
        Reading::Whole(found.message, length)
    }

    fn write(&self, what: Outgoing, members: &[Entry], dialect: Dialect) -> Vec<u8> {
        let mut names = Names::new();
        let mut members: Vec<Member> = members
            .iter()
            .filter_map(|entry| {
                let addr = names.addr(&entry.host, entry.port)?;
                Some(Member {
                    pid: entry.pid,
                    addr,
                })
            })
            .collect();
        let roster = Roster::sorted(&mut members);
        let forms = Forms {
            ok: Some(match dialect.ok {
                OkForm::Text => writer::OkForm::Text,
                OkForm::Pair => writer::OkForm::Pair,
                OkForm::Members => writer::OkForm::Members,
            }),
            probe: Some(match dialect.probe {
                ProbeForm::None => writer::ProbeForm::None,
                ProbeForm::Members => writer::ProbeForm::Members,
            }),
            keyed: match dialect.keyed {
                Keyed::Address => message::Keyed::Address,
                Keyed::Pid => message::Keyed::Pid,
            },
        };
        let mut bytes = Vec::new();
        match what {
            Outgoing::Members => {
                writer::reply(&mut bytes, &Reply::Members(roster), &forms, &names, None);
            }
            Outgoing::Ok => writer::reply(&mut bytes, &Reply::Ok(roster), &forms, &names, None),
            Outgoing::Election => {
                writer::request(&mut bytes, &Request::Election(roster), &forms, &names);
            }
            Outgoing::Coordinator => {
                writer::request(&mut bytes, &Request::Coordinator(roster), &forms, &names);
            }
            Outgoing::Probe => {
                writer::request(&mut bytes, &Request::Probe(roster), &forms, &names);
            }
        }
        bytes
    }
}

/// A message on its way from the reader's terms to the grader's.
struct Found {
    message: Message,
    names: Names,
    members: Vec<Member>,
}

impl Found {
    fn new(text: String) -> Self {
        Self {
            message: Message {
                kind: Kind::Other,
                bare: text.starts_with('\''),
                joining: None,
                members: None,
                keyed: None,
                text,
            },
            names: Names::new(),
            members: Vec::new(),
        }
    }

    fn request(&mut self, reader: &Reader) {
        match message::request(reader, &mut self.names, &mut self.members) {
            Heard::Join(member) => {
                self.message.kind = Kind::Join;
                self.message.joining = Some(self.entry(&member));
            }
            Heard::Election(listed) => self.listed(Kind::Election, listed),
            Heard::Coordinator(listed) => self.listed(Kind::Coordinator, listed),
            Heard::Probe(listed) => self.listed(Kind::Probe, listed),
            Heard::Unfit { .. } => {}
        }
    }

    fn answer(&mut self, reader: &Reader) {
        // The forms of OK that programs were seen to send; any other text is another answer.
        const TEXTS: [&str; 3] = ["OK", "OKAY", "ALIVE"];
        match message::answer(reader, Due::Ok, &mut self.names, &mut self.members) {
            Answer::Ok(listed) => {
                let text = self.message.text.trim_matches('\'');
                let is_ok = TEXTS.iter().any(|ok| text.eq_ignore_ascii_case(ok));
                let kind = match self.message.bare && !is_ok {
                    true => Kind::Other,
                    false => Kind::Ok,
                };
                self.listed(kind, listed);
            }
            Answer::Members(_) | Answer::Text(_) | Answer::Unfit => {}
        }
    }

    /// Takes the list over. One that is empty, or whose keys are none, is a list as well.
    fn listed(&mut self, kind: Kind, listed: Listed) {
        self.message.kind = kind;
        self.message.keyed = listed.keyed.map(|keyed| match keyed {
            message::Keyed::Address => Keyed::Address,
            message::Keyed::Pid => Keyed::Pid,
        });
        if listed.keyed.is_some() || self.message.text.contains('{') {
            let entries = self.members.iter().map(|member| self.entry(member));
            self.message.members = Some(entries.collect());
        }
    }

    fn entry(&self, member: &Member) -> Entry {
        Entry {
            pid: member.pid,
            host: self.names.host(member.addr).into_owned(),
            port: port(member.addr),
        }
    }
}
