//! Writes our messages and answers: lists by [`bully_pickle::writer`], the short ones by serde-pickle.

use core::fmt::Display;

use bully::{Member, Refusal, Reply, Request};
pub use bully_pickle::writer::{Forms, OkForm, ProbeForm, READ_ONCE_MAX};
use bully_pickle::{port, writer};
use serde::Serialize;

use super::message::refusal_text;
use crate::names::Names;

/// Appends `request` to `out`, as [`writer::request`] does.
pub fn request(out: &mut Vec<u8>, request: &Request<'_>, forms: &Forms, names: &Names) {
    let begin = out.len();
    match *request {
        Request::Join(Member { pid, addr }) => {
            let address = (names.host(addr), port(addr));
            short(out, &("JOIN", ((pid.days, pid.id), address)));
        }
        Request::Probe(list) if forms.probe_form() == ProbeForm::None => {
            short(out, &("PROBE", ()));
            writer::origin(out, begin, list.origin());
        }
        _ => writer::request(out, request, forms, names),
    }
}

/// Appends `reply` to `out`, as [`writer::reply`] does.
pub fn reply(
    out: &mut Vec<u8>,
    reply: &Reply<'_>,
    forms: &Forms,
    names: &Names,
    detail: Option<&str>,
) {
    let begin = out.len();
    let detail = detail.as_ref().map(|detail| detail as &dyn Display);
    match (*reply, forms.ok_form()) {
        (Reply::Ok(list), OkForm::Text) => {
            short(out, &"OK");
            writer::origin(out, begin, list.origin());
        }
        (Reply::Ok(list), OkForm::Pair) => {
            short(out, &("OK", ()));
            writer::origin(out, begin, list.origin());
        }
        (Reply::Refused(refusal), _) if refusal != Refusal::NotAMessage => {
            short(out, &refusal_text(refusal, detail).to_string());
        }
        _ => writer::reply(out, reply, forms, names, detail),
    }
}

/// A message without a list of members.
fn short(out: &mut Vec<u8>, message: &impl Serialize) {
    let options = serde_pickle::SerOptions::new().proto_v2();
    let begin = out.len();
    if serde_pickle::to_writer(out, message, options).is_err() {
        // Texts, numbers and tuples always can be written; a half would be worse than nothing.
        out.truncate(begin);
    }
}
