//! A [`Net`] over a serial line, to a gateway that has the sockets.

use heapless::{Vec, VecView};

use crate::net::{Exchange, Full, Gone, Incoming, Net, Refusal, Reply, Request};
use crate::roster::{Addr, Member, Origin, Pid, Roster};
use crate::wire::{
    ACCEPTED_FROM, Counts, Decoder, Encoder, FRAME_SHORT_MAX, Frame, Hello, RECORDED_MAX, Ready,
    Received, VERSION, message_max,
};

/// A serial line: bytes in, bytes out, and nothing that blocks.
///
/// Bytes may be damaged, lost, repeated or made up on the way, and the line may be cut for any
/// time: a [`Link`] counts, drops and recovers.
pub trait Line {
    /// Moves received bytes into `into`, as many as there are and it holds. Returns their number.
    fn read(&mut self, into: &mut [u8]) -> usize;

    /// Takes as many bytes of `from` as can be sent without blocking. Returns their number.
    fn write(&mut self, from: &[u8]) -> usize;
}

impl<L: Line + ?Sized> Line for &mut L {
    fn read(&mut self, into: &mut [u8]) -> usize {
        (**self).read(into)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        (**self).write(from)
    }
}

/// A driver that has the traits of `embedded-io`, as a [`Line`].
///
/// An error of the driver counts as nothing read or written; it is tried again.
#[cfg(feature = "embedded-io")]
#[derive(Clone, Copy, Debug)]
pub struct Io<T>(pub T);

#[cfg(feature = "embedded-io")]
impl<T> Line for Io<T>
where
    T: embedded_io::Read + embedded_io::ReadReady + embedded_io::Write + embedded_io::WriteReady,
{
    fn read(&mut self, into: &mut [u8]) -> usize {
        match self.0.read_ready() {
            Ok(true) => self.0.read(into).unwrap_or(0),
            _ => 0,
        }
    }

    fn write(&mut self, from: &[u8]) -> usize {
        match self.0.write_ready() {
            Ok(true) => self.0.write(from).unwrap_or(0),
            _ => 0,
        }
    }
}

/// The memory that a [`Link`] works in: for lists of up to `MEMBERS`, for `EXCHANGES` at once, and
/// two buffers of `BYTES`, at least [`message_max(MEMBERS)`](message_max); fewer do not compile.
///
/// `MEMBERS` and `EXCHANGES` are best those of the node. Lists that are longer reach it cut down by
/// the gateway to the greatest that fit.
#[derive(Debug)]
pub struct Buffers<const MEMBERS: usize, const EXCHANGES: usize, const BYTES: usize> {
    received: [u8; BYTES],
    out: [u8; BYTES],
    list: [Member; MEMBERS],
    slots: Vec<Slot, EXCHANGES>,
}

