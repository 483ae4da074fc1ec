//! The gateway's end of the sessions on a line.

use core::time::Duration;

use bully::wire::{
    Counts, Decoder, Encoder, Frame, HELLO_AGAIN, Hello, Ready, Received, VERSION, frame_max,
    message_max,
};
use bully::{Addr, Full, Instant, Line, Member, Pid};

/// The longest list that a chip may send or receive, in members; no message from a peer is read
/// that has more.
pub const MEMBERS_MAX: usize = 4_096;

/// The memory in which frames from a chip are read, for lists of up to [`MEMBERS_MAX`].
#[derive(Debug)]
pub struct Memory {
    bytes: Box<[u8]>,
    list: Box<[Member]>,
}

impl Memory {
    /// Memory with nothing in it, 180 kB.
    pub fn new() -> Self {
        let nobody = Member {
            pid: Pid { days: 0, id: 0 },
            addr: Addr(0),
        };
        Self {
            bytes: vec![0; frame_max(MEMBERS_MAX)].into(),
            list: vec![nobody; MEMBERS_MAX].into(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a session with a chip has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Nothing was received for 2 s: the chip is taken for dead, and its listener is closed.
    Silent,
    /// Frames from the chip are missing or cannot be understood.
    Gap,
    /// The chip has started, or misses frames of ours.
    Asked,
    /// The line echoes: the gateway receives its own frames.
    Echo,
    /// The chip sent a frame that no chip may send.
    Nonsense,
    /// The line takes no more bytes.
    Overrun,
}

/// What a byte from the line, or silence on it, led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A session has started.
    Ready(Ready),
    /// The chip speaks another version than [`VERSION`].
    OtherVersion(u8),
    /// A session has ended, or with [`Lost::Silent`] the chip is taken for dead.
    Lost(Lost),
    /// The chip has read all that was sent before the last PING.
    Pong,
    /// [`Session::frame`] is for the bridge.
    Frame,
}

/// The sessions with the chip on one line, one after the other.
#[derive(Debug)]
pub(super) struct Session<'b> {
    hello: Hello,
    encoder: Encoder,
    decoder: Decoder<'b>,
    number: u8,
    stage: Stage,
    /// A frame of the chip was received lately.
    alive: bool,
    /// When the last frame of a session was received.
    received_at: Instant,
    /// How many stale frames had come by then.
    stale: u32,
    /// A PING has no answer yet.
    pinged: bool,
    /// How many members a list for the chip may have.
    list_max: usize,
    out: Vec<u8>,
    taken: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The next HELLO is due then.
    Asking(Instant),
    /// A session is under way; a PING is due then.
    Ready(Instant),
}

/// How long a chip may be silent before it is asked whether it is there. Half a second leaves time
/// for three questions before it is taken for dead.
const PING_AFTER: Duration = Duration::from_millis(500);

/// How long a chip may be silent before it is taken for dead. Peers wait 1.0 to 2.5 s for an
/// answer, so at 2 s most of them learn no later by a refused connection than by silence; less, and
/// a chip that erases a page of flash or sits in a breakpoint's print is dead each time.
const SILENT_MAX: Duration = Duration::from_secs(2);

/// The shortest time between two HELLOs: on a line that spoils everything they take a twentieth of
/// 115,200 baud.
const HELLO_GAP: Duration = Duration::from_millis(50);

/// How many bytes may wait for the line: the greatest list, and half as much again.
const OUT_MAX: usize = 128 * 1024;
const _: () = assert!(message_max(MEMBERS_MAX) <= OUT_MAX);

/// From how many waiting bytes on nothing more is fetched from the network: a tenth of a second at
/// 115,200 baud.
const BACKLOG: usize = 1_024;

impl<'b> Session<'b> {
    /// No session yet; the first HELLO is due at once. Sessions are numbered on from `number`.
    pub(super) fn new(memory: &'b mut Memory, hello: Hello, number: u8) -> Self {
        Self {
            hello,
            encoder: Encoder::new(),
            decoder: Decoder::new(&mut memory.bytes, &mut memory.list),
            number,
            stage: Stage::Asking(Instant::ZERO),
            alive: false,
            received_at: Instant::ZERO,
            stale: 0,
            pinged: false,
            list_max: 0,
            out: Vec::new(),
            taken: 0,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    /// How many members a list for the chip may have.
    pub(super) fn list_max(&self) -> usize {
        self.list_max
    }

    pub(super) fn counts(&self) -> Counts {
        self.decoder.counts()
    }

    /// The number of the session that is under way or asked for.
    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// Returns `true` if so much waits for the line that nothing should be added without need.
    pub(super) fn is_backed_up(&self) -> bool {
        self.is_ready() && self.out.len() - self.taken >= BACKLOG
    }

    /// Does what is due. Returns what it led to.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Step> {
        if self.alive && now >= self.received_at + SILENT_MAX {
            self.alive = false;
            return Some(self.lose(now, Lost::Silent));
        }
        match self.stage {
            Stage::Asking(at) if now >= at => self.begin(now),
            // It sends frames, and not of this session.
            Stage::Ready(at) if now >= at && self.pinged && self.is_elsewhere() => {
                return Some(self.lose(now, Lost::Gap));
            }
            Stage::Ready(at) if now >= at => {
                self.stage = Stage::Ready(now + PING_AFTER);
                if !self.ping() {
                    return Some(self.lose(now, Lost::Overrun));
                }
            }
            _ => {}
        }
        None
    }

    /// When [`turn`](Self::turn) has something to do.
    pub(super) fn turn_at(&self) -> Instant {
        let (Stage::Asking(at) | Stage::Ready(at)) = self.stage;
        if self.alive {
            at.min(self.received_at + SILENT_MAX)
        } else {
            at
        }
    }

    /// Takes one byte from the chip. Returns what it completed, if that matters.
    pub(super) fn push(&mut self, now: Instant, byte: u8) -> Option<Step> {
        let received = self.decoder.push(byte)?;
        let frame = match received {
            Received::Frame => self.decoder.frame(),
            Received::Gap => None,
        };
        let step = match (self.stage, frame) {
            (Stage::Asking(_), Some(Frame::Ready(ready))) if self.is_current() => {
                if ready.version != VERSION {
                    self.decoder.begin(0);
                    return Some(Step::OtherVersion(ready.version));
                }
                self.alive = true;
                self.list_max = usize::from(ready.members_max).min(MEMBERS_MAX);
                Step::Ready(ready)
            }
            (Stage::Asking(_), Some(Frame::Lost)) => return None,
            (Stage::Asking(_), Some(Frame::Hello(_))) if self.is_current() => {
                self.decoder.begin(0);
                return Some(Step::Lost(Lost::Echo));
            }
            (Stage::Asking(_), _) => {
                self.decoder.begin(0);
                return None;
            }
            (Stage::Ready(_), None) => return Some(self.lose(now, Lost::Gap)),
            (Stage::Ready(_), Some(frame)) => match frame {
                Frame::Lost => return Some(self.lose(now, Lost::Asked)),
                Frame::Hello(_)
                | Frame::Ping
                | Frame::Input(..)
                | Frame::Ready(_)
                | Frame::Record => return Some(self.lose(now, Lost::Nonsense)),
                Frame::Pong => {
                    self.pinged = false;
                    Step::Pong
                }
                Frame::Listening(_)
                | Frame::Open(..)
                | Frame::Reply(..)
                | Frame::Close(_)
                | Frame::Recorded(..) => Step::Frame,
            },
        };
        self.received_at = now;
        self.stale = self.decoder.counts().stale;
        self.stage = Stage::Ready(now + PING_AFTER);
        Some(step)
    }

    /// The frame that has just come.
    pub(super) fn frame(&self) -> Option<Frame<'_>> {
        self.decoder.frame()
    }

