//! How a program stands at one moment, as its loop hands it over.

use bully::Messages;
use serde::{Deserialize, Serialize};

/// How all members of a program stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Seconds since the start.
    pub(crate) t: f64,
    /// Unix time in seconds.
    pub(crate) time: f64,
    /// In whose view.
    pub(crate) views: Vec<View>,
    /// The first member's table, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<Vec<Listed>>,
}

/// How one member stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) node: (u32, u32),
    pub(crate) state: String,
    pub(crate) leader: Option<(u32, u32)>,
    pub(crate) since_s: f64,
    pub(crate) confirmed_s: Option<f64>,
    pub(crate) members: usize,
    pub(crate) sent: Counts,
    pub(crate) received: Counts,
}

/// A member of a table: its process id, host and port.
pub(crate) type Listed = ((u32, u32), String, u16);

/// Messages by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) join: u64,
    pub(crate) election: u64,
    pub(crate) ok: u64,
    pub(crate) coordinator: u64,
    pub(crate) probe: u64,
}

impl From<Messages> for Counts {
    fn from(messages: Messages) -> Self {
        Self {
            join: messages.join,
            election: messages.election,
            ok: messages.ok,
            coordinator: messages.coordinator,
            probe: messages.probe,
        }
    }
}
