//! Messages as bytes, each encoded once and shared by all who are sent the same.

use std::rc::Rc;

use bully::{Origin, Reply, Request, Roster};

use super::shared::Shared;
use crate::names::Names;
use crate::pickle::writer::{self, Forms, OkForm, ProbeForm};

/// The latest encodings: one of each kind of message that is the same for everyone.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    kept: Vec<Kept>,
    /// How many messages were encoded.
    pub(super) encoded: u64,
    /// How many were sent again as they were.
    pub(super) reused: u64,
}

#[derive(Debug)]
struct Kept {
    kind: Kind,
    forms: Forms,
    /// Revision and length of the list in it.
    roster: (Option<u32>, usize),
    origin: Option<Origin>,
    bytes: Rc<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Election,
    Coordinator,
    Probe,
    Ok,
    Members,
}

impl Encoded {
    pub(super) fn request(
        &mut self,
        request: &Request<'_>,
        forms: &Forms,
        names: &Names,
        shared: &mut Shared,
    ) -> Rc<[u8]> {
        let key = match request {
            Request::Election(roster) => Some((Kind::Election, *roster)),
            Request::Coordinator(roster) => Some((Kind::Coordinator, *roster)),
            Request::Probe(roster) if forms.probe_form() == ProbeForm::Members => {
                Some((Kind::Probe, *roster))
            }
            Request::Probe(roster) => Some((Kind::Probe, without_members(*roster))),
            Request::Join(_) => None,
        };
        self.once(key, forms, shared, |out| {
            writer::request(out, request, forms, names);
        })
    }

    pub(super) fn reply(
        &mut self,
        reply: &Reply<'_>,
        forms: &Forms,
        names: &Names,
        detail: Option<&str>,
        shared: &mut Shared,
    ) -> Rc<[u8]> {
        let key = match reply {
            Reply::Ok(roster) if forms.ok_form() == OkForm::Members => Some((Kind::Ok, *roster)),
            Reply::Ok(roster) => Some((Kind::Ok, without_members(*roster))),
            Reply::Members(roster) => Some((Kind::Members, *roster)),
            Reply::Refused(_) => None,
        };
        self.once(key, forms, shared, |out| {
            writer::reply(out, reply, forms, names, detail);
        })
    }

    /// Forgets lists of other revisions than the present one: they are not sent again.
    pub(super) fn forget_all_but(&mut self, revision: Option<u32>) {
        self.kept.retain(|kept| {
            let (of, len) = kept.roster;
            of == revision || len == 0
        });
    }

    /// What `write` writes, or what it wrote before for the same key.
    fn once(
        &mut self,
        key: Option<(Kind, Roster<'_>)>,
        forms: &Forms,
        shared: &mut Shared,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Rc<[u8]> {
        let roster = key.map_or((None, 0), |(_, roster)| (roster.revision(), roster.len()));
        let origin = key.and_then(|(_, roster)| roster.origin());
        if let Some((kind, _)) = key
            && let Some(kept) = self.kept.iter().find(|kept| kept.kind == kind)
            && kept.roster == roster
            && (roster.0.is_some() || roster.1 == 0)
            && kept.origin == origin
            && kept.forms == *forms
        {
            self.reused += 1;
            return Rc::clone(&kept.bytes);
        }
        self.encoded += 1;
        shared.scratch.clear();
        write(&mut shared.scratch);
        let bytes = shared.encodings.share(&shared.scratch);
        if let Some((kind, _)) = key {
            self.kept.retain(|kept| kept.kind != kind);
            self.kept.push(Kept {
                kind,
                forms: *forms,
                roster,
                origin,
                bytes: Rc::clone(&bytes),
            });
        }
        bytes
    }
}

/// What is sent of a list whose members are not.
fn without_members(roster: Roster<'_>) -> Roster<'static> {
    Roster::EMPTY.with_origin(roster.origin())
}
