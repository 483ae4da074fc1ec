//! Sockets that do not block, in as few system calls as the system allows.

use core::net::SocketAddr;
use std::io;
use std::net::{TcpListener, TcpStream};

/// Starts to connect to `peer`. A refusal may be known at once, or later.
pub(super) fn connect(peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = unconnected(peer)?;
    match socket.connect(&peer.into()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// What a connect that has begun reports; std has no stable name for it.
#[cfg(unix)]
const INPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Linux makes sockets that do not block; elsewhere that is asked of them afterwards.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, socket_with};

    use super::*;

    const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

    pub(super) fn unconnected(peer: SocketAddr) -> io::Result<socket2::Socket> {
        let family = match peer {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        Ok(socket_with(family, SocketType::STREAM, FLAGS, None)?.into())
    }

    pub(in super::super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = acceptfrom_with(listener, FLAGS)?;
        // Only a listener of another family could tell anything else.
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok((stream.into(), peer.ok_or(io::ErrorKind::ConnectionAborted)?))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use socket2::{Domain, Protocol, Socket, Type};

    use super::*;

    pub(super) fn unconnected(peer: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(peer), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    pub(in super::super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok((stream, peer))
    }
}

pub(super) use system::accept;
use system::unconnected;
