//! The stage of one run of a check: our coordinator, scripted peers and the graded program, in one
//! poll loop. Checks are written with the verbs of this file, top to bottom.

use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::time::Instant;

use crate::fault::{Fault, Limits, Stop, within};
use crate::link::Link;
use crate::peer::{ACCEPTED, Manner, Peer, Rank, is_accepted};
use crate::program::Program;
use crate::seen::{Party, Seen, What};
use crate::setting::Setting;
use crate::template::Filling;
use crate::wire::{Entry, Kind, Outgoing};

/// Who joined.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) entry: Entry,
}

/// An event that must not happen.
type Rule<'a> = (String, Box<dyn Fn(&Stage<'_>, &Seen) -> bool + 'a>);

/// One run of a check.
pub(crate) struct Stage<'a> {
    pub(crate) setting: Setting<'a>,
    pub(crate) programs: Vec<Program>,
    pub(crate) gcd: TcpListener,
    pub(crate) gcd_port: u16,
    pub(crate) peers: Vec<Peer>,
    pub(crate) links: Vec<Link>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) agenda: Vec<(Duration, Action)>,
    /// Everybody who joined, in order.
    pub(crate) joined: Vec<Joined>,
    /// What a good program would have done better.
    pub(crate) notes: Vec<String>,
    /// What is missing for all of the points.
    pub(crate) partly: Vec<String>,
    /// How late a timer of the grader was at most.
    pub(crate) lag: Duration,
    began: Instant,
    random: Cell<u64>,
    rules: Vec<Rule<'a>>,
    judged: usize,
    /// A program that is not reached does not end the run.
    pub(crate) tolerates_refusal: bool,
}

/// What a peer or the coordinator will do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Send this on that connection.
    Answer(usize, Outgoing),
    /// This peer announces itself to the program.
    Announce(usize),
    /// End our side of that connection.
    HalfClose(usize),
    /// Close that connection.
    Close(usize),
}

impl<'a> Stage<'a> {
    /// A stage with a coordinator, and nobody else yet.
    pub(crate) fn new(setting: Setting<'a>) -> io::Result<Self> {
        let gcd = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        gcd.set_nonblocking(true)?;
        let gcd_port = gcd.local_addr()?.port();
        Ok(Self {
            programs: Vec::new(),
            gcd,
            gcd_port,
            peers: Vec::new(),
            links: Vec::new(),
            seen: Vec::new(),
            agenda: Vec::new(),
            joined: Vec::new(),
            notes: Vec::new(),
            partly: Vec::new(),
            lag: Duration::ZERO,
            began: Instant::now(),
            random: Cell::new(setting.seed | 1),
            rules: Vec::new(),
            judged: 0,
            tolerates_refusal: false,
            setting,
        })
    }

    // Set-up

    /// Adds peers of a rank, and returns their numbers, the nearest to the program first.
    pub(crate) fn peers(
        &mut self,
        count: u32,
        rank: Rank,
        manner: Manner,
    ) -> Result<Vec<usize>, Stop> {
        (0..count).map(|_| self.peer(rank, manner)).collect()
    }

    /// Adds a peer, and returns its number.
    pub(crate) fn peer(&mut self, rank: Rank, manner: Manner) -> Result<usize, Stop> {
        self.add(rank, manner, true)
    }

    /// Adds a peer that the coordinator does not know of.
    pub(crate) fn unlisted(&mut self, rank: Rank, manner: Manner) -> Result<usize, Stop> {
        self.add(rank, manner, false)
    }

    fn add(&mut self, rank: Rank, manner: Manner, listed: bool) -> Result<usize, Stop> {
        let same = self.peers.iter().filter(|peer| peer.rank == rank).count();
        let nth = u32::try_from(same).unwrap_or(u32::MAX) + 1;
        self.peers.push(Peer::new(rank, nth, listed, manner)?);
        Ok(self.peers.len() - 1)
    }

    /// Starts the program, waits for its JOIN and answers it.
    pub(crate) fn join(&mut self) -> Result<(), Stop> {
        self.start(0)?;
        self.await_join(1)
    }

    /// Starts a copy of the program with an id so much greater.
    pub(crate) fn start(&mut self, copy: u32) -> Result<(), Stop> {
        let filling = Filling {
            gcd_port: self.gcd_port,
            su_id: self.setting.su_id + copy,
            days: self.setting.days,
            birthday: self.setting.birthday,
        };
        let command = self.setting.template.fill(&filling);
        self.record(
            Party::Program,
            Party::Program,
            What::Started(command.join(" ")),
        );
        let program = Program::start(self.setting.keeping, &command, self.setting.folder)?;
        self.programs.push(program);
        Ok(())
    }

