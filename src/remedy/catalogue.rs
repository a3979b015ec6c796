//! The one table of remedies: a row each, with its name, what it does, what it costs, how its effect is known and how
//! it is applied on each system. Findings, `explain` and the rehearsal take their rows from here.
//!
//! Not here: the command for a plan in force ([`super::command`]) and which remedies fit it ([`super::ports`]).

use strum::{EnumIter, IntoStaticStr};

use crate::model::finding::Remedy;

/// [`Way::Settings`] of a literal `KEY=VALUE ...`.
macro_rules! sysctl {
    ($values:literal) => {
        $crate::remedy::catalogue::Way::Settings { values: $values, line: concat!("sysctl -w ", $values) }
    };
}
pub(super) use sysctl;

/// Every remedy that a rule, `explain` or the rehearsal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described by its row")]
pub enum Name {
    KeepAlive,
    ServerCloses,
    Ring,
    TwReuse,
    TwReuseDelay,
    WiderRange,
    NoPort,
    SourceIps,
    Destinations,
    Pace,
    Wait,
    FreshNamespace,
    TwReuseBurst,
    #[strum(serialize = "bind-port-0")]
    BindPort0,
    LingerReset,
    MaxTwBuckets,
    FinTimeout,
    ReuseAddrAlone,
    ReuseAddrLate,
    WindowsDynamicPort,
    WindowsTimedWaitDelay,
}

impl Name {
    /// As written in reports and JSON: `keep-alive`.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether a finding's remedy is this one.
    pub fn is(self, remedy: &Remedy) -> bool {
        remedy.name.as_deref() == Some(self.word())
    }

