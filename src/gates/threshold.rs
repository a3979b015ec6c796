//! A threshold as a typed value: which figure of which metric, over what, against which bound.

use crate::model::result::{RunStamp, VerdictId};

/// One `--threshold`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// as it was written, without blanks at its ends
    pub text: String,
    /// what is measured
    pub metric: Metric,
    /// over which part of the run
    pub only: Selector,
    /// and what must hold
    pub test: Test,
}

impl Threshold {
    /// That the stamp is `valid`, in the words of `--fail-on-invalid`.
    pub fn valid_run() -> Self {
        Self {
            text: "validity==valid".into(),
            metric: Metric::Validity,
            only: Selector::default(),
            test: Test::Stamp { operator: Operator::Equal, stamp: RunStamp::Valid },
        }
    }
}

/// What is measured. The first six names are k6's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Metric {
    /// requests that ended at the target, failed ones included, milliseconds
    #[strum(serialize = "http_req_duration")]
    Duration,
    /// share of requests and local failures that failed
    #[strum(serialize = "http_req_failed")]
    Failed,
    /// requests and local failures
    #[strum(serialize = "http_reqs")]
    Requests,
    /// bytes of answers
    DataReceived,
    /// bytes of requests
    DataSent,
    /// requests that were due and never started
    #[strum(serialize = "dropped_iterations")]
    NeverStarted,
    /// failures of this machine
    LocalFailures,
    /// most source ports in use at once, of the pool
    PortsPeakShare,
    /// requests started of those that the rate asked for
    RateRatio,
    /// from the time at which a request was due until it began, milliseconds
    ScheduleLag,
    /// share of a core that the busiest load thread used
    ClientBusiestThread,
    /// the stamp of the run
    Validity,
    /// the id of the verdict
    Verdict,
}

impl Metric {
    /// Its name in an expression.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Figures that it has, as they are written.
    pub const fn figures(self) -> &'static str {
        match self {
            Self::Duration => "avg, min, med, max, p(N)",
            Self::ScheduleLag => "p(99), max",
            Self::Failed => "rate",
            Self::Requests | Self::DataReceived | Self::DataSent | Self::NeverStarted | Self::LocalFailures => "count, rate",
            Self::PortsPeakShare | Self::RateRatio | Self::ClientBusiestThread => "value, or nothing",
            Self::Validity | Self::Verdict => "none",
        }
    }

    /// Whether it has `figure`.
    pub fn has(self, figure: Figure) -> bool {
        match self {
            Self::Duration => !matches!(figure, Figure::Value | Figure::Count | Figure::Rate),
            Self::ScheduleLag => matches!(figure, Figure::Maximum | Figure::Percentile(99.0)),
            Self::Failed => figure == Figure::Rate,
            Self::Requests | Self::DataReceived | Self::DataSent | Self::NeverStarted | Self::LocalFailures => {
                matches!(figure, Figure::Count | Figure::Rate)
            }
            Self::PortsPeakShare | Self::RateRatio | Self::ClientBusiestThread => figure == Figure::Value,
            Self::Validity | Self::Verdict => false,
        }
    }

    /// What `figure` of it is counted in.
    pub const fn unit(self, figure: Figure) -> Unit {
        match (self, figure) {
            (Self::Duration | Self::ScheduleLag, _) => Unit::Milliseconds,
            (Self::DataReceived | Self::DataSent, Figure::Rate) => Unit::BytesPerSecond,
            (Self::DataReceived | Self::DataSent, _) => Unit::Bytes,
            (Self::Requests | Self::NeverStarted | Self::LocalFailures, Figure::Rate) => Unit::PerSecond,
            (Self::Requests | Self::NeverStarted | Self::LocalFailures, _) => Unit::Count,
            _ => Unit::Share,
        }
    }

    /// Tags that may narrow it.
    pub const fn tags(self) -> &'static [&'static str] {
        match self {
            Self::Duration => &["name", "method", "expected_response"],
            Self::Requests => &["name", "method", "status", "expected_response"],
            Self::Failed | Self::LocalFailures => &["name", "method"],
            _ => &[],
        }
    }
}

/// Which number of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// of something that has one only
    Value,
    /// how many
    Count,
    /// how many per second; of `http_req_failed` which share
    Rate,
    /// the mean
    Average,
    /// the shortest
    Minimum,
    /// half are below
    Median,
    /// the longest
    Maximum,
    /// so many of a hundred are below
    Percentile(f64),
}

/// What a number is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// ms
    Milliseconds,
    /// of one
    Share,
    /// a number of things
    Count,
    /// things per second
    PerSecond,
    /// bytes
    Bytes,
    /// bytes per second
    BytesPerSecond,
}

/// Over which part of a run; everything where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// the path of an endpoint
    pub name: Option<String>,
    /// the method of the requests
    pub method: Option<String>,
    /// the status of their answers
    pub status: Option<u16>,
    /// `expected_response`
    pub answered: Option<Answered>,
}

/// k6's tag `expected_response`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// `true`: answered with a status below 400
    Well,
    /// `false`: failed at the target
    Badly,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// a number against a bound in the unit of the figure
    Number {
        /// which
        figure: Figure,
        /// how
        operator: Operator,
        /// against what
        bound: f64,
    },
    /// the stamp
    Stamp {
        /// `Equal` or `Unequal`
        operator: Operator,
        /// the other side
        stamp: RunStamp,
    },
    /// the verdict
    Verdict {
        /// `Equal` or `Unequal`
        operator: Operator,
        /// the other side
        id: VerdictId,
    },
}

/// How two sides compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`, and k6's `===`
    Equal,
    /// `!=`
    Unequal,
}

impl Operator {
    /// Whether `left` and `right` compare so.
    pub fn holds<T: PartialOrd + Copy>(self, left: T, right: T) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}
