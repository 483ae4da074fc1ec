//! Messages and answers on their way out.

use core::net::Ipv4Addr;

use bully::{Full, Gone, Reply, Request};
use bully_pickle::Ipv4;
use bully_pickle::message::{self, Due};
use bully_pickle::writer::{self, OkForm, ProbeForm};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::Socket;
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use crate::arp;
use crate::connection::Stage;
use crate::encodings::{Key, Kind};
use crate::lan::{EPHEMERAL, Lan};
use crate::memory::Shared;

/// How long a connection may make no progress: longer than any deadline of the core's.
pub(crate) const SOCKET_WITHIN: Duration = Duration::from_secs(10);

impl<D: Device> Lan<'_, D> {
    pub(crate) fn connect(
        &mut self,
        ip: Ipv4Addr,
        port: u16,
        request: &Request<'_>,
    ) -> Result<usize, Full> {
        if !self.has_capacity() {
            return Err(Full);
        }
        let forms = self.config.forms;
        let (key, due) = match *request {
            Request::Join(_) => (None, Some(Due::Members)),
            Request::Election(list) => (Key::of(Kind::Election, list, true, forms), Some(Due::Ok)),
            Request::Coordinator(list) => (Key::of(Kind::Coordinator, list, true, forms), None),
            Request::Probe(list) => {
                let with_members = forms.probe_form() == ProbeForm::Members;
                (
                    Key::of(Kind::Probe, list, with_members, forms),
                    Some(Due::Ok),
                )
            }
        };
        let write = |out: &mut bully_pickle::Buffer<'_>| {
            writer::request(out, request, &forms, &Ipv4);
        };
        let out = self.shared.encodings.take(key, write).ok_or(Full)?;
        let Some(at) = self.free() else {
            self.shared.encodings.release(out);
            return Err(Full);
        };
        let ip = match self.config.loopback {
            stands_for if ip.is_loopback() => stands_for,
            _ => Some(ip),
        };
        self.next_port = self.next_port.checked_add(1).unwrap_or(EPHEMERAL);
        let local = self.next_port;
        let handle = self
            .connections
            .get(at)
            .and_then(|connection| connection.handle);
        let is_open = match (ip, handle) {
            (Some(ip), Some(handle)) => {
                arp::ask(&self.interface, &mut self.device, self.now, ip);
                let socket = self.sockets.get_mut::<Socket<'_>>(handle);
                socket.set_timeout(Some(SOCKET_WITHIN));
                let to = (IpAddress::Ipv4(ip), port);
                socket.connect(self.interface.context(), to, local).is_ok()
            }
            _ => false,
        };
        let stage = if is_open {
            Stage::Connecting
        } else {
            Stage::Ending(Some(Gone::Refused))
        };
        if let Some(connection) = self.connections.get_mut(at) {
            connection.begin(stage, due, false);
            connection.out = Some(out);
        }
        self.pending |= !is_open;
        Ok(at)
    }

    pub(crate) fn answer(&mut self, at: usize, reply: &Reply<'_>) {
        let forms = self.config.forms;
        let key = match *reply {
            Reply::Ok(list) => {
                let with_members = forms.ok_form() == OkForm::Members;
                Key::of(Kind::Ok, list, with_members, forms)
            }
            // A member gives no list of its own; each refusal has its own text.
            Reply::Members(_) | Reply::Refused(_) => None,
        };
        let Shared {
            encodings, reader, ..
        } = &mut self.shared;
        let is_held = self.read == Some(at);
        let out = encodings.take(key, |out| match *reply {
            Reply::Refused(refusal) if is_held => {
                let detail = message::detail(reader, refusal);
                writer::reply(out, reply, &forms, &Ipv4, Some(&detail));
            }
            _ => writer::reply(out, reply, &forms, &Ipv4, None),
        });
        if let Some(connection) = self.connections.get_mut(at) {
            connection.out = out;
            connection.sent = 0;
            connection.stage = match out {
                Some(_) => Stage::Sending,
                None => Stage::Ending(Some(Gone::Reset)),
            };
            self.pending = true;
        }
    }

    /// Hands the socket what it takes of a message. `None`: there is more.
    pub(crate) fn send(&mut self, at: usize) -> Option<Result<(), ()>> {
        let connection = self.connections.get_mut(at)?;
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle?);
        let whole = connection
            .out
            .map_or(&[][..], |out| self.shared.encodings.bytes(out));
        let rest = whole.get(connection.sent..).unwrap_or(&[]);
        match socket.send_slice(rest) {
            Ok(taken) => connection.sent += taken,
            Err(_) => return Some(Err(())),
        }
        (connection.sent >= whole.len()).then_some(Ok(()))
    }
}
