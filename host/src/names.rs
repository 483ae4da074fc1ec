//! `(host, port)` exactly as a peer wrote it, as the one number that the core compares.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bully::Addr;

/// How many hosts that are no plain IPv4 address can be held at once. A lab has a handful.
pub const HOSTS_MAX: usize = 256;

pub use bully_pickle::{HOST_BYTES_MAX, port};

/// Set in an address whose host stands in the table; the bits below it are `slot << 16 | port`.
const INTERNED: u64 = 1 << 63;

/// Turns `(host, port)` into an [`Addr`] and back, without loss and without asking anybody.
///
/// An IPv4 address in its usual spelling *is* its number: `ip << 16 | port`. Any other text, such
/// as `localhost`, `::1` or a machine's name, takes one of [`HOSTS_MAX`] slots until a
/// [`sweep`](Self::sweep) finds it unused. Hence `('localhost', 5)` and `('127.0.0.1', 5)` differ,
/// as they do in a peer's dictionary.
#[derive(Debug, Default)]
pub struct Names {
    hosts: Vec<Option<Host>>,
    slots: HashMap<Arc<str>, usize>,
    sweeps: u64,
}

#[derive(Debug)]
struct Host {
    text: Arc<str>,
    ip: Option<IpAddr>,
    pinned: bool,
}

/// The address with that port, on the host of `addr`.
pub(crate) const fn with_port(addr: Addr, port: u16) -> Addr {
    Addr(addr.0 & !0xFFFF | port as u64)
}

/// Whether `addr` means the same in every table: it is an IPv4 address.
pub(crate) const fn is_plain(addr: Addr) -> bool {
    addr.0 & INTERNED == 0
}

impl bully_pickle::Names for Names {
    type Host<'a> = Cow<'a, str>;

    fn base(&mut self, host: &str) -> Option<u64> {
        self.base(host)
    }

    fn host(&self, addr: Addr) -> Cow<'_, str> {
        self.host(addr)
    }
}

impl Names {
    /// A table of no hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address of `(host, port)`: the same number each time, until a sweep frees the host.
    ///
    /// `None`, and nothing is changed, if the port is 0, the host is longer than
    /// [`HOST_BYTES_MAX`], or all slots are taken.
    pub fn addr(&mut self, host: &str, port: u16) -> Option<Addr> {
        if port == 0 {
            return None;
        }
        Some(Addr(self.base(host)? | u64::from(port)))
    }

