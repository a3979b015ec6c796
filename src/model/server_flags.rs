//! The flags of `sockbench server` that a run gives its own server, as typed fields. The command line and stored
//! plans are read by the same functions, and what was read is typed again without loss.
//!
//! Not here: defaults ([`limits`]) and the resolved plan ([`super::plan::ServerPlan`]).

use std::net::SocketAddr;
use std::time::Duration;

use super::limits;
use super::pinning::Pinning;
use super::server_plan::{CpuWork, ServerCloser};
use super::units;

/// The flags that were given, in the order of `sockbench server --help`; none of a field is its default.
///
/// In JSON a list of `name=value`.
///
/// ```
/// use sockbench::testing::model::ServerFlags;
/// let given = ["cpu-workers=2", "cpu-iterations=10k"].map(String::from);
/// let flags = ServerFlags::try_from(given.to_vec()).expect("as sockbench server takes them");
/// assert_eq!(flags.cpu_workers, Some(2));
/// assert_eq!(Vec::from(flags), ["cpu-workers=2", "cpu-iterations=10000"]);
/// ```
#[apply(record)]
#[derive(Default)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[allow(missing_docs, reason = "each is the field of the same name in ServerPlan")]
pub struct ServerFlags {
    pub listen: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
    pub reactors: Option<usize>,
    pub pin: Option<Pinning>,
    pub busy_poll: Option<bool>,
    pub backlog: Option<i32>,
    pub io_workers: Option<usize>,
    pub io_sleep: Option<Duration>,
    pub cpu_workers: Option<usize>,
    pub cpu_pin: Option<bool>,
    /// `--cpu-work` or `--cpu-iterations`: the command line refuses both together
    pub cpu_work: Option<CpuWork>,
    pub queue: Option<usize>,
    pub keepalive: Option<bool>,
    pub closer: Option<ServerCloser>,
    pub max_conns: Option<usize>,
    pub header_timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub body_timeout: Option<Duration>,
    pub write_timeout: Option<Duration>,
    pub drain_timeout: Option<Duration>,
    pub head_bytes: Option<usize>,
    pub head_fields: Option<usize>,
    pub target_bytes: Option<usize>,
    pub body_bytes: Option<u64>,
}

/// One flag: how its value is read into its field, and typed again.
struct Flag {
    name: &'static str,
    set: fn(&mut ServerFlags, &str) -> Result<(), String>,
    typed: fn(&ServerFlags) -> Option<String>,
}

/// The flag `name` of a field, whose values `read` and `typed` know.
macro_rules! flag {
    ($name:literal, $field:ident, $read:expr, $typed:expr) => {
        Flag {
            name: $name,
            set: |flags, value| $read(value).map(|value| flags.$field = Some(value)),
            typed: |flags| flags.$field.map($typed),
        }
    };
}

/// All but `--listen`, which may be repeated.
const FLAGS: [Flag; 24] = [
    flag!("admin", admin, address, |addr| addr.to_string()),
    flag!("reactors", reactors, at_most::<{ limits::REACTORS_MAX }>, |n| n.to_string()),
    flag!("pin", pin, pin, |pin| pin.word().to_owned()),
    flag!("busy-poll", busy_poll, on_off, word_of),
    flag!("backlog", backlog, backlog, |n| n.to_string()),
    flag!("io-workers", io_workers, at_most::<{ limits::WORKERS_MAX }>, |n| n.to_string()),
    flag!("io-sleep", io_sleep, units::duration, units::exact),
    flag!("cpu-workers", cpu_workers, at_most::<{ limits::WORKERS_MAX }>, |n| n.to_string()),
    flag!("cpu-pin", cpu_pin, true_false, |on| on.to_string()),
    Flag {
        name: "cpu-work",
        set: |flags, value| flags.set_cpu_work(CpuWork::CalibrateS(units::duration(value)?)),
        typed: |flags| if let Some(CpuWork::CalibrateS(work)) = flags.cpu_work { Some(units::exact(work)) } else { None },
    },
    Flag {
        name: "cpu-iterations",
        set: |flags, value| flags.set_cpu_work(CpuWork::Iterations(units::count(value)?)),
        typed: |flags| if let Some(CpuWork::Iterations(n)) = flags.cpu_work { Some(n.to_string()) } else { None },
    },
    flag!("queue", queue, at_most::<{ limits::QUEUE_MAX }>, |n| n.to_string()),
    flag!("keepalive", keepalive, on_off, word_of),
    flag!("closer", closer, closer, |closer| closer.word().to_owned()),
    flag!("max-conns", max_conns, at_most::<{ limits::MAX_CONNS_MAX }>, |n| n.to_string()),
    flag!("header-timeout", header_timeout, units::duration, units::exact),
    flag!("idle-timeout", idle_timeout, units::duration, units::exact),
    flag!("body-timeout", body_timeout, units::duration, units::exact),
    flag!("write-timeout", write_timeout, units::duration, units::exact),
    flag!("drain-timeout", drain_timeout, units::duration, units::exact),
    flag!("head-bytes", head_bytes, head_bytes, |n| n.to_string()),
    flag!("head-fields", head_fields, at_most::<{ limits::HEAD_FIELDS_MAX }>, |n| n.to_string()),
    flag!("target-bytes", target_bytes, at_most::<{ limits::TARGET_BYTES_MAX }>, |n| n.to_string()),
    flag!("body-bytes", body_bytes, units::count, |n| n.to_string()),
];

