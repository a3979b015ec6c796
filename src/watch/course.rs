//! What happened from the first look to the last: the facts of a report.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::forecast::filling;
use super::look::{Look, Towards};
use super::peak::{Growth, Peak, RATE_S};
use super::seen::{Mean, ServerSeen};
use super::teller::{PoolNow, Teller};
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::{Hold, hold};
use crate::diagnose::ports::pool::PortUse;
use crate::diagnose::settings_changed;
use crate::model::facts::{Fact, KernelCounters};
use crate::model::order::{Order as _, distinct};
use crate::model::port_count::PortCount;
use crate::model::result::Sysctls;
use crate::model::watch::{Attribution, Destination, LookRow, Outlook, Processes, SettingChange, Unowned, WatchReport};

/// A thread that ran or waited for this share of a look.
const BUSY: f64 = 0.90;
const WAITED: f64 = 0.10;
/// Rows of looks that are kept; later ones only update the sums.
const ROWS_MAX: usize = 20_000;
/// Pairs of source and destination that are followed, as long as any may be the command's; twice as many once its own are
/// known. Those beyond are counted only.
const SEEN_MAX: usize = 4096;
/// Destinations whose listeners are looked at.
const LISTENERS_MAX: usize = 64;
/// Destinations without an owner that are named.
const UNOWNED_MAX: usize = 8;
/// Lines and changes that are kept.
const SAID_MAX: usize = 1000;

/// The end of the watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct End {
    /// when the command ended; where it still runs, when the watch did
    pub at_s: f64,
    /// processes that still run
    pub left: u32,
}

/// A source and a destination.
type Pair = (IpAddr, SocketAddr);

#[derive(Debug, Default)]
struct Seen {
    owned: bool,
    used_before: u32,
    peak: PortCount,
    peak_at_s: f64,
    client: u64,
    server: u64,
    /// by the ages in TIME_WAIT
    by_client: Peak,
    /// by what looks saw
    by_server: Growth,
    full: Option<[f64; 2]>,
    stuck_s: f64,
    open_max: u32,
    unanswered_max: u32,
}

/// Looks, folded.
#[derive(Debug, Default)]
pub struct Course {
    seen: HashMap<Pair, Seen>,
    /// some destination is known to be the command's
    any_sure: bool,
    /// other programs use this network namespace
    is_shared: bool,
    /// pairs that were not followed, the most in one look
    not_followed: usize,
    servers: HashMap<SocketAddr, ServerSeen>,
    named: Vec<SocketAddr>,
    teller: Teller,
    outlooks: Vec<Outlook>,
    rows: Vec<LookRow>,
    processes: Processes,
    cpu: Mean,
    ran: Mean,
    waited: Mean,
    host: Mean,
    first: Option<(KernelCounters, Sysctls)>,
    counters: Option<KernelCounters>,
    /// connections that were made in the namespace
    opened: Growth,
    sysctls: Sysctls,
    changes: Vec<SettingChange>,
    pool: Option<u32>,
    sockets_missing: Option<String>,
    before_s: f64,
}

impl Course {
    /// Other programs use this network namespace: connections without an owner or a name are nobody's.
    pub fn share(&mut self) {
        self.is_shared = true;
    }

