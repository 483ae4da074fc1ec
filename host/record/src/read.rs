//! Recordings as they lie in files: banks and checksums.

use core::fmt;

use bully::Instant;
use bully::record::{Digest, MAGIC, VERSION};

use crate::cursor::{Numbers, SUM_BYTES, Unread, sound};
use crate::node::{exists, image_of};

/// A node's input, in one bank or in several that continue each other.
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
    /// All records up to the last checksum that is right.
    pub(crate) records: Vec<u8>,
    /// What follows them is none: so many bytes.
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
        let (version, rest) = rest.split_first().ok_or(Unreadable::Header)?;
        if *version != VERSION {
            return Err(Unreadable::Version(*version));
        }
        let mut numbers = Numbers::new(rest);
        let header = Header::read(&mut numbers)?;
        let (summed, rest) = bytes.split_at(bytes.len() - numbers.left());
        let mut sum = Digest::new();
        sum.bytes(summed);
        let Some((its, rest)) = rest.split_first_chunk::<SUM_BYTES>() else {
            return Err(Unreadable::Header);
        };
        if sum.value() != u32::from_le_bytes(*its) {
            return Err(Unreadable::Header);
        }
        sum.add(sum.value());
        let (records, rest) = rest.split_at(sound(rest, sum));
        let records = records.to_vec();
        let whole = rest.is_empty() || rest.starts_with(&MAGIC);
        let damaged = (!whole).then_some(rest.len());
        let bank = Self {
            header,
            records,
            damaged,
        };
        Ok((bank, if whole { rest } else { &[] }))
    }
}

impl Header {
    fn read(from: &mut Numbers<'_>) -> Result<Self, Unreadable> {
        let length = from.byte()?;
        let core = from.bytes(length.into())?;
        let core = core::str::from_utf8(core).map_err(|_| Unreadable::Header)?;
        if core != env!("CARGO_PKG_VERSION") {
            return Err(Unreadable::Core(core.to_owned()));
        }
        let (members, exchanges) = (from.size()?, from.size()?);
        let (bank, records_before) = (from.short()?, from.short()?);
        let origin = from.number()?;
        let start = Instant::from_micros(from.number()?);
        if !exists(members, exchanges) {
            return Err(Unreadable::Size(members, exchanges));
        }
        let image = image_of(members, exchanges, from.rest()).ok_or(Unreadable::Header)?;
        Ok(Self {
            core: core.to_owned(),
            members,
            exchanges,
            bank,
            records_before,
            origin,
            from: start,
            image: from.bytes(image.len())?.to_vec(),
        })
    }
}

impl From<Unread> for Unreadable {
    fn from(_: Unread) -> Self {
        Self::Header
    }
}
