//! `sockbench study`: steps of users, charts and analysis over all of them.

mod steps;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::connection_args::ConnectionArgs;
use super::gate_args::{GateArgs, ToJudge};
use super::live_args::{Doors, LiveArgs};
use super::load_args::OutputArgs;
use super::run_output::{self, Keeps, RunFiles, Written};
use super::sandbox::{self, SandboxArgs};
use super::shard_args::{ShardArgs, Start};
use super::study_plan::{self, PlanFile};
use super::{Exit, files, load, load_args, ports_args, tell, tell_line};
use crate::diagnose;
use crate::model::environment::Environment;
use crate::model::figures::{seconds, span};
use crate::model::plan::{LoadLimits, LoadPlan, Target};
use crate::model::result::{RunResult, Tool, Verdict};
use crate::model::server_flags::ServerFlags;
use crate::model::study::{STUDY_SCHEMA, StepKind, StudyPlan, StudyResult};
use crate::observe::Baseline;
use crate::report::chart::{self, EndpointTimes};
use crate::report::style::{Style, wrapped};
use crate::report::text::{self, Detail, Page};
use crate::report::{html, json, plan_text};
use crate::study::analysis::{self, StoppedStudy};
use crate::study::own_server::{OwnServer, SANDBOX_PORT};
use crate::study::run::{self, StudyRun};
use crate::study::windows_ports;
use crate::sys::clock;
use crate::sys::first_thread::FirstThread;
use crate::sys::signals::StopFlag;
use steps::Steps;

/// Run steps of users, the experiment or your own, and say where the target saturates and why.
///
/// Three ways to name the steps: a built-in plan (`experiment`, the default: 10, 50 and 100 users for 3 minutes each;
/// `windows-ports`: its third step as it failed, 2 min 30 s), --users 10,50,100, or a TOML plan file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Built-in limits: {}", plan_text::load_limits(&LoadLimits::default())))]
pub(crate) struct Args {
    /// `experiment`, `windows-ports`, or a TOML plan file
    plan: Option<String>,
    #[command(flatten)]
    users: study_plan::Users,
    /// http:// URL [default: sockbench's own server]
    #[arg(long, value_name = "URL", help_heading = "Study")]
    url: Option<String>,
    /// 20 s a step
    #[arg(long, conflicts_with = "duration", help_heading = "Study")]
    quick: bool,
    /// Length of a step [default: the plan's, or 20s]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = crate::model::units::duration, help_heading = "Study")]
    duration: Option<Duration>,
    /// Print the plan as TOML and end
    #[arg(long, help_heading = "Study")]
    print_plan: bool,
    /// Show every figure, endpoint and finding
    #[arg(short = 'v', long, help_heading = "Output")]
    verbose: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    conn: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// Setting of sockbench's own server [default: the plan's]
    ///
    /// A flag of sockbench server without its dashes. Those of the plan come first.
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "url", hide_short_help = true, help_heading = "Target")]
    server: Vec<String>,
}

/// What is known before the sandbox is entered.
struct Asked {
    file: PlanFile,
    /// the length of each step; none: what the plan says
    each: Option<Duration>,
    /// of sockbench's own server, for each step
    server: Vec<ServerFlags>,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    args.shard.check(args.url.is_some())?;
    let start = args.shard.start(args.output.quiet);
    let each = if args.quick { Some(study_plan::STEP) } else { args.duration };
    let (file, text) = read_plan(args, each)?;
    if args.print_plan {
        let text = each.map_or_else(|| text.clone(), |each| PlanFile::text_with(&text, each));
        files::to_stdout(text.as_bytes())?;
        return Ok(0);
    }
    // Mistakes in the arguments are found before anything is started.
    let server = server_flags(args, &file)?;
    // Addresses and port ranges depend on the namespace: the rest is checked inside it.
    let doors = args.live.open(args.sandbox.sandbox || file.sandbox)?;
    enter_sandbox(args, &file)?;
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    let asked = Asked { file, each, server };
    super::beside_the_load(Box::new(|first| run_on(args, &asked, (start, doors), &stop, first)))
}

