//! The core under played networks, in virtual time: the protocol is the oracle.

mod assignment; // the rules of the assignment
mod checked; // the network that watches the rules of networks
mod directory; // the group coordinator
mod findings; // what was found wrong in use and in review
mod groups; // groups that come and go
mod hostile; // whatever the laws of a network allow
mod join; // getting into the group
mod laws; // what holds whatever the network does
mod manners; // what real peers depend on
mod resign; // a leader that leaves announces the next one
mod storms; // the five rules, and groups
mod table; // who stays when there is no room for all