    /// Waits until there were so many JOINs.
    pub(crate) fn await_join(&mut self, count: usize) -> Result<(), Stop> {
        // Starting is the system's affair as much as the program's: it is never given less time.
        let slack = self.setting.slack;
        self.setting.slack = slack.max(1.0);
        let outcome = self.within(JOIN_LIMITS, "a JOIN to the group coordinator", |stage| {
            stage.joined.len() >= count || stage.refused_join().is_some()
        });
        self.setting.slack = slack;
        outcome?;
        if let Some(fault) = self.refused_join() {
            return Err(Stop::Fault(fault));
        }
        // Let the answer be on its way before anything is measured.
        self.wait(0.02, |_| false)?;
        Ok(())
    }

    /// Waits for an election to begin, and starts one by an ELECTION from `lower` if none does:
    /// whether the program begins by itself is another check's affair.
    pub(crate) fn election(&mut self, lower: usize) -> Result<(), Stop> {
        let has_begun = |stage: &Self| {
            stage
                .seen
                .iter()
                .any(|seen| matches!(seen.kind(), Some(Kind::Election | Kind::Coordinator)))
        };
        if self.wait(ELECTS_WITHIN, has_begun)? {
            return Ok(());
        }
        self.note("it starts no election by itself; an ELECTION from a lower member started one");
        self.send(lower, Outgoing::Election);
        self.within(
            within(2.0, 8.0),
            "an election, asked for by an ELECTION from a lower member",
            has_begun,
        )
    }

    /// Waits until the election at the start is over with `leader` announced, and nothing is under way any more.
    pub(crate) fn settle(&mut self, leader: usize) -> Result<(), Stop> {
        let announced = |stage: &Self| {
            stage.seen.iter().any(|seen| {
                seen.from == Party::Peer(leader)
                    && matches!(seen.what, What::Sent(Kind::Coordinator))
            })
        };
        if !self.wait(ELECTS_WITHIN, announced)? {
            self.announce(leader);
            self.wait(1.0, announced)?;
        }
        self.pause(QUIET)
    }

    /// Waits until the program has announced itself to `lower`, and nothing is under way any more.
    pub(crate) fn lead(&mut self, lower: usize) -> Result<(), Stop> {
        self.election(lower)?;
        self.within(
            within(5.0, 20.0),
            "COORDINATOR to the lower members, nobody being greater",
            |stage| stage.got(lower, Kind::Coordinator),
        )?;
        self.pause(QUIET)
    }

    // Waiting

    /// Waits until `condition` holds; too late is a fault.
    pub(crate) fn within(
        &mut self,
        limits: Limits,
        expected: &str,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let began = self.now();
        if !self.wait(limits.fail, condition)? {
            return Err(self.missing(expected, limits));
        }
        let took = (self.now() - began).as_secs_f64();
        if took > limits.note * self.setting.slack {
            self.note(format!(
                "{expected}: took {took:.1} s, {} s is usual",
                limits.note
            ));
        }
        Ok(())
    }

    /// The fault that something did not happen in time.
    pub(crate) fn missing(&self, expected: &str, limits: Limits) -> Stop {
        let seconds = limits.fail * self.setting.slack;
        Stop::Fault(Fault {
            expected: format!("{expected}, within {seconds} s"),
            seen: self.summary(),
            offending: None,
            at_once: false,
        })
    }