impl ServerFlags {
    /// Reads one flag, without dashes; of two of the same name the last counts.
    ///
    /// Errors: no such flag, or not such a value, in the words of `sockbench server`.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name == "listen" {
            return address(value).map(|addr| self.listen.push(addr));
        }
        let flag = FLAGS.iter().find(|flag| flag.name == name).ok_or("no flag of sockbench server")?;
        (flag.set)(self, value)
    }

    fn set_cpu_work(&mut self, work: CpuWork) -> Result<(), String> {
        let other = self.cpu_work.is_some_and(|now| std::mem::discriminant(&now) != std::mem::discriminant(&work));
        if other {
            return Err("cpu-work and cpu-iterations exclude each other".into());
        }
        self.cpu_work = Some(work);
        Ok(())
    }

    /// Names and values of the flags that were given, as [`Self::set`] reads them.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let listen = self.listen.iter().map(|addr| ("listen", addr.to_string()));
        listen.chain(FLAGS.iter().filter_map(|flag| Some((flag.name, (flag.typed)(self)?)))).collect()
    }

    /// As arguments of `sockbench server`: `--cpu-workers`, `2`, ...
    pub fn arguments(&self) -> Vec<String> {
        self.given().into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect()
    }
}

impl From<ServerFlags> for Vec<String> {
    fn from(flags: ServerFlags) -> Self {
        flags.given().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl TryFrom<Vec<String>> for ServerFlags {
    type Error = String;

    fn try_from(given: Vec<String>) -> Result<Self, String> {
        let mut flags = Self::default();
        for flag in given {
            let (name, value) = flag.split_once('=').ok_or_else(|| format!("{flag}: not NAME=VALUE"))?;
            flags.set(name, value).map_err(|why| format!("{flag}: {why}"))?;
        }
        Ok(flags)
    }
}

/// Whether a command line of `sockbench server` has `--busy-poll`, without `off` behind it.
pub fn asks_to_poll(words: &[String]) -> bool {
    let value = |at: usize| words[at].strip_prefix("--busy-poll=").or(words.get(at + 1).map(String::as_str));
    let named = words.iter().rposition(|word| word == "--busy-poll" || word.starts_with("--busy-poll="));
    named.is_some_and(|at| value(at) != Some("off"))
}

/// Errors: not an address with a port; the next line is a hint.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => {
            format!("{text}: a port without an address\nhint: 127.0.0.1:{port}, or 0.0.0.0:{port} for every address")
        }
        Err(_) => format!("{text}: not an address with a port\nhint: such as 127.0.0.1:8080"),
    })
}

/// Errors: not a count, or 0.
fn at_least_one(text: &str) -> Result<usize, String> {
    match units::count(text)? {
        0 => Err("at least 1".into()),
        n => usize::try_from(n).map_err(|_| "too large".into()),
    }
}

/// Errors: not a count, 0, or more than `MOST`.
pub fn at_most<const MOST: usize>(text: &str) -> Result<usize, String> {
    at_least_one(text).and_then(|n| if n <= MOST { Ok(n) } else { Err(format!("at most {MOST}")) })
}

/// Errors: not the backlog of a listen(2) that sockbench makes.
pub fn backlog(text: &str) -> Result<i32, String> {
    at_least_one(text).and_then(|n| i32::try_from(n).map_err(|_| format!("at most {}", i32::MAX)))
}

/// Errors: not a length of a request head.
pub fn head_bytes(text: &str) -> Result<usize, String> {
    at_least_one(text).and_then(|n| if n <= limits::HEAD_BYTES_MAX { Ok(n) } else { Err("at most 1 MiB".into()) })
}

/// Errors: neither `on` nor `off`.
pub fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("neither on nor off".into()),
    }
}

fn word_of(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn true_false(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".into())
}

/// Errors: neither `auto` nor `off`.
pub fn pin(text: &str) -> Result<Pinning, String> {
    text.parse().map_err(|_| "neither auto nor off".into())
}

/// Errors: neither `server` nor `client`.
pub fn closer(text: &str) -> Result<ServerCloser, String> {
    text.parse().map_err(|_| "neither server nor client".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str]) -> Result<ServerFlags, String> {
        ServerFlags::try_from(given.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_as_the_command_line_reads_them_and_typed_again() {
        let flags = read(&["cpu-work=1.5s", "keepalive=off", "queue=1k", "io-sleep=20ms"]).expect("sound");
        assert_eq!(flags.cpu_work, Some(CpuWork::CalibrateS(Duration::from_millis(1500))));
        assert_eq!((flags.keepalive, flags.queue), (Some(false), Some(1000)));
        assert_eq!(flags.arguments()[..4], ["--io-sleep", "20ms", "--cpu-work", "1.5s"]);
        let again: ServerFlags = serde_json::from_value(serde_json::to_value(&flags).expect("list")).expect("the same list");
        assert_eq!(again, flags);
    }

    #[test]
    fn unreadable_flags_are_refused_and_never_a_default() {
        for bad in
            [&["cpu-work=soon"][..], &["cpu-workers=0"], &["cpu-workers"], &["speed=1"], &["cpu-iterations=10k", "cpu-work=15ms"]]
        {
            let why = read(bad).expect_err("refused");
            assert!(why.starts_with(bad[bad.len() - 1]), "{why}");
        }
    }

    #[test]
    fn a_polling_server_is_known_by_its_command_line() {
        let polls = |line: &str| asks_to_poll(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in
            ["sockbench server --busy-poll", "sockbench server --busy-poll on", "sockbench server --busy-poll=on --queue 5"]
        {
            assert!(polls(line), "{line}");
        }
        for line in ["sockbench server", "sockbench server --busy-poll off", "sockbench server --busy-poll=off"] {
            assert!(!polls(line), "{line}");
        }
    }
}
