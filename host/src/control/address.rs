//! Where a control socket is.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use std::path::PathBuf;

/// A path of this machine, or a port of it that nobody else can connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port at a loopback address.
    Tcp(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("a socket's path is wanted: unix:/tmp/bully".to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        match text.parse::<SocketAddr>() {
            Ok(at) if at.ip().is_loopback() => Ok(Self::Tcp(at)),
            Ok(at) => Err(format!(
                "{} is open to other machines, and whoever connects may end the program: use 127.0.0.1",
                at.ip()
            )),
            Err(_) => Err("write unix:/tmp/bully or 127.0.0.1:23700".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(at) => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine() {
        for text in ["unix:/tmp/x y", "127.0.0.1:23700", "[::1]:1"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "unix:",
            "/tmp/x",
            "0.0.0.0:1",
            "10.0.0.1:1",
            "localhost:1",
            "127.0.0.1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
