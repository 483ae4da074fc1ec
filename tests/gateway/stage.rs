//! A chip, its gateway, the line between them and a group around them.

use core::cell::{RefCell, RefMut};
use core::time::Duration;
use std::rc::Rc;

use bully::wire::message_max;
use bully::{Addr, Buffers, Checked, Config, Event, Instant, Line as _, Link, Member, Node, Pid};
use bully_host::gateway::{Bridge, Chip, EXCHANGES_MAX, GatewayEvent};
use bully_tests::group::{Group, Guest, Port};
use bully_tests::people::{DIRECTORY, config, member};

use crate::line::{End, Wires};
use crate::watch::Way;

/// What the chip has room for.
pub(crate) const MEMBERS: usize = 16;
pub(crate) const EXCHANGES: usize = 8;
/// What the coordinator and the other members have.
pub(crate) const OTHERS: usize = 64;
const BYTES: usize = message_max(MEMBERS);

type ChipLink = Link<'static, End>;

/// A chip that is switched on.
enum Board {
    /// It does not know yet where it is.
    Starting(ChipLink),
    Running {
        instance: u32,
        node: Box<Node<MEMBERS, EXCHANGES>>,
        net: Checked<ChipLink, EXCHANGES>,
    },
}

/// A chip and its gateway, either of which may be off.
pub(crate) struct Remote {
    me: Member,
    pub(crate) wires: Rc<RefCell<Wires>>,
    gateway: Option<(Bridge<'static>, Checked<Port, EXCHANGES_MAX>)>,
    board: Option<Board>,
    session: u8,
    pub(crate) gateway_events: Vec<GatewayEvent>,
    pub(crate) events: Vec<(Instant, Event)>,
}

impl Remote {
    fn line(&self, to: Way) -> End {
        End {
            wires: Rc::clone(&self.wires),
            to,
        }
    }

    pub(crate) fn wires(&mut self) -> RefMut<'_, Wires> {
        self.wires.borrow_mut()
    }

    /// Switches the chip on, or off and on again.
    pub(crate) fn start_chip(&mut self) {
        // Few are started in one test.
        let buffers = Box::leak(Box::new(Buffers::<MEMBERS, EXCHANGES, BYTES>::new()));
        let link = Link::new(self.line(Way::ToChip), buffers);
        self.board = Some(Board::Starting(link));
    }

    pub(crate) fn stop_chip(&mut self) {
        self.board = None;
    }

    pub(crate) fn bridge(&self) -> &Bridge<'static> {
        &self.gateway.as_ref().expect("the gateway is on").0
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.gateway
            .as_ref()
            .is_some_and(|(_, net)| net.is_listening())
    }

    pub(crate) fn node(&self) -> Option<&Node<MEMBERS, EXCHANGES>> {
        match self.board.as_ref()? {
            Board::Starting(_) => None,
            Board::Running { node, .. } => Some(node),
        }
    }

    pub(crate) fn link(&self) -> Option<&ChipLink> {
        match self.board.as_ref()? {
            Board::Starting(link) => Some(link),
            Board::Running { net, .. } => Some(net.inner()),
        }
    }

    fn poll_board(&mut self, now: Instant) {
        let me = self.me;
        match self.board.as_mut() {
            None => {}
            Some(Board::Starting(link)) => {
                link.turn();
                if let Some(gateway) = link.gateway()
                    && let Some(Board::Starting(link)) = self.board.take()
                {
                    assert_eq!((gateway.addr, gateway.directory), (me.addr, DIRECTORY));
                    self.board = Some(Board::Running {
                        instance: gateway.instance,
                        node: Box::new(Node::new(config(me.pid.days))),
                        net: Checked::node(link, me),
                    });
                    self.poll_board(now);
                }
            }
            Some(Board::Running {
                instance,
                node,
                net,
            }) => {
                while let Some(event) = node.poll(now, net) {
                    net.note(event);
                    self.events.push((now, event));
                }
                let gateway = net.inner().gateway();
                if gateway.is_some_and(|gateway| gateway.instance != *instance) {
                    self.start_chip();
                }
            }
        }
    }
}

impl Guest for Remote {
    fn addr(&self) -> Addr {
        self.me.addr
    }

