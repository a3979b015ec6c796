//! `sockbench study`: steps of users, charts and analysis over all of them.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::load_args::{ConnectionArgs, OutputArgs};
use super::run_output::{self, RunFiles, RunWatch};
use super::sandbox::{self, SandboxArgs};
use super::status::Status;
use super::study_plan::{self, PlanFile};
use super::{Exit, files, load, load_args, proofs};
use crate::diagnose;
use crate::model::facts::Fact;
use crate::model::plan::{LoadPlan, Target};
use crate::model::result::{RunResult, Tool};
use crate::model::study::{STUDY_SCHEMA, StudyPlan, StudyResult};
use crate::model::surroundings::Surroundings;
use crate::report::locust_csv::History;
use crate::report::{charts, json, study_text};
use crate::study::analysis;
use crate::study::measured::Measured;
use crate::study::own_server::OwnServer;
use crate::study::run::{self, StudyWatch};
use crate::study::windows_ports;
use crate::sys::clock;
use crate::sys::signals::StopFlag;

/// First port of own servers in a private namespace; outside every usual range.
pub(crate) const OWN_PORT: u16 = 8080;
/// Length of a step with `--quick`.
const QUICK_STEP: Duration = Duration::from_secs(20);

/// Run the experiment, or the steps of a plan file: users, charts, analysis.
///
/// The built-in plan `experiment`: 10, 50 and 100 users at 2, 5 and 10 per second, 3 minutes each, 50 % /health,
/// 30 % /io, 20 % /cpu, think time 100..500 ms, against an own child server or a URL.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `experiment`, `windows-ports` (its third step as it failed, in a private namespace), or a TOML plan file
    plan: Option<String>,
    /// Load this http:// server instead of an own one
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// 20 s a step instead of the plan's own length
    #[arg(long, conflicts_with = "duration")]
    quick: bool,
    /// Length of every step instead of the plan's own
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = super::units::duration)]
    duration: Option<Duration>,
    /// Print the plan as TOML and end
    #[arg(long)]
    print_plan: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    conn: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Flag for the own child server, without dashes: 'cpu-workers=1'; may be repeated
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "url", help_heading = "Own server")]
    server: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let (file, text) = study_plan::read(args.plan.as_deref())?;
    if args.print_plan {
        files::to_stdout(text.as_bytes())?;
        return Ok(0);
    }
    let each = if args.quick { Some(QUICK_STEP) } else { args.duration };
    // Everything a person can get wrong is found before anything is started.
    let nowhere = vec![Target::own(([127, 0, 0, 1], 1).into()); file.step.len()];
    resolve(&file, each, &args.conn, &nowhere, "/")?;
    enter_sandbox(args, &file)?;
    let files = RunFiles::prepare(&args.output, "study.json")?;
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    load::raise_nofile(file.step.iter().map(|s| u64::from(s.users)).max().unwrap_or(0));
    let aims = aims(args, &file)?;
    let targets: Vec<Target> = aims.iter().map(|a| a.target.clone()).collect();
    let pids: Vec<Option<u32>> = aims.iter().map(|a| a.own.as_ref().map(|o| o.pid())).collect();
    let mut plan = resolve(&file, each, &args.conn, &targets, &aims[0].path)?;
    for (step, aim) in plan.steps.iter_mut().zip(&aims) {
        step.surroundings = aim.surroundings.clone();
    }
    if !args.output.quiet {
        let total: f64 = plan.steps.iter().map(|s| s.duration.as_secs_f64()).sum();
        eprintln!("study {}: {} steps, {total:.0} s and the cool-downs between them", plan.name, plan.steps.len());
    }
    let started_at = clock::wall_rfc3339();
    let mut watch = Steps { output: &args.output, stop: &stop, failed: None, cooling: None };
    let ran = run::run(&plan, &pids, &super::command_line(), &mut watch);
    let failed = watch.failed.take();
    stop_servers(aims);
    if let Some(exit) = failed {
        return Err(exit);
    }
    let ran = ran.map_err(|e| Exit::environment(format!("study: {e}")))?;
    let code = load::exit_code(&ran.steps.iter().collect::<Vec<_>>(), stop.signal(), args.output.fail_on_errors);
    let steps: Vec<RunResult> = ran.steps.into_iter().map(|m| m.result).collect();
    let mut study = StudyResult {
        schema: STUDY_SCHEMA.into(),
        tool: Tool { version: env!("CARGO_PKG_VERSION").into() },
        command: super::command_line(),
        name: plan.name.clone(),
        started_at,
        duration_s: ran.duration.as_secs_f64(),
        analysis: analysis::analyse(&steps),
        steps_planned: plan.steps.len() as u32,
        ended: ran.ended,
        comparison: match steps.first() {
            Some(first) if is_windows_ports(args) => windows_ports::compare(first, steps.get(1)),
            _ => Vec::new(),
        },
        findings: diagnose::diagnose_study(&steps),
        cooldowns: ran.cooldowns,
        steps,
        unavailable: Vec::new(),
    };
    study.explain_nulls();
    let document = run_output::document(json::render_study(&study))?;
    if let Some(dir) = &args.output.dir {
        files::write(&dir.join("study.json"), document.as_bytes())?;
        let labels = step_labels(&study.steps);
        let steps: Vec<_> = study.steps.iter().zip(&labels).map(|(run, label)| charts::Step { label, run }).collect();
        run_output::write_charts(dir, &charts::study_charts(&steps))?;
        if let (true, Some(first)) = (is_windows_ports(args), steps.first()) {
            run_output::write_charts(dir, &[("windows-ports", charts::ports_chart(first.run))])?;
        }
    }
    files.write_json(&document)?;
    if !files.is_stdout_json() {
        files::to_stdout(study_text::render_study(&study, super::style(args.output.no_color)).as_bytes())?;
        if let Some(dir) = &args.output.dir {
            eprintln!("kept in {}", dir.display());
        }
    }
    Ok(code)
}

