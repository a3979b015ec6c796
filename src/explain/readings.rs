//! From events to readings: judged, equal ones joined, the most frequent first.

use super::arithmetic;
use super::classify::judge;
use super::codes::{Condition, Lookup};
use super::container;
use super::endpoint::{Destination, destination, endpoint};
use super::events::Event;
use super::evidence::{Around, Evidence, Spelling};
use super::sockets::{Sockets, Tightest};
use super::tell::{self, Other};
use super::text::TextReader;
use super::{Known, is_open, line, may_be_ports, wording};
use crate::model::address::Address;
use crate::model::explanation::{Alternative, Certainty, Exactly, FailedCall, Limit, Os, Reading, Side};
use crate::model::figures::{self, count, counted};
use crate::model::order::Order as _;
use crate::remedy::placeholders::filled;

/// Readings of one text at most; further ones join the last.
const READINGS_MAX: usize = 50;
/// From this share of the pool on a list of sockets says that ports run out.
const FULL_SHARE: f64 = 0.9;

/// The reading of one line, of several the most frequent; none when it says nothing about connections.
///
/// ```
/// use sockbench::testing::explain::read_line;
/// use sockbench::testing::model::Limit;
/// let r = read_line("dial tcp 10.0.0.1:80: connect: cannot assign requested address", None).expect("known");
/// assert_eq!(r.limit, Limit::LocalPorts);
/// assert!(read_line("10048 requests done", None).is_none());
/// ```
pub fn read_line(line: &str, os: Option<Os>) -> Option<Reading> {
    read_kinds(line, Around { os, side: None }).into_iter().max_by_key(|r| r.count)
}

/// Every kind of failure that one line shows, with its count.
pub(super) fn read_kinds(line: &str, around: Around) -> Vec<Reading> {
    let line = super::normal::printable(line);
    let of_containers = container::shows(line.as_bytes());
    line::read(&line, around).into_iter().map(|s| reading(line.trim(), s.evidence, s.count, of_containers)).collect()
}

/// The readings of a text; and, where it has none, what it shows instead.
pub(super) fn of(text: &TextReader) -> (Vec<Reading>, Option<String>) {
    let os = text.os();
    let judged = text.kinds.in_order().into_iter().map(|e| judged(e, os, text.of_containers));
    let mut readings = joined(judged.collect());
    let (listed, seen) = of_sockets(&text.sockets, &text.known, os);
    readings.extend(listed);
    in_order(&mut readings);
    let seen = seen.filter(|_| readings.is_empty());
    (readings, seen)
}

fn judged(event: &Event, os: Option<Os>, of_containers: bool) -> Reading {
    reading(&event.text, Evidence { os: event.evidence.os.or(os), ..event.evidence }, event.count, of_containers)
}

fn reading(text: &str, e: Evidence, count: u64, of_containers: bool) -> Reading {
    let mut judged = judge(&e);
    if judged.certainty == Certainty::Certain {
        judged.alternatives.clear();
    }
    let address = endpoint(text, judged.call);
    // A container's loopback is its own: what refused may be the wrong machine.
    let is_loopback = destination(address.as_ref()) == Destination::Loopback;
    if of_containers && is_loopback && judged.limit == Limit::Refused {
        judged.certainty = judged.certainty.max(Certainty::Likely);
        judged.alternatives.push(tell::OWN_LOOPBACK);
    }
    let another = |Other { call, limit, tell }| Alternative { call, limit, tell: filled(&tell, address.as_ref()) };
    Reading {
        text: text.to_owned(),
        count,
        tool: e.tool.map(|t| t.name.to_owned()),
        os: e.os,
        name: e.errno.map(|c| c.name_on(e.os)),
        code: e.errno.and_then(|c| c.number_on(e.os)),
        call: judged.call,
        limit: judged.limit,
        exactly: exactly(&e),
        table: if let Condition::KernelFull(table) = e.condition { table } else { None },
        side: judged.side,
        certainty: judged.certainty,
        says: wording::says(&judged, &e, is_loopback),
        is_not: wording::is_not(&judged, &e).to_owned(),
        alternatives: judged.alternatives.into_iter().map(another).collect(),
        address,
    }
}

const fn exactly(e: &Evidence) -> Option<Exactly> {
    Some(match e.condition {
        Condition::Exact(exactly) => exactly,
        Condition::KernelFull(_) => Exactly::KernelTable,
        // Those of Windows are of its ports.
        Condition::NoBuffers | Condition::NoMemory if !matches!(e.os, Some(Os::Windows)) => Exactly::KernelMemory,
        Condition::NoName(Lookup::Unknown) => Exactly::UnknownName,
        Condition::NoName(Lookup::NoAnswer) => Exactly::NameServer,
        Condition::OutOfMemory | Condition::OomBegins | Condition::WorkerGone => Exactly::Memory,
        _ => return None,
    })
}

/// The most frequent first, then the surest.
pub(super) fn in_order(readings: &mut Vec<Reading>) {
    readings.order_by_key(|r| (std::cmp::Reverse(r.count), r.certainty));
    readings.truncate(READINGS_MAX);
}

