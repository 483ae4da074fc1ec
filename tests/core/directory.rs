//! The group coordinator, by the rules of the published one.

use core::time::Duration;

use bully::{Addr, Directory, DirectoryEvent, Exchange, Instant, Member, Pid, Refusal};
use bully_tests::checked::Checked;
use bully_tests::owned::{Answer, Message, News};
use bully_tests::people::{at, member, members};
use bully_tests::script::Wire;

/// A coordinator with room for four, and the network played to it.
struct Gcd {
    directory: Directory<4, 4>,
    net: Checked<Wire>,
    now: Instant,
}

impl Gcd {
    fn new() -> Self {
        Self {
            directory: Directory::new(),
            net: Checked::directory(Wire::default(), 4),
            now: Instant::ZERO,
        }
    }

    fn tell(&mut self, exchange: Exchange, news: News) -> Vec<DirectoryEvent> {
        self.net.inner_mut().tell(Duration::ZERO, exchange, news);
        core::iter::from_fn(|| self.directory.poll(self.now, &mut self.net)).collect()
    }

    fn connect(&mut self) -> Exchange {
        let exchange = self.net.inner_mut().number();
        self.tell(exchange, News::Accepted);
        exchange
    }

    fn hear(&mut self, message: Message) -> (Answer, DirectoryEvent) {
        let exchange = self.connect();
        let event = self.tell(exchange, News::Request(message));
        let answer = self
            .net
            .inner()
            .answer_on(exchange)
            .expect("nobody is left without");
        (answer.1, event[0])
    }

    fn join(&mut self, member: Member) -> Answer {
        self.hear(Message::Join(member)).0
    }
}

#[test]
fn answers_with_everyone_who_ever_joined() {
    let mut gcd = Gcd::new();
    for known in 1..=3 {
        let (Answer::Members(told), event) = gcd.hear(Message::Join(member(known))) else {
            panic!("{known} was turned down");
        };
        // The others are what it is about; whether the newcomer is among them is free.
        let others: Vec<_> = told
            .into_iter()
            .filter(|other| *other != member(known))
            .collect();
        assert_eq!(others, members(1..known));
        assert_eq!(
            event,
            DirectoryEvent::Joined {
                member: member(known),
                members: known
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

#[test]
fn whoever_finds_no_room_is_told_so_and_those_inside_stay() {
    let mut gcd = Gcd::new();
    for days in 1..=4 {
        gcd.join(member(days));
    }
    assert_eq!(gcd.join(member(5)), Answer::Refused(Refusal::Full));
    assert_eq!(gcd.directory.roster().members(), members(1..=4));
    // Those inside may still come back, at another place too.
    assert!(matches!(gcd.join(member(3)), Answer::Members(_)));
    assert!(matches!(gcd.join(at(3, 9)), Answer::Members(_)));
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
        let (answer, event) = gcd.hear(message);
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
