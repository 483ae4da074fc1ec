//! Steps in words.

use core::fmt;

use bully_tests::owned::Kind;

use crate::port::{COORDINATOR, Flight, List, Place};
use crate::rules::Step;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Start(place) => format!("{} starts", name(place)),
            Self::Crash(place) => format!("{} crashes", name(place)),
            Self::Wake(place) => format!("{} has a deadline", name(place)),
            Self::Deliver(flight) => flight.to_string(),
            Self::Lose(flight) => format!("lost: {flight}"),
            Self::Break(flight) => format!("broken off: {flight}"),
            Self::Forge { to, kind, list } => {
                format!("forged -> {}: {}", name(to), message(kind, list))
            }
        };
        f.pad(&text)
    }
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Call {
                from,
                back,
                to,
                kind,
                list,
            } => {
                let (from, to, what) = (name(from), name(to), message(kind, list));
                let alone = if back.is_some() {
                    ""
                } else {
                    ", awaited no more"
                };
                write!(f, "{from} -> {to}: {what}{alone}")
            }
            Self::Request {
                to: (to, number),
                kind,
                list,
            } => {
                write!(f, "{} on {number}: {}", name(to), message(kind, list))
            }
            Self::Answer {
                to: (to, number),
                members: false,
                ..
            } => {
                write!(f, "{} on {number}: OK", name(to))
            }
            Self::Answer {
                to: (to, number),
                list,
                ..
            } => {
                write!(f, "{} on {number}: members {}", name(to), names(list))
            }
            Self::Over {
                to: (to, number),
                reset,
            } => {
                let how = if reset { "reset" } else { "closed" };
                write!(f, "{} on {number}: {how}", name(to))
            }
        }
    }
}

fn message(kind: Kind, list: List) -> String {
    match kind {
        Kind::Election | Kind::Coordinator => {
            format!("{} {}", format!("{kind:?}").to_uppercase(), names(list))
        }
        _ => format!("{kind:?}").to_uppercase(),
    }
}

fn name(place: Place) -> String {
    match place {
        COORDINATOR => "gcd".into(),
        place => (place + 1).to_string(),
    }
}

fn names(list: List) -> String {
    let members = (0..COORDINATOR).filter(|place| list.contains(*place));
    format!("{{{}}}", members.map(name).collect::<Vec<_>>().join(" "))
}
