//! A row of the error table of a run result: one kind of failure at one endpoint, with its typed cause. Re-exported by
//! [`result`](super::result), whose document it is part of.

use super::outcome::{Call, Cause, EADDRINUSE, EADDRNOTAVAIL, Failure, Party, Phase};
use super::plan::PortChoice;
use super::received::{LimitHit, Received};

/// One kind of failure at one endpoint.
#[apply(record)]
#[allow(missing_docs, reason = "contract keys")]
pub struct ErrorRow {
    pub call: Call,
    /// null when no system call gave one
    pub errno: Option<i32>,
    pub name: String,
    pub port_choice: PortChoice,
    pub port_bound: bool,
    pub reused: bool,
    /// null when Windows has no counterpart
    pub windows_code: Option<i32>,
    pub message: String,
    pub method: String,
    pub endpoint: String,
    /// additive: our own machine's failure
    pub local: bool,
    /// additive: the typed cause; null for the row that sums further kinds
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// additive: where in the exchange it failed, where that is known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// additive: who is responsible, as far as call and errno say
    #[serde(default)]
    pub party: Party,
    /// additive: connect(2) had gone on without an error, and this came later, through SO_ERROR
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub so_error: bool,
    /// additive: of the first failure of this row, what was received: the line that is wrong, or the first bytes; escaped,
    /// at most 80 characters; absent where nothing was
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bytes: Option<String>,
    /// additive: of the first failure of this row, what was known of the answer; absent where none had begun
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Received>,
    /// additive: of the first failure of this row, the fields that say when the target takes more: Retry-After, RateLimit-*,
    /// X-RateLimit-*; escaped; absent where none came
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_fields: Option<String>,
    /// additive: the limit of sockbench's own that the answer passed (party `sockbench`)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitHit>,
    pub count: u64,
    pub first_s: f64,
    pub last_s: f64,
}

/// A failure for lack of a local port (docs/JSON.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPort {
    /// the pool towards the destination was used up: connect 99 where the kernel picks at connect, bind 98 where it
    /// picks at bind
    Exhausted,
    /// one particular port was in use: bind 98 or connect 99 after an explicit choice, connect 99 after bind(ip,0)
    Busy,
}

impl ErrorRow {
    /// The failure that this row counts; none for the row that sums further kinds. A document from before `cause` was
    /// stored has it where the errno says it.
    pub fn failure(&self) -> Option<Failure> {
        let cause = self.cause.or(self.errno.map(Cause::Errno))?;
        Some(Failure { call: self.call, cause, port_bound: self.port_bound, reused: self.reused, so_error: self.so_error })
    }

    /// Which lack of a port this is, if any. The errno alone does not say: bind 98 looks alike in both.
    pub fn no_port(&self) -> Option<NoPort> {
        if self.cause == Some(Cause::NoAddress) {
            return None;
        }
        match (self.call, self.errno?, self.port_choice) {
            (Call::Connect, EADDRNOTAVAIL, PortChoice::KernelAtConnect) | (Call::Bind, EADDRINUSE, PortChoice::KernelAtBind) => {
                Some(NoPort::Exhausted)
            }
            (Call::Bind, EADDRINUSE, PortChoice::Explicit)
            | (Call::Connect, EADDRNOTAVAIL, PortChoice::Explicit | PortChoice::KernelAtBind) => Some(NoPort::Busy),
            _ => None,
        }
    }
}
