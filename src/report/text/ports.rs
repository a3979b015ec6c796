//! The port budget and its forecast on the terminal: the answer first, then what it rests on.

use super::page::Page;
use crate::model::figures::{self, count, counted, rate, seconds, share};
use crate::model::forecast::Forecast;
use crate::model::port_count::REUSABLE;
use crate::model::ports_report::{DestinationPorts, PortsReport};
use crate::report::names::shortened_apart;
use crate::report::style::{Style, Tone, wrapped};
use crate::report::table::{Align, Cell, Table, or_dash};

/// From this share of the pool on, a destination asks for care; from the second on it is bad.
const SHARE_WARN: f64 = 0.5;
/// See [`SHARE_WARN`].
const SHARE_BAD: f64 = 0.9;

/// The budget now: one destination in full, several in a table. Those whose ports connect() can all take are left out.
pub fn render_ports(r: &PortsReport, page: &Page) -> String {
    let shown: Vec<&DestinationPorts> = r.destinations.iter().filter(|d| r.destinations.len() == 1 || is_used(d)).collect();
    let mut out = match &shown[..] {
        [] => format!("{}\n", page.style.paint(Tone::Good, &format!("every source port is free: {}", pool_words(r)))),
        [one] => single(r, one, page),
        several => many(r, several, page),
    };
    out += &page.labelled("pool", &pool(r));
    out += &page.labelled("scope", SCOPE);
    let noted = if shown.is_empty() { r.destinations.iter().collect() } else { shown };
    out += &page.listed("note", &notes(r, &noted));
    let missing: Vec<String> = r
        .unavailable
        .iter()
        .filter(|u| !OF_ROWS.iter().any(|end| u.key.ends_with(end)))
        .map(|u| format!("{}: {}", u.key, u.reason))
        .collect();
    out + &page.listed("unknown", &missing)
}

fn is_used(d: &DestinationPorts) -> bool {
    d.held > 0 || d.used_outside > 0
}

/// `28,230 to each destination`
fn pool_words(r: &PortsReport) -> String {
    r.pool.map_or_else(|| "how many there are is not known".to_owned(), |pool| format!("{} to each destination", count(pool)))
}

fn pool(r: &PortsReport) -> String {
    let Some([lo, hi]) = r.range else { return "unknown".into() };
    let mut text = format!("ports {lo}-{hi}");
    let kinds = [(r.reserved, "reserved"), (r.listeners, "listened on"), (r.bound_only, "bound by others")];
    let without: Vec<String> =
        kinds.iter().filter_map(|(n, words)| n.filter(|n| *n > 0).map(|n| format!("{} {words}", count(n)))).collect();
    if !without.is_empty() {
        text += &format!(" without {}", without.join(", "));
    }
    text + &format!("; Linux {}", r.kernel)
}

/// What each kind of figure is of.
const SCOPE: &str = "this network namespace: a container has ports of its own. Free ports and connections/s are those of each \
                     destination (address and port) by itself";

/// `27,900 of 28,232 source ports to 127.0.0.1:8080 are free`, then what has the others and what all of them sustain.
fn single(r: &PortsReport, d: &DestinationPorts, page: &Page) -> String {
    let head = match r.pool {
        Some(pool) => {
            let free = pool.saturating_sub(d.held);
            format!("{} of {} source ports to {} are free", count(free), count(pool), d.destination)
        }
        None => format!("{} to {} are in use; how many there are is not known", counted(d.held, "source port"), d.destination),
    };
    let mut out = page.style.paint(tone(d), wrapped(&head, 0, page.width).trim_end()) + "\n";
    if is_used(d) {
        let reusable = d.used.saturating_sub(d.held);
        let states = [
            (d.states.time_wait.saturating_sub(reusable), "in TIME_WAIT"),
            (d.states.established, "in ESTABLISHED"),
            (d.states.fin_wait2, "in FIN_WAIT2"),
            (d.states.close_wait, "in CLOSE_WAIT"),
        ];
        let states: Vec<String> =
            states.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{} {words}", count(*n))).collect();
        let part = d.share.map_or_else(String::new, |s| format!(" ({})", share(s)));
        out += &page.labelled("in use", &format!("{}{part}, from {}: {}", count(d.held), d.source, states.join(", ")));
    }
    let lasting = format!("{} without a known end", count(d.open));
    if let (Some(first), Some(last)) = (d.first_free_in_s.filter(|s| *s > 0.0), d.last_free_in_s) {
        out += &match d.held.saturating_sub(d.open) {
            _ if d.open == 0 => page.labelled("all free", &format!("in {}, the first in {}", seconds(last), seconds(first))),
            timed => {
                let text = format!("{} within {}, the first in {}; {lasting}", count(timed), seconds(last), seconds(first));
                page.labelled("free", &text)
            }
        };
    } else if d.states.fin_wait2_kept > 0 || depends_on_process(d) > 0 {
        out += &page.labelled("free", &lasting);
    }
    if let (Some(pool), Some(hold), Some(ceiling)) = (r.pool, d.hold_s, d.ceiling_cps) {
        out += &page.labelled("limit", &limit(pool, hold, ceiling, d.search_cps));
    }
    out
}