fn run_on(
    args: &Args,
    asked: &Asked,
    (mut start, doors): (Start, Doors),
    stop: &StopFlag,
    first: &FirstThread,
) -> Result<u8, Exit> {
    let (file, each, all_flags) = (&asked.file, asked.each, &asked.server);
    let (target, path) = load::aim(args.url.as_deref(), args.conn.allow_remote)?;
    if let (Some(choice), false) = (target.choice_in_words(), args.output.quiet) {
        tell_line(&format!("target {} {choice}", target.host));
    }
    let planned = resolve(args, file, each, &vec![target.clone(); file.step.len()], &path)?.steps;
    args.gates.check(&planned)?;
    let ends = planned.iter().enumerate().map(|(i, step)| step_end(i, step)).collect();
    let files = RunFiles::prepare(&args.output, &Keeps::Steps(ends), args.gates.asked())?;
    load::raise_nofile(&planned);
    let owns = if target.own_server { own_servers(args, file, all_flags)? } else { Vec::new() };
    let targets =
        if target.own_server { owns.iter().map(|own| Target::own(own.addr())).collect() } else { vec![target; file.step.len()] };
    let pids: Vec<Option<u32>> = owns.iter().map(|own| Some(own.pid())).collect();
    let mut plan = resolve(args, file, each, &targets, &path)?;
    let sandbox = SandboxArgs { sandbox: args.sandbox.sandbox || file.sandbox, setup: setup(args, file) };
    for (i, step) in plan.steps.iter_mut().enumerate() {
        let server = if owns.is_empty() { ServerFlags::default() } else { all_flags[i].clone() };
        step.environment = Environment { server, ..sandbox.environment() };
    }
    let mut doubts: Vec<String> = plan.steps.iter().flat_map(ports_args::doubts).collect();
    doubts.dedup();
    for doubt in doubts {
        super::warn(&doubt);
    }
    if let (true, Some(step)) = (is_windows_ports(args), plan.steps.first())
        && let Some(why) = Baseline::of(step).pool.known().and_then(|pool| windows_ports::too_short(step, pool.ports))
    {
        stop_servers(owns);
        return Err(Exit::usage(format!("plan windows-ports: {why}")).hint("without --duration or --quick it takes 2 min 30 s"));
    }
    if !args.output.quiet {
        tell(wrapped(&length(&plan), 0, super::told_columns()).trim_end());
    }
    let followers = doors.start(args.output.quiet)?;
    if let Some(step) = plan.steps.first() {
        start.approach(step, stop);
    }
    let started_at = clock::wall_rfc3339();
    let mut watch = Steps {
        output: &args.output,
        has_thresholds: args.gates.has_thresholds(),
        kinds: &plan.kinds,
        followers: &followers,
        stop,
        first,
        start: &start,
        written: Written::default(),
        cooling: None,
        times: Vec::new(),
        durations: Vec::new(),
    };
    let mut ran = run::run(&plan, &pids, &super::command_line(), &mut watch);
    let (mut written, times, durations) = (watch.written, watch.times, watch.durations);
    stop_servers(owns);
    let started = ran.failed.take().map_or(Ok(()), |e| Err(Exit::environment(format!("start the client: {e}"))));
    if ran.steps.is_empty() {
        started?;
        return Ok(stop.signal().map_or(0, |s| 128 + s as u8));
    }
    let runs: Vec<_> = ran.steps.iter().map(|m| (&m.result, m.ended)).collect();
    let code = load::conclude(&runs, stop.signal(), args.output.fail_on_errors);
    let study = result(args, &plan, started_at, ran);
    let to_judge: Vec<ToJudge<'_>> =
        steps_to_judge(&study).zip(&durations).map(|(s, d)| ToJudge { durations: Some(d), ..s }).collect();
    let outcome = args.gates.judge(&to_judge, stop.signal())?;
    let whole = text::render_study(&study, &Page { detail: Detail::Full, ..Page::plain() }) + &outcome.table(Style::Plain);
    files.write_report(&whole, &mut written);
    if let Some(dir) = &args.output.dir {
        write_study(args, dir, &study, &times, &mut written);
    }
    files.write_json(json::render_study(&study), &mut written);
    files.write_html(|| html::render_study(&study, &times), &mut written);
    if files.is_stdout_json() {
        outcome.tell_table();
    } else {
        let page = super::page(args.output.no_color, args.verbose, files.kept_in());
        let text = text::render_study(&study, &page) + &outcome.table(page.style);
        written.note(files::to_stdout(text.as_bytes()));
        // The page of one screen says it itself.
        if args.verbose {
            files.tell_kept();
        }
    }
    args.gates.publish(&outcome, &to_judge, &mut written);
    followers.end(|| html::study_page(&study, &times));
    written.settle(started.and(code)).and_then(|code| outcome.settle(code))
}

