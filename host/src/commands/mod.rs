//! What the program can do, a file for each command, and what the commands share.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod diagram;
pub(crate) mod explain;
pub(crate) mod gateway;
pub(crate) mod gcd;
#[cfg(unix)]
pub(crate) mod grade;
pub(crate) mod lab;
pub(crate) mod node;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod sim;
pub(crate) mod top;

mod birthday;
mod capacity;
mod control;
mod failure;
mod files;
mod listen;
mod logs;
mod member;
mod output;
mod stop;
mod wire;

use core::net::IpAddr;
use core::time::Duration;
use std::io::{self, Write as _};
use std::net::ToSocketAddrs;

use bully::Instant;

pub(crate) use capacity::{EXCHANGES_MAX, MEMBERS_MAX};
pub(crate) use failure::Failure;
use stop::Stop;

use crate::log::{End, Log, LogArgs, OnError};
use crate::net::Poll;

/// Where `bully gcd` listens by default. Fixed, so that the commands in a README, on a
/// blackboard and in two shells fit together; below the ranges from which systems hand out ports
/// to clients (from 32768 on Linux), so that none of those takes it by chance.
pub(crate) const GCD_PORT: u16 = 23_600;

/// Opens what a command that runs until it is stopped works with: what it waits with, what stops it,
/// and its log, which starts with the warning if there is one.
fn open(
    limit: Option<Duration>,
    log: LogArgs,
    on_error: OnError,
    warning: Option<String>,
) -> Result<(Poll, Stop, Log), Failure> {
    let poll = Poll::new().map_err(|error| Failure::system(&error))?;
    let stop = Stop::new(&poll, limit)?;
    let log = Log::open(log, "coordinator", on_error, &poll);
    let mut log = log.map_err(|error| Failure::system(&error))?;
    if let Some(warning) = warning {
        log.remark(&format!("warning: {warning}"));
    }
    Ok((poll, stop, log))
}

/// Closes the log of a command that ends when its log does. Returns what becomes of the command.
fn close(log: Log, now: Instant, stop: &Stop, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match log.close(now, stop.signalled()) {
        Some(End::Failed(error)) => outcome.and(Err(Failure::unwritable("log", &error))),
        // Without a reader there is nobody to report to.
        Some(End::Closed) | None => outcome,
    }
}

/// Finds the machine called `host`; blocks for as long as the system's resolver does. Plain IPv4
/// comes first, since that is what the lab's programs listen on.
fn look_up(host: &str) -> io::Result<IpAddr> {
    let found: Vec<_> = (host, 0).to_socket_addrs()?.map(|at| at.ip()).collect();
    let first = found.iter().find(|ip| ip.is_ipv4()).or(found.first());
    first
        .copied()
        .ok_or_else(|| io::Error::other("the name is known, but has no address"))
}

/// Writes what is no data, for the person at the terminal.
fn remark(text: &str) {
    // Nobody listens if this fails, and there is no other way to report it.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A seed when none is given: short enough to be typed again.
fn drawn_seed() -> u64 {
    rand::random::<u32>().into()
}

/// Reads a seed.
fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "a seed is a whole number, 0 to 18446744073709551615".to_owned())
}

/// Reads `5s`, `500ms`, `1h 30m` or a plain number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|span| Duration::try_from(span).ok()),
    };
    match span {
        Some(Duration::ZERO) => Err(
            "a time is longer than zero: 5s, 500ms, 2m, 1h; leave the option out for its default"
                .to_owned(),
        ),
        Some(span) => Ok(span),
        None => Err("a time is written 5s, 500ms, 2m, 1h, or 5 for five seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1h 30m", 5_400_000),
            ("5", 5_000),
            ("0.5", 500),
            ("1.5s", 1_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "soon",
            "0",
            "0s",
            "-1",
            "-5s",
            "nan",
            "inf",
            "5 parsecs",
            "1e300",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
