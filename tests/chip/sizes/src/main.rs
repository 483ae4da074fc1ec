//! What a program on a chip takes in of the core, with everything else left outside: the network is
//! lent by whoever calls, and whatever these functions do not reach the linker leaves out.
//!
//! The number of members is taken from the environment when this is built: `BULLY_MEMBERS`.

#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;

use bully::{Config, Event, Instant, Net, Node};

const MEMBERS: usize = number(env!("BULLY_MEMBERS"));
const EXCHANGES: usize = 8;

type Chip = Node<MEMBERS, EXCHANGES>;

/// Room for the node: its size is the static RAM of the core.
#[unsafe(no_mangle)]
pub static mut BULLY_NODE: MaybeUninit<Chip> = MaybeUninit::uninit();

/// [`Node::new`].
#[unsafe(no_mangle)]
pub fn bully_new(room: &mut MaybeUninit<Chip>, config: Config) {
    room.write(Chip::new(config));
}

/// [`Node::poll`].
#[unsafe(no_mangle)]
pub fn bully_poll(node: &mut Chip, now: Instant, net: &mut dyn Net) -> Option<Event> {
    #[cfg(feature = "planted")]
    planted::index(now);
    node.poll(now, net)
}

/// [`Node::poll_at`].
#[unsafe(no_mangle)]
pub fn bully_poll_at(node: &Chip) -> Option<Instant> {
    node.poll_at()
}

/// The link as a chip's network, in place of one that is lent.
#[cfg(feature = "link")]
pub mod link {
    use core::mem::MaybeUninit;

    use bully::wire::message_max;
    use bully::{Buffers, Event, Instant, Line, Link};

    use super::{Chip, EXCHANGES, MEMBERS};

    type Memory = Buffers<MEMBERS, EXCHANGES, { message_max(MEMBERS) }>;

    /// Room for the buffers.
    #[unsafe(no_mangle)]
    pub static mut BULLY_BUFFERS: MaybeUninit<Memory> = MaybeUninit::uninit();

    /// [`Link::new`].
    #[unsafe(no_mangle)]
    pub fn bully_link_new<'l>(
        room: &mut MaybeUninit<Link<'l, &'l mut dyn Line>>,
        buffers: &'l mut MaybeUninit<Memory>,
        line: &'l mut dyn Line,
    ) {
        room.write(Link::new(line, buffers.write(Memory::new())));
    }

    /// [`Node::poll`](bully::Node::poll) over it.
    #[unsafe(no_mangle)]
    pub fn bully_link_poll(
        node: &mut Chip,
        now: Instant,
        link: &mut Link<'_, &mut dyn Line>,
    ) -> Option<Event> {
        node.poll(now, link)
    }

    /// [`Link::turn`].
    #[unsafe(no_mangle)]
    pub fn bully_link_turn(link: &mut Link<'_, &mut dyn Line>) {
        link.turn();
    }
}

/// The node's run recorded in memory.
#[cfg(feature = "record")]
pub mod record {
    use core::mem::MaybeUninit;

    use bully::record::{Recorder, Ring};
    use bully::{Event, Instant, Net};

    use super::{Chip, MEMBERS};

    type Recording = Recorder<Ring<'static>, MEMBERS>;

    /// Room for the recorder, without the banks.
    #[unsafe(no_mangle)]
    pub static mut BULLY_RECORDER: MaybeUninit<Recording> = MaybeUninit::uninit();

    /// [`Recorder::new`].
    #[unsafe(no_mangle)]
    pub fn bully_record_new(room: &mut MaybeUninit<Recording>, banks: &'static mut [u8]) {
        room.write(Recorder::new(Ring::new(banks), 0));
    }

    /// [`Recorder::poll`].
    #[unsafe(no_mangle)]
    pub fn bully_record_poll(
        recorder: &mut Recording,
        node: &mut Chip,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<Event> {
        recorder.poll(node, now, net)
    }

    /// [`Recorder::finish`], and the banks.
    #[unsafe(no_mangle)]
    pub fn bully_record_finish<'r>(recorder: &'r mut Recording, node: &Chip) -> [&'r [u8]; 2] {
        recorder.finish(node);
        recorder.sink().banks()
    }
}

/// The lab's messages as a chip reads and writes them.
#[cfg(feature = "pickle")]
pub mod pickle {
    use bully::{Member, Origin, Refusal, Reply, Request};
    use bully_pickle::message::{self, Answer, Due, Received};
    use bully_pickle::writer::{self, Forms};
    use bully_pickle::{Array, Buffer, Fixed, Ipv4, Reader, Refused, Table as _};

    use super::MEMBERS;

    type Memory = Reader<Fixed<MEMBERS>>;
    type Members = Array<Member, 1, MEMBERS>;

    /// Room for the reader, and for the members of a list.
    #[unsafe(no_mangle)]
    pub static mut BULLY_READER: (Memory, Members) = (Memory::fixed(), Members::EMPTY);

    /// [`Reader::push`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_push(reader: &mut Memory, piece: &[u8]) -> Result<Option<usize>, Refused> {
        reader.push(piece)
    }

    /// [`Reader::clear`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_clear(reader: &mut Memory) {
        reader.clear();
    }

    /// [`message::request`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_request(reader: &Memory, members: &mut Members) -> Received {
        message::request(reader, &mut Ipv4, members)
    }

    /// [`message::answer`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_answer<'r>(
        reader: &'r Memory,
        due: Due,
        members: &mut Members,
    ) -> Answer<'r> {
        message::answer(reader, due, &mut Ipv4, members)
    }

    /// [`message::origin`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_origin(after: &[u8], reader: &mut Memory) -> Option<Origin> {
        message::origin(after, reader)
    }

    /// [`writer::request`].
    #[unsafe(no_mangle)]
    pub fn bully_pickle_write(out: &mut Buffer<'_>, request: &Request<'_>, forms: &Forms) {
        writer::request(out, request, forms, &Ipv4);
    }

    /// [`writer::reply`], to what `reader` holds.
    #[unsafe(no_mangle)]
    pub fn bully_pickle_reply(
        out: &mut Buffer<'_>,
        reply: &Reply<'_>,
        forms: &Forms,
        reader: &Memory,
        refusal: Refusal,
    ) {
        let detail = message::detail(reader, refusal);
        writer::reply(out, reply, forms, &Ipv4, Some(&detail));
    }
}

/// The coordinator as a chip would carry it.
#[cfg(feature = "directory")]
pub mod directory {
    use bully::{Directory, DirectoryEvent, Instant, Net};

    use super::{EXCHANGES, MEMBERS};

    type Chip = Directory<MEMBERS, EXCHANGES>;

    /// [`Directory::poll`].
    #[unsafe(no_mangle)]
    pub fn bully_directory_poll(
        directory: &mut Chip,
        now: Instant,
        net: &mut dyn Net,
    ) -> Option<DirectoryEvent> {
        directory.poll(now, net)
    }

    /// [`Directory::poll_at`].
    #[unsafe(no_mangle)]
    pub fn bully_directory_poll_at(directory: &Chip) -> Option<Instant> {
        directory.poll_at()
    }
}

#[cfg(feature = "planted")]
mod planted {
    use bully::Instant;

    /// An index that nothing holds in bounds, and whose outcome nothing may leave out.
    pub(super) fn index(now: Instant) {
        core::hint::black_box([1_u8, 2, 3][now.as_micros() as usize]);
    }
}

const fn number(digits: &str) -> usize {
    match usize::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => panic!("BULLY_MEMBERS is not a number"),
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