/// What the charts call the steps: their users, and how they connect where that differs.
fn step_labels(steps: &[RunResult]) -> Vec<String> {
    let differ = steps.windows(2).any(|w| w[0].plan.keepalive != w[1].plan.keepalive);
    let how = |s: &RunResult| match (differ, s.plan.keepalive) {
        (false, _) => "",
        (true, true) => ", kept",
        (true, false) => ", short",
    };
    steps.iter().map(|s| format!("{} users{}", s.plan.users, how(s))).collect()
}

fn is_windows_ports(args: &Args) -> bool {
    args.plan.as_deref() == Some("windows-ports")
}

/// `--sandbox`, or a plan that asks for one: first act after the plan is read, while this process has one thread.
fn enter_sandbox(args: &Args, file: &PlanFile) -> Result<(), Exit> {
    let wanted = args.sandbox.sandbox || file.sandbox;
    if wanted && args.url.is_some() {
        return Err(sandbox::no_way_out());
    }
    if !wanted {
        return args.sandbox.refuse_settings();
    }
    sandbox::enter(&setup(args, file))
}

/// The namespace's settings: those of the command line before those of the plan file.
fn setup(args: &Args, file: &PlanFile) -> sandbox::Setup {
    let mut setup = args.sandbox.setup.clone();
    for (key, value) in &file.sysctl {
        if !setup.sysctls.iter().any(|(k, _)| k == key) {
            setup.sysctls.push((key.clone(), value.clone()));
        }
    }
    setup
}

/// Where a step goes.
struct Aim {
    own: Option<Rc<OwnServer>>,
    target: Target,
    path: String,
    surroundings: Surroundings,
}

/// The target of every step: the URL, or own servers, one for each set of flags.
fn aims(args: &Args, file: &PlanFile) -> Result<Vec<Aim>, Exit> {
    let mut aims: Vec<Aim> = Vec::new();
    let all_flags = file.server_flags();
    for (i, flags) in all_flags.iter().enumerate() {
        if let Some(same) = all_flags[..i].iter().position(|f| f == flags).or_else(|| args.url.as_ref().and((i > 0).then_some(0)))
        {
            let Aim { own, target, path, surroundings } = &aims[same];
            let (own, target, path) = (own.clone(), target.clone(), path.clone());
            aims.push(Aim { own, target, path, surroundings: surroundings.clone() });
            continue;
        }
        let mut flags = flags.clone();
        flags.extend(load::server_flags(&args.server));
        // In a namespace of our own any port is free; one outside the range leaves the pool whole.
        let port = if file.sandbox || args.sandbox.sandbox { OWN_PORT + i as u16 } else { 0 };
        let (own, target, path) = load::aim(args.url.as_deref(), args.conn.allow_remote, port, &flags)?;
        let sandbox = SandboxArgs { sandbox: args.sandbox.sandbox || file.sandbox, setup: setup(args, file) };
        let server = if own.is_some() { Surroundings::server_from_words(&flags) } else { Vec::new() };
        let surroundings = Surroundings { server, ..sandbox.surroundings() };
        aims.push(Aim { own: own.map(Rc::new), target, path, surroundings });
    }
    Ok(aims)
}

