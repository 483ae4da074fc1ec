//! The options of a `Tcp`.

use core::net::SocketAddr;

use crate::pickle::message::Keyed;
use crate::pickle::writer::Forms;

/// The options of a [`Tcp`](super::Tcp).
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Where to listen; port 0 takes any that is free. A loopback address keeps it from connecting
    /// to any other.
    pub bind: SocketAddr,
    /// The host to send to others instead of the one in `bind`.
    pub advertise: Option<String>,
    /// How many exchanges the core has slots for.
    pub exchanges: usize,
    /// Which forms of the messages to send.
    pub forms: Forms,
    /// How lists are keyed when sent; `None`: as the coordinator's first answer to JOIN that shows
    /// it, until then as the latest list that anybody sent, and before that as `forms` says.
    pub keyed: Option<Keyed>,
    /// Whether only members on this machine may join, and are known as `127.0.0.1` then: the
    /// coordinator's way.
    pub local_only: bool,
}

impl Default for TcpConfig {
    /// A free port of 127.0.0.1, 16 exchanges, word for word the assignment's messages.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            exchanges: 16,
            forms: Forms::default(),
            keyed: None,
            local_only: false,
        }
    }
}