    /// Addresses that the command names are its own.
    pub fn name(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            if !self.named.contains(address) {
                self.named.push(*address);
            }
        }
        self.any_sure |= self.seen.iter().any(|(pair, s)| self.is_sure(pair, s));
    }

    fn is_sure(&self, (_, dest): &Pair, seen: &Seen) -> bool {
        seen.owned || self.named.contains(dest)
    }

    /// The destinations whose listeners are worth a look.
    pub fn destinations(&self) -> Vec<SocketAddr> {
        let own = self.seen.iter().filter(|(pair, s)| self.attribution(pair, s).is_some()).map(|((_, dest), _)| *dest);
        let own = distinct(own.filter(|dest| !self.named.contains(dest)));
        self.named.iter().copied().chain(own).take(LISTENERS_MAX).collect()
    }

    /// One more look, in the order of time; `ended_s` is when the command ended, if it has. The lines that it gives rise to.
    pub fn on_look(&mut self, look: &Look, ended_s: Option<f64>) -> Vec<Outlook> {
        let span_s = (look.at_s - self.before_s).max(0.0);
        self.settings(look);
        if self.first.is_none()
            && let Some(counters) = look.counters
        {
            self.first = Some((counters, look.sysctls.clone()));
        }
        if let Some((now, (first, _))) = look.counters.zip(self.first.as_ref())
            && ended_s.is_none()
        {
            self.opened.add(look.at_s, now.since(first).opened_actively());
        }
        self.counters = look.counters.or(self.counters);
        self.pool = look.pool.or(self.pool);
        self.sockets_missing.clone_from(&look.sockets_missing);
        self.tree(look, span_s);
        self.make_room(look);
        let mut not_followed = 0;
        for towards in &look.towards {
            if self.is_followed(towards) {
                self.towards(look, towards, span_s, ended_s);
            } else {
                not_followed += 1;
            }
        }
        self.not_followed = self.not_followed.max(not_followed);
        self.any_sure = self.any_sure || self.seen.iter().any(|(pair, s)| self.is_sure(pair, s));
        for (dest, server) in &look.servers {
            let close_wait = look.towards.iter().filter(|t| t.dest == *dest).map(|t| t.server_close_wait).sum();
            let failed = self.failed();
            self.servers.entry(*dest).or_default().on_look(server, close_wait, span_s, look.at_s.max(0.0), failed);
        }
        let said = if ended_s.is_none() { self.tell(look) } else { Vec::new() };
        self.outlooks.extend(said.iter().take(SAID_MAX.saturating_sub(self.outlooks.len())).cloned());
        let mine = |t: &&Towards| {
            let pair = (t.source, t.dest);
            self.seen.get(&pair).is_some_and(|s| self.attribution(&pair, s).is_some())
        };
        let own: Vec<&Towards> = look.towards.iter().filter(mine).collect();
        // Sockets that could not be read are not 0.
        if look.at_s > 0.0 && look.sockets_missing.is_none() && self.rows.len() < ROWS_MAX {
            self.rows.push(LookRow {
                t_s: (look.at_s * 1000.0).round() / 1000.0,
                ports_used: own.iter().map(|t| t.count.in_use.ports()).max().unwrap_or(0),
                ended: own.iter().map(|t| t.new + t.server_new).sum(),
                open: own.iter().map(|t| open(t)).sum(),
                cpu_percent: look.tree.cpu_percent.unwrap_or(0.0),
            });
        }
        self.before_s = look.at_s;
        said
    }

    /// Connects that have failed since the first look; none where the counters could not be read.
    fn failed(&self) -> Option<u64> {
        let (now, (first, _)) = self.counters.zip(self.first.as_ref())?;
        Some(now.since(first).refused())
    }

    /// Forgets pairs of other programs that have no socket any more, where there are many.
    fn make_room(&mut self, look: &Look) {
        if self.seen.len() >= SEEN_MAX && self.any_sure {
            let now: HashSet<Pair> = look.towards.iter().map(|t| (t.source, t.dest)).collect();
            let named = &self.named;
            self.seen.retain(|key, s| s.owned || named.contains(&key.1) || now.contains(key));
        }
    }

    fn is_followed(&self, t: &Towards) -> bool {
        let is_sure = t.owned > 0 || self.named.contains(&t.dest);
        let room = if is_sure { 2 * SEEN_MAX } else { SEEN_MAX };
        self.seen.len() < room || self.seen.contains_key(&(t.source, t.dest))
    }

    fn settings(&mut self, look: &Look) {
        if self.first.is_some() && self.changes.len() < SAID_MAX {
            for (key, from, to) in settings_changed(&self.sysctls, &look.sysctls) {
                self.changes.push(SettingChange { key: key.into(), from, to, at_s: look.at_s });
            }
        }
        self.sysctls = look.sysctls.clone();
    }

    fn tree(&mut self, look: &Look, span_s: f64) {
        let (p, t) = (&mut self.processes, &look.tree);
        p.count_max = p.count_max.max(t.count);
        p.rss_bytes_max = p.rss_bytes_max.max(t.rss_bytes);
        self.cpu.add(t.cpu_percent, span_s);
        self.ran.add(t.ran.map(|ran| ran * 100.0), span_s);
        self.waited.add(t.waited.map(|waited| waited * 100.0), span_s);
        self.host.add(look.host_cpu_percent, span_s);
        if let Some(ran) = t.ran {
            p.measured_looks += 1;
            p.busy_looks += u32::from(ran >= BUSY);
            let no_room = ran >= BUSY / 2.0 && ran + t.busiest_waited.unwrap_or(0.0) >= BUSY;
            p.no_room_looks += u32::from(no_room);
            p.waiting_looks += u32::from(t.waited.is_some_and(|w| w > WAITED));
        }
        let nearest = |d: Option<(u32, Option<u64>)>| d.map_or(0.0, |(n, limit)| f64::from(n) / limit.unwrap_or(u64::MAX) as f64);
        let before = p.descriptors_max.map(|n| (n, p.descriptor_limit));
        if t.descriptors.is_some() && (before.is_none() || nearest(t.descriptors) > nearest(before)) {
            (p.descriptors_max, p.descriptor_limit) = (t.descriptors.map(|d| d.0), t.descriptors.and_then(|d| d.1));
        }
    }

    fn towards(&mut self, look: &Look, t: &Towards, span_s: f64, ended_s: Option<f64>) {
        let at_s = look.at_s;
        let seen = self.seen.entry((t.source, t.dest)).or_default();
        seen.owned |= t.owned > 0;
        seen.open_max = seen.open_max.max(open(t));
        seen.unanswered_max = seen.unanswered_max.max(t.unanswered);
        if at_s <= 0.0 {
            seen.used_before = t.count.in_use.ports();
        } else {
            seen.client += u64::from(t.new);
            seen.server += u64::from(t.server_new);
        }
        if t.count.in_use.ports() > seen.peak.in_use.ports() || seen.peak.used == 0 {
            (seen.peak, seen.peak_at_s) = (t.count, at_s);
        }
        // Connections that the end of the command closed are no rate.
        let after_end_s = ended_s.map_or(0.0, |ended| (at_s - ended).max(0.0) + 0.5);
        let own_s = (at_s - after_end_s).min(RATE_S);
        if own_s >= 0.5 {
            seen.by_client.add(f64::from(t.births.between(after_end_s, after_end_s + own_s)), own_s);
        }
        if ended_s.is_none() {
            seen.by_server.add(at_s.max(0.0), seen.server);
        }
        if is_full(t, look.pool) && at_s > 0.0 {
            let idle_s = t.births.newest_s().unwrap_or(span_s);
            let from = (at_s - idle_s).max(0.0);
            let full = seen.full.get_or_insert([from, at_s]);
            full[1] = at_s;
            // Time after the end of the command is nobody's wish to connect.
            let over_s = ended_s.map_or(0.0, |ended| (at_s - ended).max(0.0));
            seen.stuck_s += (idle_s.min(span_s) - over_s.min(span_s)).max(0.0);
        }
    }

    /// How a destination is known to be the command's; none where it is another program's.
    fn attribution(&self, (_, dest): &Pair, seen: &Seen) -> Option<Attribution> {
        if seen.owned {
            Some(Attribution::Socket)
        } else if self.named.contains(dest) {
            Some(Attribution::Named)
        } else {
            // Beside others, that it is new proves nothing.
            (!self.any_sure && !self.is_shared && seen.client + seen.server > 0).then_some(Attribution::Time)
        }
    }

    fn tell(&mut self, look: &Look) -> Vec<Outlook> {
        let mut lines = Vec::new();
        for t in &look.towards {
            let pair = (t.source, t.dest);
            let Some(seen) = self.seen.get(&pair) else { continue };
            let (Some(_), Some(pool)) = (self.attribution(&pair, seen), look.pool) else { continue };
            let Fact::Known(hold) = hold(&look.sysctls, t.dest, &PortUse::default()) else { continue };
            let budget = Budget::new(pool, hold.seconds).capped_at(look.sysctls.tcp_max_tw_buckets);
            // Of a tree that was found running, the last minute is known; of a new one what came since its start.
            let history_s = t.births.oldest_within(60.0).unwrap_or(0.0);
            let history_s = if seen.used_before > 0 { history_s } else { history_s.min(look.at_s) };
            let is_full = is_full(t, look.pool) && hold.seconds > 1.5 && t.births.newest_s().is_none_or(|s| s >= 0.5);
            let filling = filling(&t.births, t.count.in_use, budget, history_s);
            let now = PoolNow { dest: t.dest, in_use: t.count.in_use, budget, filling, is_full };
            lines.extend(self.teller.on_look(look.at_s, &now));
        }
        lines
    }

    /// Writes the facts into a report.
    pub fn write(self, report: &mut WatchReport, end: End) {
        report.kernel = self.counters.zip(self.first.as_ref()).map(|(now, (first, _))| now.since(first));
        let own = self.seen.iter().filter_map(|(pair, s)| Some((*pair, s, self.attribution(pair, s)?)));
        let mut own: Vec<_> = own.filter(|(_, s, by)| is_reported(s, *by)).collect();
        own.order_by_key(|((source, dest), s, by)| {
            (std::cmp::Reverse(s.peak.in_use.ports().max(s.peak.used)), *by, *dest, *source)
        });
        let unowned = self.seen.iter().filter(|(pair, s)| s.client + s.server > 0 && self.attribution(pair, s).is_none());
        let mut unowned: Vec<_> = unowned.collect();
        unowned.order_by_key(|((source, dest), s)| (std::cmp::Reverse(s.client + s.server), *dest, *source));
        let others = unowned.len();
        report.unowned = unowned.into_iter().take(UNOWNED_MAX).map(|(pair, s)| s.unowned(pair)).collect();
        report.destinations = own.iter().map(|(pair, seen, by)| self.destination(report, *pair, seen, *by)).collect();
        if let [only] = &mut report.destinations[..]
            && !self.is_shared
            && others + self.not_followed == 0
        {
            // A SYN that fails on the way in is among those that failed: where more were seen to end, it says nothing.
            let opened = report.kernel.map(|k| k.opened_actively());
            // Nor where a SYN had no answer: a program that gives it up leaves no trace in the counters.
            let all_answered = only.unanswered_max == 0;
            only.made = opened.filter(|n| all_answered && *n >= only.closed_by_client + only.closed_by_server);
            if only.made.is_some() && self.opened.peak.cps > only.peak_cps {
                (only.peak_cps, only.peak_over_s) = of_peak(self.opened.peak);
            }
        }
        for address in &self.named {
            if !own.iter().any(|((_, dest), ..)| dest == address) && self.servers.contains_key(address) {
                let row = self.destination(report, (address.ip(), *address), &Seen::default(), Attribution::Named);
                report.destinations.push(row);
            }
        }
        report.other_destinations = (others + self.not_followed) as u32;
        report.duration_s = end.at_s;
        report.processes = Processes {
            cpu_percent_mean: self.cpu.value(),
            busiest_thread_percent: self.ran.value(),
            waited_percent_mean: self.waited.value(),
            left: end.left,
            ..self.processes
        };
        report.host_cpu_percent_mean = self.host.value();
        report.host.sysctls_at_end = Some(self.sysctls);
        (report.settings_changed, report.outlooks, report.looks) = (self.changes, self.outlooks, self.rows);
        if let Some(why) = &self.sockets_missing {
            report.explain_null("destinations", why.clone());
        }
    }

    fn destination(&self, report: &WatchReport, (source, dest): Pair, seen: &Seen, by: Attribution) -> Destination {
        let sysctls = &report.host.sysctls;
        let held = hold(sysctls, dest, &PortUse::default());
        let hold_s = held.known().map(|h: &Hold| h.seconds);
        let budget = self.pool.zip(hold_s).map(|(p, t)| Budget::new(p, t).capped_at(sysctls.tcp_max_tw_buckets));
        let used = seen.peak.in_use.ports();
        let (peak_cps, peak_over_s) = of_peak(seen.by_client.or(seen.by_server.peak));
        Destination {
            source: source.to_string(),
            destination: dest.into(),
            by,
            pool: self.pool,
            hold_s,
            hold_why: match held {
                Fact::Known(h) => h.why,
                Fact::Unavailable(why) => why,
            },
            ceiling_cps: budget.and_then(|b| b.limit_cps()),
            used_before: seen.used_before,
            peak_used: used,
            peak_share: self.pool.filter(|p| *p > 0).map(|p| f64::from(used) / f64::from(p)),
            peak_at_s: seen.peak_at_s.max(0.0),
            states: seen.peak.states,
            closed_by_client: seen.client,
            closed_by_server: seen.server,
            made: None,
            open_max: seen.open_max,
            unanswered_max: seen.unanswered_max,
            peak_cps,
            peak_over_s,
            full_s: seen.full,
            stuck_s: seen.stuck_s,
            server: self.servers.get(&dest).filter(|s| s.listened).map(|s| s.row(self.failed())),
        }
    }
}

impl Seen {
    fn unowned(&self, (source, dest): &Pair) -> Unowned {
        Unowned {
            source: source.to_string(),
            destination: dest.to_string(),
            closed_by_client: self.client,
            closed_by_server: self.server,
        }
    }
}

/// A named destination is reported where something went to it.
fn is_reported(seen: &Seen, by: Attribution) -> bool {
    by == Attribution::Socket || seen.client + seen.server > 0 || seen.peak.used > 0
}

/// The rate, and the seconds that it was counted over.
fn of_peak(peak: Peak) -> (f64, Option<f64>) {
    (peak.cps, (peak.over_s > 0.0).then(|| (peak.over_s * 1000.0).round() / 1000.0))
}

/// Connections that are established.
fn open(t: &Towards) -> u32 {
    t.count.states.established.saturating_sub(t.opening)
}

/// Whether every port is in use.
pub(super) fn is_full(t: &Towards, pool: Option<u32>) -> bool {
    pool.is_some_and(|p| t.count.in_use.fill(p))
}

#[cfg(test)]
#[path = "measured_tests.rs"]
mod measured_tests;
#[cfg(test)]
#[path = "rules_tests.rs"]
mod rules_tests;
#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
