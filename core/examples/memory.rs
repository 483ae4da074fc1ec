//! A network in memory: three nodes and their coordinator elect, in virtual time.
//!
//! `cargo run -p bully --example memory --features checked`
//!
//! The network comes first, and the group below it. The greatest of the three crashes after five
//! seconds, and the next one leads.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use bully::*;

/// What lies between the nodes.
#[derive(Default)]
struct Wires {
    listening: BTreeSet<Addr>,
    /// What is to be fetched at each address.
    inputs: BTreeMap<Addr, VecDeque<(Exchange, Input)>>,
    /// The other end of each exchange.
    peers: BTreeMap<End, End>,
    exchanges: u32,
}

type End = (Addr, Exchange);

/// An [`Incoming`] that waits. A [`Roster`] is lent for one call only, so this has a list of its own.
struct Input {
    list: Vec<Member>,
    lend: Lend,
}

type Lend = Box<dyn Fn(Roster<'_>) -> Incoming<'_>>;

impl Wires {
    fn push(&mut self, (addr, exchange): End, list: &[Member], lend: Lend) {
        let list = list.to_vec();
        let inputs = self.inputs.entry(addr).or_default();
        inputs.push_back((exchange, Input { list, lend }));
    }

    fn end(&mut self, addr: Addr) -> End {
        self.exchanges += 1;
        (addr, Exchange(self.exchanges))
    }
}

/// The network as one node sees it.
struct Port {
    addr: Addr,
    wires: Rc<RefCell<Wires>>,
    /// What was fetched last: its list is lent until the next call.
    lent: Option<Input>,
}

impl Net for Port {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let mut wires = self.wires.borrow_mut();
        let ours = wires.end(self.addr);
        if !wires.listening.contains(&to) {
            wires.push(ours, &[], Box::new(|_| Incoming::Gone(Gone::Refused)));
            return Ok(ours.1);
        }
        let theirs = wires.end(to);
        wires.peers.insert(ours, theirs);
        wires.peers.insert(theirs, ours);
        let (list, lend): (&[Member], Lend) = match request {
            Request::Join(me) => (&[], Box::new(move |_| Incoming::Request(Request::Join(me)))),
            Request::Election(list) => (
                list.members(),
                Box::new(|list| Incoming::Request(Request::Election(list))),
            ),
            Request::Coordinator(list) => (
                list.members(),
                Box::new(|list| Incoming::Request(Request::Coordinator(list))),
            ),
            Request::Probe(_) => (
                &[],
                Box::new(|list| Incoming::Request(Request::Probe(list))),
            ),
        };
        wires.push(theirs, &[], Box::new(|_| Incoming::Accepted));
        wires.push(theirs, list, lend);
        wires.push(ours, &[], Box::new(|_| Incoming::Sent));
        Ok(ours.1)
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        let mut wires = self.wires.borrow_mut();
        let (exchange, input) = wires.inputs.get_mut(&self.addr)?.pop_front()?;
        let input = self.lent.insert(input);
        Some((exchange, (input.lend)(Roster::sorted(&mut input.list))))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let mut wires = self.wires.borrow_mut();
        let Some(asker) = wires.peers.get(&(self.addr, on)).copied() else {
            return;
        };
        let (list, lend): (&[Member], Lend) = match reply {
            Reply::Ok(_) => (&[], Box::new(|list| Incoming::Reply(Reply::Ok(list)))),
            Reply::Members(list) => (
                list.members(),
                Box::new(|list| Incoming::Reply(Reply::Members(list))),
            ),
            Reply::Refused(why) => (&[], Box::new(move |_| Incoming::Reply(Reply::Refused(why)))),
        };
        wires.push(asker, list, lend);
        wires.push((self.addr, on), &[], Box::new(|_| Incoming::Sent));
    }

    fn close(&mut self, exchange: Exchange) {
        let mut wires = self.wires.borrow_mut();
        if let Some(inputs) = wires.inputs.get_mut(&self.addr) {
            inputs.retain(|(of, _)| *of != exchange);
        }
        if let Some(other) = wires.peers.remove(&(self.addr, exchange)) {
            wires.peers.remove(&other);
            wires.push(other, &[], Box::new(|_| Incoming::Done));
        }
    }

    fn set_listening(&mut self, on: bool) {
        let listening = &mut self.wires.borrow_mut().listening;
        if on {
            listening.insert(self.addr);
        } else {
            listening.remove(&self.addr);
        }
    }
}

const COORDINATOR: Addr = Addr(100);

fn main() {
    let wires = Rc::new(RefCell::new(Wires::default()));
    let port = |addr| {
        let (wires, lent) = (Rc::clone(&wires), None);
        wires.borrow_mut().listening.insert(addr);
        Port { addr, wires, lent }
    };
    let mut directory = Directory::<8, 8>::new();
    let mut directory_net = Checked::<_, 8>::directory(port(COORDINATOR));
    let mut nodes: Vec<_> = (1..=3)
        .map(|number| {
            let pid = Pid {
                days: 100 * number,
                id: 1_000_000 + number,
            };
            let addr = Addr(u64::from(number));
            let mut config = Config::new(Member { pid, addr });
            config.directory = Some(COORDINATOR);
            let net = Checked::<_, 8>::node(port(addr), config.me);
            (Node::<8, 8>::new(config), net)
        })
        .collect();

    for ms in 0..10_000 {
        let now = Instant::ZERO + Duration::from_millis(ms);
        if ms == 5_000 {
            assert!(nodes.iter().all(|(node, _)| leads(node, 300)));
            let crashed = nodes.pop().map(|(_, net)| net.inner().addr);
            wires
                .borrow_mut()
                .listening
                .retain(|up| Some(*up) != crashed);
        }
        while directory.poll(now, &mut directory_net).is_some() {}
        for (node, net) in &mut nodes {
            while let Some(event) = node.poll(now, net) {
                net.note(event);
                println!("{ms:>5} ms  node {}  {event:?}", net.inner().addr.0);
            }
        }
    }
    assert!(nodes.iter().all(|(node, _)| leads(node, 200)));
}

/// Returns `true` if `node` takes the process with so many days for the leader.
fn leads(node: &Node<8, 8>, days: u32) -> bool {
    node.leader().is_some_and(|leader| leader.days == days)
}