    /// Its row.
    pub fn row(self) -> Row {
        match self {
            Self::KeepAlive => rehearsed("connections are kept: one per user instead of one per request")
                .ceiling("no port is used per request: P/T no longer limits")
                .caution("changes what is measured: handshakes are left out")
                .linux(Way::Command("sockbench load URL"))
                .windows(Way::Same("reuse connections in the client")),
            Self::ServerCloses => rehearsed("the server closes first and keeps the TIME_WAIT; the client reads to the end")
                .ceiling("T = 0")
                .caution("the target must close after its answer")
                .linux(Way::Command("sockbench load URL --no-keepalive --closer server"))
                .windows(Way::Same("send Connection: close and read to the end")),
            Self::Ring => rehearsed("explicit source ports, one after the other, with SO_REUSEADDR on every socket")
                .ceiling("T = 0")
                .caution("Linux only (on Windows SO_REUSEADDR takes a port from a live socket), tcp_timestamps=1")
                .linux(Way::Command("sockbench load URL --no-keepalive --port-mode ring --reuse-addr"))
                .windows(Way::No("SO_REUSEADDR means something else there")),
            Self::TwReuse => rehearsed("connect() takes ports in TIME_WAIT again after 1 s (tcp_tw_reuse=1)")
                .ceiling("P / tcp_tw_reuse_delay (1 s); Windows: P / TcpTimedWaitDelay")
                .caution("root, for the whole machine; tcp_timestamps=1; does not help bind()")
                .linux(sysctl!("net.ipv4.tcp_tw_reuse=1"))
                .windows(Way::Command(SHORT_TIMED_WAIT))
                .macos(Way::Command("sudo sysctl -w net.inet.tcp.msl=1000")),
            Self::TwReuseDelay => rehearsed("ports in TIME_WAIT are taken again sooner (tcp_tw_reuse_delay)")
                .ceiling("P / tcp_tw_reuse_delay")
                .price("an old segment could be taken for a new one within the delay")
                .caution("root, Linux 6.14 or later")
                .linux(sysctl!("net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_tw_reuse_delay=1"))
                .windows(Way::No("nearest: TcpTimedWaitDelay=30")),
            Self::WiderRange => rehearsed("a wider range of source ports")
                .ceiling("P of the wider range / T")
                .caution("root; reserve the ports of listeners inside (ip_local_reserved_ports)")
                .linux(sysctl!("net.ipv4.ip_local_port_range='1024 65535'"))
                .windows(Way::Command(WIDE_DYNAMIC_RANGE))
                .macos(Way::Command("sudo sysctl -w net.inet.ip.portrange.first=10000")),
            Self::NoPort => row("the port is chosen in connect(), not in bind() (IP_BIND_ADDRESS_NO_PORT)", Basis::Computed)
                .ceiling("P/T to each destination instead of to all together")
                .linux(Way::Command("sockbench load URL --no-keepalive --port-mode no-port --source IP")),
            Self::SourceIps => rehearsed("several source addresses in turn, each with its own pool of ports")
                .ceiling("addresses x P/T")
                .caution("addresses that this machine has; IP_BIND_ADDRESS_NO_PORT where the socket is bound")
                .linux(Way::Command("sockbench load URL --no-keepalive --port-mode no-port --source 127.0.0.1,127.0.0.2"))
                .windows(Way::Same("several addresses on the interface; bind one before connect()"))
                .macos(Way::Command("sudo ifconfig lo0 alias 127.0.0.2")),
            Self::Destinations => rehearsed("several addresses or ports of the server, each with its own pool of source ports")
                .ceiling("destinations x P/T")
                .caution("changes the target")
                .linux(Way::Command("sockbench server --listen 127.0.0.1:8080 --listen 127.0.0.2:8080"))
                .windows(Way::Same("")),
            Self::Pace => rehearsed("a rate below P/T")
                .ceiling("P/T, of which the rate takes a share that leaves room")
                .price("less load")
                .linux(Way::Command("sockbench load URL --no-keepalive --rate R"))
                .windows(Way::Same("")),
            Self::Wait => rehearsed("a pause of T between runs")
                .ceiling("P/T as before, from an empty pool")
                .price("time")
                .linux(Way::Command("sleep 60"))
                .windows(Way::Command("timeout /t 120"))
                .macos(Way::Command("sleep 30")),
            Self::FreshNamespace => rehearsed("a private network namespace for every run")
                .ceiling("P/T as before, from an empty pool")
                .caution("the target must run inside too")
                .linux(Way::Command("sockbench sandbox -- COMMAND"))
                .windows(Way::No("nearest: a fresh virtual machine or container")),
            Self::TwReuseBurst => rehearsed("tcp_tw_reuse=1, in a burst shorter than the reuse delay of 1 s")
                .ceiling("P within 1 s")
                .caution("root")
                .linux(sysctl!("net.ipv4.tcp_tw_reuse=1")),
            Self::BindPort0 => rehearsed("bind(ip, 0) before connect(): one pool for all destinations together")
                .ceiling("P/T, shared by all destinations")
                .linux(Way::Command("sockbench load URL --no-keepalive --port-mode bind"))
                .windows(Way::Same("error 10055 instead of 10048")),
            Self::LingerReset => rehearsed("SO_LINGER 0: a reset instead of TIME_WAIT")
                .ceiling("T = 0")
                .price("every connection ends in a reset: the peer reads ECONNRESET and unsent data is lost")
                .linux(Way::Command("sockbench load URL --no-keepalive --closer reset"))
                .windows(Way::Same("")),
            Self::MaxTwBuckets => rehearsed("a small tcp_max_tw_buckets: surplus TIME_WAIT sockets are dropped at once")
                .ceiling("T = 0 for the surplus")
                .price("surplus TIME_WAIT sockets are dropped: no protection from old segments")
                .caution("root")
                .linux(sysctl!("net.ipv4.tcp_max_tw_buckets=5")),
            Self::FinTimeout => rehearsed("tcp_fin_timeout=5, as folklore has it: it shortens FIN_WAIT2, not TIME_WAIT")
                .ceiling("P/T as before: no effect")
                .linux(Way::No("it does not help"))
                .windows(Way::No("TcpTimedWaitDelay is another setting, and does help")),
            Self::ReuseAddrAlone => rehearsed("SO_REUSEADDR without an explicit port, as folklore has it")
                .ceiling("P/T as before: no effect")
                .linux(Way::No("it does not help")),
            Self::ReuseAddrLate => {
                rehearsed("a ring whose first connections had no SO_REUSEADDR: the old and the new socket both need it")
                    .ceiling("P/T as before until the old ports are free: no effect")
                    .linux(Way::No("it does not help"))
            }
            Self::WindowsDynamicPort => {
                row("a wider range of dynamic ports: 55,535 / 120 s = 463 connections/s", Basis::Documented)
                    .ceiling("55535 / T")
                    .caution("administrator")
                    .windows(Way::Command(WIDE_DYNAMIC_RANGE))
            }
            Self::WindowsTimedWaitDelay => row(
                "TcpTimedWaitDelay=30: 16,384 ports / 30 s = 546 connections/s; with the wider range 1,851/s",
                Basis::Documented,
            )
            .ceiling("P / 30 s")
            .caution("administrator, reboot")
            .windows(Way::Command(SHORT_TIMED_WAIT)),
        }
    }
}