    fn poll(&mut self, now: Instant) {
        self.wires.borrow_mut().set_now(now);
        let mut line = self.line(Way::ToGateway);
        if let Some((bridge, net)) = &mut self.gateway {
            while let Some(event) = bridge.poll(now, net, &mut line) {
                self.gateway_events.push(event);
            }
            if self.session != bridge.session() {
                self.session = bridge.session();
                let mut wires = self.wires.borrow_mut();
                wires.watch(Way::ToGateway).begin(self.session);
            }
        }
        self.poll_board(now);
        // What comes to an end where nobody is, is lost.
        let mut sink = [0; 64];
        if self.board.is_none() {
            while self.line(Way::ToChip).read(&mut sink) > 0 {}
        }
        if self.gateway.is_none() {
            while self.line(Way::ToGateway).read(&mut sink) > 0 {}
        }
    }

    fn poll_at(&self) -> Option<Instant> {
        let gateway = self.gateway.as_ref().map(|(bridge, _)| bridge.poll_at());
        let node = self.node().and_then(Node::poll_at);
        let line = self.wires.borrow().next_at();
        [gateway, node, line].into_iter().flatten().min()
    }
}

/// A group with a chip in it.
pub(crate) struct Stage {
    pub(crate) group: Group<OTHERS, 16>,
    pub(crate) remote: Rc<RefCell<Remote>>,
    instance: u32,
}

impl Stage {
    /// A coordinator, and a chip and a gateway that are off. The chip has that many days.
    pub(crate) fn new(seed: u64, days: u32) -> Self {
        let mut group = Group::new(seed);
        let remote = Rc::new(RefCell::new(Remote {
            me: member(days),
            wires: Wires::new(),
            gateway: None,
            board: None,
            session: 0,
            gateway_events: Vec::new(),
            events: Vec::new(),
        }));
        group.invite(Rc::clone(&remote) as Rc<RefCell<dyn Guest>>);
        Self {
            group,
            remote,
            instance: seed as u32,
        }
    }

    /// Both on.
    pub(crate) fn on(seed: u64, days: u32) -> Self {
        let mut stage = Self::new(seed, days);
        stage.start_gateway();
        stage.remote.borrow_mut().start_chip();
        stage
    }

    /// Starts the gateway, or ends it without a word and starts another one.
    pub(crate) fn start_gateway(&mut self) {
        let addr = self.remote.borrow().me.addr;
        self.group.unplug(addr);
        let me = self.remote.borrow().me;
        let net = Checked::node(self.group.guest_port(addr), me);
        self.instance += 1;
        let chip = Chip {
            instance: self.instance,
            addr,
            directory: DIRECTORY,
        };
        let bridge = Bridge::new(Box::leak(Box::default()), chip);
        self.remote.borrow_mut().gateway = Some((bridge, net));
    }

    pub(crate) fn run(&mut self, millis: u64) {
        self.group.run(Duration::from_millis(millis));
    }

    /// Who leads according to each that is up; the chip is one of them while it is on.
    pub(crate) fn leaders(&self) -> Vec<(Pid, Option<Pid>)> {
        let mut leaders = self.group.leaders();
        let remote = self.remote.borrow();
        if remote.board.is_some() && remote.gateway.is_some() {
            let leader = remote.node().and_then(Node::leader);
            leaders.push((remote.me.pid, leader));
        }
        leaders
    }

    /// Whether all that are up name the greatest of them.
    pub(crate) fn agreed(&self) -> bool {
        let leaders = self.leaders();
        let greatest = leaders.iter().map(|(pid, _)| *pid).max();
        leaders.iter().all(|(_, leader)| *leader == greatest)
    }

    /// Runs until all agree; how long that took.
    #[track_caller]
    pub(crate) fn until_agreed(&mut self, within_ms: u64) -> u64 {
        let mut took = 0;
        while !self.agreed() {
            let leaders = self.leaders();
            assert!(took < within_ms, "after {took} ms: {leaders:?}");
            self.run(10);
            took += 10;
        }
        took
    }

    pub(crate) fn start(&mut self, days: u32) -> usize {
        self.group.start(Config {
            seed: u64::from(days) << 32 | self.group.now().as_micros(),
            ..config(days)
        })
    }
}
