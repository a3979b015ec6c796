//! The course of a run or a study as those see it who follow it: updates in, the page and the figures of now out.

use std::sync::Arc;

use super::client::Shown;
use super::metrics::{self, Towards};
use crate::model::result::{Ports, RunResult, SeriesPoint};
use crate::report::chart::{EndpointTimes, Step};
use crate::report::html::{Going, live_page};
use crate::stats::interval::Interval;
use crate::stats::so_far::SoFar;

/// Where the page finds its events.
const EVENTS: &str = "events";

/// What happens in a run. Cheap to hand over.
#[derive(Debug, Clone)]
pub enum Update {
    /// a run, or a step of a study, begins
    Begin(Arc<Begun>),
    /// a second is over
    Interval(Arc<Interval>),
    /// and what was seen in it
    Second(Box<Now>),
    /// no step goes on: what is done instead
    Say(String),
    /// the last step is over, with this result
    Done(Arc<RunResult>),
    /// all is over: what replaces the parts of the page
    End(Arc<str>),
}

/// A run that begins.
#[derive(Debug, Clone)]
pub struct Begun {
    /// the plan and the machine, nothing else
    pub run: RunResult,
    /// what the step is called; empty for a run
    pub label: String,
    /// how many steps there are; none for a run
    pub steps: Option<usize>,
    /// when, nanoseconds of Unix time
    pub unix_ns: u64,
}

/// What was seen at the end of a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Now {
    /// which
    pub second: u64,
    /// users asked for by now
    pub users_asked: u32,
    /// and active
    pub users: u32,
    /// the observed columns of the series
    pub seen: SeriesPoint,
    /// pool, T and ceiling; none where ports are not observed
    pub ports: Option<Ports>,
    /// ports in use that cannot be taken
    pub ports_in_use: Option<u32>,
    /// seconds until none is free at the present rate
    pub full_in_s: Option<f64>,
    /// of several destinations, each
    pub destinations: Vec<Towards>,
}

/// One run so far.
#[derive(Debug)]
struct Run {
    begun: Arc<Begun>,
    so_far: SoFar,
    times: EndpointTimes,
    seen: Vec<SeriesPoint>,
    now: Option<Box<Now>>,
    /// as of the last change that was looked at
    result: Arc<RunResult>,
    is_done: bool,
    is_stale: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Course {
    runs: Vec<Run>,
    said: Option<String>,
    version: u64,
    /// of which version, and what
    update: Option<(u64, String)>,
    is_over: bool,
}

impl Run {
    fn new(begun: Arc<Begun>) -> Self {
        Self {
            so_far: SoFar::new(&begun.run.plan),
            times: EndpointTimes::default(),
            seen: Vec::new(),
            now: None,
            result: Arc::new(begun.run.clone()),
            is_done: false,
            is_stale: false,
            begun,
        }
    }

    fn on_interval(&mut self, second: &Interval) {
        self.so_far.push(second);
        self.times.push(second);
        self.is_stale = true;
    }

    fn on_second(&mut self, now: Box<Now>) {
        self.so_far.note_users(now.second, now.users_asked, now.users);
        self.seen.resize(now.second as usize + 1, SeriesPoint::default());
        if let Some(last) = self.seen.last_mut() {
            *last = now.seen;
        }
        self.now = Some(now);
        self.is_stale = true;
    }

    /// Brings the result up to the last second.
    fn refresh(&mut self) {
        if !std::mem::take(&mut self.is_stale) || self.is_done {
            return;
        }
        let mut run = self.begun.run.clone();
        run.series.clone_from(&self.seen);
        self.so_far.fill(&mut run);
        if let Some(mut ports) = self.now.as_ref().and_then(|now| now.ports.clone()) {
            ports.peak_used = run.series.iter().filter_map(|p| p.ports_used).max();
            ports.peak_share = ports.peak_used.zip(ports.pool).filter(|p| p.1 > 0).map(|(n, of)| f64::from(n) / f64::from(of));
            run.ports = Some(ports);
        }
        self.result = Arc::new(run);
    }
}

impl Course {
    pub(super) fn on_update(&mut self, update: Update) {
        match (update, self.runs.last_mut()) {
            // Shown with what was seen in the same second, which comes next.
            (Update::Interval(second), Some(run)) => return run.on_interval(&second),
            (Update::Interval(_), None) => return,
            (Update::Second(now), Some(run)) => run.on_second(now),
            (Update::Done(result), Some(run)) => (run.result, run.is_done, run.now) = (result, true, None),
            (Update::Second(_) | Update::Done(_), None) => {}
            (Update::Begin(begun), _) => {
                self.runs.push(Run::new(begun));
                self.said = None;
            }
            (Update::Say(text), _) => self.said = Some(text),
            (Update::End(page), _) => {
                self.update = Some((self.version + 1, page.to_string()));
                self.is_over = true;
            }
        }
        self.version += 1;
    }

    /// The figures of the last second for machines, and its time; none before the first.
    pub(super) fn figures(&mut self) -> Option<(Vec<metrics::Metric>, metrics::Times)> {
        let run = self.runs.last_mut()?;
        run.refresh();
        let second = run.result.series.last().map_or(0.0, |p| p.t_s);
        let times = metrics::Times { begin_ns: run.begun.unix_ns, now_ns: run.begun.unix_ns + (second * 1e9) as u64 };
        let now = run.now.as_ref();
        let each = now.map_or(&[][..], |now| &now.destinations);
        Some((metrics::of(&run.result, now.and_then(|now| now.full_in_s), each), times))
    }

    /// The target, for those who keep the figures of many.
    pub(super) fn target(&self) -> &str {
        self.runs.last().map_or("", |run| run.begun.run.plan.target.url.as_str())
    }

    fn document(&mut self) -> crate::report::html::Document {
        self.runs.iter_mut().for_each(Run::refresh);
        let steps: Vec<Step<'_>> =
            self.runs.iter().map(|r| Step { label: &r.begun.label, run: &r.result, times: &r.times }).collect();
        let last = self.runs.last();
        let now = last.and_then(|run| run.now.as_ref());
        let pool = now.and_then(|now| now.ports.as_ref()?.pool);
        live_page(&Going {
            steps: &steps,
            planned: last.and_then(|run| run.begun.steps),
            said: self.said.as_deref(),
            ports: now.and_then(|now| now.ports_in_use).zip(pool),
            full_in_s: now.and_then(|now| now.full_in_s),
        })
    }
}

impl Shown for Course {
    fn version(&self) -> Option<u64> {
        // Before anything has begun there is an empty page to show.
        Some(self.version + 1)
    }

    fn page(&mut self) -> String {
        self.document().live(EVENTS)
    }

    fn update(&mut self) -> &str {
        if self.update.as_ref().is_none_or(|(version, _)| *version != self.version) {
            self.update = Some((self.version, self.document().update()));
        }
        self.update.as_ref().map_or("", |(_, text)| text)
    }

    fn metrics(&mut self) -> Option<String> {
        Some(self.figures().map_or_else(String::new, |(all, _)| metrics::prometheus(&all)))
    }

    fn is_last(&self) -> bool {
        self.is_over
    }
}
