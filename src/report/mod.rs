//! Renderers: a run result in, bytes out. Pure: no file is opened here and no clock read.
//!
//! [`text`] is the terminal, [`json`] the durable form, [`locust_csv`] the files that tools made for Locust read,
//! [`hlog`] the raw histograms second by second, [`chart`] the pictures, [`html`] pages to show to others, [`gates_text`],
//! [`junit`] and [`github`] what became of thresholds. No renderer computes a figure that another
//! one computes too: what several need is a key of the result or a method on it, or, for figures as Locust counts
//! them, in [`locust`].

pub mod chart;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gates_text;
pub mod github;
pub mod hlog;
#[cfg(test)]
mod hostile_tests;
pub mod html;
pub mod json;
pub mod junit;
pub mod locust;
pub mod locust_csv;
mod names;
pub mod plan_text;
pub mod rehearsal_text;
pub mod style;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;

use crate::model::order::Order as _;
use crate::model::result::RunResult;

/// The places of at most `most` endpoints, the slowest by p95 first: those that have a row or a curve where not all have.
fn slowest(run: &RunResult, most: usize) -> Vec<usize> {
    let p95 = |i: &usize| run.endpoints[*i].latency_ms.map_or(0.0, |l| l.p95);
    let mut order: Vec<usize> = (0..run.endpoints.len()).collect();
    order.order_by(|a, b| p95(b).total_cmp(&p95(a)));
    order.truncate(most);
    order
}
