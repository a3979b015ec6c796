//! What a connection works with: limits and timeouts, ready answers, counters, and its jobs.

use std::time::Duration;

use crate::http1::encode::{Answers, JobBody, Timing};
use crate::http1::recent::RecentHeads;
use crate::http1::request::{Body, Head, HeadLimits, Method};
use crate::model::limits;
use crate::model::plan::{ServerCloser, ServerPlan};
use crate::model::time::Stamp;
use crate::server::buffers::Spare;
use crate::server::counters::Counters;
use crate::server::route::{Route, route};

/// What the plan says about connections.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// limits of heads and bodies
    pub head: HeadLimits,
    /// connections are kept
    pub keepalive: bool,
    /// who ends those that are not
    pub closer: ServerCloser,
    /// see [`ServerPlan`]
    pub header_timeout: Duration,
    /// see [`ServerPlan`]
    pub idle_timeout: Duration,
    /// see [`ServerPlan`]
    pub body_timeout: Duration,
    /// see [`ServerPlan`]
    pub write_timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            keepalive: true,
            closer: ServerCloser::Server,
            header_timeout: limits::HEADER_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            body_timeout: limits::BODY_TIMEOUT,
            write_timeout: limits::WRITE_TIMEOUT,
        }
    }
}

impl From<&ServerPlan> for Rules {
    fn from(p: &ServerPlan) -> Self {
        Self {
            head: HeadLimits { bytes: p.head_bytes, fields: p.head_fields, target: p.target_bytes, body: p.body_bytes },
            keepalive: p.keepalive,
            closer: p.closer,
            header_timeout: p.header_timeout,
            idle_timeout: p.idle_timeout,
            body_timeout: p.body_timeout,
            write_timeout: p.write_timeout,
        }
    }
}

/// What a request head asks for, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub(super) route: Route,
    pub(super) method: Method,
    pub(super) keep: bool,
    pub(super) is_1_1: bool,
    pub(super) body: Body,
    pub(super) expects_continue: bool,
}

impl From<&Head<'_>> for Asked {
    fn from(head: &Head<'_>) -> Self {
        Self {
            route: route(head.method, head.path, head.query),
            method: head.method,
            keep: head.keep,
            is_1_1: head.is_1_1,
            body: head.body,
            expects_continue: head.expects_continue,
        }
    }
}

/// The request heads that a reactor has read lately.
pub type RequestHeads = RecentHeads<Asked>;

/// What every connection of a reactor shares, and the time.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// the present
    pub now: Stamp,
    /// limits and timeouts
    pub rules: &'a Rules,
    /// ready answers
    pub answers: &'a Answers,
    /// what is counted
    pub counters: &'a Counters,
    /// free buffers
    pub spare: &'a mut Spare,
    /// request heads that were read lately
    pub heads: &'a mut RequestHeads,
}

/// Work for a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// sleep; none: the plan's time
    Io(Option<Duration>),
    /// the loop
    Cpu,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobResult {
    /// with its answer
    Done(JobBody, Timing),
    /// it panicked: 500
    Panicked,
    /// the queue was full: 503
    Refused,
}
