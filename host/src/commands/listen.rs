//! Where members listen, and by which host the others reach them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::net::UdpSocket;

use super::{Failure, look_up};
use crate::names::{HOST_BYTES_MAX, Names};

/// Where members listen, and what the others are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen<'a> {
    pub(crate) at: SocketAddr,
    /// The host that the others are sent instead of that address.
    pub(crate) advertise: Option<&'a str>,
}

impl Listen<'_> {
    /// Refuses what nobody could connect to.
    ///
    /// # Errors
    ///
    /// Wrong usage: the others would be sent an address that stands for any.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let advertised = match self.advertise {
            Some(host) => host.parse().ok(),
            None => Some(self.at.ip()),
        };
        let tip = match self.advertise {
            Some(_) => "give the name or address by which the others reach this machine",
            None => "say by which name or address they can: --advertise HOST",
        };
        match advertised {
            Some(ip) if ip.is_unspecified() => Err(Failure::usage(
                format!(
                    "{ip} stands for every address of a machine; the others cannot connect to it"
                ),
                tip,
            )),
            _ => Ok(()),
        }
    }

    /// What will most likely not work with the coordinator at `directory`, though it may.
    pub(crate) fn warnings(&self, names: &Names, directory: bully::Addr) -> Vec<String> {
        let ip = self.at.ip();
        let mut warnings = Vec::new();
        let found = self.advertise.map(|host| match host.parse::<IpAddr>() {
            Ok(ip) => (host, Ok(ip)),
            Err(_) => (host, look_up(host)),
        });
        match found {
            Some((host, Err(why))) => warnings.push(format!(
                "nobody here knows a machine called {host} ({why}); the others may not either"
            )),
            Some((host, Ok(advertised))) if ip.is_loopback() && !advertised.is_loopback() => {
                warnings.push(format!(
                    "{ip} is reached from this machine only; for --advertise {host} add --bind {}",
                    SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.at.port())),
                ));
            }
            None if ip.is_loopback() => {
                if let Some(at) = names.endpoint(directory)
                    && !is_here(at.ip())
                {
                    warnings.push(format!(
                        "the coordinator is elsewhere and {ip} is reached from here only; add --bind {}:0 --advertise HOST",
                        Ipv4Addr::UNSPECIFIED,
                    ));
                }
            }
            _ => {}
        }
        warnings
    }
}

/// Returns `true` if `ip` is one of this machine's own: only those can be listened on.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Reads an address to listen at, with a port or without, which is 0: any that is free.
pub(crate) fn bind(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost") {
        Some(port) if port.is_empty() || port.starts_with(':') => format!("127.0.0.1{port}"),
        _ => text.to_owned(),
    };
    let with_port = text.parse();
    with_port
        .or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 0)))
        .map_err(|_| format!("{WANTED}, and perhaps a port: 127.0.0.1, or 127.0.0.1:40000"))
}

/// Reads an address to listen at, without a port.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => text
            .parse()
            .map_err(|_| format!("{WANTED}, without a port: 127.0.0.1, or 0.0.0.0 for all")),
    }
}

const WANTED: &str = "an address of this machine is wanted";

/// Reads the host that the others are sent.
pub(crate) fn advertise(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > HOST_BYTES_MAX || text.contains(char::is_whitespace) {
        return Err("a machine's name or address is wanted".to_owned());
    }
    if text.contains(':') && text.parse::<IpAddr>().is_err() {
        return Err("only the host is wanted; the port is that of --bind".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_a_port_or_without() {
        for (text, expected) in [
            ("127.0.0.1:40000", "127.0.0.1:40000"),
            ("127.0.0.1", "127.0.0.1:0"),
            ("localhost:5", "127.0.0.1:5"),
            ("localhost", "127.0.0.1:0"),
            ("0.0.0.0", "0.0.0.0:0"),
            ("::1", "[::1]:0"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(bind(text).map(|at| at.to_string()), Ok(expected.to_owned()));
        }
        for text in [
            "",
            "40000",
            ":40000",
            "localhost5:1",
            "cs2",
            "1.2.3",
            "1.2.3.4:99999",
        ] {
            assert!(bind(text).is_err(), "{text}");
        }
    }
}
