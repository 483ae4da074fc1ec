//! The group coordinator, by the rules of the published one.

use core::time::Duration;

use bully::{Addr, Checked, Directory, DirectoryEvent, Exchange, Instant, Member, Pid, Refusal};
use bully_tests::owned::{Answer, Input, Message};
use bully_tests::people::{at, member, members};
use bully_tests::script::{Habit, Wire};

/// A coordinator, and the network played to it.
struct Gcd<const MEMBERS: usize = 4, const EXCHANGES: usize = 4> {
    directory: Directory<MEMBERS, EXCHANGES>,
    net: Checked<Wire, EXCHANGES>,
    now: Instant,
}

impl Gcd {
    fn new() -> Self {
        Self::sized()
    }
}

impl<const MEMBERS: usize, const EXCHANGES: usize> Gcd<MEMBERS, EXCHANGES> {
    fn sized() -> Self {
        Self {
            directory: Directory::new(),
            net: Checked::directory(Wire::default()),
            now: Instant::ZERO,
        }
    }

    fn poll(&mut self) -> Vec<DirectoryEvent> {
        let mut events = Vec::new();
        loop {
            events.extend(core::iter::from_fn(|| {
                self.directory.poll(self.now, &mut self.net)
            }));
            if self.directory.poll_at().is_none_or(|at| at > self.now) {
                return events;
            }
        }
    }

    fn input(&mut self, exchange: Exchange, input: Input) -> Vec<DirectoryEvent> {
        self.net.inner_mut().report(Duration::ZERO, exchange, input);
        self.poll()
    }

    fn connect(&mut self) -> Exchange {
        let exchange = self.net.inner_mut().number();
        self.input(exchange, Input::Accepted);
        exchange
    }

    /// Lets time pass, polling whenever it is due.
    fn wait(&mut self, millis: u64) -> Vec<DirectoryEvent> {
        let until = self.now + Duration::from_millis(millis);
        let mut events = Vec::new();
        while let Some(at) = self.directory.poll_at().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            events.extend(self.poll());
        }
        self.now = until;
        events.extend(self.poll());
        events
    }

    fn answer(&self, exchange: Exchange) -> Option<Answer> {
        let answer = self.net.inner().answer_on(exchange);
        answer.map(|(_, answer)| answer)
    }

    fn request(&mut self, message: Message) -> (Answer, DirectoryEvent) {
        let exchange = self.connect();
        let events = self.input(exchange, Input::Request(message));
        let answer = self.answer(exchange).expect("nobody is left without");
        (answer, events[0])
    }

    fn join(&mut self, member: Member) -> Answer {
        self.request(Message::Join(member)).0
    }

    /// Somebody asks to join; what came of it at once.
    fn ask(&mut self, member: Member) -> (Exchange, Vec<DirectoryEvent>) {
        let exchange = self.connect();
        let events = self.input(exchange, Input::Request(Message::Join(member)));
        (exchange, events)
    }

    /// Everybody listed behaves like this from now on.
    fn all(&mut self, habit: &Habit) {
        for member in self.directory.roster().members() {
            self.net.inner_mut().habit(member.addr, habit.clone());
        }
    }

    fn probed(&self) -> Vec<Addr> {
        let opened = self.net.inner().opened().iter();
        opened.map(|opened| opened.to).collect()
    }
}

/// A coordinator that is full with members 1 to 4, all of whom behave like this.
fn full<const EXCHANGES: usize>(habit: &Habit) -> Gcd<4, EXCHANGES> {
    let mut gcd = Gcd::sized();
    for days in 1..=4 {
        gcd.join(member(days));
    }
    gcd.all(habit);
    gcd
}

fn refused(refusal: Refusal) -> DirectoryEvent {
    DirectoryEvent::Refused { refusal }
}

#[test]
fn answers_with_everyone_who_ever_joined() {
    let mut gcd = Gcd::new();
    for known in 1..=3 {
        let (Answer::Members(listed), event) = gcd.request(Message::Join(member(known))) else {
            panic!("{known} was refused");
        };
        // The others are what it is about; whether the newcomer is among them is free.
        let others: Vec<_> = listed
            .into_iter()
            .filter(|other| *other != member(known))
            .collect();
        assert_eq!(others, members(1..known));
        assert_eq!(
            event,
            DirectoryEvent::Joined {
                member: member(known),
                members: known,
                before: None
            }
        );
    }
}

