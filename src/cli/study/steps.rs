//! What a study shows and keeps of each step while it goes on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::step_end;
use crate::cli::live_args::Followers;
use crate::cli::load_args::OutputArgs;
use crate::cli::run_output::{self, Reads, RunWatch, Written};
use crate::cli::shard_args::Start;
use crate::cli::status::Status;
use crate::cli::{files, load, proofs, tell};
use crate::gates::Durations;
use crate::model::facts::Fact;
use crate::model::figures::{count, counted};
use crate::model::plan::LoadPlan;
use crate::model::study::StepKind;
use crate::observe::Baseline;
use crate::report::chart::EndpointTimes;
use crate::study::measured::Measured;
use crate::study::run::StudyWatch;
use crate::sys::first_thread::FirstThread;
use crate::sys::signals::StopFlag;

/// Watches the steps: status, files of each, cool-downs.
pub(super) struct Steps<'a> {
    pub(super) output: &'a OutputArgs,
    pub(super) has_thresholds: bool,
    pub(super) kinds: &'a [StepKind],
    pub(super) followers: &'a Followers,
    pub(super) stop: &'a StopFlag,
    pub(super) first: &'a FirstThread,
    /// of the first step
    pub(super) start: &'a Start,
    pub(super) written: Written,
    pub(super) cooling: Option<Status>,
    /// the endpoints of each step that is over
    pub(super) times: Vec<EndpointTimes>,
    /// and all their latencies
    pub(super) durations: Vec<Durations>,
}

impl Steps<'_> {
    /// `DIR/step-1-10-users`: the stem of a step's files.
    fn stem(&self, index: usize, plan: &LoadPlan) -> Option<PathBuf> {
        self.output.dir.as_ref().map(|d| d.join(format!("step{}", step_end(index, plan))))
    }
}

impl<'s> StudyWatch for Steps<'s> {
    type Watch = RunWatch<'s>;

    fn step(&mut self, index: usize, plan: &LoadPlan, baseline: &Baseline) -> RunWatch<'s> {
        if let Some(status) = self.cooling.take() {
            status.clear();
        }
        if !self.output.quiet {
            tell(&format!("\nstep {}", index + 1));
        }
        load::announce(plan, &[(plan, baseline)], self.output);
        let hlog = self.stem(index, plan).map(|s| files::with_suffix(&s, ".hlog"));
        let (quiet, reads) = (self.output.quiet, Reads::of(self.output, self.has_thresholds));
        let watch = RunWatch::new(plan, quiet, self.stop, self.followers, reads, hlog.as_deref()).unwrap_or_else(|e| {
            self.written.note(Err(e));
            RunWatch::without_log(plan, quiet, self.stop, self.followers, reads)
        });
        self.followers.begin(plan, baseline, &self.kinds[index].label(), Some(self.kinds.len()));
        if index == 0 {
            self.start.wait(plan, self.stop);
        }
        watch.on(self.first).of_step(index + 1, self.kinds.len())
    }

    fn on_step_done(&mut self, index: usize, measured: &mut Measured, watch: RunWatch<'s>) {
        proofs::attach(&mut measured.result);
        if index == 0 {
            self.start.settle(&mut measured.result);
        }
        let seconds = watch.finish(&mut self.written);
        let result = &measured.result;
        self.followers.done(result);
        if let Some(stem) = self.stem(index, &result.plan) {
            run_output::write_run(&stem, result, &seconds.history, &mut self.written);
        }
        if let Some(prefix) = &self.output.csv {
            let prefix = files::with_suffix(prefix, &step_end(index, &result.plan));
            run_output::write_csv(&prefix, result, &seconds.history, &mut self.written);
        }
        self.times.push(seconds.times);
        self.durations.push(seconds.durations);
    }

    fn on_cooldown(&mut self, waited: Duration, to: SocketAddr, held: &Fact<u32>, threshold: Option<u32>) {
        let status = self.cooling.get_or_insert_with(|| Status::new(self.output.quiet));
        if let (Some(held), Some(limit)) = (held.known(), threshold) {
            let line = format!(
                "cool-down {:>3} s: {} to {to} in TIME_WAIT; the next step begins at {} or fewer",
                waited.as_secs(),
                counted(*held, "port"),
                count(limit)
            );
            self.followers.say(&line);
            status.say(waited.as_secs(), &line);
        }
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.is_set()
    }
}
