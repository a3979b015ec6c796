//! The port budget while nothing fails yet: a high peak, a rate over P/T in a short run, a slow search.

use sockbench::testing::model::FindingId::{GeneratorSaturated, PortBudgetHigh, PortSearchSlow, UsersNotReached};

use crate::check::{Case, ROW};
use crate::rig::{load, server};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "80 of 100 ports in TIME_WAIT",
        expected: Some(PortBudgetHigh),
        sysctls: &["net.ipv4.ip_local_port_range=33000 33099", "net.ipv4.tcp_tw_reuse=0"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "40", "--conns", "10", "--requests", "80"])
        },
        check: |c| {
            budget(c, 100.0, 80);
            c.is("peak_used", 80.0);
            c.is("peak_share", 0.8);
        },
        ..ROW
    },
    Case {
        name: "rate over P/T, too short to fail",
        expected: Some(PortBudgetHigh),
        sysctls: &["net.ipv4.ip_local_port_range=33000 33999", "net.ipv4.tcp_tw_reuse=0"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "40", "--conns", "10", "--duration", "3s"])
        },
        check: |c| {
            budget(c, 1000.0, c.run.totals.requests);
            c.between("peak_share", 0.1, 0.13);
            c.between("rate_cps", 35.0, 41.0);
            let at = 1000.0 / c.number("rate_cps");
            c.between("exhausted_at_s", at * 0.999, at * 1.001);
        },
        ..ROW
    },
    Case {
        name: "one of two sources nearly used up by an earlier run",
        expected: Some(PortBudgetHigh),
        sysctls: &["net.ipv4.ip_local_port_range=33000 33099", "net.ipv4.tcp_tw_reuse=0"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--source", "127.0.0.2", "--conns", "4", "--requests", "80"]);
            // Each pool sustains 100 / 60 s = 1.67/s.
            let both = ["--source", "127.0.0.2,127.0.0.3", "--rate", "3", "--conns", "4", "--duration", "4s"];
            load("/health", &[&["--no-keepalive"], &both[..]].concat())
        },
        check: |c| {
            c.word("source", "127.0.0.2");
            c.is("pool", 100.0);
            c.between("peak_share", 0.85, 0.87);
            let rows: Vec<_> = c.run.ports_all.iter().map(|p| (p.source.as_str(), p.leftover_before, p.peak_used)).collect();
            let [worn, fresh] = rows[..] else { return c.that(&format!("a row for each source: {rows:?}"), false) };
            c.same("the worn one", (worn.0, worn.1), ("127.0.0.2", Some(80)));
            c.that(&format!("the fresh one {fresh:?}"), fresh.0 == "127.0.0.3" && fresh.2.is_some_and(|n| (5..=7).contains(&n)));
            // All together they look harmless.
            c.that("half of both pools", c.run.ports.as_ref().and_then(|p| p.peak_share).is_some_and(|s| s < 0.5));
        },
        ..ROW
    },
    Case {
        // Two thirds of 8000 ports are younger than T at any time, and more than 8000 are made: nothing else is wrong.
        name: "search through 8000 ports at 1.25 x (P/2)/T",
        expected: Some(PortSearchSlow),
        also: &[GeneratorSaturated, UsersNotReached],
        sysctls: &["net.ipv4.ip_local_port_range=33000 40999", "net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_tw_reuse_delay=4000"],
        alone: true,
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "1250", "--conns", "64", "--duration", "8s"])
        },
        check: |c| {
            c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0));
            c.is("pool", 8000.0);
            c.is("search_cps", 1000.0);
            let (before, after) = (c.number("mean_us_below_half"), c.number("mean_us"));
            c.that("four times dearer", after >= 4.0 * before);
            c.between("rate_cps", 1000.0, 1300.0);
            c.between("seconds_above_half", 3.0, 6.0);
        },
        ..ROW
    },
];

/// 60 s of TIME_WAIT, nothing failed.
fn budget(c: &mut crate::check::Check<'_>, pool: f64, opened: u64) {
    let t = &c.run.totals;
    c.same("failures", (t.failures, t.local_failures), (0, 0));
    c.is("pool", pool);
    c.is("hold_s", 60.0);
    c.between("ceiling_cps", pool / 60.0 * 0.999, pool / 60.0 * 1.001);
    c.counts("connections_opened", opened);
    let rate = t.connections_opened as f64 / c.run.duration_s;
    c.between("rate_cps", rate * 0.999, rate * 1.001);
}