fn stop_servers(aims: Vec<Aim>) {
    for own in aims.into_iter().filter_map(|a| a.own).filter_map(Rc::into_inner) {
        load::stop_own_server(own);
    }
}

/// The steps as load plans against `target`.
fn resolve(
    file: &PlanFile,
    each: Option<Duration>,
    conn: &ConnectionArgs,
    targets: &[Target],
    path: &str,
) -> Result<StudyPlan, Exit> {
    let mut steps = Vec::new();
    for (step, target) in file.steps(each)?.into_iter().zip(targets) {
        let mut conn = conn.clone();
        conn.no_keepalive |= step.keepalive == Some(false);
        steps.push(load_args::plan(&step.run, &conn, target.clone(), path)?);
    }
    Ok(StudyPlan { name: file.name.clone(), steps, cooldown_max: file.cooldown()? })
}

/// Watches the steps: status, files of each, cool-downs.
struct Steps<'a> {
    output: &'a OutputArgs,
    stop: &'a StopFlag,
    failed: Option<Exit>,
    cooling: Option<Status>,
}

impl Steps<'_> {
    /// `DIR/step-1-10-users`: the stem of a step's files.
    fn stem(&self, index: usize, plan: &LoadPlan) -> Option<PathBuf> {
        self.output.dir.as_ref().map(|d| d.join(format!("step-{}-{}-users", index + 1, plan.users)))
    }

    fn csv_prefix(&self, index: usize, plan: &LoadPlan) -> Option<PathBuf> {
        self.output.csv.as_ref().map(|p| files::with_suffix(p, &format!("-{}-{}-users", index + 1, plan.users)))
    }
}

impl<'s> StudyWatch for Steps<'s> {
    type Watch = RunWatch<'s>;

    fn step(&mut self, index: usize, plan: &LoadPlan) -> io::Result<RunWatch<'s>> {
        if let Some(status) = self.cooling.take() {
            status.clear();
        }
        if !self.output.quiet {
            eprintln!("\nstep {}", index + 1);
        }
        load::announce(plan, self.output);
        let hlog = self.stem(index, plan).map(|s| files::with_suffix(&s, ".hlog"));
        RunWatch::new(plan, self.output.quiet, self.stop, hlog.as_deref()).map_err(|e| self.fail(e))
    }

    fn on_step_done(&mut self, index: usize, measured: &mut Measured, watch: RunWatch<'s>) -> io::Result<()> {
        proofs::attach(&mut measured.result);
        let plan = &measured.result.plan;
        let history: History = watch.finish().map_err(|e| self.fail(e))?;
        if let Some(stem) = self.stem(index, plan) {
            run_output::write_run(&stem, &measured.result, &history).map_err(|e| self.fail(e))?;
        }
        if let Some(prefix) = self.csv_prefix(index, plan) {
            run_output::write_csv(&prefix, &measured.result, &history).map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    fn on_cooldown(&mut self, waited: Duration, held: &Fact<u32>, threshold: Option<u32>) {
        let status = self.cooling.get_or_insert_with(|| Status::new(self.output.quiet, Duration::from_secs(60)));
        if let (Some(held), Some(limit)) = (held.known(), threshold) {
            status.show(
                waited.as_secs(),
                &format!("cool-down {:>3} s: {held} in TIME_WAIT, going on at {limit}", waited.as_secs()),
            );
        }
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.is_set()
    }
}

impl Steps<'_> {
    /// Keeps the exit for the end, and ends the study.
    fn fail(&mut self, exit: Exit) -> io::Error {
        let error = io::Error::other(exit.message.clone());
        self.failed.get_or_insert(exit);
        error
    }
}
