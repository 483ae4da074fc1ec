//! A chip's gateway: sockets on one side, a serial line to a [`Link`](bully::Link) on the other.
//!
//! Everything here is a state machine like the core's: bytes come from a [`Line`](bully::Line),
//! messages from a [`Net`](bully::Net), time is an argument. The format on the line is described
//! in [`bully::wire`].

mod bridge;
mod calls;
mod held;
mod kept;
mod session;
mod standing;

pub use bridge::{Bridge, Chip, GatewayEvent};
pub use calls::EXCHANGES_MAX;
pub use session::{Lost, MEMBERS_MAX, Memory};
pub use standing::{Doing, Followed, Standing};