#[test]
fn the_same_id_with_other_days_replaces_the_old_entry() {
    let mut gcd = Gcd::new();
    gcd.join(member(2));
    let tomorrow = Member {
        pid: Pid {
            days: 1,
            ..member(2).pid
        },
        addr: Addr(9),
    };
    gcd.join(tomorrow);
    assert_eq!(gcd.directory.roster().members(), [tomorrow]);
}

#[test]
fn another_process_at_the_same_address_replaces_the_old_entry() {
    let mut gcd = Gcd::new();
    gcd.join(member(2));
    gcd.join(at(3, member(2).addr.0));
    assert_eq!(gcd.directory.roster().members(), [at(3, member(2).addr.0)]);
}

#[test]
fn a_member_that_comes_back_elsewhere_is_known_there_only() {
    let mut gcd = Gcd::new();
    gcd.join(member(2));
    gcd.join(at(2, 9));
    assert_eq!(gcd.directory.roster().members(), [at(2, 9)]);
}

/// Two programs with one process id both led for ever, and neither noticed.
#[test]
fn who_joins_with_a_pid_that_is_listed_elsewhere_is_answered_with_both_addresses() {
    let mut gcd = Gcd::new();
    gcd.join(member(2));
    let both = vec![at(2, 9), member(2)];
    for now in [at(2, 9), member(2), at(2, 9)] {
        assert_eq!(gcd.join(now), Answer::Members(both.clone()));
        // Others get one of the two.
        assert_eq!(gcd.directory.roster().members(), [now]);
        assert_eq!(gcd.join(now), Answer::Members(vec![now]));
    }
    // The same id on another day is the same program.
    let tomorrow = Member {
        pid: Pid {
            days: 1,
            ..member(2).pid
        },
        addr: member(2).addr,
    };
    assert_eq!(gcd.join(tomorrow), Answer::Members(vec![tomorrow]));

    let mut gcd = Gcd::new();
    gcd.directory = gcd.directory.with_one_address();
    gcd.join(member(2));
    assert_eq!(gcd.join(at(2, 9)), Answer::Members(vec![at(2, 9)]));
}

#[test]
fn process_ids_out_of_the_lab_s_ranges_are_turned_down() {
    let cases = [
        ((0, 1_000_000), false),
        ((1, 1_000_000), true),
        ((365, 9_999_999), true),
        ((366, 1_000_000), false),
        ((1, 999_999), false),
        ((1, 10_000_000), false),
    ];
    for ((days, id), fine) in cases {
        let mut gcd = Gcd::new();
        let answer = gcd.join(Member {
            pid: Pid { days, id },
            addr: Addr(9),
        });
        assert_eq!(matches!(answer, Answer::Members(_)), fine, "({days}, {id})");
        assert_eq!(answer == Answer::Refused(Refusal::Pid), !fine);
        assert_eq!(gcd.directory.roster().is_empty(), !fine);
    }
}

/// The coordinator cannot know whether it is one process that was started anew, or two.
#[test]
fn a_pid_that_joins_from_another_address_is_reported_with_the_old_one() {
    let mut gcd = Gcd::new();
    gcd.join(member(2));
    let event = |member, before| DirectoryEvent::Joined {
        member,
        members: 1,
        before: Some(before),
    };
    let again = gcd.request(Message::Join(member(2))).1;
    assert_eq!(again, event(member(2), member(2)), "it only asked");
    for _ in 0..3 {
        let moved = gcd.request(Message::Join(at(2, 9))).1;
        assert_eq!(moved, event(at(2, 9), member(2)));
        let back = gcd.request(Message::Join(member(2))).1;
        assert_eq!(back, event(member(2), at(2, 9)));
    }
}

#[test]
fn full_of_members_that_accept_it_refuses_a_newcomer_and_those_listed_stay() {
    let mut gcd: Gcd = full(&Habit::Answers);
    let (exchange, events) = gcd.ask(member(5));
    assert_eq!(events, [refused(Refusal::Full)]);
    assert_eq!(gcd.answer(exchange), Some(Answer::Refused(Refusal::Full)));
    assert_eq!(gcd.directory.roster().members(), members(1..=4));
    // Those listed may still come back, at another address too.
    assert!(matches!(gcd.join(member(3)), Answer::Members(_)));
    assert!(matches!(gcd.join(at(3, 9)), Answer::Members(_)));
}