/// The steps that ran, analysed and judged together.
fn result(args: &Args, plan: &StudyPlan, started_at: String, ran: StudyRun) -> StudyResult {
    let stopped = ran.stopped.then_some(StoppedStudy { planned: plan.steps.len() });
    let steps: Vec<RunResult> = ran.steps.into_iter().map(|m| m.result).collect();
    let mut study = StudyResult {
        schema: STUDY_SCHEMA.into(),
        tool: Tool { version: env!("CARGO_PKG_VERSION").into() },
        command: super::command_line(),
        name: plan.name.clone(),
        started_at,
        duration_s: ran.duration.as_secs_f64(),
        verdict: Verdict::default(),
        analysis: analysis::analyse(&steps, &plan.kinds),
        steps_planned: plan.steps.len() as u32,
        ended: ran.ended,
        stopped: ran.stopped,
        not_run: plan.kinds.iter().skip(steps.len()).map(StepKind::label).collect(),
        comparison: match steps.first() {
            Some(first) if is_windows_ports(args) => windows_ports::compare(first),
            _ => Vec::new(),
        },
        findings: diagnose::diagnose_study(&steps),
        cooldowns: ran.cooldowns,
        steps,
        unavailable: Vec::new(),
    };
    study.verdict = match (study.steps.first(), study.steps.get(1)) {
        (Some(first), second) if is_windows_ports(args) => {
            let verdict = windows_ports::verdict(first, second);
            stopped.map_or(verdict.clone(), |stopped| verdict.with_end(&format!("; stopped {}", stopped.place(&study.steps))))
        }
        _ => analysis::verdict(&study.steps, &study.analysis, stopped),
    };
    study.explain_nulls();
    study
}

/// The plan that the arguments name, and its text. Errors: exit 2.
fn read_plan(args: &Args, each: Option<Duration>) -> Result<(PlanFile, String), Exit> {
    if args.users.each_step.is_empty() { study_plan::read(args.plan.as_deref()) } else { study_plan::of_users(&args.users, each) }
}

