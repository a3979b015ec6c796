//! A command that somebody else wrote, as it looks from outside: which limit it hits, and when it will.
//!
//! ```text
//! observe::looker  ->  Look  ->  Course (what happened)  ->  WatchReport  ->  settle: findings, verdict
//!                         \-->  Teller (what will happen, in lines)
//! ```
//!
//! A rule reads the report alone, so that a stored one can be judged again. What only the command itself knows (answers,
//! latency) stays undecided. Pure: not here is looking (`observe`), nor reading what the command prints (`explain`).

mod cases;
mod course;
mod exposition;
mod forecast;
mod look;
mod named;
mod peak;
mod program;
mod refused;
mod rules;
mod rules_target;
mod seen;
mod settle;
mod stopping;
mod teller;
mod waited;

pub use course::{Course, End};
pub use exposition::{PortsNow, ports_metrics};
pub use look::{Look, ServerLook, Towards, TreeLook};
pub use named::named_addresses;
pub use program::program_of;
pub use settle::{findings, settle};
pub use stopping::Stopping;