/// `28,232 ports / 60 s = 471 connections/s at most`
fn limit(pool: u32, hold_s: f64, ceiling_cps: f64, search_cps: Option<f64>) -> String {
    let slower = search_cps.map_or_else(String::new, |s| {
        format!("; above {}/s connect() slows down on Linux (it searches longer for a free port)", rate(s))
    });
    format!(
        "{} / {} = {} connections/s to one destination at most{slower}",
        counted(pool, "port"),
        figures::hold(hold_s),
        rate(ceiling_cps)
    )
}

fn tone(d: &DestinationPorts) -> Tone {
    match d.share {
        Some(s) if s >= SHARE_BAD => Tone::Bad,
        Some(s) if s >= SHARE_WARN => Tone::Warn,
        _ => Tone::Normal,
    }
}

fn many(r: &PortsReport, shown: &[&DestinationPorts], page: &Page) -> String {
    let all: u64 = shown.iter().map(|d| u64::from(d.held)).sum::<u64>() + u64::from(r.more_used);
    let destinations = shown.len() as u64 + u64::from(r.more_destinations);
    let fullest = shown.iter().max_by(|a, b| a.share.unwrap_or(0.0).total_cmp(&b.share.unwrap_or(0.0)));
    let most = fullest.map_or_else(String::new, |d| {
        let of = r.pool.map_or_else(String::new, |pool| format!(" of {}", count(pool)));
        let part = d.share.map_or_else(String::new, |s| format!(" ({})", share(s)));
        format!("; the most to {}: {}{of}{part}", d.destination, count(d.held))
    });
    let head = format!("{} in use to {}{most}", counted(all, "source port"), counted(destinations, "destination"));
    let mut out = wrapped(&head, 0, page.width);
    out += &table(shown).render(page.style, page.width);
    if r.more_destinations > 0 {
        let more = counted(r.more_destinations, "destination");
        out += &format!("  and {more} more with {} (--all)\n", counted(r.more_used, "port"));
    }
    out
}

/// Characters of an address: those of IPv6 lose their middle.
const NAME_WIDTH: usize = 24;