impl<const MEMBERS: usize, const EXCHANGES: usize, const BYTES: usize>
    Buffers<MEMBERS, EXCHANGES, BYTES>
{
    /// Memory with nothing in it.
    pub const fn new() -> Self {
        const {
            assert!(
                BYTES >= message_max(MEMBERS),
                "BYTES is to be at least wire::message_max(MEMBERS)"
            );
            assert!(MEMBERS <= u16::MAX as usize, "lists are counted in 16 bits");
            assert!(
                EXCHANGES <= ACCEPTED_FROM as usize,
                "exchanges are numbered in 15 bits each way"
            );
        }
        let nobody = Member {
            pid: Pid { days: 0, id: 0 },
            addr: Addr(0),
        };
        Self {
            received: [0; BYTES],
            out: [0; BYTES],
            list: [nobody; MEMBERS],
            slots: Vec::new(),
        }
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize, const BYTES: usize> Default
    for Buffers<MEMBERS, EXCHANGES, BYTES>
{
    fn default() -> Self {
        Self::new()
    }
}

/// One exchange that the core has open, or has closed, for which a frame is pending.
#[derive(Debug)]
struct Slot {
    exchange: Exchange,
    stage: Stage,
    /// An answer that is still to be sent.
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// More input of it may come.
    Open,
    /// Its session has ended: what became of it is unknown, and `Gone` is still to be reported.
    Lost,
    /// Its end was reported.
    Over,
    /// As `Over`, and it was lost: the gateway does not know it any more.
    Forgotten,
    /// The core has closed it; the frame that says so is pending.
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum Pending {
    Ok(Option<Origin>),
    Refused(Refusal),
}

/// Who is at the other end of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gateway {
    /// Another number whenever the gateway is started: no address from before means anything then,
    /// and node and link are to be made anew.
    pub instance: u32,
    /// Where others reach this node: its [`Config::me`](crate::Config::me).
    pub addr: Addr,
    /// The group coordinator: its [`Config::directory`](crate::Config::directory).
    pub directory: Addr,
}

/// A [`Net`] over a [`Line`] to a gateway, which connects, listens and pickles for the chip.
///
/// One node's, for as long as that node lives: make both anew together. It never blocks and has no
/// clock. When the gateway falls silent, what is sent is lost, and the core's own deadlines end the
/// exchanges; when frames were lost, a new session begins, and all exchanges that were open end as
/// [`Gone::Reset`].
#[derive(Debug)]
pub struct Link<'b, L> {
    line: L,
    decoder: Decoder<'b>,
    encoder: Encoder,
    out: Outbox<'b>,
    slots: &'b mut VecView<Slot>,
    /// The number tried next for an exchange of ours.
    next: u32,
    listening: bool,
    /// The frame with `listening` is pending.
    listening_pending: bool,
    gateway: Option<Gateway>,
    /// The gateway has asked for the recording, and has so many bytes of it.
    handed_out: Option<usize>,
    more: bool,
}

impl<'b, L: Line> Link<'b, L> {
    /// A link that has no session yet, and asks for one when it is first used.
    pub fn new<const MEMBERS: usize, const EXCHANGES: usize, const BYTES: usize>(
        line: L,
        buffers: &'b mut Buffers<MEMBERS, EXCHANGES, BYTES>,
    ) -> Self {
        let Buffers {
            received,
            out,
            list,
            slots,
        } = buffers;
        slots.clear();
        let mut link = Self {
            line,
            decoder: Decoder::new(received, list),
            encoder: Encoder::new(),
            out: Outbox {
                bytes: out,
                from: 0,
                to: 0,
            },
            slots,
            next: 0,
            listening: true,
            listening_pending: false,
            gateway: None,
            handed_out: None,
            more: false,
        };
        link.send(&Frame::Lost);
        link
    }

    /// The gateway at the other end, or `None` before its first message. Compare after each poll: when
    /// its [`instance`](Gateway::instance) changes, node and link are to be made anew.
    pub fn gateway(&self) -> Option<Gateway> {
        self.gateway
    }

    /// Reads and writes the line without a node, until [`gateway`](Self::gateway) is known.
    pub fn turn(&mut self) {
        if self.gateway.is_none() {
            // There is no input before a session begins.
            self.next_input();
        }
    }

    /// Returns `true` if bytes wait, in or out. Poll again then as soon as the line takes more bytes,
    /// whatever `poll_at` says.
    pub fn is_busy(&self) -> bool {
        self.more || self.out.from != self.out.to
    }

    /// Returns `true` if the gateway has asked for the recording of this node and has not got all of it:
    /// see [`hand_out`](Self::hand_out).
    pub fn is_asked_for_recording(&self) -> bool {
        self.handed_out.is_some()
    }

    /// Sends of a recording, the older bank and the younger one, as much as the line takes. Returns
    /// `true` once all of it is sent; until then call it again after each poll, with the same bytes, while
    /// the gateway [asks](Self::is_asked_for_recording).
    pub fn hand_out(&mut self, banks: [&[u8]; 2]) -> bool {
        let [older, younger] = banks;
        while let Some(from) = self.handed_out
            && self.catch_up()
        {
            let bank = match older.get(from..) {
                Some([]) | None => younger.get(from.saturating_sub(older.len())..),
                older => older,
            };
            let bank = bank.unwrap_or(&[]);
            let bytes = bank.get(..RECORDED_MAX).unwrap_or(bank);
            let to = from + bytes.len();
            let left = (older.len() + younger.len()).saturating_sub(to);
            if !self.send(&Frame::Recorded(left as u32, bytes)) {
                break;
            }
            self.handed_out = Some(to).filter(|_| left > 0);
        }
        self.handed_out.is_none()
    }

    /// What has been received over the line so far.
    pub fn counts(&self) -> Counts {
        self.decoder.counts()
    }

    fn slot(&mut self, exchange: Exchange) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.exchange == exchange)
    }

    fn forget(&mut self, exchange: Exchange) {
        let at = self.slots.iter().position(|slot| slot.exchange == exchange);
        if let Some(last) = self.slots.pop()
            && last.exchange != exchange
            && let Some(place) = at.and_then(|at| self.slots.get_mut(at))
        {
            *place = last;
        }
    }

    /// Sends a frame. Returns `false`, and sends nothing, if the buffer is full.
    fn send(&mut self, frame: &Frame<'_>) -> bool {
        self.out.move_to_front();
        let encoded = self.encoder.encode(frame, self.out.free());
        if let Ok(bytes) = encoded {
            self.out.to += bytes;
        }
        self.flush();
        encoded.is_ok()
    }

    fn flush(&mut self) {
        let taken = self.line.write(self.out.waiting());
        self.out.from = self.out.to.min(self.out.from + taken);
    }

    /// Sends what is pending. Returns `true` if there is capacity for more.
    fn catch_up(&mut self) -> bool {
        self.flush();
        while self.out.has_capacity() {
            if self.listening_pending {
                self.listening_pending = !self.send(&Frame::Listening(self.listening));
                continue;
            }
            let pending = |slot: &&mut Slot| slot.pending.is_some() || slot.stage == Stage::Closed;
            let Some(slot) = self.slots.iter_mut().find(pending) else {
                return true;
            };
            let exchange = slot.exchange;
            match slot.pending.take() {
                Some(Pending::Ok(origin)) => {
                    self.answer(exchange, Reply::Ok(Roster::EMPTY.with_origin(origin)));
                }
                Some(Pending::Refused(why)) => self.answer(exchange, Reply::Refused(why)),
                None => {
                    self.send(&Frame::Close(exchange));
                    self.forget(exchange);
                }
            }
        }
        false
    }

    fn answer(&mut self, exchange: Exchange, reply: Reply<'_>) {
        if self.send(&Frame::Reply(exchange, reply)) {
            return;
        }
        let pending = match reply {
            Reply::Ok(list) => Pending::Ok(list.origin()),
            Reply::Refused(why) => Pending::Refused(why),
            // A list cannot wait: the peer is refused, and asks again.
            Reply::Members(_) => Pending::Refused(Refusal::Full),
        };
        if let Some(slot) = self.slot(exchange) {
            slot.pending = Some(pending);
        }
    }

    /// Ends the session: whatever was open is lost.
    fn lose(&mut self) {
        self.out.clear();
        self.listening_pending = false;
        self.handed_out = None;
        self.slots.retain_mut(|slot| {
            slot.pending = None;
            slot.stage = match slot.stage {
                Stage::Open | Stage::Lost => Stage::Lost,
                Stage::Over | Stage::Forgotten => Stage::Forgotten,
                Stage::Closed => return false,
            };
            true
        });
    }

    /// The exchange of the next input. Its frame is the decoder's last, unless the exchange is
    /// lost.
    fn next_input(&mut self) -> Option<Exchange> {
        let mut bytes_max = self.out.bytes.len();
        self.more = false;
        loop {
            // An input may have to be answered.
            if !self.catch_up() {
                return None;
            }
            let lost = |slot: &&mut Slot| slot.stage == Stage::Lost;
            if let Some(slot) = self.slots.iter_mut().find(lost) {
                return Some(slot.exchange);
            }
            let mut byte = [0];
            if self.line.read(&mut byte) == 0 {
                return None;
            }
            let [byte] = byte;
            match self.decoder.push(byte) {
                Some(Received::Frame) => {
                    if let Some(exchange) = self.take_frame() {
                        return Some(exchange);
                    }
                }
                Some(Received::Gap) => {
                    self.lose();
                    self.encoder.begin(0);
                    self.send(&Frame::Lost);
                }
                None => {}
            }
            // Noise must not keep a node from its deadlines.
            bytes_max -= 1;
            if bytes_max == 0 {
                self.more = true;
                return None;
            }
        }
    }

    /// Takes the frame that was received last. Returns its exchange if it is input for the core.
    fn take_frame(&mut self) -> Option<Exchange> {
        match self.decoder.frame()? {
            Frame::Hello(hello) => self.begin(hello),
            Frame::Ping => {
                self.send(&Frame::Pong);
            }
            Frame::Record => self.handed_out = Some(0),
            Frame::Input(exchange, incoming) => {
                let accepted = incoming == Incoming::Accepted;
                let over = matches!(incoming, Incoming::Done | Incoming::Gone(_));
                return self.is_input(exchange, accepted, over).then_some(exchange);
            }
            // Only a chip sends any other.
            _ => {}
        }
        None
    }

    fn begin(&mut self, hello: Hello) {
        self.lose();
        self.encoder.begin(self.decoder.session());
        // A gateway that speaks another version learns so from the answer.
        if hello.version == VERSION {
            self.gateway = Some(Gateway {
                instance: hello.instance,
                addr: hello.addr,
                directory: hello.directory,
            });
        }
        let exchanges = self.slots.capacity();
        let ready = Ready {
            version: VERSION,
            members_max: self.decoder.members_max(),
            exchanges_max: u16::try_from(exchanges).unwrap_or(u16::MAX),
            listening: self.listening,
        };
        self.send(&Frame::Ready(ready));
    }

    /// Returns `true` if this is input for the core: nothing follows the end of an exchange.
    fn is_input(&mut self, exchange: Exchange, accepted: bool, over: bool) -> bool {
        match self.slot(exchange) {
            Some(slot) if slot.stage == Stage::Open && !accepted => {
                if over {
                    slot.stage = Stage::Over;
                }
                true
            }
            Some(_) => false,
            None => {
                let slot = Slot {
                    exchange,
                    stage: Stage::Open,
                    pending: None,
                };
                let new = accepted && exchange.0 >= ACCEPTED_FROM;
                // The gateway accepts no more than there are slots; it knows how many.
                new && (self.slots.push(slot).is_ok() || !self.send(&Frame::Close(exchange)))
            }
        }
    }
}

