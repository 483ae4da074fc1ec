//! The watched network: every breach it is there for, made on purpose.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use bully::{
    Addr, Checked, Event, Exchange, Full, Gone, Incoming, Member, Net, Origin, Refusal, Reply,
    Request, Roster,
};
use bully_tests::owned::{Answer, Input, Message};
use bully_tests::people::{DIRECTORY, member, members, pid};

/// A network that reports what it is given to, and opens exchanges by the number it is given.
#[derive(Default)]
struct Played {
    next: u32,
    input: Vec<(Exchange, Input)>,
    lent: Option<Input>,
}

impl Net for Played {
    fn open(&mut self, _: Addr, _: Request<'_>) -> Result<Exchange, Full> {
        Ok(Exchange(self.next))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let (exchange, input) = self.input.pop()?;
        Some((exchange, self.lent.insert(input).lend()))
    }

    fn reply(&mut self, _: Exchange, _: Reply<'_>) {}

    fn close(&mut self, _: Exchange) {}

    fn set_listening(&mut self, _: bool) {}
}

type Net4 = Checked<Played, 4>;

const ME: Member = member(5);

/// Who is asked, and whom to.
const GREATER: Member = member(9);

trait Steps {
    fn open_as(&mut self, number: u32, to: Addr, request: Request<'_>);
    fn ask(&mut self, number: u32, request: Request<'_>);
    fn report(&mut self, number: u32, input: Input);
    fn asked(&mut self, number: u32, message: Message);
}

impl Steps for Net4 {
    fn open_as(&mut self, number: u32, to: Addr, request: Request<'_>) {
        self.inner_mut().next = number;
        assert_eq!(self.open(to, request), Ok(Exchange(number)));
    }

    fn ask(&mut self, number: u32, request: Request<'_>) {
        self.open_as(number, GREATER.addr, request);
    }

    fn report(&mut self, number: u32, input: Input) {
        self.inner_mut().input = vec![(Exchange(number), input)];
        assert!(self.recv().is_some());
    }

    fn asked(&mut self, number: u32, message: Message) {
        self.report(number, Input::Accepted);
        self.report(number, Input::Request(message));
    }
}

const PROBE: Request<'_> = Request::Probe(Roster::EMPTY);
const OK: Reply<'_> = Reply::Ok(Roster::EMPTY);

/// What is wrong, who broke which rule, and how.
type Case = (&'static str, &'static str, fn(&mut Net4));

#[rustfmt::skip] // a case beside the next
const BY_THE_CORE: &[Case] = &[
    ("more open than slots", "core, rule a", |net| {
        for number in 1..6 { net.ask(number, PROBE); }
    }),
    ("one more accepted and kept", "core, rule a", |net| {
        for number in 1..5 { net.ask(number, PROBE); }
        net.report(7, Input::Accepted);
        net.report(1, Input::Sent);
    }),
    ("closes what is not open", "core, rule b", |net| net.close(Exchange(1))),
    ("closes twice", "core, rule b", |net| {
        net.ask(1, PROBE);
        net.close(Exchange(1));
        net.close(Exchange(1));
    }),
    ("answers what is not open", "core, rule c", |net| net.reply(Exchange(1), OK)),
    ("answers its own message", "core, rule c", |net| {
        net.ask(1, PROBE);
        net.reply(Exchange(1), OK);
    }),
    ("answers before the request", "core, rule c", |net| {
        net.report(1, Input::Accepted);
        net.reply(Exchange(1), OK);
    }),
    ("answers twice", "core, rule c", |net| {
        net.asked(1, Message::Probe);
        net.reply(Exchange(1), OK);
        net.reply(Exchange(1), OK);
    }),
    ("answers COORDINATOR", "core, rule c", |net| {
        net.asked(1, Message::Coordinator(members([9])));
        net.reply(Exchange(1), OK);
    }),
    ("a member refuses", "core, rule c", |net| {
        net.asked(1, Message::Join(GREATER));
        net.reply(Exchange(1), Reply::Refused(Refusal::Full));
    }),
    ("connects to itself", "core, rule d", |net| net.open_as(1, ME.addr, PROBE)),
    ("joins for another", "core, rule e", |net| {
        net.open_as(1, DIRECTORY, Request::Join(GREATER));
    }),
    ("ELECTION without itself", "core, rule e", |net| {
        net.ask(1, Request::Election(Roster::new(&[GREATER]).unwrap()));
    }),
    ("ELECTION to a lesser one", "core, rule e", |net| {
        let list = [member(3), ME];
        let list = Roster::new(&list).unwrap().with_revision(1);
        net.open_as(1, member(3).addr, Request::Election(list));
    }),
    ("an empty COORDINATOR", "core, rule e", |net| {
        net.ask(1, Request::Coordinator(Roster::EMPTY));
    }),
    ("announces another with its table", "core, rule e", |net| {
        let list = [ME, GREATER];
        let list = Roster::new(&list).unwrap().with_revision(1);
        net.ask(1, Request::Coordinator(list));
    }),
    ("another's origin", "core, rule e", |net| {
        let origin = Origin { pid: pid(7), large: false, leads: false };
        net.ask(1, Request::Probe(Roster::EMPTY.with_origin(Some(origin))));
    }),
    ("opens while it feigns failure", "core, rule f", |net| {
        net.note(Event::Failed { length: core::time::Duration::ZERO });
        net.ask(1, PROBE);
    }),
    ("opens while it does not listen", "core, rule f", |net| {
        net.set_listening(false);
        net.ask(1, PROBE);
    }),
    ("answers while it does not listen", "core, rule f", |net| {
        net.asked(1, Message::Probe);
        net.set_listening(false);
        net.reply(Exchange(1), OK);
    }),
    ("a composed list of seventeen", "core, rule g", |net| {
        let list: Vec<_> = (5..22).map(member).collect();
        net.ask(1, Request::Election(Roster::new(&list).unwrap()));
    }),
    ("another table at the same revision", "core, rule g", |net| {
        for list in [[ME, member(8)], [ME, GREATER]] {
            let list = Roster::new(&list).unwrap().with_revision(1);
            net.ask(list.members()[1].pid.days, Request::Probe(list));
        }
    }),
];

#[rustfmt::skip] // a case beside the next
const BY_THE_NETWORK: &[Case] = &[
    ("one number for two", "network, rule 3", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Accepted);
    }),
    ("Sent twice", "network, rule 4", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Sent);
        net.report(1, Input::Sent);
    }),
    ("Sent after the answer", "network, rule 4", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Reply(Answer::Ok));
        net.report(1, Input::Sent);
    }),
    ("Sent before there is an answer", "network, rule 4", |net| {
        net.asked(1, Message::Probe);
        net.report(1, Input::Sent);
    }),
    ("a second request", "network, rule 4", |net| {
        net.asked(1, Message::Probe);
        net.report(1, Input::Request(Message::Probe));
    }),
    ("something else after the request", "network, rule 4", |net| {
        net.asked(1, Message::Probe);
        net.report(1, Input::Request(Message::Unfit(Refusal::NotAMessage)));
    }),
    ("a request in place of an answer", "network, rule 4", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Request(Message::Probe));
    }),
    ("an answer in place of a request", "network, rule 4", |net| {
        net.report(1, Input::Accepted);
        net.report(1, Input::Reply(Answer::Ok));
    }),
    ("a second answer", "network, rule 4", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Reply(Answer::Ok));
        net.report(1, Input::Reply(Answer::Ok));
    }),
    ("an answer after the end", "network, rule 5", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Done);
        net.report(1, Input::Reply(Answer::Ok));
    }),
    ("two ends", "network, rule 5", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Gone(Gone::Reset));
        net.report(1, Input::Done);
    }),
    ("input of what is closed", "network, rule 6", |net| {
        net.ask(1, PROBE);
        net.close(Exchange(1));
        net.report(1, Input::Sent);
    }),
    ("input of what never was", "network, rule 6", |net| net.report(1, Input::Done)),
    ("OK to COORDINATOR", "network, rule 7", |net| {
        net.ask(1, Request::Coordinator(Roster::new(&[ME]).unwrap()));
        net.report(1, Input::Reply(Answer::Ok));
    }),
    ("members for a PROBE", "network, rule 7", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Reply(Answer::Members(members([9]))));
    }),
    ("PROBE is refused", "network, rule 7", |net| {
        net.ask(1, PROBE);
        net.report(1, Input::Reply(Answer::Refused(Refusal::Full)));
    }),
];