/// Head and text of a column of figures.
type Column = (&'static str, fn(&DestinationPorts) -> String);

/// Columns that are zero in every row are left out.
fn table(shown: &[&DestinationPorts]) -> Table {
    let any = |f: &dyn Fn(&DestinationPorts) -> bool| shown.iter().any(|d| f(d));
    let sources = shown.windows(2).any(|w| w[0].source != w[1].source);
    let columns: [(bool, Column); 8] = [
        (true, ("in use", |d| count(d.held))),
        (true, ("share", |d| or_dash(d.share, share))),
        (any(&|d| d.states.time_wait > 0), ("TIME_WAIT", |d| count(d.states.time_wait))),
        (any(&|d| d.states.established > 0), ("ESTAB", |d| count(d.states.established))),
        (any(&|d| d.states.fin_wait2 > 0), ("FIN_WAIT2", |d| count(d.states.fin_wait2))),
        (any(&|d| d.states.close_wait > 0), ("CLOSE_WAIT", |d| count(d.states.close_wait))),
        (any(&|d| d.ceiling_cps.is_some()), ("max/s", |d| or_dash(d.ceiling_cps, rate))),
        (any(&waits), ("all free", |d| or_dash(d.last_free_in_s.filter(|s| *s > 0.0 && d.open == 0), seconds))),
    ];
    let columns: Vec<Column> = columns.into_iter().filter(|(wanted, _)| *wanted).map(|(_, column)| column).collect();
    let names = |of: fn(&DestinationPorts) -> &str| shortened_apart(shown.iter().map(|d| of(d)), NAME_WIDTH);
    let (source, destination) = (names(|d| &d.source), names(|d| &d.destination));
    let named = sources.then_some("source").into_iter().chain(["destination"]).map(|head| (head, Align::Left));
    let figures = columns.iter().map(|(head, _)| (*head, Align::Right));
    let mut table = Table::with_columns(named.chain(figures)).indented(2).named_by(1 + usize::from(sources));
    for ((d, source), destination) in shown.iter().zip(source).zip(destination) {
        let names = sources.then_some(source).into_iter().chain([destination]);
        let figures = columns.iter().map(|(_, text)| text(d));
        table.row_of(names.chain(figures).map(|text| Cell::toned(tone(d), text)).collect());
    }
    table
}

/// Whether there is a time at which all of them are free.
fn waits(d: &DestinationPorts) -> bool {
    d.last_free_in_s.is_some_and(|s| s > 0.0) && d.open == 0
}

/// The server has closed, and the process here has not.
const fn depends_on_process(d: &DestinationPorts) -> u32 {
    d.states.close_wait.saturating_sub(d.states.last_ack)
}

/// When a port in such a state is free, if not by TIME_WAIT.
const FIN_WAIT2_KEPT: &str = "in FIN_WAIT2 depend on the server: no timer ends them while a process here has the socket; when \
                              the server closes too, TIME_WAIT follows";
/// See [`FIN_WAIT2_KEPT`].
const FIN_WAIT2_TIMED: &str = "in FIN_WAIT2 that no process has any more end by their timer (tcp_fin_timeout); where the \
                               server closes before, TIME_WAIT follows";
/// See [`FIN_WAIT2_KEPT`].
const CLOSE_WAIT: &str = "in CLOSE_WAIT depend on the process here: the server has closed, it has not";

/// What many rows do not have, and no line here is about.
const OF_ROWS: &[&str] = &["_free_in_s", "time_wait_target_side"];

/// Why each port stays in use so long, ports outside the range, TIME_WAIT that costs none. Each once.
fn notes(r: &PortsReport, shown: &[&DestinationPorts]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for d in shown {
        if let Some(hold) = d.hold_s {
            let why = format!("a port stays in use for {} after its connection: {}", figures::hold(hold), d.hold_why);
            if !notes.contains(&why) {
                notes.push(why);
            }
        }
    }
    if let (true, Some(search)) = (shown.len() > 1, shown.iter().filter_map(|d| d.search_cps).reduce(f64::min)) {
        notes.push(format!("above {}/s connect() slows down: the kernel searches longer for a free port", rate(search)));
    }
    // Of rows without a port in use too: their TIME_WAIT is there all the same.
    let sum = |f: &dyn Fn(&DestinationPorts) -> u32| r.destinations.iter().map(|d| u64::from(f(d))).sum::<u64>();
    let listed = if r.more_destinations > 0 { " (of the destinations listed)" } else { "" };
    let again = sum(&|d| d.used.saturating_sub(d.held));
    if again > 0 {
        notes.push(format!(
            "{} {REUSABLE} are not in use; bind() cannot take them, nor connect() where they were bound explicitly{listed}",
            counted(again, "port")
        ));
    }
    let ends = [
        (sum(&|d| d.states.fin_wait2_kept), FIN_WAIT2_KEPT),
        (sum(&|d| d.states.fin_wait2_timed), FIN_WAIT2_TIMED),
        (sum(&depends_on_process), CLOSE_WAIT),
    ];
    notes.extend(ends.into_iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{} {words}{listed}", count(n))));
    let outside = sum(&|d| d.used_outside);
    if outside > 0 {
        notes.push(format!("{} outside the range are in use, bound explicitly", counted(outside, "port")));
    }
    let servers = sum(&|d| d.time_wait_target_side.unwrap_or(0)) + u64::from(r.time_wait_at_servers);
    if servers > 0 {
        notes.push(format!("{} in TIME_WAIT at the server's end, which closed first, use no source port", count(servers)));
    }
    notes
}

/// A forecast; `assumed` names each figure that was not asked for, with where it comes from.
pub fn render_forecast(f: &Forecast, assumed: &[String], style: Style) -> String {
    let page = Page { style, ..Page::plain() };
    let (tone, head) = headline(f);
    let mut out = page.style.paint(tone, wrapped(&head, 0, page.width).trim_end()) + "\n";
    if let Some(ceiling) = f.ceiling_cps {
        let limit = limit(f.pool, f.hold_s, ceiling, f.search_cps);
        out += &page.labelled("limit", &limit);
    }
    let recovered = f.assumed.recovered_rate_cps;
    if f.exhausted_at_s.is_some() && recovered != f.rate_cps {
        let again = match f.echo_recovered_s.first() {
            None => format!("at {}/s after the recovery it does not recur", rate(recovered)),
            Some(at) => format!("at {}/s after the recovery it recurs at {}", rate(recovered), seconds(*at)),
        };
        out += &page.labelled("later", &again);
    }
    out += &page
        .labelled("result", &format!("in {} {} connect, {} fail", seconds(f.duration_s), count(f.successes), count(f.failures)));
    out + &page.listed("assumed", assumed)
}

fn headline(f: &Forecast) -> (Tone, String) {
    let asked = format!("{} connections/s", rate(f.rate_cps));
    let held = format!(" at T = {}", figures::hold(f.hold_s));
    match (f.ceiling_cps, f.exhausted_at_s) {
        (None, _) if f.hold_s > 0.0 => {
            let kept = "because TIME_WAIT is capped below the pool";
            (
                Tone::Good,
                format!("{asked}: ports last, {kept}; at most {} of {} in use", share(f.peak_share), counted(f.pool, "port")),
            )
        }
        (None, _) => (Tone::Good, format!("{asked}: ports do not run out, because none stays in use")),
        (Some(_), None) => {
            (Tone::Good, format!("{asked}: ports last; {} of {} in use{held}", share(f.peak_share), counted(f.pool, "port")))
        }
        (Some(_), Some(at)) => {
            let when = if f.fails_within() { "ports run out" } else { "this run ends before, but ports would run out" };
            let dead =
                f.dead_s.filter(|s| *s > 0.0).map_or_else(String::new, |s| format!("; nothing connects for {}", seconds(s)));
            let recurs = if f.echo_s.is_empty() { String::new() } else { format!("; this recurs every {}", seconds(f.hold_s)) };
            (Tone::Bad, format!("{asked}: {when} after {}{held}{dead}{recurs}", seconds(at)))
        }
    }
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
