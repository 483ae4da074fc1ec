//! The member's address: fixed, or by DHCP.

use core::net::Ipv4Addr;

use smoltcp::wire::{IpAddress, IpCidr};

use crate::network::Network;
use crate::settings::Fixed;

/// The address, and who gave it.
#[derive(Debug)]
pub(crate) struct Address {
    given: Option<Fixed>,
    #[cfg(feature = "dhcp")]
    client: Option<smoltcp::iface::SocketHandle>,
}

impl Address {
    /// The fixed one, or one that is asked for by DHCP from now on.
    pub(crate) fn new(lan: &mut Network, fixed: Option<Fixed>) -> Self {
        if let Some(fixed) = fixed {
            assign(lan, fixed);
        }
        #[cfg(feature = "dhcp")]
        let client = fixed.is_none().then(|| {
            let socket = smoltcp::socket::dhcpv4::Socket::new();
            lan.sockets_mut().add(socket)
        });
        Self {
            given: fixed,
            #[cfg(feature = "dhcp")]
            client,
        }
    }

    /// The address; 0.0.0.0 while it is awaited.
    pub(crate) fn ip(&self) -> Ipv4Addr {
        self.given.map_or(Ipv4Addr::UNSPECIFIED, |given| given.ip)
    }

    /// Returns `true` until an address has been given.
    pub(crate) fn is_awaited(&mut self, lan: &mut Network) -> bool {
        if self.given.is_none()
            && let Some(Some(given)) = self.news(lan)
        {
            assign(lan, given);
            self.given = Some(given);
        }
        self.given.is_none()
    }

    /// Returns `true` if it was withdrawn, or another one was given.
    pub(crate) fn has_changed(&mut self, lan: &mut Network) -> bool {
        let news = self.news(lan);
        news.is_some_and(|given| given.map(|given| given.ip) != self.given.map(|given| given.ip))
    }

    /// What the DHCP server has given since the last call; `Some(None)`: nothing any more.
    #[cfg(feature = "dhcp")]
    fn news(&self, lan: &mut Network) -> Option<Option<Fixed>> {
        use smoltcp::socket::dhcpv4::{Event, Socket};
        match lan
            .sockets_mut()
            .get_mut::<Socket<'_>>(self.client?)
            .poll()?
        {
            Event::Configured(given) => Some(Some(Fixed {
                ip: given.address.address(),
                prefix: given.address.prefix_len(),
                gateway: given.router,
            })),
            Event::Deconfigured => Some(None),
        }
    }

    #[cfg(not(feature = "dhcp"))]
    #[expect(clippy::unused_self, reason = "with DHCP it asks its socket")]
    fn news(&self, _: &mut Network) -> Option<Option<Fixed>> {
        None
    }
}

/// Makes it the interface's.
fn assign(lan: &mut Network, given: Fixed) {
    let interface = lan.interface_mut();
    interface.update_ip_addrs(|addrs| {
        addrs.clear();
        // There is capacity for one, or smoltcp would be of no use.
        let _ = addrs.push(IpCidr::new(IpAddress::Ipv4(given.ip), given.prefix));
    });
    if let Some(gateway) = given.gateway {
        // There is capacity for one.
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
    }
}