/// A thousand forged JOINs once kept honest newcomers out until the coordinator was restarted.
#[test]
fn full_it_lists_a_newcomer_in_place_of_a_member_whose_listener_refuses() {
    let mut gcd: Gcd = full(&Habit::Answers);
    gcd.net.inner_mut().habit(member(3).addr, Habit::Refuses);
    let (exchange, events) = gcd.ask(member(5));
    let joined = DirectoryEvent::Joined {
        member: member(5),
        members: 4,
        before: None,
    };
    assert_eq!(
        events,
        [DirectoryEvent::Removed { member: member(3) }, joined]
    );
    let listed = members([1, 2, 4, 5]);
    assert_eq!(gcd.directory.roster().members(), listed);
    assert_eq!(gcd.answer(exchange), Some(Answer::Members(listed)));
}

/// Forged members by the thousand, and newcomers by the dozen: nobody honest is refused.
#[test]
fn forged_members_that_do_not_listen_keep_nobody_out() {
    let mut gcd = Gcd::<64, 16>::sized();
    for days in 1..=64 {
        gcd.join(member(days));
    }
    gcd.all(&Habit::Refuses);
    for days in 101..=164 {
        assert!(
            matches!(gcd.join(member(days)), Answer::Members(_)),
            "{days}"
        );
        gcd.net.inner_mut().habit(member(days).addr, Habit::Answers);
    }
    assert_eq!(gcd.directory.roster().members(), members(101..=164));
    let (_, events) = gcd.ask(member(200));
    assert_eq!(events, [refused(Refusal::Full)], "all of them listen");
}

#[test]
fn a_member_on_a_host_that_is_off_gives_way_too() {
    let mut gcd: Gcd = full(&Habit::Answers);
    gcd.net.inner_mut().habit(member(2).addr, Habit::Hangs);
    let (exchange, events) = gcd.ask(member(5));
    assert_eq!(events, [], "it waits");
    let events = gcd.wait(1_500);
    assert_eq!(events[0], DirectoryEvent::Removed { member: member(2) });
    assert_eq!(
        gcd.answer(exchange),
        Some(Answer::Members(members([1, 3, 4, 5])))
    );
}

/// Most members never answer PROBE, and some end when a connection is closed before they have
/// answered.
#[test]
fn a_member_that_accepts_and_keeps_silent_stays_and_is_not_cut_off() {
    let mut gcd = full::<16>(&Habit::Silent);
    let (exchange, events) = gcd.ask(member(5));
    assert_eq!(events, [refused(Refusal::Full)]);
    assert_eq!(gcd.answer(exchange), Some(Answer::Refused(Refusal::Full)));
    let probes = gcd.probed().len();
    assert_eq!(probes, 4, "each of them once");
    gcd.wait(2_400);
    assert_eq!(gcd.net.open_exchanges(), probes, "the client has ended");
    assert_eq!(gcd.directory.roster().members(), members(1..=4));
    gcd.wait(10_000);
    assert_eq!(gcd.net.open_exchanges(), 0);
}

/// A member that is probed without leading starts an election.
#[test]
fn a_full_coordinator_probes_everybody_at_most_once_a_minute() {
    let mut gcd = full::<16>(&Habit::Answers);
    for _ in 0..590 {
        gcd.ask(member(5));
        gcd.wait(100);
    }
    assert_eq!(gcd.probed().len(), 4);
    gcd.wait(1_000);
    gcd.ask(member(5));
    assert_eq!(gcd.probed().len(), 8);
    // Nobody is probed while there is no need.
    let mut gcd = Gcd::new();
    for days in 1..=4 {
        gcd.join(member(days));
    }
    gcd.wait(100_000);
    assert_eq!(gcd.probed(), []);
}

#[test]
fn a_newcomer_does_not_wait_longer_than_nodes_do() {
    let mut gcd: Gcd = full(&Habit::Hangs);
    // One PROBE at a time: the first two hosts that are off are found out one after the other.
    for days in [5, 6] {
        let (exchange, _) = gcd.ask(member(days));
        gcd.wait(2_000);
        assert!(
            matches!(gcd.answer(exchange), Some(Answer::Members(_))),
            "{days}"
        );
    }
    let mut gcd: Gcd = full(&Habit::Silent);
    let (exchange, events) = gcd.ask(member(5));
    assert_eq!((events, gcd.answer(exchange)), (vec![], None), "it waits");
    assert_eq!(gcd.wait(2_000), [refused(Refusal::Full)]);
}