    /// What all addresses on `host` have in common: the address but for its port.
    pub(crate) fn base(&mut self, host: &str) -> Option<u64> {
        // Only the usual spelling parses (no leading zeros), so the text can be had back.
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Some(u64::from(ip.to_bits()) << 16);
        }
        Some(INTERNED | (self.slot(host)? as u64) << 16)
    }

    /// The host of an address as it was written; `?` if its slot has been swept.
    pub fn host(&self, addr: Addr) -> Cow<'_, str> {
        if addr.0 & INTERNED == 0 {
            return Cow::Owned(ipv4(addr).to_string());
        }
        Cow::Borrowed(self.interned(addr).map_or("?", |host| &host.text))
    }

    /// Where to connect for `addr`. Never blocks: a name nobody has looked up gives `None`.
    ///
    /// Numeric addresses mean themselves, `localhost` and the empty text mean 127.0.0.1, and what
    /// [`know`](Self::know) was told means what it was told.
    pub fn endpoint(&self, addr: Addr) -> Option<SocketAddr> {
        let ip = if addr.0 & INTERNED == 0 {
            IpAddr::V4(ipv4(addr))
        } else {
            self.interned(addr)?.ip?
        };
        Some(SocketAddr::new(ip, port(addr)))
    }

    /// Whether `addr` is on this machine for certain: `localhost`, the empty text, a loopback
    /// address, or a name known to be one.
    pub fn is_local(&self, addr: Addr) -> bool {
        self.endpoint(addr)
            .is_some_and(|at| at.ip().to_canonical().is_loopback())
    }

    /// Notes that `host` is at `ip`, for good: no sweep forgets it.
    ///
    /// `false`, and nothing is changed, if the host is too long or all slots are taken. For an
    /// IPv4 address there is nothing to note.
    pub fn know(&mut self, host: &str, ip: IpAddr) -> bool {
        if host.parse::<Ipv4Addr>().is_ok() {
            return true;
        }
        let Some(slot) = self.slot(host) else {
            return false;
        };
        if let Some(Some(host)) = self.hosts.get_mut(slot) {
            host.ip = Some(ip);
            host.pinned = true;
        }
        true
    }

    /// Frees every host that is in none of the addresses `in_use` and is not known for good.
    ///
    /// Its addresses mean nothing after that, or later another host: leave out none that anybody
    /// still holds.
    pub fn sweep(&mut self, in_use: impl Iterator<Item = Addr>) {
        let mut used = [false; HOSTS_MAX];
        for slot in in_use.filter_map(slot_of) {
            if let Some(mark) = used.get_mut(slot) {
                *mark = true;
            }
        }
        let before = self.slots.len();
        for (entry, used) in self.hosts.iter_mut().zip(used) {
            if let Some(host) = entry.take_if(|host| !used && !host.pinned) {
                self.slots.remove(&host.text);
            }
        }
        self.sweeps += u64::from(self.slots.len() < before);
    }

    /// How often hosts were forgotten: in between, the same text is the same number.
    pub(crate) fn sweeps(&self) -> u64 {
        self.sweeps
    }

    /// How many of the [`HOSTS_MAX`] slots are taken.
    pub fn hosts(&self) -> usize {
        self.slots.len()
    }

    /// `addr` for people to read, such as `127.0.0.1:40001`; anything odd in it is escaped.
    pub fn show(&self, addr: Addr) -> impl fmt::Display {
        Shown {
            host: self.host(addr),
            port: port(addr),
        }
    }

    fn interned(&self, addr: Addr) -> Option<&Host> {
        self.hosts.get(slot_of(addr)?)?.as_ref()
    }

    fn slot(&mut self, text: &str) -> Option<usize> {
        if let Some(slot) = self.slots.get(text) {
            return Some(*slot);
        }
        if text.len() > HOST_BYTES_MAX {
            return None;
        }
        let slot = match self.hosts.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.hosts.len() < HOSTS_MAX => {
                self.hosts.push(None);
                self.hosts.len() - 1
            }
            None => return None,
        };
        let text: Arc<str> = text.into();
        self.slots.insert(text.clone(), slot);
        let ip = literal(&text);
        if let Some(entry) = self.hosts.get_mut(slot) {
            *entry = Some(Host {
                text,
                ip,
                pinned: false,
            });
        }
        Some(slot)
    }
}

struct Shown<'a> {
    host: Cow<'a, str>,
    port: u16,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host.escape_debug(), self.port);
        if self.host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

fn ipv4(addr: Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits((addr.0 >> 16) as u32)
}

/// The slot of an address whose host takes one.
pub(crate) fn slot_of(addr: Addr) -> Option<usize> {
    (addr.0 & INTERNED != 0).then_some(((addr.0 & !INTERNED) >> 16) as usize)
}

/// An address on the host in `slot`.
pub(crate) const fn on_slot(slot: usize) -> Addr {
    Addr(INTERNED | (slot as u64) << 16)
}

