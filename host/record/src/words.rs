//! Records in words, for whoever looks for the difference.

use core::fmt;

use bully::{Addr, Request, Roster};

use crate::cursor::{Carried, Cursor, Entry, Received, What};

/// What the node does.
pub(crate) fn opens(to: Addr, request: Request<'_>) -> String {
    let of = |name: &str, list: Roster<'_>| match list.len() {
        0 => name.to_owned(),
        members => format!("{name} of {members}"),
    };
    let message = match request {
        Request::Join(_) => "JOIN".to_owned(),
        Request::Election(list) => of("ELECTION", list),
        Request::Coordinator(list) => of("COORDINATOR", list),
        Request::Probe(list) => of("PROBE", list),
    };
    format!("the node opens {message} to {}", Place(to))
}

/// What a record says, after "the recording says".
pub(crate) fn entry(entry: &Entry, cursor: &Cursor) -> String {
    let of = |name: &str, carried: Carried| match cursor.list().len() {
        members if carried.list => format!("{name} of {members}"),
        _ => name.to_owned(),
    };
    match &entry.what {
        What::Poll(_) => "that the poll is over".to_owned(),
        What::Opened(exchange, _) => format!("that it opens exchange {}", exchange.0),
        What::Full(_) => "that it opens an exchange, for which there is no capacity".to_owned(),
        What::None => "that there is no input".to_owned(),
        What::Resigned => "that it leaves the group".to_owned(),
        What::Mark(_) => "that 64 polls are over".to_owned(),
        What::End { .. } => "that the bank ends".to_owned(),
        What::Note(_) => "a note".to_owned(),
        What::Received(exchange, received) => {
            let what = match received {
                Received::Accepted => "a connection".to_owned(),
                Received::Sent => "that its message is sent".to_owned(),
                Received::Done => "the end".to_owned(),
                Received::Gone(gone) => format!("that {gone}"),
                Received::Join(_) => "JOIN".to_owned(),
                Received::Election(list) => of("ELECTION", *list),
                Received::Coordinator(list) => of("COORDINATOR", *list),
                Received::Probe(list) => of("PROBE", *list),
                Received::Ok(list) => of("OK", *list),
                Received::Members(list) => of("MEMBERS", *list),
                Received::Refused(why) => format!("a refusal: {why}"),
                Received::Unfit(why) => why.to_string(),
            };
            format!("that it receives {what} on exchange {}", exchange.0)
        }
    }
}

/// An address as hosts make them: IPv4 and port, or else a number.
struct Place(Addr);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Addr(addr)) = self;
        match u32::try_from(addr >> 16) {
            Ok(ip) if ip != 0 => {
                let ip = core::net::Ipv4Addr::from_bits(ip);
                write!(f, "{ip}:{}", addr & 0xffff)
            }
            _ => write!(f, "address {addr}"),
        }
    }
}
