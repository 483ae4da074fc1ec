//! What commands have in common that take part in a group: where to listen, what to send, and where
//! the coordinator is.

use core::net::SocketAddr;

use clap::ValueEnum;

use super::listen::{Listen, advertise, bind};
use super::{Failure, look_up};
use crate::names::Names;
use crate::net::TcpConfig;
use crate::pickle::message::Keyed;
use crate::pickle::writer::{Forms, OkForm, ProbeForm};

// No doc comment: it would stand in the help of the commands.
#[derive(Debug, clap::Args)]
pub(crate) struct WireArgs {
    /// Where to listen; without a port, or with port 0, at any that is free
    #[arg(long, env = "BULLY_BIND", hide_env_values = true, value_name = "ADDR[:PORT]", value_parser = bind, default_value = "127.0.0.1:0")]
    pub(crate) bind: SocketAddr,

    /// Host to send to the others instead of the address listened on [default: that of --bind]
    #[arg(long, env = "BULLY_ADVERTISE", hide_env_values = true, value_name = "HOST", value_parser = advertise)]
    advertise: Option<String>,

    /// Keys of the member lists that are sent: the coordinator's choice, the address, or the process id
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    keyed_by: KeyedBy,

    /// Form of the OK that is sent: 'OK', ('OK', None) or ('OK', members)
    #[arg(long, value_name = "FORM", default_value = "auto")]
    ok: OkWord,

    /// What goes with a PROBE: ('PROBE', None) or ('PROBE', members)
    #[arg(long, value_name = "FORM", default_value = "auto")]
    probe: Probe,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyedBy {
    /// As the coordinator's answer to JOIN was
    Auto,
    /// {(host, port): (days, id)}, as the assignment says
    Address,
    /// {(days, id): (host, port)}, as most programs do
    Pid,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OkWord {
    /// ('OK', members) if lists are keyed by process id, 'OK' if by address
    Auto,
    /// 'OK', as the assignment says
    Text,
    /// ('OK', None)
    Pair,
    /// ('OK', members)
    Members,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Probe {
    /// ('PROBE', members) if lists are keyed by process id, ('PROBE', None) if by address
    Auto,
    /// ('PROBE', None), as the assignment says
    None,
    /// ('PROBE', members)
    Members,
}

impl WireArgs {
    /// Where the member listens.
    pub(crate) fn listen(&self) -> Listen<'_> {
        Listen {
            at: self.bind,
            advertise: self.advertise.as_deref(),
        }
    }

    /// For so many exchanges at once.
    pub(crate) fn tcp(&self, exchanges: usize) -> TcpConfig {
        let keyed = match self.keyed_by {
            KeyedBy::Auto => None,
            KeyedBy::Address => Some(Keyed::Address),
            KeyedBy::Pid => Some(Keyed::Pid),
        };
        let defaults = Forms::default();
        let forms = Forms {
            ok: match self.ok {
                OkWord::Auto => None,
                OkWord::Text => Some(OkForm::Text),
                OkWord::Pair => Some(OkForm::Pair),
                OkWord::Members => Some(OkForm::Members),
            },
            probe: match self.probe {
                Probe::Auto => None,
                Probe::None => Some(ProbeForm::None),
                Probe::Members => Some(ProbeForm::Members),
            },
            keyed: keyed.unwrap_or(defaults.keyed),
        };
        TcpConfig {
            bind: self.bind,
            advertise: self.advertise.clone(),
            exchanges,
            forms,
            keyed,
            local_only: false,
        }
    }
}

/// Looks the coordinator up: the only time that a name is. No sweep forgets it.
pub(crate) fn find_directory(
    names: &mut Names,
    host: &str,
    port: u16,
) -> Result<bully::Addr, Failure> {
    let unknown = |why: &dyn core::fmt::Display| {
        Failure::new(
            format!("there is no machine called {host:?}: {why}"),
            "check the coordinator's host; one on this machine is at: localhost",
        )
    };
    let too_long = || unknown(&"the name is too long");
    let addr = names.addr(host, port).ok_or_else(too_long)?;
    let ip = match names.endpoint(addr) {
        Some(at) => at.ip(),
        None => look_up(host).map_err(|error| unknown(&error))?,
    };
    if names.know(host, ip) {
        Ok(addr)
    } else {
        Err(too_long())
    }
}

/// Reads the two values of `--gcd`: the coordinator's host and port.
///
/// # Errors
///
/// Wrong usage: one is missing, or the port is none.
pub(crate) fn host_and_port(values: &[String]) -> Result<(&str, u16), Failure> {
    let tip = "say where the coordinator is: --gcd localhost 23600";
    let [host, number] = values else {
        return Err(Failure::usage("--gcd wants a host and a port", tip));
    };
    let number = port(number).map_err(|why| Failure::usage(format!("--gcd: {why}"), tip))?;
    Ok((host, number))
}

/// Reads a port to connect to.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}
