//! A network that does whatever the laws of `Net` allow, by dice, and a node driven through it.

use core::time::Duration;
use std::collections::BTreeMap;

use bully::{
    Addr, Checked, Config, Exchange, Feign, FeignMode, Full, Gone, Incoming, Instant, Member, Net,
    Node, Phase, Refusal, Reply, Request,
};
use bully_tests::group::Dice;
use bully_tests::owned::{Answer, Input, Kind, Message};
use bully_tests::people::{at, config, member};

/// What may still be reported of an exchange.
#[derive(Clone, Copy, Debug)]
struct ExchangeState {
    /// What the node asked, if it did.
    ours: Option<Kind>,
    /// What was asked of the node.
    asked: bool,
    sent: bool,
    /// An answer was given, by either side.
    replied: bool,
    over: bool,
}

/// The network: at most `budget` inputs are reported until the driver allows more.
#[derive(Debug)]
struct Hostile {
    dice: Dice,
    budget: u64,
    /// One in so many exchanges is refused for want of room.
    full_one_in: u64,
    states: BTreeMap<Exchange, ExchangeState>,
    lent_input: Option<Input>,
    log: Vec<String>,
}

impl Hostile {
    fn number(&self) -> Exchange {
        let free = (0..)
            .map(Exchange)
            .find(|number| !self.states.contains_key(number));
        free.expect("there are always numbers left")
    }

    fn members(&mut self) -> Vec<Member> {
        let len = self.dice.below(14);
        let anyone = |dice: &mut Dice| {
            let days = 1 + dice.below(30) as u32;
            // Now and then somebody has moved, now and then to an address that was another's.
            match dice.below(10) {
                0 => at(days, 50_000 + dice.below(5)),
                1 => at(days, 40_001 + dice.below(30)),
                _ => member(days),
            }
        };
        (0..len).map(|_| anyone(&mut self.dice)).collect()
    }

    fn message(&mut self) -> Message {
        match self.dice.below(8) {
            0..=2 => Message::Election(self.members()),
            3..=5 => Message::Coordinator(self.members()),
            6 => Message::Probe,
            _ if self.dice.below(2) == 0 => Message::Join(member(7)),
            _ => Message::Unfit(Refusal::Unexpected),
        }
    }

    fn end(&mut self) -> Input {
        match self.dice.below(4) {
            0 => Input::Done,
            1 => Input::Gone(Gone::Refused),
            2 => Input::Gone(Gone::Reset),
            _ => Input::Gone(Gone::Malformed),
        }
    }

    /// Something that may be reported of this exchange.
    fn next(&mut self, state: ExchangeState) -> Option<Input> {
        if state.over {
            return None;
        }
        if self.dice.below(6) == 0 {
            return Some(self.end());
        }
        match state {
            ExchangeState {
                ours: Some(_),
                sent: false,
                ..
            } => Some(Input::Sent),
            ExchangeState {
                ours: Some(kind),
                replied: false,
                ..
            } => match kind {
                Kind::Join if self.dice.below(3) == 0 => {
                    Some(Input::Reply(Answer::Refused(Refusal::Full)))
                }
                Kind::Join => Some(Input::Reply(Answer::Members(self.members()))),
                Kind::Election | Kind::Probe => Some(Input::Reply(Answer::Ok)),
                _ => None,
            },
            ExchangeState {
                ours: None,
                asked: false,
                ..
            } => Some(Input::Request(self.message())),
            ExchangeState {
                ours: None,
                replied: true,
                sent: false,
                ..
            } => Some(Input::Sent),
            _ => None,
        }
    }
}

impl Net for Hostile {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        if self.dice.below(self.full_one_in) == 0 {
            self.log.push("full".to_owned());
            return Err(Full);
        }
        let exchange = self.number();
        let message = Message::from(request);
        let ours = Some(message.kind());
        let state = ExchangeState {
            ours,
            asked: false,
            sent: false,
            replied: false,
            over: false,
        };
        self.states.insert(exchange, state);
        self.log
            .push(format!("{exchange:?} to {to:?}: {message:?}"));
        Ok(exchange)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        while self.budget > 0 {
            self.budget -= 1;
            if self.dice.below(4) == 0 {
                let exchange = self.number();
                let state = ExchangeState {
                    ours: None,
                    asked: false,
                    sent: false,
                    replied: false,
                    over: false,
                };
                self.states.insert(exchange, state);
                return Some((exchange, Incoming::Accepted));
            }
            let nth = self.dice.below(self.states.len().max(1) as u64) as usize;
            let Some((&exchange, &state)) = self.states.iter().nth(nth) else {
                continue;
            };
            let Some(input) = self.next(state) else {
                continue;
            };
            let state = self.states.get_mut(&exchange)?;
            match input {
                Input::Sent => state.sent = true,
                Input::Request(_) => state.asked = true,
                Input::Reply(_) => state.replied = true,
                Input::Done | Input::Gone(_) => state.over = true,
                Input::Accepted => {}
            }
            return Some((exchange, self.lent_input.insert(input).lend()));
        }
        None
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        self.states
            .get_mut(&on)
            .expect("Checked has looked")
            .replied = true;
        self.log
            .push(format!("{on:?} answered {:?}", Answer::from(reply)));
    }

    fn close(&mut self, exchange: Exchange) {
        self.states.remove(&exchange);
        self.log.push(format!("{exchange:?} closed"));
    }

    fn set_listening(&mut self, on: bool) {
        self.log.push(format!("listening: {on}"));
    }
}

