//! Sockets that never block, in as few system calls as each platform has for that.

use core::net::SocketAddr;
use std::io;
use std::net::{TcpListener, TcpStream};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Begins to connect to `peer`: the first write shows whether that has succeeded.
pub(super) fn connect(peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = stream(Domain::for_address(peer), Some(Protocol::TCP))?;
    begin(&socket, &peer.into())?;
    Ok(socket.into())
}

/// Begins to connect to a socket of this machine. A listener whose backlog is full is an error, and
/// not waited for.
#[cfg(unix)]
pub(super) fn connect_unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixStream> {
    let socket = stream(Domain::UNIX, None)?;
    begin(&socket, &SockAddr::unix(path)?)?;
    Ok(std::os::fd::OwnedFd::from(socket).into())
}

/// A socket at `at` that does not listen yet.
pub(super) fn bound(at: SocketAddr) -> io::Result<Socket> {
    let socket = stream(Domain::for_address(at), Some(Protocol::TCP))?;
    // Connections of our own past on this port, still in TIME_WAIT, must not keep us from it. On
    // Windows the option means another thing, and is not needed.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// Takes the next connection from the backlog: one call on Linux, two elsewhere.
#[cfg(target_os = "linux")]
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (stream, peer) = acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((stream.into(), peer.ok_or(io::ErrorKind::InvalidData)?))
}

/// Takes the next connection from the backlog.
#[cfg(not(target_os = "linux"))]
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}

/// Returns `true` if no descriptors, ports or buffers are left: it says nothing about the peer.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        if exhausted
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
        {
            return true;
        }
    }
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    )
}

/// A socket: one call on Linux, three elsewhere.
#[cfg(target_os = "linux")]
fn stream(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new_raw(domain, Type::STREAM.nonblocking().cloexec(), protocol)
}

/// A socket.
#[cfg(not(target_os = "linux"))]
fn stream(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn begin(socket: &Socket, peer: &SockAddr) -> io::Result<()> {
    match socket.connect(peer) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Returns `true` if this says that a connection is being made.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is = error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let is = error.kind() == io::ErrorKind::WouldBlock;
    is
}
