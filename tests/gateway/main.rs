//! A chip and its gateway in memory, in virtual time: the core's link on one end of a line, the
//! host's bridge on the other, and a group of ordinary members around them.

mod attack; // a gateway, and a chip that a test speaks for
mod corrupt; // a thousand faults of the line
mod hostile; // whatever bytes a chip can send
mod large; // more members than the chip has entries for
mod line; // the line between them, and what it does to bytes
mod names; // hosts that the chip holds, and those it has forgotten
mod party; // a chip joins, leads, follows, is missed and comes back
mod stage; // a chip, its gateway and a group
mod watch; // no frame is taken for another