    /// Waits at most so many seconds until `condition` holds, and returns whether it does.
    pub(crate) fn wait(
        &mut self,
        seconds: f64,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<bool, Stop> {
        let until = self.now() + Duration::from_secs_f64(seconds * self.setting.slack);
        loop {
            if condition(self) {
                return Ok(true);
            }
            let now = self.now();
            if now >= until {
                return Ok(false);
            }
            self.turn(until - now)?;
            self.judge()?;
            self.check_alive(&condition)?;
        }
    }

    /// Lets time pass; it is not multiplied.
    pub(crate) fn pause(&mut self, seconds: f64) -> Result<(), Stop> {
        self.wait(seconds / self.setting.slack, |_| false).map(drop)
    }

    /// Lets a random time of up to 100 ms pass, so that no stimulus is in step with the program.
    pub(crate) fn phase(&mut self) -> Result<(), Stop> {
        let micros = self.draw() % 100_000;
        #[expect(clippy::cast_precision_loss, reason = "it is below 100,000")]
        self.pause(micros as f64 / 1e6)
    }

    /// From now on an event for which `test` holds is wrong whenever it happens.
    pub(crate) fn never(&mut self, expected: &str, test: impl Fn(&Stage<'_>, &Seen) -> bool + 'a) {
        self.rules.push((expected.to_owned(), Box::new(test)));
    }

    fn judge(&mut self) -> Result<(), Stop> {
        for at in self.judged..self.seen.len() {
            let broken = self
                .rules
                .iter()
                .find(|(_, test)| test(self, &self.seen[at]));
            if let Some((expected, _)) = broken {
                let event = &self.seen[at];
                return Err(Stop::Fault(Fault {
                    expected: expected.clone(),
                    seen: format!(
                        "{} to {} after {:.3} s",
                        event.label(),
                        self.name(event.to),
                        event.at.as_secs_f64()
                    ),
                    offending: Some(at),
                    at_once: true,
                }));
            }
        }
        self.judged = self.seen.len();
        Ok(())
    }

    /// A program that has ended does nothing more, but what it has sent may still be on its way.
    fn check_alive(&mut self, condition: &impl Fn(&Self) -> bool) -> Result<(), Stop> {
        let refused = self.links.iter().any(|link| link.refused);
        let ended = self.programs.iter().find_map(Program::ended);
        match ended.map(str::to_owned) {
            Some(how) => {
                for _ in 0..5 {
                    self.turn(Duration::from_millis(10))?;
                    self.judge()?;
                }
                if condition(self) {
                    return Ok(());
                }
                self.record(Party::Program, Party::Program, What::Ended(how.clone()));
                Err(Stop::Ended(how))
            }
            None if refused && !self.tolerates_refusal => {
                // One that is just ending refuses first.
                for _ in 0..20 {
                    self.turn(Duration::from_millis(10))?;
                }
                match self.programs.iter().find_map(Program::ended) {
                    Some(how) => Err(Stop::Ended(how.to_owned())),
                    None => Err(Stop::Away),
                }
            }
            None => Ok(()),
        }
    }

    // Stimuli

    /// `from` sends the program a message with the list of all; returns the connection.
    pub(crate) fn send(&mut self, from: usize, what: Outgoing) -> usize {
        let members = self.list_of(from, what, &[]);
        self.send_listing(from, what, &members)
    }

    /// The same with more members in the list.
    pub(crate) fn send_naming(&mut self, from: usize, what: Outgoing, more: &[usize]) -> usize {
        let members = self.list_of(from, what, more);
        self.send_listing(from, what, &members)
    }

    /// `leader` announces itself to the program.
    pub(crate) fn announce(&mut self, leader: usize) {
        self.send(leader, Outgoing::Coordinator);
    }

    fn send_listing(&mut self, from: usize, what: Outgoing, members: &[Entry]) -> usize {
        let codec = self.setting.codec;
        let bytes = codec.write(what, members, self.setting.dialect);
        self.connect(from, bytes, what.kind())
    }

    /// `from` connects to the program and sends these bytes, called a message of this kind.
    pub(crate) fn connect(&mut self, from: usize, bytes: Vec<u8>, kind: Kind) -> usize {
        let party = Party::Peer(from);
        match Link::connecting(self.program_at(), party, bytes) {
            Ok(link) => self.links.push(link),
            Err(error) => {
                // Nothing left to connect with: as if nobody were there, and it is noted.
                self.note(format!("the grader could not connect: {error}"));
                self.links.push(Link::failed(party));
            }
        }
        let number = self.links.len() - 1;
        self.record_on(number, party, Party::Program, What::Sent(kind));
        number
    }

    /// The peer stops listening: its port refuses connections from now on.
    pub(crate) fn close_listener(&mut self, peer: usize) {
        self.peers[peer].close();
        let what = What::Staged("closes its listening socket".to_owned());
        self.record(Party::Peer(peer), Party::Peer(peer), what);
    }

    // What was seen

    /// Since the run began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The messages of a kind that the program sent to a peer.
    pub(crate) fn messages(&self, peer: usize, kind: Kind) -> impl Iterator<Item = &Seen> {
        self.seen
            .iter()
            .filter(move |seen| seen.to == Party::Peer(peer) && seen.kind() == Some(kind))
    }

    /// Whether the program has sent a message of this kind to the peer.
    pub(crate) fn got(&self, peer: usize, kind: Kind) -> bool {
        self.messages(peer, kind).next().is_some()
    }

    /// The same, since some time.
    pub(crate) fn got_since(&self, peer: usize, kind: Kind, since: Duration) -> bool {
        self.messages(peer, kind).any(|seen| seen.at >= since)
    }

    /// The program's first message of this kind to anybody.
    pub(crate) fn first(&self, kind: Kind) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.kind() == Some(kind))
    }

    /// The answer on a connection that a peer opened.
    pub(crate) fn answer(&self, link: usize) -> Option<&Seen> {
        self.seen.iter().find(|seen| {
            seen.link == Some(link) && seen.from == Party::Program && seen.message().is_some()
        })
    }

