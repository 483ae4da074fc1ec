//! `--control`: lets others ask a running program how it stands.

use std::io;

use super::Failure;
use crate::control::Address;
#[cfg(unix)]
use crate::control::{Control, Snapshot};
use crate::log::Log;
#[cfg(unix)]
use crate::log::Tap;
use crate::net::Poll;

// No doc comment: it would stand in the help of the commands.
#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// Answer bully status, members, monitor, resign and top there [default: nowhere]
    ///
    /// Every client can stop the program. A path is accessible to its owner only, a port must be on a
    /// loopback address.
    #[arg(
        long,
        env = "BULLY_CONTROL",
        hide_env_values = true,
        value_name = "unix:PATH|127.0.0.1:PORT"
    )]
    control: Option<Address>,
}

/// The control socket, if one was asked for.
pub(super) struct Controlled(#[cfg(unix)] Option<Control>);

impl ControlArgs {
    /// Opens the socket; its clients receive what `log` records.
    ///
    /// # Errors
    ///
    /// Why nothing can listen there.
    #[cfg(unix)]
    pub(super) fn open(&self, poll: &Poll, log: &mut Log) -> Result<Controlled, Failure> {
        let Some(address) = &self.control else {
            return Ok(Controlled(None));
        };
        let tap = Tap::default();
        log.set_tap(tap.clone());
        let control = Control::open(address, tap, poll.waker());
        let control = control.map_err(|error| failure(address, &error))?;
        Ok(Controlled(Some(control)))
    }

    /// Opens nothing: where there are no Unix sockets there is no control.
    #[cfg(not(unix))]
    pub(super) fn open(&self, _: &Poll, _: &mut Log) -> Result<Controlled, Failure> {
        match &self.control {
            None => Ok(Controlled()),
            Some(address) => Err(failure(address, &io::ErrorKind::Unsupported.into())),
        }
    }
}

fn failure(address: &Address, error: &io::Error) -> Failure {
    let tip = match error.kind() {
        io::ErrorKind::AddrInUse => "another program is there: end it, or choose another --control",
        _ => "choose another --control: unix:/tmp/bully, or 127.0.0.1:23700",
    };
    Failure::new(format!("nothing can be asked at {address}: {error}"), tip)
}

#[cfg(unix)]
impl Controlled {
    /// To be called in each turn. Calls `snapshot` if somebody has asked; it gets whether the table
    /// is wanted.
    pub(super) fn turn(&self, snapshot: impl FnOnce(bool) -> Snapshot) {
        if let Some(control) = &self.0 {
            control.turn(snapshot);
        }
    }

    /// Returns `true` once somebody has asked the program to end.
    pub(super) fn resigns(&self) -> bool {
        self.0.as_ref().is_some_and(Control::resigns)
    }
}

#[cfg(not(unix))]
impl Controlled {
    /// Does nothing: nobody can ask.
    pub(super) fn turn(&self, _: impl FnOnce(bool) -> crate::control::Snapshot) {}

    /// Returns `false`: nobody can ask.
    pub(super) fn resigns(&self) -> bool {
        false
    }
}