/// How long it takes, before it begins: `study windows-ports: short 90 s, kept 60 s; 2 min 30 s in all`.
fn length(plan: &StudyPlan) -> String {
    let each = match &plan.steps[..] {
        [first, .., last] if plan.steps.iter().all(|s| s.duration == first.duration) => {
            format!("{} steps of {}", plan.steps.len(), span(last.duration))
        }
        steps => {
            let each = steps.iter().zip(&plan.kinds).map(|(s, kind)| format!("{} {}", kind.label(), span(s.duration)));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let all: f64 = plan.steps.iter().map(|s| s.duration.as_secs_f64()).sum();
    let wait =
        if plan.steps.len() > 1 { format!(", and at most {} between two steps", span(plan.cooldown_max)) } else { String::new() };
    format!("study {}: {each}; {} in all{wait}", plan.name, seconds(all))
}

/// The steps under their labels.
pub(crate) fn steps_to_judge(study: &StudyResult) -> impl Iterator<Item = ToJudge<'_>> {
    let steps = study.steps.iter().zip(&study.analysis.rows);
    steps.map(|(result, row)| ToJudge { step: Some(row.label.clone()), result, durations: None })
}

/// `study.json` and the charts over all steps.
fn write_study(args: &Args, dir: &Path, study: &StudyResult, times: &[EndpointTimes], written: &mut Written) {
    written.rendered(&dir.join("study.json"), json::render_study(study));
    let labels = study.analysis.rows.iter().map(|r| r.label.as_str());
    let steps = study.steps.iter().zip(labels).zip(times);
    let steps: Vec<_> = steps.map(|((run, label), times)| chart::Step { label, run, times }).collect();
    run_output::write_charts(dir, &chart::study_charts(&steps), written);
    let over_users = [
        ("throughput-users", chart::throughput(study)),
        ("response-times-users", chart::response_times(study)),
        ("cpu-users", chart::resources_over_users(study)),
    ];
    let over_users: Vec<_> = over_users.into_iter().filter_map(|(name, chart)| Some((name, chart?))).collect();
    run_output::write_charts(dir, &over_users, written);
    if let (true, Some(first)) = (is_windows_ports(args), steps.first()) {
        run_output::write_charts(dir, &[("windows-ports", chart::ports_chart(first.run))], written);
    }
}

fn is_windows_ports(args: &Args) -> bool {
    args.plan.as_deref() == Some("windows-ports")
}

/// `--sandbox`, or a plan that asks for one: right after the plan is read, while this process has one thread.
fn enter_sandbox(args: &Args, file: &PlanFile) -> Result<(), Exit> {
    let wanted = args.sandbox.sandbox || file.sandbox;
    if wanted && args.url.is_some() {
        return Err(sandbox::no_way_out());
    }
    if !wanted {
        return args.sandbox.refuse_settings();
    }
    let settings = sandbox::enter(&setup(args, file))?;
    if !args.output.quiet {
        sandbox::show(&settings);
    }
    Ok(())
}

/// The namespace's settings: the command line's come before the plan file's.
fn setup(args: &Args, file: &PlanFile) -> sandbox::Setup {
    let mut setup = args.sandbox.setup.clone();
    for (key, value) in &file.sysctl {
        if !setup.sysctls.iter().any(|(k, _)| k == key) {
            setup.sysctls.push((key.clone(), value.clone()));
        }
    }
    setup
}

/// The flags of the server of each step, checked. Errors: exit 2.
fn server_flags(args: &Args, file: &PlanFile) -> Result<Vec<ServerFlags>, Exit> {
    let more = load::server_words(&args.server);
    load::server_flags("--server", &more)?;
    let mut all = Vec::new();
    for (words, step) in file.server_words().into_iter().zip(1..) {
        load::server_flags(&format!("plan {}: server of step {step}", file.from), &words)?;
        let words = [words, more.clone()].concat();
        all.push(load::server_flags(&format!("--server with the plan {}", file.from), &words)?);
    }
    Ok(all)
}

/// The server of every step: one for each set of flags.
fn own_servers(args: &Args, file: &PlanFile, all_flags: &[ServerFlags]) -> Result<Vec<Rc<OwnServer>>, Exit> {
    let mut owns: Vec<Rc<OwnServer>> = Vec::new();
    for (i, flags) in all_flags.iter().enumerate() {
        if let Some(same) = all_flags[..i].iter().position(|f| f == flags) {
            owns.push(Rc::clone(&owns[same]));
            continue;
        }
        // In a private namespace any port is free; one outside the range leaves the pool whole.
        let port = if file.sandbox || args.sandbox.sandbox { SANDBOX_PORT + i as u16 } else { 0 };
        owns.push(Rc::new(load::start_own_server(port, flags)?));
    }
    Ok(owns)
}

fn stop_servers(owns: Vec<Rc<OwnServer>>) {
    for own in owns.into_iter().filter_map(Rc::into_inner) {
        load::stop_own_server(own);
    }
}

/// The steps as load plans against `target`.
fn resolve(args: &Args, file: &PlanFile, each: Option<Duration>, targets: &[Target], path: &str) -> Result<StudyPlan, Exit> {
    let mut steps = Vec::new();
    let mut names = Vec::new();
    for ((step, target), number) in file.steps(each).into_iter().zip(targets).zip(1..) {
        let mut conn = args.conn.clone();
        conn.no_keepalive |= step.keepalive == Some(false);
        let mut plan = load_args::plan(&step.run, &conn, target.clone(), path)
            .map_err(|e| Exit { message: format!("plan {}: step {number}: {}", file.from, e.message), ..e })?;
        if step.warmup_is_ramp {
            // A step that ends within its ramp has no steady part.
            plan.warmup = plan.ramp().min(plan.duration);
        }
        names.push(step.name.clone());
        steps.push(args.shard.part(plan));
    }
    let kinds = kinds(&steps, names);
    Ok(StudyPlan { name: file.name.clone(), steps, kinds, cooldown_max: file.cooldown_max })
}

/// What the steps are called: by their name in the plan, else by their load, and how they connect where that differs.
fn kinds(steps: &[LoadPlan], names: Vec<Option<String>>) -> Vec<StepKind> {
    let differ = steps.windows(2).any(|w| w[0].keepalive != w[1].keepalive);
    let by_load = |s: &LoadPlan| {
        let keepalive = differ.then_some(s.keepalive);
        if s.is_open_loop() {
            StepKind::Rate { per_s: s.whole().rate, keepalive }
        } else {
            StepKind::Users { of: s.whole().users, started: None, keepalive }
        }
    };
    let by_name = |name| StepKind::Name { name, started: None };
    steps.iter().zip(names).map(|(s, name)| name.map_or_else(|| by_load(s), by_name)).collect()
}

/// The name of a step's document beside study.json: `step-1-10-users.json`.
pub(crate) fn step_file(index: usize, plan: &LoadPlan) -> String {
    format!("step{}.json", step_end(index, plan))
}

/// How the names of a step's files end: `-1-10-users`.
fn step_end(index: usize, plan: &LoadPlan) -> String {
    format!("-{}-{}-users", index + 1, plan.whole().users)
}