/// A crowd of newcomers leaves slots for clients that have yet to say what they want.
#[test]
fn no_more_than_half_of_the_exchanges_wait_for_a_slot() {
    let mut gcd = full::<8>(&Habit::Hangs);
    let asked: Vec<_> = (11..=15).map(|days| gcd.ask(member(days)).1).collect();
    assert_eq!(asked[..4], vec![vec![]; 4]);
    assert_eq!(asked[4], [refused(Refusal::Full)]);
    assert!(matches!(gcd.join(member(3)), Answer::Members(_)));
}

#[test]
fn all_exchanges_are_for_clients_as_long_as_there_are_slots_in_the_table() {
    let mut gcd = Gcd::<8, 16>::sized();
    let clients: Vec<_> = (0..16).map(|_| gcd.connect()).collect();
    assert_eq!(gcd.net.open_exchanges(), 16);
    for client in clients {
        gcd.input(client, Input::Request(Message::Join(member(5))));
        assert!(matches!(gcd.answer(client), Some(Answer::Members(_))));
    }
}

#[test]
fn a_limit_below_its_size_holds() {
    for (limit, listed) in [(0, 1), (1, 1), (3, 3), (4, 4), (9, 4)] {
        let mut gcd = Gcd::new();
        gcd.directory = Directory::limited(limit);
        for days in 1..=9 {
            gcd.ask(member(days));
            // Nobody listens, so nobody gives way before the time is over.
            gcd.net.inner_mut().habit(member(days).addr, Habit::Answers);
        }
        assert_eq!(gcd.directory.roster().len(), listed, "{limit}");
    }
}

/// Input that never ends must not put off deadlines.
#[test]
fn deadlines_pass_in_a_flood_of_messages() {
    let mut gcd = Gcd::<4, 8>::sized();
    let silent = gcd.connect();
    gcd.now = gcd.now + Duration::from_secs(10);
    let mut polls = 0;
    for _ in 0..1_000 {
        let exchange = gcd.net.inner_mut().number();
        for input in [Input::Accepted, Input::Request(Message::Probe)] {
            gcd.net.inner_mut().report(Duration::ZERO, exchange, input);
        }
    }
    while !gcd.net.inner().is_closed(silent) {
        gcd.directory.poll(gcd.now, &mut gcd.net);
        polls += 1;
        assert!(polls < 40, "the one that kept silent is still there");
    }
}

/// `None` once meant both that there is nothing left and that the budget is spent.
#[test]
fn input_that_is_left_makes_the_next_poll_due_at_once() {
    let mut gcd = Gcd::<4, 4>::sized();
    for _ in 0..100 {
        let client = gcd.net.inner_mut().number();
        gcd.net
            .inner_mut()
            .report(Duration::ZERO, client, Input::Accepted);
    }
    assert_eq!(gcd.directory.poll(gcd.now, &mut gcd.net), None);
    assert_eq!(gcd.directory.poll_at(), Some(gcd.now));
    while gcd.directory.poll_at() == Some(gcd.now) {
        assert_eq!(gcd.directory.poll(gcd.now, &mut gcd.net), None);
    }
    assert_eq!(gcd.net.inner().pending(), 0);
}

#[test]
fn anything_but_join_is_turned_down() {
    let mut gcd = Gcd::new();
    let cases = [
        (Message::Probe, Refusal::Unexpected),
        (Message::Election(members([1])), Refusal::Unexpected),
        (Message::Coordinator(members([1])), Refusal::Unexpected),
        (Message::Unfit(Refusal::NotAMessage), Refusal::NotAMessage),
    ];
    for (message, refusal) in cases {
        let (answer, event) = gcd.request(message);
        assert_eq!(answer, Answer::Refused(refusal));
        assert_eq!(event, DirectoryEvent::Refused { refusal });
    }
    assert!(gcd.directory.roster().is_empty());
}

#[test]
fn idle_clients_keep_nobody_out_and_are_closed_in_the_end() {
    let mut gcd = Gcd::new();
    for _ in 0..20 {
        gcd.connect();
    }
    assert!(matches!(gcd.join(member(1)), Answer::Members(_)));
    gcd.wait(100);
    gcd.connect();
    assert!(gcd.net.open_exchanges() > 0);
    let deadline = gcd.directory.poll_at().expect("somebody is connected");
    assert!(deadline.since(gcd.now) > Duration::from_secs(6));
    while let Some(at) = gcd.directory.poll_at() {
        gcd.now = at;
        assert_eq!(gcd.directory.poll(at, &mut gcd.net), None);
    }
    assert_eq!(gcd.net.open_exchanges(), 0);
}
