//! From addresses to sockets: where to connect, and who may join from where.

use core::net::{IpAddr, SocketAddr};
use std::collections::HashSet;

use bully::{Addr, Member, Refusal};

use super::connection::Connection;
use super::watch::Note;
use crate::names::{self, Names};

/// The hosts that one user knows of, and the rules by which it connects to them.
#[derive(Debug)]
pub(super) struct Endpoints {
    names: Names,
    /// It listens on loopback, and connects to nothing else.
    loopback_only: bool,
    /// Only members on this machine may join.
    local_only: bool,
    /// Who has been reported as unreachable.
    reported: HashSet<Addr>,
}

/// Why there is nowhere to connect to.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// An address that nobody has, for a connection that is refused.
    pub(super) instead: SocketAddr,
    /// `None`: it was reported before.
    pub(super) note: Option<Note>,
}

/// How many unreachable members are distinguished.
const REPORTED_MAX: usize = 1_024;

/// What is answered to a member whose listen address nobody else can reach.
const ELSEWHERE: &str = "Unreachable listen address: it means another machine to every other \
                         member; listen at an address of your network";

impl Endpoints {
    /// Endpoints of a user that listens at `listens_at`.
    pub(super) fn new(listens_at: IpAddr, local_only: bool) -> Self {
        Self {
            names: Names::new(),
            loopback_only: listens_at.is_loopback(),
            local_only,
            reported: HashSet::new(),
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Where to connect for `to`.
    pub(super) fn find(&mut self, to: Addr) -> Result<SocketAddr, Unreachable> {
        let (whom, why) = match self.names.endpoint(to) {
            None => {
                let host = names::with_port(to, 0);
                (
                    host,
                    "hosts are not looked up while running: members have to give localhost or an \
                     IP address",
                )
            }
            Some(peer) if self.loopback_only && !is_here(peer) => (
                to,
                "this listens on a loopback address, which other machines cannot reach: to take \
                 part in a group of several machines, give --bind an address they can",
            ),
            Some(peer) => return Ok(peer),
        };
        let first = self.reported.len() < REPORTED_MAX && self.reported.insert(whom);
        Err(Unreachable {
            instead: SocketAddr::from(([0, 0, 0, 0], names::port(to))),
            note: first.then(|| Note::Unreachable {
                to: whom,
                why: why.to_owned(),
            }),
        })
    }

    /// Who wants to join by `connection`, by the coordinator's rules; or why not, and the words for
    /// that if the core has none.
    pub(super) fn admit(
        &mut self,
        member: Member,
        connection: &Connection,
    ) -> Result<Member, (Refusal, Option<&'static str>)> {
        let names = &mut self.names;
        if self.local_only {
            // By the address that all programs read.
            let here = names
                .is_local(member.addr)
                .then(|| names.addr("127.0.0.1", names::port(member.addr)))
                .flatten();
            let addr = here.ok_or((Refusal::NotLocal, None))?;
            return Ok(Member { addr, ..member });
        }
        // A loopback address of another machine's, or no address in particular.
        let is_elsewhere = names.endpoint(member.addr).is_some_and(|at| {
            let ip = at.ip().to_canonical();
            ip.is_unspecified() || ip.is_loopback() && !connection.is_from_here()
        });
        if is_elsewhere {
            return Err((Refusal::Other, Some(ELSEWHERE)));
        }
        Ok(member)
    }

    /// Forgets hosts that none of `in_use` has, once there are many.
    pub(super) fn sweep(&mut self, in_use: impl Iterator<Item = Addr>) {
        if self.names.hosts() > names::HOSTS_MAX / 2 {
            self.names.sweep(in_use);
            // Their numbers may mean other hosts from now on.
            self.reported.clear();
        }
    }
}

/// Returns `true` if connecting to `peer` is connecting to this machine by its loopback interface.
fn is_here(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}
