//! Gates: what a run must hold for a pipeline to go on, in k6's grammar (`--threshold`).
//!
//! [`parse()`] makes a [`Threshold`] of a text, [`check`] says before a run whether it can have what the threshold asks for,
//! [`judge()`] compares it with the result. Counts are those of k6 and Locust: `http_reqs` and `http_req_failed` include
//! failures of this machine, so that a run whose source ports ran out does not pass; durations leave them out. A threshold
//! without samples fails: in k6 it passes without a word.
//!
//! Not here: tables, JUnit and Markdown (`report`), exit codes (`cli`).
//!
//! ```
//! use sockbench::testing::gates::{Figure, Metric, Test, parse};
//! let threshold = parse("http_req_duration{name:/io}:p(95)<250ms").unwrap();
//! assert_eq!((threshold.metric, threshold.only.name.as_deref()), (Metric::Duration, Some("/io")));
//! assert!(matches!(threshold.test, Test::Number { figure: Figure::Percentile(95.0), bound: 250.0, .. }));
//! ```

mod durations;
mod fits;
mod judge;
mod parse;
mod threshold;

pub use durations::Durations;
pub use fits::check;
pub use judge::{Actual, Judged, judge, needs_histogram};
pub use parse::{BadThreshold, parse, scan};
pub use threshold::{Figure, Metric, Operator, Test, Threshold, Unit};
