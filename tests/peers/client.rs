//! A program that connects by hand, and waits.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde::Serialize;
use serde_pickle::{DeOptions, SerOptions, Value};

use bully_host::pickle::{Limits, Reader};
use bully_tests::process::LIMIT;

/// A process id and a listen address as they go on the wire.
pub(crate) type Pid = (u32, u32);
pub(crate) type Address = (&'static str, i64);

/// The pickle of `message`.
pub(crate) fn pickled(message: &impl Serialize) -> Vec<u8> {
    serde_pickle::to_vec(message, SerOptions::new()).expect("plain data can be pickled")
}

pub(crate) fn probe() -> Vec<u8> {
    pickled(&("PROBE", ()))
}

/// An ELECTION that lists nobody but `member`.
pub(crate) fn election(member: Pid, port: u16) -> Vec<u8> {
    let members = BTreeMap::from([(member, ("127.0.0.1", port))]);
    pickled(&("ELECTION", members))
}

pub(crate) fn coordinator(member: Pid, port: u16) -> Vec<u8> {
    let members = BTreeMap::from([(member, ("127.0.0.1", port))]);
    pickled(&("COORDINATOR", members))
}

pub(crate) fn join(pid: Pid, address: Address) -> Vec<u8> {
    pickled(&("JOIN", (pid, address)))
}

/// What a pickle says. What follows its end is dropped, as Python's `loads` does.
pub(crate) fn unpickled(bytes: &[u8]) -> Value {
    let end = Reader::new(Limits::default()).push(bytes).ok().flatten();
    let pickle = &bytes[..end.unwrap_or(bytes.len())];
    serde_pickle::value_from_slice(pickle, DeOptions::new())
        .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(bytes)))
}

/// A connection on which nothing has been said. Nothing on it waits for ever.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Says `message` to `port` and returns all that comes back until the other side closes.
pub(crate) fn ask(port: u16, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(port)?;
    stream.write_all(message)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// As [`ask`], but again and again until there is an answer: on a node that is under attack a
/// connection may have to give way to others. Returns how long that took.
pub(crate) fn insist(port: u16, message: &[u8], limit: Duration) -> (Vec<u8>, Duration) {
    let since = Instant::now();
    loop {
        let outcome = ask(port, message);
        match outcome {
            Ok(answer) if !answer.is_empty() => return (answer, since.elapsed()),
            _ => assert!(
                since.elapsed() < limit,
                "no answer in {limit:?}: {outcome:?}"
            ),
        }
    }
}

/// Asks for an OK.
pub(crate) fn expect_ok(port: u16, message: &[u8]) -> Duration {
    let (answer, took) = insist(port, message, LIMIT);
    assert_ok(&answer);
    took
}

/// Holds that this answers ELECTION and PROBE: `'OK'`, or where lists are keyed by process id
/// `('OK', members)`.
pub(crate) fn assert_ok(answer: &[u8]) {
    let name = match unpickled(answer) {
        Value::Tuple(pair) if matches!(pair[..], [_, Value::Dict(_)]) => pair[0].clone(),
        answer => answer,
    };
    assert_eq!(name, Value::String("OK".to_owned()));
}
