//! Every limit of the program with its default, in one place: `--help`, the plan and the docs print these.

use std::time::Duration;

/// Connections one server accepts at once; further ones wait in the kernel's backlog.
pub const MAX_CONNS: usize = 10_000;
/// listen(2) backlog of the server (the kernel clamps it to net.core.somaxconn).
pub const LISTEN_BACKLOG: i32 = 4096;
/// Longest request or response head, bytes, start line included (431).
pub const HEAD_BYTES: usize = 32 * 1024;
/// Most header fields in one head (431).
pub const HEAD_FIELDS: usize = 100;
/// Most that `--head-bytes` takes.
pub const HEAD_BYTES_MAX: usize = 1 << 20;
/// Most that `--head-fields` takes: they are parsed into room on the stack.
pub const HEAD_FIELDS_MAX: usize = 256;
/// Longest request target, bytes (414).
pub const TARGET_BYTES: usize = 8 * 1024;
/// Longest request body the server skips, bytes (413).
pub const BODY_BYTES: u64 = 16 * 1024 * 1024;
/// Longest file that `--body @FILE` reads, bytes.
pub const BODY_FILE_BYTES: usize = 16 * 1024 * 1024;
/// Longest response head the client reads, bytes: what curl takes.
pub const RESPONSE_HEAD_BYTES: usize = 300 * 1024;
/// Most that `--head-bytes` of a load takes: each connection may keep that much.
#[allow(dead_code, reason = "for the flags of load")]
pub const RESPONSE_HEAD_BYTES_MAX: usize = 16 << 20;
/// Most fields of one response head: what curl takes.
pub const RESPONSE_HEAD_FIELDS: usize = 5000;
/// Most that `--head-fields` of a load takes.
#[allow(dead_code, reason = "for the flags of load")]
pub const RESPONSE_HEAD_FIELDS_MAX: usize = 100_000;
/// Longest response body the client reads, bytes.
pub const RESPONSE_BODY_BYTES: u64 = 1 << 30;
/// Longest chunk extension, bytes (400).
pub const CHUNK_EXT_BYTES: usize = 1024;
/// Most bytes of trailers after a chunked body (400).
pub const TRAILER_BYTES: usize = 8 * 1024;
/// Empty lines tolerated before a request line (RFC 9112 section 2.2).
pub const LEADING_BLANK_LINES: usize = 2;
/// Bytes of answers that may wait in one connection before reading from it stops.
pub const WRITE_HIGH_WATER: usize = 64 * 1024;
/// Bytes read from one connection in one loop turn.
pub const READ_BUDGET: usize = 64 * 1024;
/// Connections accepted in one loop turn.
pub const ACCEPT_BUDGET: usize = 128;
/// Jobs that may wait in each pool (503 beyond).
pub const QUEUE: usize = 1024;
/// Most that `--reactors` takes.
pub const REACTORS_MAX: usize = 256;
/// Most that `--target-bytes` takes: a target is a part of a head.
pub const TARGET_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// Most that `--queue` takes: the queues are made whole at the start.
pub const QUEUE_MAX: usize = 1 << 20;
/// Most that `--io-workers`, `--cpu-workers` take.
pub const WORKERS_MAX: usize = 8192;
/// Most that `--max-conns` takes: the kernel's own ceiling of descriptors (fs.nr_open).
pub const MAX_CONNS_MAX: usize = 1 << 20;
/// Threads of the blocking pool.
pub const IO_WORKERS: usize = 128;
/// Sleep of one `/io` job.
pub const IO_SLEEP: Duration = Duration::from_millis(200);
/// Longest sleep that `/io?ms=` may ask for.
pub const IO_SLEEP_MAX: Duration = Duration::from_secs(10);
/// CPU time that one `/cpu` job is calibrated to.
pub const CPU_WORK: Duration = Duration::from_millis(30);
/// Whole request head, from its first byte (408).
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle keep-alive connection.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Between two reads of a request body (408).
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A whole request body takes at most this many times the time between two reads of it (408).
pub const BODY_TIMEOUTS: u32 = 10;
/// Between two writes that make progress.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// From the first signal to the end.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Reading to EOF after shutdown(WR), time and bytes.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// See [`LINGER_TIMEOUT`].
pub const LINGER_BYTES: usize = 256 * 1024;
/// Pause of accept(2) after EMFILE/ENFILE.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Virtual users of one load run.
pub const USERS_MAX: u32 = 100_000;
/// Highest rate that is asked for, per second.
pub const RATE_MAX: f64 = 1e7;
/// Machines that share one plan; more are taken for a mistake.
pub const SHARDS_MAX: u32 = 10_000;
/// Stages of one run.
pub const STAGES: usize = 100;
/// Users when none are asked for.
pub const USERS: u32 = 10;
/// Length of a load run when neither a duration nor a count is asked for.
pub const DURATION: Duration = Duration::from_secs(10);
/// Length of a step of a study where nothing says it.
pub const STUDY_STEP: Duration = Duration::from_secs(20);
/// One request, from its start to its last byte. Shorter than [`DURATION`], so that a run with the defaults sees a request that
/// gets no answer fail.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest run.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Worker threads of one load run.
pub const THREADS_MAX: u32 = 256;
/// Entries of a mix.
pub const MIX_ENTRIES: usize = 256;
/// Destinations of one run: each has a thread and an observer.
pub const DESTINATIONS_MAX: usize = 16;
/// Source addresses of one run.
pub const SOURCES: u64 = 1 << 16;
/// New requests of one loop turn begin within this time; the rest waits for the next turn. A connect(2) that searches a
/// nearly full port range takes milliseconds, and a turn of thousands would miss events and the end of the run.
pub const TURN: Duration = Duration::from_millis(20);
/// First pause of a user that could not make a connection (no port or descriptor here, refused there), when it has no
/// think time.
pub const LOCAL_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause; it doubles up to this.
pub const LOCAL_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Ports of the ring tried, in growing leaps, before a bind failure is counted as one.
pub const RING_TRIES: u32 = 16;
/// Default port range of the ring before it is clipped outside ip_local_port_range.
pub const RING_RANGE: (u16, u16) = (10_000, 32_000);
/// Highest latency of the histograms, microseconds (one hour); higher ones are recorded as this.
pub const LATENCY_MAX_US: u64 = 3_600_000_000;
/// Significant decimal digits of latency histograms.
pub const LATENCY_DIGITS: u8 = 3;
/// Significant decimal digits of phase and Server-Timing histograms.
pub const PHASE_DIGITS: u8 = 2;
/// Distinct rows of the error table; further kinds are counted in one row "other".
pub const ERROR_ROWS: usize = 256;
/// A load thread that itself ran for this share of a second had no time left, percent.
pub const FULL_RAN_PERCENT: f64 = 90.0;
/// Nor had one whose loop waited for events for no more than this share of a second, whatever it ran, percent.
pub const FULL_IDLE_PERCENT: f64 = 10.0;
/// A target whose busiest thread neither ran nor waited for a core for this share of a second had room, percent.
pub const ROOM_PERCENT: f64 = 10.0;
/// A due request written later than this is late, milliseconds.
pub const LATE_MS: u64 = 10;