/// What a host text means by itself.
fn literal(text: &str) -> Option<IpAddr> {
    if text.is_empty() || text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_had_back_as_it_was_written() {
        let mut names = Names::new();
        for host in [
            "127.0.0.1",
            "localhost",
            "Localhost",
            "",
            "::1",
            "0:0::1",
            "127.0.0.01",
            "127.1",
            "255.255.255.255",
            "0.0.0.0",
            "cs2.example.edu",
            "bücher.example",
        ] {
            for number in [1, 40_001, u16::MAX] {
                let addr = names.addr(host, number).expect("there is room");
                assert_eq!(names.host(addr), host);
                assert_eq!(port(addr), number);
                assert_eq!(names.addr(host, number), Some(addr));
            }
        }
        assert_eq!(names.hosts(), 9, "plain IPv4 addresses take no slot");
    }

    #[test]
    fn spellings_of_one_machine_stay_apart() {
        let mut names = Names::new();
        let spelled = ["localhost", "127.0.0.1", "", "::1", "127.0.0.01"];
        let addrs = spelled.map(|host| names.addr(host, 5));
        for (at, addr) in addrs.iter().enumerate() {
            assert!(addr.is_some() && !addrs[..at].contains(addr));
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_none_and_leaves_no_trace() {
        let mut names = Names::new();
        assert_eq!(names.addr("localhost", 0), None);
        assert_eq!(names.addr(&"x".repeat(HOST_BYTES_MAX + 1), 1), None);
        assert_eq!(names.hosts(), 0);
        assert!(names.addr(&"x".repeat(HOST_BYTES_MAX), 1).is_some());
    }

    #[test]
    fn nothing_is_looked_up() {
        let mut names = Names::new();
        let mut endpoint = |host: &str| {
            let addr = names.addr(host, 5)?;
            names.endpoint(addr).map(|at| at.to_string())
        };
        assert_eq!(endpoint("10.1.2.3").as_deref(), Some("10.1.2.3:5"));
        assert_eq!(endpoint("localhost").as_deref(), Some("127.0.0.1:5"));
        assert_eq!(endpoint("").as_deref(), Some("127.0.0.1:5"));
        assert_eq!(endpoint("::1").as_deref(), Some("[::1]:5"));
        assert_eq!(endpoint("cs2.example.edu"), None);
        assert_eq!(endpoint("127.0.0.01"), None);
    }

    #[test]
    fn what_was_looked_up_elsewhere_is_known_for_good() {
        let mut names = Names::new();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
        assert!(names.know("cs2.example.edu", ip));
        let addr = names.addr("cs2.example.edu", 7).expect("known");
        names.sweep(core::iter::empty());
        assert_eq!(names.endpoint(addr), Some(SocketAddr::new(ip, 7)));
        assert!(names.know("10.0.0.1", ip), "nothing to note");
        assert_eq!(names.hosts(), 1);
    }

    #[test]
    fn the_table_is_bounded_and_swept() {
        let mut names = Names::new();
        let addrs: Vec<_> = (0..HOSTS_MAX)
            .map(|n| names.addr(&format!("host-{n}"), 9).expect("there is room"))
            .collect();
        assert_eq!(names.addr("one-more", 9), None);
        assert!(!names.know("one-more", IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(names.addr("10.0.0.1", 9).is_some(), "needs no room");

        let kept = addrs[17];
        names.sweep([kept, Addr(u64::MAX), Addr(1 << 16 | 9)].into_iter());
        assert_eq!(names.hosts(), 1);
        assert_eq!(names.host(kept), "host-17");
        assert_eq!(names.host(addrs[3]), "?");
        assert_eq!(names.endpoint(addrs[3]), None);
        assert!(names.addr("one-more", 9).is_some());
        assert_eq!(names.addr("host-17", 9), Some(kept));
    }

    #[test]
    fn local_is_what_is_surely_here() {
        let mut names = Names::new();
        let mut local = |host: &str| {
            let addr = names.addr(host, 5).expect("there is room");
            names.is_local(addr)
        };
        for here in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "",
            "::ffff:127.0.0.1",
        ] {
            assert!(local(here), "{here}");
        }
        for elsewhere in ["10.0.0.1", "0.0.0.0", "cs2.example.edu", "::2"] {
            assert!(!local(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn an_address_is_shown_for_people() {
        let mut names = Names::new();
        let mut shown = |host: &str| {
            let addr = names.addr(host, 40_001).expect("there is room");
            names.show(addr).to_string()
        };
        assert_eq!(shown("127.0.0.1"), "127.0.0.1:40001");
        assert_eq!(shown("::1"), "[::1]:40001");
        assert_eq!(shown("a\x1b[2Jb"), "a\\u{1b}[2Jb:40001");
    }
}
