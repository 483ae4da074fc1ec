//! The graded program, started through the [keeper](crate::keeper), and what it writes.

use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use crate::keeper::{self, Bounds};

/// How to start a program within its bounds.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The command that runs [`keeper::keep`]; bounds and the graded command are added to it as
    /// `--memory N --processes N -- COMMAND`.
    pub keeper: Vec<OsString>,
    /// What the program may use.
    pub bounds: Bounds,
    /// How many bytes of each of its two outputs are kept; the rest is read and dropped.
    pub output_max: usize,
}

/// A started program. Dropping it ends it and all it has started.
#[derive(Debug)]
pub(crate) struct Program {
    keeper: Child,
    control: UnixStream,
    reported: Vec<u8>,
    outputs: [Output; 2],
    ended: Option<String>,
}

/// One of standard output and standard error.
#[derive(Debug)]
struct Output {
    pipe: Option<OwnedFd>,
    /// The beginning and, once that is full, the end of what was written: half the room each.
    head: Vec<u8>,
    tail: Vec<u8>,
    room: usize,
    total: u64,
}

impl Program {
    /// Starts `command` in `folder`, or in the current one.
    pub(crate) fn start(
        keeping: &Keeping,
        command: &[String],
        folder: Option<&Path>,
    ) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let Some((program, arguments)) = keeping.keeper.split_first() else {
            return Err(io::Error::other("no keeper was given"));
        };
        let mut keeper = Command::new(program);
        keeper
            .args(arguments)
            .arg("--memory")
            .arg(keeping.bounds.memory.to_string())
            .arg("--processes")
            .arg(keeping.bounds.processes.to_string())
            .arg("--")
            .args(command)
            // Python would keep its log to itself until its buffer is full.
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C for the grader must not keep the keeper from cleaning up.
            .process_group(0);
        if let Some(folder) = folder {
            keeper.current_dir(folder);
        }
        let mut keeper = keeper.spawn()?;
        let room = keeping.output_max;
        let outputs = [
            Output::new(keeper.stdout.take().map(OwnedFd::from), room)?,
            Output::new(keeper.stderr.take().map(OwnedFd::from), room)?,
        ];
        Ok(Self {
            keeper,
            control,
            reported: Vec::new(),
            outputs,
            ended: None,
        })
    }

    /// What to wait for on its behalf.
    pub(crate) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if self.ended.is_none() {
            fds.push(PollFd::new(&self.control, PollFlags::IN));
        }
        for output in &self.outputs {
            if let Some(pipe) = &output.pipe {
                fds.push(PollFd::new(pipe, PollFlags::IN));
            }
        }
    }

    /// Reads what it has written, a bounded amount, and whether it has ended.
    pub(crate) fn turn(&mut self) {
        for output in &mut self.outputs {
            output.read();
        }
        let mut piece = [0; 512];
        while self.ended.is_none() {
            match self.control.read(&mut piece) {
                Ok(0) => self.ended = Some("with its keeper".to_owned()),
                Ok(count) => self.reported.extend(piece.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => self.ended = Some(error.to_string()),
            }
            let reported = String::from_utf8_lossy(&self.reported).into_owned();
            let mut lines = reported
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            // Being over its bounds is why it ended, whatever else is reported.
            let over = reported
                .lines()
                .find_map(|line| line.strip_prefix(keeper::OVER));
            self.ended = over
                .map(|over| format!("killed by the grader: {over}"))
                .or_else(|| {
                    lines.find_map(|line| {
                        let line = line.trim_end();
                        line.strip_prefix(keeper::ENDED)
                            .or_else(|| line.strip_prefix(keeper::FAILED))
                            .map(str::to_owned)
                    })
                })
                .or(self.ended.take());
        }
    }

    /// How it has ended, if it has: `with exit status 1`.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// What was kept of standard output and standard error.
    pub(crate) fn outputs(&self) -> [String; 2] {
        self.outputs.each_ref().map(Output::text)
    }

    /// How many bytes it has written in all.
    pub(crate) fn written(&self) -> u64 {
        self.outputs.iter().map(|output| output.total).sum()
    }

    /// Ends it, waits until nothing of it is left, and reads its last words.
    pub(crate) fn end(&mut self) {
        let _ = self.control.shutdown(std::net::Shutdown::Write);
        let began = Instant::now();
        while began.elapsed() < END_WITHIN {
            self.turn();
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // The pipes hold at most 64 kB each; a few turns empty them.
        for _ in 0..4 {
            self.turn();
        }
        // Without effect unless the keeper itself hangs.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Longer than the keeper ever takes.
const END_WITHIN: Duration = Duration::from_secs(25);

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

impl Output {
    fn new(pipe: Option<OwnedFd>, room: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe.as_fd(), true)?;
        }
        Ok(Self {
            pipe,
            head: Vec::new(),
            tail: Vec::new(),
            room,
            total: 0,
        })
    }

    /// Reads once, at most 64 KiB, so that a flood delays nothing else.
    fn read(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let mut piece = [0; 1 << 16];
        match rustix::io::read(pipe, &mut piece) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.total += count as u64;
                let piece = &piece[..count];
                let (head, rest) = piece.split_at(piece.len().min(self.room / 2 - self.head.len()));
                self.head.extend(head);
                self.tail.extend(rest);
                let surplus = self.tail.len().saturating_sub(self.room / 2);
                self.tail.drain(..surplus);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.pipe = None,
        }
    }

    fn text(&self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if kept < self.total {
            text.push_str(&format!("\n[… {} bytes left out …]\n", self.total - kept));
        }
        text.push_str(&String::from_utf8_lossy(&self.tail));
        text
    }
}
