//! Runs below saturation: neither error nor warning.

use crate::check::{Case, Check, ROW};
use crate::peers::peer;
use crate::rig::{load, server};
use crate::slow::slow;

const NO_REUSE: &str = "net.ipv4.tcp_tw_reuse=0";
const POOL_4000: &str = "net.ipv4.ip_local_port_range=33000 36999";
const POOL_100: &str = "net.ipv4.ip_local_port_range=33000 33099";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "healthy: kept connections, think time",
        run: || {
            let _server = server(&[]);
            load("/health", &["--conns", "10", "--think", "50ms..150ms", "--duration", "4s"])
        },
        check: |c| {
            fine(c);
            c.same("connections", c.run.totals.connections_opened, 10);
        },
        ..ROW
    },
    Case {
        name: "healthy: short connections at a third of P/T",
        sysctls: &[POOL_4000, NO_REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "20", "--conns", "10", "--duration", "4s"])
        },
        check: |c| {
            fine(c);
            let held = c.run.ports.as_ref().and_then(|p| p.peak_used);
            c.that(&format!("{held:?} ports in use"), held.is_some_and(|n| u64::from(n) + 10 > c.run.totals.connections_opened));
        },
        ..ROW
    },
    Case {
        name: "healthy: short connections, P used many times over at half of P/T",
        sysctls: &[POOL_100, "net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_tw_reuse_delay=500"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "100", "--conns", "20", "--duration", "5s"])
        },
        check: |c| {
            fine(c);
            c.that("P was used over", c.run.totals.connections_opened > 300);
        },
        ..ROW
    },
    Case {
        name: "healthy: --rate below saturation",
        run: || {
            let _server = server(&[]);
            load("/health", &["--rate", "100", "--conns", "10", "--duration", "4s"])
        },
        check: fine,
        ..ROW
    },
    Case {
        name: "healthy: the server closes first, three times the pool",
        sysctls: &[POOL_100, NO_REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--closer", "server", "--rate", "80", "--conns", "10", "--duration", "4s"])
        },
        check: |c| {
            fine(c);
            c.that("more connections than ports", c.run.totals.connections_opened > 250);
            c.same("closed by the server", c.run.closes.server, c.run.totals.connections_opened);
        },
        ..ROW
    },
    Case {
        name: "healthy: ring of 50, all in TIME_WAIT",
        sysctls: &[NO_REUSE],
        run: || {
            let _server = server(&[]);
            let ring = ["--port-mode", "ring", "--port-range", "10000-10049", "--reuse-addr"];
            load("/health", &[&["--no-keepalive", "--rate", "100", "--conns", "10", "--duration", "4s"], &ring[..]].concat())
        },
        check: |c| {
            fine(c);
            c.that("each port many times", c.run.totals.connections_opened > 300);
        },
        ..ROW
    },
    Case {
        name: "healthy: a constant slow target",
        run: || {
            peer(slow);
            load("/", &["--conns", "10", "--duration", "4s"])
        },
        check: fine,
        ..ROW
    },
    Case {
        name: "healthy: a constant slow target, a ramp",
        run: || {
            peer(slow);
            load("/", &["--conns", "20", "--spawn-rate", "4", "--duration", "9s"])
        },
        check: fine,
        ..ROW
    },
    Case {
        name: "healthy: a rate that its connections can just carry",
        run: || {
            peer(slow);
            load("/", &["--conns", "20", "--rate", "50", "--duration", "4s"])
        },
        check: fine,
        ..ROW
    },
    Case {
        name: "healthy: two sources, a rate between one pool's ceiling and two",
        sysctls: &[POOL_100, "net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_tw_reuse_delay=500"],
        run: || {
            let _server = server(&[]);
            // Each pool of 100 sustains 100 / 0.5 s = 200/s.
            let args =
                ["--no-keepalive", "--source", "127.0.0.2,127.0.0.3", "--rate", "250", "--conns", "20", "--duration", "4s"];
            load("/health", &args)
        },
        check: |c| {
            fine(c);
            c.that("more than one pool sustains", c.run.totals.connections_opened > 900);
            evenly(c, 100);
        },
        ..ROW
    },
    Case {
        name: "healthy: two sources at half of each pool",
        sysctls: &[POOL_100, "net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_tw_reuse_delay=500"],
        run: || {
            let _server = server(&[]);
            let args =
                ["--no-keepalive", "--source", "127.0.0.2,127.0.0.3", "--rate", "200", "--conns", "20", "--duration", "4s"];
            load("/health", &args)
        },
        check: |c| {
            fine(c);
            evenly(c, 100);
        },
        ..ROW
    },
    Case {
        name: "healthy: two sources, 60 s of TIME_WAIT, a rate between one pool's ceiling and two",
        sysctls: &[POOL_4000, NO_REUSE],
        run: || {
            let _server = server(&[]);
            // Each pool of 4000 sustains 66.7/s.
            let args =
                ["--no-keepalive", "--source", "127.0.0.2,127.0.0.3", "--rate", "100", "--conns", "20", "--duration", "3s"];
            load("/health", &args)
        },
        check: |c| {
            fine(c);
            evenly(c, 4000);
            let worn: Vec<_> = c.run.ports_all.iter().map(|p| p.peak_time_wait.unwrap_or(0)).collect();
            c.that(&format!("half of the connections each: {worn:?}"), worn.iter().all(|n| (140..=151).contains(n)));
        },
        ..ROW
    },
];

/// Two sources with a pool of `pool` each, used alike.
fn evenly(c: &mut Check<'_>, pool: u32) {
    let rows = c.run.ports_all.clone();
    c.same("a row for each source", rows.iter().map(|p| p.source.as_str()).eq(["127.0.0.2", "127.0.0.3"]), true);
    for p in &rows {
        c.same("its own pool", p.pool, Some(pool));
        let own = p.ceiling_cps.unwrap_or(0.0);
        c.that(&format!("{} connections/s below its {own}", p.rate_cps), p.rate_cps < own);
    }
}

/// Something was answered, and nothing failed.
fn fine(c: &mut Check<'_>) {
    let t = &c.run.totals;
    c.same("failures", (t.failures, t.local_failures), (0, 0));
    c.that("answers", t.requests > 0);
    c.that("valid", c.run.validity.stamp == sockbench::testing::model::RunStamp::Valid);
}
