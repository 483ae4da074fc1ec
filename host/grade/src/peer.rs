//! The scripted peers of a check: who they are compared with the graded program, and how they
//! behave towards it.

use core::net::{Ipv4Addr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;
use std::io;
use std::net::{TcpListener, TcpStream};

use bully::Pid;
use socket2::{Domain, Socket, Type};

use crate::wire::Entry;

/// Where a peer stands compared with the graded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Fewer days.
    Lower,
    /// More days.
    Greater,
    /// As many days, and a lower id.
    TieLower,
    /// As many days, and a greater id.
    TieGreater,
}

/// The process ids that the published group coordinator accepts: days to the next birthday.
const DAYS: RangeInclusive<u32> = 1..=365;

/// And SU IDs: seven digits.
const IDS: RangeInclusive<u32> = 1_000_000..=9_999_999;

/// What a process id must be for the coordinator to accept it, for people.
pub(crate) const ACCEPTED: &str =
    "a process id that the group coordinator accepts: 1 to 365 days, an SU ID of seven digits";

/// Returns `true` if the published group coordinator accepts a JOIN of this process id.
pub(crate) fn is_accepted(pid: Pid) -> bool {
    DAYS.contains(&pid.days) && IDS.contains(&pid.id)
}

/// The most peers of one rank in a check.
const NTH_MAX: u32 = 8;

/// Days between a peer and the next one, where there is room for as many.
const STEP: u32 = 7;

impl Rank {
    /// The process id of the `nth` peer of this rank, counted from 1, beside the program's, which
    /// [`is_accepted`]. The greater `nth`, the further from the program; no two are the same.
    ///
    /// Ids next to the least and the greatest SU ID may be outside their range: a program's own
    /// leaves no room for others.
    pub(crate) fn pid(self, nth: u32, program: Pid) -> Pid {
        let Pid { days, id } = program;
        let (least, most) = (*DAYS.start(), *DAYS.end());
        let step = |room: u32| (room / NTH_MAX).min(STEP);
        let (up, down) = (step(most - days), step(days - least));
        let (days, id) = match self {
            Self::TieGreater => (days, id + nth),
            Self::TieLower => (days, id - nth),
            Self::Greater if up > 0 => (days + up * nth, IDS.start() + nth),
            Self::Lower if down > 0 => (days - down * nth, IDS.end() - nth),
            // At the end of the range only the id has room; nearer ones are ties by days.
            Self::Greater if days < most => (most, IDS.start() + nth),
            Self::Lower if days > least => (least, IDS.end() - nth),
            Self::Greater => (days, id + NTH_MAX + nth),
            Self::Lower => (days, id - NTH_MAX - nth),
        };
        Pid { days, id }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Greater => "greater",
            Self::TieLower => "lower by id",
            Self::TieGreater => "greater by id",
        }
    }
}

/// What becomes of a connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listens {
    /// It is accepted and read.
    Yes,
    /// It is accepted and never read.
    Unread,
    /// It is refused: nobody listens.
    Refuses,
    /// It is neither accepted nor refused, as with a machine that is switched off: the backlog is
    /// full, and the system drops what comes.
    Hangs,
}

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) listens: Listens,
    /// How long after an ELECTION it answers OK; `None`: never.
    pub(crate) ok: Option<Duration>,
    /// How long after its OK to an ELECTION it announces itself as the leader; `None`: never.
    pub(crate) announces: Option<Duration>,
    /// It answers PROBE.
    pub(crate) probe: bool,
}

/// Answers ELECTION and PROBE at once.
pub(crate) const LIVE: Manner = Manner {
    listens: Listens::Yes,
    ok: Some(Duration::ZERO),
    announces: None,
    probe: true,
};

/// Accepts, reads, and never answers.
pub(crate) const SILENT: Manner = Manner {
    listens: Listens::Yes,
    ok: None,
    announces: None,
    probe: false,
};

/// Accepts and never reads.
pub(crate) const UNREAD: Manner = Manner {
    listens: Listens::Unread,
    ..SILENT
};

/// Refuses connections.
pub(crate) const GONE: Manner = Manner {
    listens: Listens::Refuses,
    ..SILENT
};

/// Neither accepts nor refuses.
pub(crate) const HANGS: Manner = Manner {
    listens: Listens::Hangs,
    ..SILENT
};