    /// Sends PING, unless one has no answer yet. Returns `false` if too much waits for the line.
    pub(super) fn ping(&mut self) -> bool {
        if !self.pinged {
            self.pinged = true;
            return self.send(&Frame::Ping).is_ok();
        }
        true
    }

    /// Encodes a frame for the line.
    ///
    /// # Errors
    ///
    /// [`Full`] if too much waits for the line: the session is to be ended.
    pub(super) fn send(&mut self, frame: &Frame<'_>) -> Result<(), Full> {
        self.out.drain(..self.taken);
        self.taken = 0;
        let from = self.out.len();
        let to = (from + message_max(self.list_max)).min(OUT_MAX);
        self.out.resize(to.max(from), 0);
        let sent = self
            .encoder
            .encode(frame, self.out.get_mut(from..).unwrap_or(&mut []));
        self.out.truncate(from + sent.unwrap_or(0));
        sent.map(|_| ())
    }

    /// Ends the session, and begins another one soon.
    pub(super) fn lose(&mut self, now: Instant, why: Lost) -> Step {
        self.stage = Stage::Asking(now + HELLO_GAP);
        self.decoder.begin(0);
        Step::Lost(why)
    }

    /// Hands the line what it takes.
    pub(super) fn flush(&mut self, line: &mut dyn Line) {
        loop {
            let waiting = self.out.get(self.taken..).unwrap_or(&[]);
            if waiting.is_empty() {
                break;
            }
            match line.write(waiting) {
                0 => break,
                taken => self.taken += taken,
            }
        }
    }

    /// Sends HELLO.
    fn begin(&mut self, now: Instant) {
        self.number = self.number.checked_add(1).unwrap_or(1);
        self.encoder.begin(self.number);
        self.decoder.begin(self.number);
        self.pinged = false;
        // What waits is of no use in another session; a frame cut off is noise.
        self.out.clear();
        self.taken = 0;
        self.stage = Stage::Asking(now + HELLO_AGAIN);
        let hello = Frame::Hello(self.hello);
        // Cannot fail: nothing waits.
        let _ = self.send(&hello);
    }

    /// Returns `true` if frames of other sessions have come since the last one of this.
    fn is_elsewhere(&self) -> bool {
        self.decoder.counts().stale != self.stale
    }

    /// Returns `true` if what came last belongs to the session asked for.
    fn is_current(&self) -> bool {
        self.decoder.session() == self.number
    }
}
