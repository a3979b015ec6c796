//! What a server is asked to be, fully resolved. Re-exported by [`plan`](super::plan).

use std::net::SocketAddr;
use std::time::Duration;

use super::pinning::Pinning;
use super::time::Secs;

/// Who ends a connection when the server does not keep it.
#[apply(lowercase)]
#[derive(Default, strum::EnumString)]
pub enum ServerCloser {
    /// the server sends its FIN after the answer
    #[default]
    Server,
    /// the server waits for the client's FIN, bounded in time, as the Flask development server's clients see it
    Client,
}

words!(ServerCloser);

/// The work of one `/cpu` job.
#[apply(snake_case)]
pub enum CpuWork {
    /// calibrate at start to this much CPU time on one core
    CalibrateS(#[serde(with = "Secs")] Duration),
    /// do exactly this many iterations
    Iterations(u64),
}

/// The server, resolved.
#[apply(record)]
pub struct ServerPlan {
    /// listen addresses, port 0 for a free one
    pub listen: Vec<SocketAddr>,
    /// admin listen address
    pub admin: Option<SocketAddr>,
    /// reactor threads; above one the listeners share the port by SO_REUSEPORT
    pub reactors: usize,
    /// which cores the reactors run on
    pub pin: Pinning,
    /// reactors look for events all the time instead of sleeping until the next one
    pub busy_poll: bool,
    /// threads of the blocking pool
    pub io_workers: usize,
    /// threads of the CPU pool
    pub cpu_workers: usize,
    /// pin each CPU worker to a core
    pub cpu_pin: bool,
    /// sleep of one `/io` job
    #[serde(rename = "io_sleep_s", with = "Secs")]
    pub io_sleep: Duration,
    /// work of one `/cpu` job
    pub cpu_work: CpuWork,
    /// jobs waiting per pool
    pub queue: usize,
    /// connections at once
    pub max_conns: usize,
    /// listen(2) backlog
    pub backlog: i32,
    /// keep connections
    pub keepalive: bool,
    /// who ends a connection that is not kept
    pub closer: ServerCloser,
    /// whole head, from its first byte
    #[serde(rename = "header_timeout_s", with = "Secs")]
    pub header_timeout: Duration,
    /// idle keep-alive connection
    #[serde(rename = "idle_timeout_s", with = "Secs")]
    pub idle_timeout: Duration,
    /// between two reads of a body
    #[serde(rename = "body_timeout_s", with = "Secs")]
    pub body_timeout: Duration,
    /// between two writes that make progress
    #[serde(rename = "write_timeout_s", with = "Secs")]
    pub write_timeout: Duration,
    /// from the first signal to the end
    #[serde(rename = "drain_timeout_s", with = "Secs")]
    pub drain_timeout: Duration,
    /// request head, bytes
    pub head_bytes: usize,
    /// request fields
    pub head_fields: usize,
    /// request target, bytes
    pub target_bytes: usize,
    /// request body, bytes
    pub body_bytes: u64,
}
