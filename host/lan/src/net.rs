//! What the core asks of a network, and what is reported to it.

use bully::{Addr, Exchange, Full, Incoming, Net, Refusal, Reply, Request, Roster};
use bully_pickle::{Ipv4, Table as _, port};
use smoltcp::phy::Device;

use crate::connection::Stage;
use crate::lan::Lan;
use crate::receiving::Report;

impl<D: Device> Net for Lan<'_, D> {
    fn open(&mut self, to: Addr, request: Request<'_>) -> Result<Exchange, Full> {
        let at = self.connect(Ipv4::ip(to), port(to), &request)?;
        Ok(number(at))
    }

    fn recv(&mut self) -> Option<(Exchange, Incoming<'_>)> {
        self.origin = None;
        let (at, report) = self.next_report()?;
        let list = match report {
            Report::Election
            | Report::Coordinator
            | Report::Probe
            | Report::Ok
            | Report::Members => {
                Roster::sorted(self.shared.members.as_mut_slice()).with_origin(self.origin)
            }
            _ => Roster::EMPTY,
        };
        let incoming = match report {
            Report::Accepted => Incoming::Accepted,
            Report::Sent => Incoming::Sent,
            Report::Join(member) => Incoming::Request(Request::Join(member)),
            Report::Election => Incoming::Request(Request::Election(list)),
            Report::Coordinator => Incoming::Request(Request::Coordinator(list)),
            Report::Probe => Incoming::Request(Request::Probe(list)),
            Report::Unfit(refusal) => Incoming::Unfit(refusal),
            Report::Ok => Incoming::Reply(Reply::Ok(list)),
            Report::Members => Incoming::Reply(Reply::Members(list)),
            Report::Refused => Incoming::Reply(Reply::Refused(Refusal::Other)),
            Report::Done => Incoming::Done,
            Report::Gone(gone) => Incoming::Gone(gone),
        };
        Some((number(at), incoming))
    }

    fn reply(&mut self, on: Exchange, reply: Reply<'_>) {
        let at = on.0 as usize;
        if self.stage(at) == Stage::Reported {
            self.answer(at, &reply);
        }
    }

    fn close(&mut self, exchange: Exchange) {
        let at = exchange.0 as usize;
        match self.stage(at) {
            Stage::Idle | Stage::Listening | Stage::Lingering => {}
            Stage::Connecting | Stage::Ending(Some(_)) => self.abort(at),
            Stage::Sending => {
                // What is left of it, if the socket takes it now.
                let _ = self.step(at);
                match self.stage(at) {
                    Stage::Sending | Stage::Ending(Some(_)) => self.abort(at),
                    _ => self.shut(at),
                }
            }
            _ => self.shut(at),
        }
    }

    fn set_listening(&mut self, on: bool) {
        self.set_listener(on);
    }
}

/// The number of an exchange is its connection's: there are far fewer than 32 bits count.
fn number(at: usize) -> Exchange {
    Exchange(at as u32)
}