    /// The fault that the coordinator was sent something else than a JOIN it accepts.
    fn refused_join(&self) -> Option<Fault> {
        let mut to_gcd = (self.seen.iter().enumerate()).filter(|(_, seen)| seen.to == Party::Gcd);
        to_gcd.find_map(|(at, seen)| {
            let message = seen.message()?;
            let (expected, seen) = match &message.joining {
                Some(Entry { pid, .. }) if is_accepted(*pid) => return None,
                Some(Entry { pid, .. }) => {
                    (ACCEPTED, format!("JOIN as ({}, {})", pid.days, pid.id))
                }
                None if message.kind == Kind::Other => (JOIN, message.text.clone()),
                None => return None,
            };
            Some(Fault {
                expected: expected.to_owned(),
                seen,
                offending: Some(at),
                at_once: false,
            })
        })
    }

    /// Everybody in the coordinator's list, the least first.
    pub(crate) fn roster(&self) -> Vec<Entry> {
        let listed = self.peers.iter().filter(|peer| peer.listed);
        let mut all: Vec<Entry> = listed.filter_map(Peer::entry).collect();
        all.extend(self.joined.iter().map(|joined| joined.entry.clone()));
        sorted(all)
    }

    /// The program, as it joined last.
    pub(crate) fn program(&self) -> Option<&Entry> {
        self.joined.last().map(|joined| &joined.entry)
    }

    fn list_of(&self, from: usize, what: Outgoing, more: &[usize]) -> Vec<Entry> {
        let mut all = self.roster();
        let also = more.iter().chain([&from]);
        all.extend(also.filter_map(|peer| self.peers[*peer].entry()));
        let mut all = sorted(all);
        if what == Outgoing::Coordinator
            && let Some(leader) = self.peers[from].pid
        {
            // The leader stands first, for some programs look nowhere else, and nobody above it.
            all.retain(|member| {
                member.pid <= leader
                    || more
                        .iter()
                        .any(|peer| self.peers[*peer].pid == Some(member.pid))
            });
            all.reverse();
        }
        all
    }

    /// Where the program says it listens; what is not on this machine is looked for here.
    fn program_at(&self) -> SocketAddr {
        let entry = self.program();
        let port = entry.map_or(0, |entry| entry.port);
        let host = entry.and_then(|entry| entry.host.parse::<Ipv4Addr>().ok());
        let host = host.filter(Ipv4Addr::is_loopback);
        SocketAddr::from((host.unwrap_or(Ipv4Addr::LOCALHOST), port))
    }

    /// How a party is called.
    pub(crate) fn name(&self, party: Party) -> String {
        match party {
            Party::Program => "program".to_owned(),
            Party::Gcd => "GCD".to_owned(),
            Party::Peer(peer) => self.peers[peer].name(),
        }
    }

    /// Something a good program would do better.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Something that costs a part of the points.
    pub(crate) fn partly(&mut self, what: impl Into<String>) {
        self.partly.push(what.into());
    }

    pub(crate) fn record(&mut self, from: Party, to: Party, what: What) {
        let at = self.now();
        self.record_at(at, from, to, None, what);
    }

    pub(crate) fn record_on(&mut self, link: usize, from: Party, to: Party, what: What) {
        let at = self.now();
        self.record_at(at, from, to, Some(link), what);
    }

    fn record_at(&mut self, at: Duration, from: Party, to: Party, link: Option<usize>, what: What) {
        if self.seen.len() < SEEN_MAX {
            self.seen.push(Seen {
                at,
                from,
                to,
                link,
                what,
            });
        } else {
            self.note(format!(
                "more than {SEEN_MAX} events: the rest was not looked at"
            ));
        }
    }

    /// A random number.
    pub(crate) fn draw(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state
    }

    /// Whether anybody still waits for this run.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.setting.cancelled.load(Ordering::Relaxed) && Instant::now() < self.setting.until
    }
}

/// The form of a JOIN.
const JOIN: &str = "('JOIN', (process_id, listen_address)) to the group coordinator";

/// How long a program may take to join.
const JOIN_LIMITS: Limits = within(2.0, 10.0);

/// How long to wait for an election at the start, in seconds, before one is asked for.
const ELECTS_WITHIN: f64 = 2.5;

/// How long nothing happens before the next stimulus, in seconds: longer than the 300 ms in which
/// a follower that has just received COORDINATOR may answer OK without an election of its own.
const QUIET: f64 = 0.6;

/// How many events are kept. A program that storms is seen to storm by then.
const SEEN_MAX: usize = 20_000;

fn sorted(mut all: Vec<Entry>) -> Vec<Entry> {
    // Stable: of two entries the later one stays, for who joined again is where it is now.
    all.sort_by_key(|entry| entry.pid);
    all.reverse();
    all.dedup_by_key(|entry| entry.pid);
    all.reverse();
    all
}
