//! The one-screen report of a run for each finding: what a person reads, and that no number is said twice.

use sockbench::testing::diagnose::settle;
use sockbench::testing::report::text::{Page, render_run};

use super::firing::firing;
use crate::snapshot;

#[test]
fn each_finding_reads_like_this() {
    for (id, mut run) in firing() {
        settle(&mut run);
        snapshot::matches("pages", id.word(), &render_run(&run, &Page::plain()));
    }
}
