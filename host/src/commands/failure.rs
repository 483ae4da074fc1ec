//! Why a command could not do what it was asked for.

use core::net::SocketAddr;
use std::io;

/// Why a command could not do what it was asked for, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One line: what is wrong.
    pub(crate) what: String,
    /// One line: what to do next.
    pub(crate) tip: String,
    /// `true`: the command was not understood (exit 2); `false`: it could not be done (exit 1).
    pub(crate) usage: bool,
}

impl Failure {
    /// What was asked for could not be done.
    pub(crate) fn new(what: impl Into<String>, tip: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            tip: tip.into(),
            usage: false,
        }
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(what: impl Into<String>, tip: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::new(what, tip)
        }
    }

    /// The system gave out in the middle of everything.
    pub(super) fn system(error: &io::Error) -> Self {
        Self::new(
            format!("the system does not let us go on: {error}"),
            "start again; if it is about open files, raise their limit: ulimit -n 65536",
        )
    }

    /// The log or the report could not be written.
    pub(super) fn unwritable(what: &str, error: &io::Error) -> Self {
        Self::new(
            format!("the {what} cannot be written: {error}"),
            "give it a place that takes it; the disk may be full",
        )
    }

    /// Nothing can listen at `at`.
    pub(super) fn bind(at: SocketAddr, error: &io::Error, elsewhere: &str) -> Self {
        let port = at.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::new(
                format!("port {port} is taken: another program listens at {at}"),
                format!("end that program, or choose another port: {elsewhere}"),
            ),
            io::ErrorKind::AddrNotAvailable => Self::new(
                format!("{} is not an address of this machine", at.ip()),
                "choose one that is: 127.0.0.1 is reached from this machine only, 0.0.0.0 stands for \
                 all its addresses",
            ),
            io::ErrorKind::PermissionDenied => Self::new(
                format!("the system does not let us listen at {at}"),
                format!("choose a port from 1024 on: {elsewhere}"),
            ),
            _ => Self::system(error),
        }
    }
}
