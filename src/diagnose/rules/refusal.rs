//! users-not-reached where this machine itself refused the connections for another reason than ports and descriptors:
//! a source address that it does not have, no local address, no route, a policy.

use super::prelude::*;
use crate::model::outcome::{EACCES, EHOSTUNREACH, ENETUNREACH, EPERM, errno_text};

/// Why this machine refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// bind() of a source address that this host does not have
    ForeignSource,
    /// connect() found no local address for the destination
    NoAddress,
    /// no way to the destination
    NoRoute,
    /// a firewall rule or another policy of this host
    Policy,
    /// anything else, named by its errno
    Other,
}

/// Connections that this machine refused.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::diagnose) struct Refusal {
    pub(in crate::diagnose) failed: u64,
    /// what it was, in one clause
    pub(in crate::diagnose) what: String,
    why: Why,
    call: &'static str,
    errno: Option<i32>,
    windows_code: Option<i32>,
}

/// The most frequent refusal; none where this machine refused nothing but ports and descriptors.
pub(in crate::diagnose) fn of(run: &RunResult, seen: &Indicators) -> Option<Refusal> {
    let wanted = |kind: Kind| {
        matches!(kind, Kind::ForeignSource | Kind::OwnMachine) || (kind == Kind::NoPort && seen.ports.no_address > 0)
    };
    let rows = Rows::are(run, wanted);
    let row = rows.largest()?;
    let why = why(row);
    let what = match why {
        Why::ForeignSource => foreign(run),
        Why::NoAddress => format!("this machine has no address that reaches {}", run.plan.target.addr),
        // At connect() it also says that nobody answers for the address on the local network.
        Why::NoRoute if row.errno == Some(EHOSTUNREACH) => {
            format!("no way to {}: this machine has no route, or nothing answers there on its network", run.plan.target.addr.ip())
        }
        Why::NoRoute => format!("this machine has no route to {}", run.plan.target.addr.ip()),
        Why::Policy => format!("a policy of this machine forbids connections to {}", run.plan.target.addr),
        Why::Other => row.errno.map_or_else(|| "this machine refused".to_owned(), |n| errno_text(n).into_owned()),
    };
    let call = row.call.word();
    let what = format!("{what} ({} at {call}())", name_of(row));
    let windows_code = if matches!(why, Why::ForeignSource | Why::NoAddress) { Some(10049) } else { row.windows_code };
    Some(Refusal { failed: rows.count(), what, why, call, errno: row.errno, windows_code })
}

fn why(row: &ErrorRow) -> Why {
    if row.cause == Some(Cause::NoAddress) {
        return Why::NoAddress;
    }
    match (Kind::of(row), row.errno) {
        (Kind::ForeignSource, _) => Why::ForeignSource,
        (Kind::NoPort, _) => Why::NoAddress,
        (_, Some(ENETUNREACH | EHOSTUNREACH)) => Why::NoRoute,
        (_, Some(EACCES | EPERM)) => Why::Policy,
        _ => Why::Other,
    }
}

fn foreign(run: &RunResult) -> String {
    let all = run.plan.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match run.plan.sources.as_slice() {
        [_] => format!("the source address {all} is not this host's"),
        [] => "the source address is not this host's".to_owned(),
        [_, _, _, _, _, ..] => format!("one of the {} source addresses is not this host's", run.plan.sources.len()),
        _ => format!("a source address ({all}) is not this host's"),
    }
}

impl Refusal {
    /// The finding users-not-reached.
    pub(super) fn found(&self, run: &RunResult, asked: u32) -> Found {
        let reached = run.totals.users_reached;
        let (failed, call) = (self.failed, self.call);
        let more = match self.why {
            Why::ForeignSource => " before a port was chosen or a packet was sent",
            Why::NoAddress => "; hardly a source port was in use, so ports did not run out",
            Why::NoRoute | Why::Policy | Why::Other => " before a packet was sent",
        };
        let windows = match (self.why, self.windows_code) {
            (_, Some(code)) => format!(" Windows shows {code}."),
            (Why::Policy, None) => " Windows shows WSAEACCES 10013.".to_owned(),
            (Why::NoRoute, None) => " Windows shows WSAENETUNREACH 10051.".to_owned(),
            _ => String::new(),
        };
        let text = format!(
            "{call}() failed {failed} times{more}: {}. {reached} of {} had a connection at the same time. It is neither the \
             target nor the ports.{windows}",
            self.what,
            counted(asked, "user")
        );
        Found::new(format!("{failed} of {} could not be made: {}", counted(run.totals.attempts, "connection"), self.what), text)
            .with("local_failures", failed)
            .with("bind_failures", (self.why == Why::ForeignSource).then_some(failed))
            .with("call", call)
            .with("errno", self.errno)
            .with("windows_code", self.windows_code)
            .remedies(self.remedies(run, asked))
            .caused_only_by(Vec::new())
    }

    fn remedies(&self, run: &RunResult, asked: u32) -> Vec<Remedy> {
        let to = run.plan.target.addr;
        let route = advice(
            "ask which source address and route this machine takes",
            format!("ip route get {}", to.ip()),
            "an error here is the cause; an address and a device: 1 route",
        );
        match self.why {
            Why::ForeignSource => Self::for_source(run, asked),
            Why::NoAddress => vec![
                route,
                advice(
                    "use the IPv4 address of the target",
                    load_with(&run.plan, |p| {
                        p.target.own_server = false;
                        p.target.url = format!("http://127.0.0.1:{}", p.target.addr.port());
                    }),
                    "connects, where only IPv6 is off",
                ),
            ],
            Why::Policy => vec![
                advice(
                    "look for a rule that rejects the packets",
                    "nft list ruleset",
                    "a rule with reject or drop for this destination: 1 rule to change",
                ),
                route,
            ],
            Why::NoRoute | Why::Other => vec![
                route,
                advice(
                    "see which addresses and devices are up",
                    "ip -brief address",
                    "a device in state UP with an address in the target's network: 1 at least",
                ),
            ],
        }
    }

    fn for_source(run: &RunResult, asked: u32) -> Vec<Remedy> {
        let leave = load_with(&run.plan, |p| p.sources = Vec::new());
        let mut remedies = vec![
            advice(
                "see which addresses this host has",
                "ip -brief address",
                "one of these, or any of 127.0.0.0/8 for a loopback target",
            ),
            advice("leave the source address to the kernel", leave, format!("{asked} of {} can connect", counted(asked, "user"))),
        ];
        if let ([ip], true) = (run.plan.sources.as_slice(), run.plan.target.own_server && !run.plan.environment.sandbox) {
            let inside = load_with(&run.plan, |p| {
                p.environment.sandbox = true;
                p.environment.addresses.push(format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }));
            });
            remedies.push(advice("have the address in a private network namespace", inside, format!("{ip} is an address there")));
        }
        remedies
    }
}
