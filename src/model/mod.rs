//! Plain data: what was asked ([`plan`]), what happened to one request ([`outcome`]), what was seen
//! ([`facts`]), what a run came to ([`result`]) and what it means ([`finding`]).
//!
//! Not here: anything that computes over time, reads a clock or talks to the OS. Derived figures that two
//! renderers need are methods on these types, so that no two renderers compute the same figure twice.

/// Gives kinds that strum knows the words of (`IntoStaticStr`) a method for it.
macro_rules! words {
    ($($kind:ty),*) => {
        $(impl $kind {
            /// Its word in reports, JSON and flags.
            pub fn word(self) -> &'static str {
                self.into()
            }
        })*
    };
}

pub mod address;
pub mod body;
pub mod budget;
mod closes;
pub mod comparison;
pub mod course;
pub mod document;
pub mod environment;
pub mod errno;
mod error_row;
pub mod explanation;
pub mod facts;
pub mod figures;
pub mod finding;
pub mod forecast;
mod latency;
pub mod limits;
pub mod metrics;
pub mod observed;
pub mod order;
pub mod outcome;
pub mod pinning;
pub mod plan;
pub mod port_count;
pub mod port_mode;
pub mod ports_report;
pub mod prediction;
pub mod protocol_fault;
pub mod received;
pub mod rehearsal;
pub mod result;
pub mod series;
pub mod server_flags;
mod server_plan;
pub mod stalls;
pub mod start;
mod step;
pub mod study;
pub mod time;
pub mod units;
pub mod validity;
pub mod verdict;
pub mod watch;