/// When a node is polled besides whenever it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polling {
    /// Never.
    AsDue,
    /// Every millisecond, twice, and once with a time that has passed.
    AllTheTime,
}

/// A small node in the middle of hostile ones.
pub(crate) struct Run {
    node: Node<12, 8>,
    net: Checked<Hostile, 8>,
    me: Member,
    now: Instant,
    polling: Polling,
    /// Everything that was done, with the time.
    pub(crate) log: Vec<(Instant, String)>,
    unsettled_since: Option<(Phase, Instant)>,
}

impl Run {
    /// The seed chooses the figures too.
    pub(crate) fn new(seed: u64, polling: Polling) -> Self {
        let mut dice = Dice::new(seed);
        let mut config: Config = config(10 + dice.below(15) as u32);
        config.seed = dice.any();
        config.strict = dice.below(3) == 0;
        config.probing = dice.below(4) != 0;
        config.feign = match dice.below(4) {
            0 => Some(Feign::new(FeignMode::Close)),
            1 => Some(Feign::new(FeignMode::Ignore)),
            _ => None,
        };
        if dice.below(4) == 0 {
            config.directory = None;
        }
        let me = config.me;
        let net = Hostile {
            full_one_in: [5, 50, 5_000][dice.below(3) as usize],
            dice,
            budget: 0,
            states: BTreeMap::new(),
            lent_input: None,
            log: Vec::new(),
        };
        Self {
            node: Node::new(config),
            net: Checked::node(net, me),
            me,
            now: Instant::ZERO,
            polling,
            log: Vec::new(),
            unsettled_since: None,
        }
    }

    /// Lets the network do `steps` things, at times of its own.
    pub(crate) fn steps(&mut self, steps: u32) {
        let mut pace = Dice::new(u64::from(self.me.pid.days));
        for _ in 0..steps {
            // Mostly crowded moments, now and then a long silence.
            let pause = match pace.below(20) {
                0 => 9_000,
                1..=4 => 700,
                _ => 20,
            };
            let until = self.now + Duration::from_micros(pace.below(pause * 1_000));
            self.silence(until);
            self.net.inner_mut().budget = 1 + pace.below(8);
            self.poll(self.now);
            // What the node left unread does not come any more.
            self.net.inner_mut().budget = 0;
            self.poll(self.now);
        }
    }

    /// No input until then.
    fn silence(&mut self, until: Instant) {
        let millisecond = Duration::from_millis(1);
        loop {
            let due = self.node.poll_at().filter(|at| *at <= until);
            let next = match self.polling {
                Polling::AsDue => due.unwrap_or(until),
                Polling::AllTheTime => due.unwrap_or(until).min(self.now + millisecond),
            };
            self.now = next.max(self.now);
            self.poll(self.now);
            if self.polling == Polling::AllTheTime {
                self.poll(self.now);
                self.poll(Instant::from_micros(self.now.as_micros() / 2));
            }
            if next >= until {
                return;
            }
        }
    }

    fn poll(&mut self, now: Instant) {
        for count in 0.. {
            assert!(count < 1_000, "one moment goes on for ever");
            let event = self.node.poll(now, &mut self.net);
            let did = self
                .net
                .inner_mut()
                .log
                .drain(..)
                .map(|did| (self.now, did));
            self.log.extend(did);
            let Some(event) = event else { break };
            self.net.note(event);
            self.log.push((self.now, format!("{event:?}")));
        }
        self.look();
    }

    /// What holds whenever the node has nothing to do.
    fn look(&mut self) {
        let members = self.node.roster().members();
        assert!(members.is_sorted_by(|a, b| a < b), "{members:?}");
        assert!(members.contains(&self.me), "I am not in {members:?}");
        if let Some(leader) = self.node.leader() {
            assert!(
                members.iter().any(|member| member.pid == leader),
                "{leader:?} leads and is not in {members:?}"
            );
            assert!(leader >= self.me.pid, "a lesser one leads");
        }
        if let Some(at) = self.node.poll_at() {
            assert!(at > self.now, "poll_at is {at:?} at {:?}", self.now);
        }
        let phase = self.node.phase();
        let unsettled = matches!(phase, Phase::Electing | Phase::Waiting | Phase::Failed);
        if unsettled {
            assert!(self.node.poll_at().is_some(), "{phase:?} has no deadline");
        }
        match self.unsettled_since {
            Some((same, since)) if same == phase => {
                let lasted = self.now.since(since);
                assert!(
                    lasted < Duration::from_secs(60),
                    "{phase:?} since {since:?}"
                );
            }
            _ => self.unsettled_since = unsettled.then_some((phase, self.now)),
        }
    }
}
