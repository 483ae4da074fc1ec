//! Recordings as they lie in files: banks, blocks and checksums.

use core::fmt;

use bully::Instant;
use bully::record::{MAGIC, VERSION};

use crate::cursor::{Numbers, Unread};

/// The input of a node, in one bank or in several that continue each other.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The banks, the oldest first.
    pub banks: Vec<Bank>,
}

/// Part of a recording, which begins with a node as it was then.
#[derive(Clone, Debug)]
pub struct Bank {
    /// What it begins with.
    pub header: Header,
    /// All that was in blocks whose checksums are right, without the header.
    pub(crate) records: Vec<u8>,
    /// What follows those blocks is none: so many bytes.
    pub damaged: Option<usize>,
}

/// What a bank begins with.
#[derive(Clone, Debug)]
pub struct Header {
    /// The version of the core that wrote it.
    pub core: String,
    /// For how many members its table has slots.
    pub members: usize,
    /// For how many exchanges it has slots.
    pub exchanges: usize,
    /// Which bank this is; a recording begins with 0.
    pub bank: u32,
    /// How many records were in the banks before it.
    pub records_before: u32,
    /// Unix time at the node's origin in microseconds; 0: not known.
    pub origin: u64,
    /// When it begins.
    pub from: Instant,
    /// The node as it was then.
    pub image: Vec<u8>,
}

/// Why a file is no recording that this program reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// It does not begin as recordings do.
    NoRecording,
    /// It is of another version of the format.
    Version(u8),
    /// It was written by another version of the core.
    Core(String),
    /// Its header is cut short or damaged.
    Header,
    /// This program has no node with slots for so many members and exchanges.
    Size(usize, usize),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecording => f.write_str("it is no recording: it does not begin with BYR"),
            Self::Version(version) => {
                write!(
                    f,
                    "it is of version {version} of the format; this program reads {VERSION}"
                )
            }
            Self::Core(version) => {
                let ours = env!("CARGO_PKG_VERSION");
                write!(
                    f,
                    "a node of version {version} wrote it; this one is {ours}"
                )
            }
            Self::Header => f.write_str("its header is cut short or damaged"),
            Self::Size(members, exchanges) => write!(
                f,
                "its node has slots for {members} members and {exchanges} exchanges, and this \
                 program has none of that size"
            ),
        }
    }
}

impl core::error::Error for Unreadable {}

impl Recording {
    /// Reads the banks in `bytes`, in whatever order they lie there.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], if not even the header of the first can be read. Damage after that is noted
    /// in the [bank](Bank::damaged).
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut banks = Vec::new();
        let mut rest = bytes;
        loop {
            let (bank, after) = Bank::read(rest)?;
            banks.push(bank);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        banks.sort_by_key(|bank| bank.header.bank);
        Ok(Self { banks })
    }
}

impl Bank {
    /// Reads a bank at the beginning of `bytes`. Returns what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Unreadable> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(Unreadable::NoRecording)?;
        if *magic != MAGIC {
            return Err(Unreadable::NoRecording);
        }
        let (version, mut rest) = rest.split_first().ok_or(Unreadable::Header)?;
        if *version != VERSION {
            return Err(Unreadable::Version(*version));
        }
        let mut payload = Vec::new();
        let mut number = 0_u32;
        while let Some((block, after)) = block(number, rest) {
            payload.extend_from_slice(block);
            rest = after;
            number = number.wrapping_add(1);
        }
        let whole = rest.is_empty() || rest.starts_with(&MAGIC);
        let damaged = (!whole).then_some(rest.len());
        let mut numbers = Numbers::new(&payload);
        let header = Header::read(&mut numbers).map_err(|_| Unreadable::Header)?;
        if header.core != env!("CARGO_PKG_VERSION") {
            return Err(Unreadable::Core(header.core));
        }
        if !crate::node::exists(header.members, header.exchanges) {
            return Err(Unreadable::Size(header.members, header.exchanges));
        }
        let records = payload.split_off(payload.len() - numbers.left());
        let bank = Self {
            header,
            records,
            damaged,
        };
        Ok((bank, if whole { rest } else { &[] }))
    }
}

impl Header {
    fn read(from: &mut Numbers<'_>) -> Result<Self, Unread> {
        let length = from.size()?;
        let core =
            String::from_utf8(from.bytes(length)?.to_vec()).map_err(|_| Unread::Malformed)?;
        let (members, exchanges) = (from.size()?, from.size()?);
        let (bank, records_before) = (from.short()?, from.short()?);
        let origin = from.number()?;
        let start = Instant::from_micros(from.number()?);
        let length = from.size()?;
        Ok(Self {
            core,
            members,
            exchanges,
            bank,
            records_before,
            origin,
            from: start,
            image: from.bytes(length)?.to_vec(),
        })
    }
}

/// The payload of the block of this number at the beginning of `bytes`, and what follows it; `None`
/// if there is none.
fn block(number: u32, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (payload, rest) = rest.split_at_checked(usize::from(*length))?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let sound =
        *length > 0 && bully::record::checksum(number, payload) == u32::from_le_bytes(*checksum);
    sound.then_some((payload, rest))
}
