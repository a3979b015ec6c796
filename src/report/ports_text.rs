//! The port budget and its forecast on the terminal.

use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use crate::model::figures::{counted, percent, rate, seconds};
use crate::model::forecast::Forecast;
use crate::model::ports_report::{DestinationPorts, PortsReport};

/// From this share of the pool on, a row asks for care; from the second on it is bad.
const SHARE_WARN: f64 = 0.5;
/// See [`SHARE_WARN`].
const SHARE_BAD: f64 = 0.9;
/// Times of a forecast's echo that are shown.
const ECHOES_SHOWN: usize = 5;

/// The budget now.
pub fn render_ports(r: &PortsReport, style: Style) -> String {
    let mut out = pool_line(r, style);
    if r.destinations.is_empty() {
        out += "no port is held towards any destination\n";
    } else {
        out += &table(r).render(style);
    }
    if r.more_destinations > 0 {
        let ports = counted(r.more_used, "port");
        out += &format!("and {} more, which hold {ports}\n", counted(r.more_destinations, "destination"));
    }
    for line in rules(&r.destinations) {
        out += &format!("{line}\n");
    }
    if r.time_wait_at_servers > 0 {
        out += &format!(
            "{} in TIME_WAIT at the server side, which closed first: no source port is held by them\n",
            r.time_wait_at_servers
        );
    }
    for u in r.unavailable.iter().filter(|u| !u.reason.starts_with("nothing is in TIME_WAIT")) {
        out += &format!("{}\n", style.paint(Tone::Faint, &format!("unavailable: {}: {}", u.key, u.reason)));
    }
    out
}

fn pool_line(r: &PortsReport, style: Style) -> String {
    let or_unknown = |n: Option<u32>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    let head = match (r.range, r.pool) {
        (Some([lo, hi]), Some(pool)) => format!("{pool} ports from one source to one destination ({lo}-{hi})"),
        _ => "pool unknown".into(),
    };
    format!(
        "{}; not usable inside: reserved {}, listeners {}, bound {}; Linux {}\n",
        style.paint(Tone::Heading, &head),
        or_unknown(r.reserved),
        or_unknown(r.listeners),
        or_unknown(r.bound_only),
        r.kernel
    )
}

fn table(r: &PortsReport) -> Table {
    let mut table = Table::new([
        ("source", Align::Left),
        ("destination", Align::Left),
        ("held", Align::Right),
        ("share", Align::Right),
        ("TIME_WAIT", Align::Right),
        ("ESTAB", Align::Right),
        ("FIN_WAIT2", Align::Right),
        ("CLOSE_WAIT", Align::Right),
        ("T", Align::Right),
        ("ceiling/s", Align::Right),
        ("search/s", Align::Right),
        ("first free", Align::Right),
        ("all free", Align::Right),
    ]);
    let or_dash = |v: Option<f64>, f: fn(f64) -> String| v.map_or_else(|| "-".to_owned(), f);
    for d in &r.destinations {
        let tone = match d.share {
            Some(s) if s >= SHARE_BAD => Tone::Bad,
            Some(s) if s >= SHARE_WARN => Tone::Warn,
            _ => Tone::Normal,
        };
        table.row([
            d.source.clone().into(),
            d.destination.clone().into(),
            Cell::toned(tone, d.held.to_string()),
            Cell::toned(tone, or_dash(d.share.map(|s| s * 100.0), percent)),
            d.states.time_wait.to_string().into(),
            d.states.established.to_string().into(),
            d.states.fin_wait2.to_string().into(),
            d.states.close_wait.to_string().into(),
            or_dash(d.hold_s, seconds).into(),
            or_dash(d.ceiling_cps, rate).into(),
            or_dash(d.search_cps, rate).into(),
            or_dash(d.first_free_in_s.filter(|s| *s > 0.0), seconds).into(),
            or_dash(d.last_free_in_s.filter(|s| *s > 0.0), seconds).into(),
        ]);
    }
    table
}

/// What the table cannot say: why T, ports outside the range, and TIME_WAIT at the other end. Each once.
fn rules(rows: &[DestinationPorts]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for d in rows {
        if let Some(hold_s) = d.hold_s {
            add(format!("T {} (client closes first, the kernel picks the port): {}", seconds(hold_s), d.hold_why));
        }
        let again = d.used.saturating_sub(d.held);
        if again > 0 {
            add(format!(
                "{} to {}: {again} of those in TIME_WAIT are older than T and not held: connect() takes them again; bind() does not, \
                 nor does connect() those that were bound explicitly before, which do not differ here",
                d.source, d.destination
            ));
        }
        if d.used_outside > 0 {
            let ports = counted(d.used_outside, "port");
            add(format!("{} to {}: {ports} more outside the range, bound explicitly", d.source, d.destination));
        }
        if d.time_wait_target_side > 0 {
            add(format!(
                "{} to {}: {} in TIME_WAIT at the destination, which closed first: they cost no port here",
                d.source, d.destination, d.time_wait_target_side
            ));
        }
    }
    lines
}

