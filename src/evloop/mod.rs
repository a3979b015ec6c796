//! What the server's and the client's event loops share: the token of a slot, and the heap of deadlines. Pure: no poll,
//! no socket, no clock. The loops themselves are in [`server`](crate::server) and [`load`](crate::load).

mod deadlines;
mod token;

pub use deadlines::Deadlines;
pub use token::{Generation, SlotToken};