/// Equal readings as one; a reading that leaves open what another one of the same error says joins that one.
pub(super) fn joined(readings: Vec<Reading>) -> Vec<Reading> {
    let mut kinds: Vec<Reading> = Vec::new();
    for r in readings {
        let same = |k: &&mut Reading| {
            // Whose socket it was is said in some lines only.
            let same_side = k.side == r.side || k.side.is_none() || r.side.is_none();
            (k.limit, k.call, k.certainty) == (r.limit, r.call, r.certainty) && same_side && k.name == r.name && k.says == r.says
        };
        match kinds.iter_mut().find(same) {
            Some(k) => {
                k.count = k.count.saturating_add(r.count);
                k.side = k.side.or(r.side);
            }
            None => kinds.push(r),
        }
    }
    let is_vague = |r: &Reading| r.call == FailedCall::Unnamed && is_open(r);
    let (vague, mut clear): (Vec<_>, Vec<_>) = kinds.into_iter().partition(is_vague);
    for v in vague {
        let says_more = |r: &&mut Reading| {
            let fits = v.limit == r.limit || v.alternatives.iter().any(|a| a.limit == r.limit);
            v.name.is_some() && v.name == r.name && fits
        };
        match clear.iter_mut().find(says_more) {
            Some(r) => r.count = r.count.saturating_add(v.count),
            None => clear.push(v),
        }
    }
    clear
}

/// What a list of sockets says, against the pool given or the usual one of its system.
fn of_sockets(sockets: &Sockets, known: &Known, os: Option<Os>) -> (Vec<Reading>, Option<String>) {
    if !sockets.is_listed {
        return (Vec::new(), None);
    }
    let mut out: Vec<Reading> = sockets.overflowing().map(|(n, first)| of_listener(n, first)).into_iter().collect();
    let Some(tightest) = sockets.tightest() else { return (out, None) };
    let os = known.os.or(tightest.os).or(os);
    let pool = u64::from(known.pool.unwrap_or_else(|| arithmetic::default_pool(os.unwrap_or(Os::Linux))));
    let share = tightest.used.ports() as f64 / pool.max(1) as f64;
    let seen = in_use(&tightest, pool, share);
    if share >= FULL_SHARE {
        out.push(of_full(&tightest, os, &seen));
    }
    (out, Some(seen))
}

fn in_use(t: &Tightest, pool: u64, share: f64) -> String {
    let to = t.destination.as_ref().map_or_else(|| "in all".to_owned(), |d| format!("to {d}"));
    let (used, pool) = (count(t.used.ports()), count(pool));
    format!("{used} of {pool} source ports are in use {to} ({}): {}", figures::share(share), t.used.in_words())
}

fn of_full(t: &Tightest, os: Option<Os>, seen: &str) -> Reading {
    let is_certain = t.destination.is_some();
    let tell = if is_certain {
        "the program's own message at that time: EADDRNOTAVAIL (99), or 10048 on Windows, from connect()"
    } else {
        "they go to one destination: list them with their addresses (ss -tan, netstat -an); spread over several, each has a pool of its own"
    };
    let alternative = Alternative { call: FailedCall::Connect, limit: Limit::LocalPorts, tell: tell.into() };
    let spread = Alternative {
        call: FailedCall::Unnamed,
        limit: Limit::Hidden,
        tell: "they go to several destinations, or belong to a server on this machine: then nothing is used up".into(),
    };
    let full = Evidence { os, side: Some(Side::Client), ..Evidence::new(Condition::PortsUsedUp, FailedCall::Connect) };
    Reading {
        address: t.destination.as_deref().map(Address::from),
        certainty: if is_certain { Certainty::Likely } else { Certainty::Ambiguous },
        says: format!("{seen}. With all of them in use, connect() finds no source port."),
        is_not: "not the server, not the CPU: the list is of this machine's own ports".into(),
        alternatives: if is_certain { vec![alternative] } else { vec![alternative, spread] },
        ..reading(&t.sample, full, t.used.ports(), false)
    }
}

fn of_listener(n: u64, (address, waiting, limit): &(String, u64, u64)) -> Reading {
    let tell = "ListenOverflows and ListenDrops rise meanwhile (nstat -az): then SYNs are dropped";
    let full =
        Evidence { os: Some(Os::Linux), side: Some(Side::Server), ..Evidence::new(Condition::BacklogFull, FailedCall::Accept) };
    Reading {
        address: Some(Address::from(address.as_str())),
        certainty: Certainty::Likely,
        says: format!(
            "{} wait for accept() at {address}, and its queue takes {}: it is full, and the next ones are dropped.",
            counted(*waiting, "connection"),
            count(*limit)
        ),
        alternatives: vec![Alternative { call: FailedCall::Accept, limit: Limit::Backlog, tell: tell.into() }],
        ..reading(&format!("LISTEN {waiting} {limit} {address}"), full, n, false)
    }
}

pub(super) fn line_may_be_ports(line: &str, around: Around) -> bool {
    read_kinds(line, around).iter().any(may_be_ports)
}

/// Spelled out for a list whose rows carry counts: the readings of many lines.
pub(super) fn of_counted<'a>(lines: impl Iterator<Item = (&'a str, u64)>, around: Around) -> (Vec<Reading>, u64) {
    let (mut seen, mut other): (Vec<Event>, u64) = (Vec::new(), 0);
    for (line, count) in lines {
        let line = super::normal::printable(line);
        let sightings = line::read(&line, around);
        if sightings.is_empty() {
            other = other.saturating_add(count);
        }
        for s in sightings {
            // The row's own count is the count, whatever the text has.
            let n = if s.evidence.spelling == Spelling::Words { count } else { count.saturating_mul(s.count) };
            seen.push(Event { evidence: s.evidence, count: n, is_total: false, text: line.trim().to_owned() });
        }
    }
    let os = around.os.or_else(|| seen.iter().find_map(|e| e.evidence.os));
    let mut readings = joined(seen.iter().map(|e| judged(e, os, false)).collect());
    in_order(&mut readings);
    (readings, other)
}
