//! Two runs side by side: what differs, and whether by more than chance.
//!
//! A side is cut into blocks of seconds. Blocks are drawn again and again with replacement (a block bootstrap: seconds next
//! to each other are alike), which says how much each figure varies by chance; the difference of two sides is judged by that.
//! p50, p95, the share of failures and, in an open loop, the rate decide, with Holm's correction for so many tries; p50 and
//! p95 by endpoint where there are several.
//!
//! Not here: reading files (`cli`), pages (`report`).

mod blocks;
mod bootstrap;
mod chance;
mod environment;
mod foreign;
mod pair;
mod side;
mod threshold;

pub use environment::unlike;
pub use foreign::{NotRead, k6, locust, oha};
pub use pair::compare;
pub use side::RunSide;
pub use threshold::{ChangeThreshold, judge, parse_threshold};