/// A forecast; `assumed` names each figure that was not asked for, with where it comes from.
pub fn render_forecast(f: &Forecast, assumed: &[String], style: Style) -> String {
    let mut out =
        format!("{} connections/s against {}, each held {}\n", rate(f.rate_cps), counted(f.pool, "port"), seconds(f.hold_s));
    let Some(ceiling) = f.ceiling_cps else {
        out += "ports do not run out: no ceiling\n";
        return with_assumptions(out, assumed);
    };
    out += &format!("  ceiling      {}/s sustained (P/T)", rate(ceiling));
    if let Some(search) = f.search_cps {
        out += &format!("; over {}/s the port search grows dear (Linux)", rate(search));
    }
    out += "\n";
    let held = f.peak_share * 100.0;
    if let (Some(at), Some(dead)) = (f.exhausted_at_s, f.dead_s) {
        let what = if f.fails_within() { "exhausted" } else { "would be exhausted" };
        out += &format!("  {}    after {}\n", style.paint(Tone::Bad, what), seconds(at));
        out += &format!("  dead time    {} in which nothing succeeds\n", seconds(dead));
        let times = |echoes: &[f64]| {
            let shown = echoes.iter().take(ECHOES_SHOWN).map(|s| seconds(*s)).collect::<Vec<_>>().join(", ");
            match echoes.len().saturating_sub(ECHOES_SHOWN) {
                0 => shown,
                more => format!("{shown} and {more} times more"),
            }
        };
        if !f.echo_s.is_empty() {
            out += &format!("  failures return after {}, if {}/s goes on\n", times(&f.echo_s), rate(f.rate_cps));
        }
        let recovered = f.assumed.recovered_rate_cps;
        if recovered != f.rate_cps {
            let again = match f.echo_recovered_s.as_slice() {
                [] => "they do not return".to_owned(),
                echoes => format!("after {}", times(echoes)),
            };
            out += &format!("  at the recovered rate of {}/s {again}\n", rate(recovered));
        }
    } else {
        let verdict = style.paint(Tone::Good, "holds out");
        out += &format!("  {verdict}  {} of the pool stands held at this rate\n", percent(held));
    }
    out += &format!("  in {}: {} succeed, {} fail\n", seconds(f.duration_s), f.successes, f.failures);
    with_assumptions(out, assumed)
}

fn with_assumptions(mut out: String, assumed: &[String]) -> String {
    for line in assumed {
        out += &format!("  assumed: {line}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::ports::budget::Budget;
    use crate::model::port_count::StateCounts;
    use crate::model::ports_report::PORTS_SCHEMA;

    fn report() -> PortsReport {
        PortsReport {
            schema: PORTS_SCHEMA.into(),
            kernel: "6.18.0".into(),
            range: Some([32768, 60999]),
            reserved: Some(0),
            listeners: Some(2),
            bound_only: Some(0),
            pool: Some(28230),
            destinations: vec![DestinationPorts {
                source: "127.0.0.1".into(),
                destination: "127.0.0.1:8080".into(),
                used: 27000,
                held: 27000,
                used_outside: 3,
                share: Some(27000.0 / 28230.0),
                states: StateCounts { time_wait: 26990, established: 10, fin_wait2: 0, close_wait: 0 },
                time_wait_target_side: 4,
                hold_s: Some(60.0),
                hold_why: "tcp_tw_reuse=0: TIME_WAIT lasts its full 60 s".into(),
                ceiling_cps: Some(470.5),
                search_cps: Some(235.25),
                first_free_in_s: Some(1.5),
                last_free_in_s: Some(59.9),
            }],
            more_destinations: 2,
            more_used: 7,
            time_wait_at_servers: 0,
            unavailable: vec![],
        }
    }

    #[test]
    fn the_budget_reads_like_this() {
        insta::assert_snapshot!(render_ports(&report(), Style::Plain));
    }

    #[test]
    fn what_is_free_to_be_taken_and_what_servers_keep_is_told_apart() {
        let mut r = report();
        let d = &mut r.destinations[0];
        (d.held, d.share, d.first_free_in_s, d.last_free_in_s) = (10, Some(10.0 / 28230.0), Some(0.0), Some(0.0));
        r.time_wait_at_servers = 12;
        let shown = render_ports(&r, Style::Plain);
        let row = shown.lines().find(|l| l.contains("127.0.0.1:8080  ")).unwrap_or_default();
        assert!(row.contains("    10  ") && row.trim_end().ends_with('-'), "{shown}");
        assert!(shown.contains("26990 of those in TIME_WAIT are older than T and not held"), "{shown}");
        assert!(shown.contains("12 in TIME_WAIT at the server side"), "{shown}");
    }

    #[test]
    fn echoes_that_are_not_listed_are_counted() {
        let f = Budget::new(28232, 60.0).forecast(10_000.0, Duration::from_mins(10), None, None);
        let shown = render_forecast(&f, &[], Style::Plain);
        assert_eq!(f.echo_s.len(), 10);
        assert!(shown.contains(" and 5 times more, if"), "{shown}");
    }

    #[test]
    fn an_empty_namespace_says_so_and_a_missing_fact_has_its_reason() {
        let mut r = PortsReport { destinations: vec![], more_destinations: 0, more_used: 0, bound_only: None, ..report() };
        r.explain_null("bound_only", "sock_diag shows bound-only sockets from Linux 6.8 on, this is 5.15.0");
        insta::assert_snapshot!(render_ports(&r, Style::Plain));
    }

    #[test]
    fn the_experiments_forecast_reads_like_this() {
        let f = Budget::new(16384, 120.0).forecast(170.0, Duration::from_mins(3), Some(300.0), Some(120.0));
        insta::assert_snapshot!(render_forecast(&f, &["nothing is held at the start".into()], Style::Plain));
    }

    #[test]
    fn a_rate_below_the_ceiling_holds_out() {
        let f = Budget::new(16384, 120.0).forecast(122.6, Duration::from_mins(3), None, None);
        insta::assert_snapshot!(render_forecast(&f, &[], Style::Plain));
    }
}
