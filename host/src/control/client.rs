//! The asking end of a control socket.

use core::fmt;
use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::address::Address;

/// A connection to a running program.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Why a program could not be asked.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nobody is there, or the connection broke.
    Io(io::Error),
    /// What came is no answer, or says that there is none.
    Answer(String),
}

/// How long an answer may take: the program's loop is never busy for that long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a line may be: one of a lab of a thousand members.
const LINE_MAX: u64 = 1 << 20;

impl Client {
    /// Connects to the program at `address`. What is read after `within` without anything coming is
    /// an error of kind `WouldBlock` or `TimedOut`.
    ///
    /// # Errors
    ///
    /// The system's, if nobody is there.
    pub(crate) fn connect(address: &Address, within: Option<Duration>) -> io::Result<Self> {
        let within = Some(within.unwrap_or(ANSWER_WITHIN));
        let stream: Box<dyn Stream> = match address {
            Address::Tcp(at) => {
                let stream = TcpStream::connect_timeout(at, ANSWER_WITHIN)?;
                stream.set_read_timeout(within)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(within)?;
                Box::new(stream)
            }
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self {
            stream: BufReader::new(stream),
            line: Vec::new(),
        })
    }

    /// Asks `question`, and returns the answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the connection breaks or the answer is an error.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Value, ClientError> {
        let line = format!("{{\"ask\":\"{question}\"}}\n");
        let written = self.stream.get_mut().write_all(line.as_bytes());
        written.map_err(ClientError::Io)?;
        let answer = self.next().map_err(ClientError::Io)?;
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| ClientError::Answer(format!("it is no JSON: {error}")))?;
        match answer["answer"].as_str() {
            Some("status") => Ok(answer),
            Some("error") => Err(ClientError::Answer(
                answer["why"]
                    .as_str()
                    .unwrap_or("it does not say why")
                    .to_owned(),
            )),
            _ => Err(ClientError::Answer(
                "it is no answer of this program".to_owned(),
            )),
        }
    }

    /// Returns the next line. What has come of one that is not whole is kept for the next call.
    ///
    /// # Errors
    ///
    /// The system's; `UnexpectedEof` if the program has closed the connection.
    pub(crate) fn next(&mut self) -> io::Result<String> {
        let left = LINE_MAX.saturating_sub(self.line.len() as u64);
        let read = (&mut self.stream)
            .take(left)
            .read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            return Err(if read == 0 {
                io::ErrorKind::UnexpectedEof.into()
            } else {
                io::ErrorKind::InvalidData.into()
            });
        }
        let line = core::mem::take(&mut self.line);
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Answer(why) => f.write_str(why),
        }
    }
}