/// Windows: dynamic ports 10000 to 65534.
const WIDE_DYNAMIC_RANGE: &str = "netsh int ipv4 set dynamicport tcp start=10000 num=55535";
/// Windows: T = 30 s, its least, after a reboot.
const SHORT_TIMED_WAIT: &str =
    r"reg add HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f";

/// How a remedy is applied on one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// this command
    Command(&'static str),
    /// settings of the kernel
    Settings {
        /// `KEY=VALUE`, with blanks between
        values: &'static str,
        /// the command that sets them
        line: &'static str,
    },
    /// as on Linux, by these words
    Same(&'static str),
    /// not there, for this reason
    No(&'static str),
}

impl Way {
    /// The command, where it is one.
    pub const fn command(self) -> Option<&'static str> {
        match self {
            Self::Command(line) | Self::Settings { line, .. } => Some(line),
            Self::Same(_) | Self::No(_) => None,
        }
    }

    /// For a table: the command or the words.
    pub fn words(self) -> String {
        match self {
            Self::Command(line) | Self::Settings { line, .. } => line.to_owned(),
            Self::Same("") => "the same".to_owned(),
            Self::Same(how) => format!("the same: {how}"),
            Self::No("") => "none".to_owned(),
            Self::No(why) => format!("none: {why}"),
        }
    }
}

/// How the effect of a remedy is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// `sockbench rehearse` runs it on this host, in a private namespace
    Rehearsed,
    /// computed from the figures of the run
    Computed,
    /// by documentation of another system, computed
    Documented,
}

/// One remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// what it does, one line
    pub what: &'static str,
    /// the ceiling that it leaves, as a formula of P (ports) and T (seconds that one stays in use)
    pub ceiling: &'static str,
    /// what is given up; empty: nothing that a client would notice
    pub price: &'static str,
    /// what to mind: rights, versions, side effects; empty: nothing
    pub caution: &'static str,
    /// how its effect is known
    pub basis: Basis,
    /// how to apply it on Linux, with URL for the target
    pub linux: Way,
    /// on Windows
    pub windows: Way,
    /// on macOS
    pub macos: Way,
}

const fn row(what: &'static str, basis: Basis) -> Row {
    Row { what, ceiling: "", price: "", caution: "", basis, linux: Way::No(""), windows: Way::No(""), macos: Way::No("") }
}

const fn rehearsed(what: &'static str) -> Row {
    row(what, Basis::Rehearsed)
}

impl Row {
    const fn ceiling(self, ceiling: &'static str) -> Self {
        Self { ceiling, ..self }
    }

    const fn price(self, price: &'static str) -> Self {
        Self { price, ..self }
    }

    const fn caution(self, caution: &'static str) -> Self {
        Self { caution, ..self }
    }

    const fn linux(self, linux: Way) -> Self {
        Self { linux, ..self }
    }

    const fn windows(self, windows: Way) -> Self {
        Self { windows, ..self }
    }

    const fn macos(self, macos: Way) -> Self {
        Self { macos, ..self }
    }

    /// Price and caution in one line; none where there is neither.
    pub fn costs(&self) -> Option<String> {
        let parts: Vec<&str> = [self.price, self.caution].into_iter().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
