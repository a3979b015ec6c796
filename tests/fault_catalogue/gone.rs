//! What goes away or changes in mid-run: the target, a setting.

use std::time::Duration;

use nix::sys::signal::Signal;
use sockbench::model::finding::FindingId::{SysctlChanged, TargetGone, TargetRefused, TargetResets, UsersNotReached};
use sockbench::sys::sysctl;

use crate::check::{Case, ROW};
use crate::rig::{load, server};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "target killed in mid-run",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || {
            let mut target = server(&[]);
            after(Duration::from_millis(1500), move || target.signal(Signal::SIGKILL).unwrap());
            load("/health", &["--conns", "4", "--think", "50ms", "--duration", "5s"])
        },
        check: |c| {
            c.between("since_s", 1.0, 2.5);
            let t = &c.run.totals;
            c.counts("answered_before", t.requests - t.failures);
            c.between("refused_since", 1.0, 1000.0);
        },
        ..ROW
    },
    Case {
        name: "tcp_fin_timeout changed in mid-run",
        expected: Some(SysctlChanged),
        run: || {
            let _server = server(&[]);
            after(Duration::from_secs(1), || drop(sysctl::write("net.ipv4.tcp_fin_timeout", "30").unwrap()));
            load("/health", &["--no-keepalive", "--conns", "4", "--think", "50ms", "--duration", "3s"])
        },
        check: |c| {
            c.is("changed", 1.0);
            c.word("tcp_fin_timeout_before", "60");
            c.word("tcp_fin_timeout_after", "30");
        },
        ..ROW
    },
];

/// Does it while a run goes on.
fn after(pause: Duration, what: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(pause);
        what();
    });
}
