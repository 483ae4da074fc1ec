//! What commands have in common that take part in a group: where to listen, what to send, and where
//! the coordinator is.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::ValueEnum;

use super::{Failure, is_here, look_up};
use crate::names::{HOST_BYTES_MAX, Names};
use crate::net::TcpConfig;
use crate::pickle::message::Keyed;
use crate::pickle::writer::{Forms, OkForm, ProbeForm};

// No doc comment: it would stand in the help of the commands.
#[derive(Debug, clap::Args)]
pub(crate) struct WireArgs {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT", value_parser = bind, default_value = "127.0.0.1:0")]
    pub(crate) bind: SocketAddr,

    /// Host to tell the others instead of the address listened on [default: that of --bind]
    #[arg(long, value_name = "HOST", value_parser = advertise)]
    advertise: Option<String>,

    /// Keys of the member lists that are sent: as the coordinator's, the address, or the process id
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
    /// Turns down what nobody could connect to.
    pub(crate) fn check_reachable(&self) -> Result<(), Failure> {
        let told = match &self.advertise {
            Some(host) => host.parse().ok(),
            None => Some(self.bind.ip()),
        };
        let tip = match self.advertise {
            Some(_) => "give the name or address by which the others reach this machine",
            None => "say by which name or address they can: --advertise HOST",
        };
        match told {
            Some(ip) if ip.is_unspecified() => Err(Failure::usage(
                format!(
                    "{ip} stands for every address of a machine; the others cannot connect to it"
                ),
                tip,
            )),
            _ => Ok(()),
        }
    }

    /// With places for so many exchanges.
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

    /// What will most likely not work, though it may.
    pub(crate) fn warnings(&self, names: &Names, directory: bully::Addr) -> Vec<String> {
        let mut warnings = Vec::new();
        let bound_here = self.bind.ip().is_loopback();
        let advertised = self.advertise.as_ref().map(|host| {
            let found = match host.parse::<IpAddr>() {
                Ok(ip) => Ok(ip),
                Err(_) => look_up(host),
            };
            (host, found)
        });
        match advertised {
            Some((host, Err(why))) => warnings.push(format!(
                "nobody here knows a machine called {host} ({why}); the others may not either"
            )),
            Some((host, Ok(ip))) if bound_here && !ip.is_loopback() => {
                let port = self.bind.port();
                warnings.push(format!(
                    "{} is reached from this machine only; for --advertise {host} add --bind {}:{port}",
                    self.bind.ip(),
                    Ipv4Addr::UNSPECIFIED,
                ));
            }
            None if bound_here => {
                if let Some(at) = names.endpoint(directory)
                    && !is_here(at.ip())
                {
                    warnings.push(format!(
                        "the coordinator is elsewhere and {} is reached from here only; add --bind {}:0 --advertise HOST",
                        self.bind.ip(),
                        Ipv4Addr::UNSPECIFIED,
                    ));
                }
            }
            _ => {}
        }
        warnings
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

/// Reads a port to connect to.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

fn bind(text: &str) -> Result<SocketAddr, String> {
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    local
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "an address and a port are wanted, 127.0.0.1:0 for instance".to_owned())
}

fn advertise(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > HOST_BYTES_MAX || text.contains(char::is_whitespace) {
        return Err("a machine's name or address is wanted".to_owned());
    }
    if text.contains(':') && text.parse::<IpAddr>().is_err() {
        return Err("only the host is wanted; the port is that of --bind".to_owned());
    }
    Ok(text.to_owned())
}