fn breach(run: fn(&mut Net4)) -> String {
    let mut net = Net4::node(Played::default(), ME);
    let panicked = catch_unwind(AssertUnwindSafe(|| run(&mut net)));
    let payload = panicked.expect_err("nothing was noticed");
    payload
        .downcast::<String>()
        .map(|text| *text)
        .or_else(|payload| payload.downcast::<&str>().map(|text| (*text).to_owned()))
        .expect("a sentence")
}

#[test]
fn every_breach_is_noticed_and_named_by_side_and_rule() {
    for (what, rule, run) in BY_THE_CORE.iter().chain(BY_THE_NETWORK) {
        let said = breach(*run);
        assert!(said.starts_with(&format!("{rule}: ")), "{what}: {said}");
    }
}

#[test]
fn a_coordinator_sends_probe_only_and_may_refuse() {
    let sends = || {
        let mut net = Net4::directory(Played::default());
        net.ask(1, Request::Join(ME));
    };
    assert!(catch_unwind(sends).is_err());
    let mut net = Net4::directory(Played::default());
    net.ask(1, PROBE);
    net.asked(2, Message::Election(members([5])));
    net.reply(Exchange(2), Reply::Refused(Refusal::Unexpected));
}

#[test]
fn what_the_rules_allow_passes() {
    let mut net = Net4::node(Played::default(), ME);
    // A whole life of every slot, the numbers used again at once.
    for _ in 0..3 {
        let list = [ME, GREATER];
        let list = Roster::new(&list).unwrap().with_revision(1);
        net.ask(1, Request::Election(list));
        net.report(1, Input::Sent);
        net.report(1, Input::Reply(Answer::Ok));
        net.report(1, Input::Done);
        net.ask(2, PROBE);
        net.report(2, Input::Reply(Answer::Ok));
        net.asked(3, Message::Probe);
        net.report(3, Input::Done);
        net.reply(Exchange(3), OK);
        net.report(4, Input::Accepted);
        // There is no slot for this one.
        net.report(5, Input::Accepted);
        assert_eq!(net.open_exchanges(), 5);
        net.close(Exchange(5));
        for number in 1..5 {
            net.close(Exchange(number));
        }
        assert_eq!(net.open_exchanges(), 0);
    }
    // In a group larger than its table it relays who leads, and asks whom its list leaves out.
    let relayed = [member(3), GREATER];
    net.ask(1, Request::Coordinator(Roster::new(&relayed).unwrap()));
    net.ask(2, Request::Election(Roster::new(&[ME]).unwrap()));
    // A leader that resigns does not listen any more, and announces the others.
    net.set_listening(false);
    let others = [member(3)];
    net.ask(3, Request::Coordinator(Roster::new(&others).unwrap()));
    assert!(!net.is_listening());
}