impl<L: Line> Net for Link<'_, L> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if self.slots.is_full() || !self.catch_up() {
            return Err(Full);
        }
        let exchange = loop {
            let exchange = Exchange(self.next);
            self.next = (self.next + 1) % ACCEPTED_FROM;
            if self.slot(exchange).is_none() {
                break exchange;
            }
        };
        let stage = match self.decoder.session() {
            // There is no gateway: nobody can be reached.
            0 => Stage::Lost,
            _ if self.send(&Frame::Open(exchange, to, request)) => Stage::Open,
            _ => return Err(Full),
        };
        let slot = Slot {
            exchange,
            stage,
            pending: None,
        };
        self.slots.push(slot).map_err(|_| Full)?;
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let exchange = self.next_input()?;
        if let Some(slot) = self.slot(exchange)
            && slot.stage == Stage::Lost
        {
            slot.stage = Stage::Forgotten;
            return Some((exchange, Incoming::Gone(Gone::Reset)));
        }
        match self.decoder.frame() {
            Some(Frame::Input(exchange, incoming)) => Some((exchange, incoming)),
            _ => None,
        }
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        if self.slot(on).is_some_and(|slot| slot.stage == Stage::Open) {
            self.answer(on, reply);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let Some(slot) = self.slot(exchange) else {
            return;
        };
        let known = matches!(slot.stage, Stage::Open | Stage::Over);
        if known {
            // A pending answer goes first.
            slot.stage = Stage::Closed;
            self.catch_up();
        } else {
            self.forget(exchange);
        }
    }

    fn set_listening(&mut self, on: bool) {
        if self.listening != on {
            self.listening = on;
            self.listening_pending = self.decoder.session() != 0;
            self.catch_up();
        }
    }
}

/// Bytes that wait for the line.
#[derive(Debug)]
struct Outbox<'b> {
    bytes: &'b mut [u8],
    from: usize,
    to: usize,
}

impl Outbox<'_> {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or(&[])
    }

    fn free(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.to..).unwrap_or(&mut [])
    }

    fn has_capacity(&self) -> bool {
        self.bytes.len() + self.from >= self.to + FRAME_SHORT_MAX
    }

    /// Moves what waits to the front.
    fn move_to_front(&mut self) {
        if self.from == 0 {
            return;
        }
        for at in self.from..self.to {
            let moved = self.bytes.get(at).copied();
            if let (Some(place), Some(byte)) = (self.bytes.get_mut(at - self.from), moved) {
                *place = byte;
            }
        }
        self.to -= self.from;
        self.from = 0;
    }

    fn clear(&mut self) {
        self.from = 0;
        self.to = 0;
    }
}