/// Answers, and leads: announces itself after each ELECTION.
pub(crate) const LEADS: Manner = Manner {
    announces: Some(Duration::from_millis(150)),
    ..LIVE
};

/// A peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) rank: Rank,
    pub(crate) nth: u32,
    /// It stands in the coordinator's list.
    pub(crate) listed: bool,
    pub(crate) manner: Manner,
    pub(crate) port: u16,
    /// Known once the program has joined.
    pub(crate) pid: Option<Pid>,
    /// What listens, if anything does.
    pub(crate) listener: Option<TcpListener>,
    /// A socket that holds the port of one that refuses.
    reserved: Option<Socket>,
    /// Connections that fill a backlog.
    fillers: Vec<TcpStream>,
}

impl Peer {
    /// A peer at a free port of 127.0.0.1.
    pub(crate) fn new(rank: Rank, nth: u32, listed: bool, manner: Manner) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let at = socket.local_addr()?.as_socket();
        let port = at.map_or(0, |at| at.port());
        let mut peer = Self {
            rank,
            nth,
            listed,
            manner,
            port,
            pid: None,
            listener: None,
            reserved: None,
            fillers: Vec::new(),
        };
        match manner.listens {
            Listens::Refuses => peer.reserved = Some(socket),
            Listens::Yes | Listens::Unread => peer.listener = Some(listening(socket, 128)?),
            Listens::Hangs => {
                peer.listener = Some(listening(socket, 0)?);
                peer.fill()?;
            }
        }
        Ok(peer)
    }

    /// Closes its listener; the port stays its own.
    pub(crate) fn close(&mut self) {
        self.listener = None;
        self.manner.listens = Listens::Refuses;
    }

    /// Whether connections to it are to be accepted.
    pub(crate) fn accepts(&self) -> bool {
        matches!(self.manner.listens, Listens::Yes | Listens::Unread)
    }

    /// How it is called in a timeline.
    pub(crate) fn name(&self) -> String {
        let rank = self.rank.name();
        let number = match self.rank {
            Rank::TieLower | Rank::TieGreater => String::new(),
            Rank::Lower | Rank::Greater => format!(" {}", self.nth),
        };
        match self.pid {
            Some(Pid { days, id }) => format!("{rank}{number} ({days}, {id})"),
            None => format!("{rank}{number}"),
        }
    }

    /// Connects to itself until the system lets nobody in any more.
    fn fill(&mut self) -> io::Result<()> {
        const ATTEMPTS_MAX: usize = 16;
        for _ in 0..ATTEMPTS_MAX {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let connected = socket.connect_timeout(&at.into(), Duration::from_millis(60));
            if connected.is_err() {
                return Ok(());
            }
            self.fillers.push(socket.into());
        }
        Err(io::Error::other(
            "the system accepts connections beyond the backlog: no connection can be made to hang",
        ))
    }

    /// As the lists of members have it; `None` for one that has no process id.
    pub(crate) fn entry(&self) -> Option<Entry> {
        Some(Entry {
            pid: self.pid?,
            host: "127.0.0.1".to_owned(),
            port: self.port,
        })
    }
}

fn listening(socket: Socket, backlog: i32) -> io::Result<TcpListener> {
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_distinct_and_in_order_whatever_the_programs_process_id() {
        for days in DAYS {
            for id in [1_000_000, 1_000_001, 1_500_000, 9_999_990, 9_999_999] {
                let program = Pid { days, id };
                let of = |rank: Rank| (1..=NTH_MAX).map(move |nth| rank.pid(nth, program));
                let below = of(Rank::Lower).collect::<Vec<_>>();
                let above = of(Rank::Greater).collect::<Vec<_>>();
                let ties = [Rank::TieLower, Rank::TieGreater].map(|rank| rank.pid(1, program));
                // The furthest below first.
                let mut all: Vec<Pid> = below.iter().rev().copied().collect();
                all.extend([ties[0], program, ties[1]]);
                all.extend(&above);
                assert!(
                    all.is_sorted_by(|one, next| one < next),
                    "{program:?}: {all:?}"
                );
                assert!(all.iter().all(|pid| DAYS.contains(&pid.days)), "{all:?}");
            }
        }
    }
}
