//! The [`Codec`] for pickle, on `bully_pickle`.

use bully::{Addr, Member, Refusal, Reply, Request, Roster};
use bully_pickle::message::{self, Answer, Due, Listed, Received};
use bully_pickle::writer::{self, Forms};
use bully_pickle::{HOST_BYTES_MAX, Heap, Limits, Names, Reader, port};

use crate::wire::{Codec, Dialect, Entry, Kind, Message, Outgoing, Reading};

/// Pickle, as the lab's programs read and write it.
#[derive(Clone, Copy, Debug)]
pub struct Pickle;

impl Codec for Pickle {
    fn read(&self, bytes: &[u8], answer: bool) -> Reading {
        let mut reader = Reader::<Heap>::new(Limits::default());
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
        let mut names = Hosts::default();
        let mut members: Vec<Member> = members
            .iter()
            .filter_map(|entry| {
                let base = names.base(&entry.host)?;
                Some(Member {
                    pid: entry.pid,
                    addr: Addr(base | u64::from(entry.port)),
                })
            })
            .collect();
        let roster = Roster::sorted(&mut members);
        let forms = Forms {
            ok: Some(dialect.ok),
            probe: Some(dialect.probe),
            keyed: dialect.keyed,
        };
        let mut bytes = Vec::new();
        match what {
            Outgoing::Members => {
                writer::reply(&mut bytes, &Reply::Members(roster), &forms, &names, None);
            }
            Outgoing::Refusal => {
                let refusal = Reply::Refused(Refusal::Pid);
                writer::reply(&mut bytes, &refusal, &forms, &names, None);
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
    names: Hosts,
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
            names: Hosts::default(),
            members: Vec::new(),
        }
    }

    fn request(&mut self, reader: &Reader<Heap>) {
        match message::request(reader, &mut self.names, &mut self.members) {
            Received::Join(member) => {
                self.message.kind = Kind::Join;
                self.message.joining = Some(self.entry(&member));
            }
            Received::Election(listed) => self.listed(Kind::Election, listed),
            Received::Coordinator(listed) => self.listed(Kind::Coordinator, listed),
            Received::Probe(listed) => self.listed(Kind::Probe, listed),
            Received::Unfit(_) => {}
        }
    }

    fn answer(&mut self, reader: &Reader<Heap>) {
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
        self.message.keyed = listed.keyed;
        if listed.keyed.is_some() || self.message.text.contains('{') {
            let entries = self.members.iter().map(|member| self.entry(member));
            self.message.members = Some(entries.collect());
        }
    }

    fn entry(&self, member: &Member) -> Entry {
        Entry {
            pid: member.pid,
            host: self.names.host(member.addr).to_owned(),
            port: port(member.addr),
        }
    }
}

/// The hosts of one message, as they were written: `localhost` is not `127.0.0.1` here.
#[derive(Debug, Default)]
struct Hosts(Vec<String>);

impl Names for Hosts {
    type Host<'a> = &'a str;

    fn base(&mut self, host: &str) -> Option<u64> {
        if host.len() > HOST_BYTES_MAX {
            return None;
        }
        let known = self.0.iter().position(|known| known == host);
        let index = known.unwrap_or_else(|| {
            self.0.push(host.to_owned());
            self.0.len() - 1
        });
        Some((index as u64) << 16)
    }

    fn host(&self, addr: Addr) -> &str {
        let index = usize::try_from(addr.0 >> 16).unwrap_or(usize::MAX);
        self.0.get(index).map_or("?", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use bully::Pid;
    use bully_pickle::message::Keyed;
    use bully_pickle::writer::{OkForm, ProbeForm};

    use super::*;

    fn entry(days: u32, host: &str, port: u16) -> Entry {
        Entry {
            pid: Pid {
                days,
                id: 1_000_000 + days,
            },
            host: host.to_owned(),
            port,
        }
    }

    fn read(bytes: &[u8], answer: bool) -> Message {
        match Pickle.read(bytes, answer) {
            Reading::Whole(message, length) if length == bytes.len() => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back_in_every_form() {
        let members = [entry(10, "127.0.0.1", 4001), entry(20, "localhost", 4002)];
        for keyed in [Keyed::Address, Keyed::Pid] {
            for ok in [OkForm::Text, OkForm::Pair, OkForm::Members] {
                let dialect = Dialect {
                    keyed,
                    ok,
                    probe: ProbeForm::Members,
                };
                for what in [Outgoing::Election, Outgoing::Coordinator, Outgoing::Probe] {
                    let message = read(&Pickle.write(what, &members, dialect), false);
                    assert_eq!(message.kind, what.kind());
                    assert_eq!(message.keyed, Some(keyed));
                    let mut found = message.members.expect("a list");
                    found.sort_by_key(|entry| entry.pid);
                    assert_eq!(found, members);
                }
                let message = read(&Pickle.write(Outgoing::Ok, &members, dialect), true);
                assert_eq!(message.kind, Kind::Ok);
                assert_eq!(message.bare, ok == OkForm::Text);
                assert_eq!(message.members.is_some(), ok == OkForm::Members);
            }
        }
    }

    #[test]
    fn a_join_by_cpython_is_read() {
        // pickle.dumps(('JOIN', ((200, 1500007), ('localhost', 4001))), 4)
        let bytes = b"\x80\x04\x95&\x00\x00\x00\x00\x00\x00\x00\x8c\x04JOIN\x94K\xc8J\x67\xe3\x16\x00\x86\x94\x8c\tlocalhost\x94M\xa1\x0f\x86\x94\x86\x94\x86\x94.";
        let message = read(bytes, false);
        assert_eq!(message.kind, Kind::Join);
        let joining = message.joining.expect("who joins");
        assert_eq!((joining.pid.days, joining.pid.id), (200, 1_500_007));
        assert_eq!((joining.host.as_str(), joining.port), ("localhost", 4001));
        assert_eq!(Pickle.read(&bytes[..30], false), Reading::Incomplete);
    }

    #[test]
    fn an_answer_in_another_word_is_no_ok() {
        for (text, kind) in [("OK", Kind::Ok), ("okay", Kind::Ok), ("YES", Kind::Other)] {
            let mut bytes = vec![0x80, 4, 0x8c, text.len() as u8];
            bytes.extend(text.bytes());
            bytes.push(b'.');
            let message = read(&bytes, true);
            assert_eq!((message.kind, message.bare), (kind, true), "{text}");
        }
        assert!(matches!(
            Pickle.read(b"GET / HTTP", false),
            Reading::Unreadable(_)
        ));
    }
}
