//! `sockbench rehearse`: port exhaustion and every remedy in private namespaces; hidden: one row inside its namespace.

use std::path::PathBuf;
use std::time::Duration;

use super::load_args::OutputArgs;
use super::run_output::{Keeps, RunFiles, Written};
use super::{Exit, files, load_args, proofs};
use crate::model::document;
use crate::model::figures::count;
use crate::model::rehearsal::{Effect, Rehearsal};
use crate::model::units;
use crate::report::text::{Detail, Page};
use crate::report::{html, rehearsal_text};
use crate::study::rehearse::accident::Setting;
use crate::study::rehearse::{self, Choice, inside, rows};

/// Reproduce port exhaustion and try every remedy, in private network namespaces: no root, no effect on this host.
///
/// First a constant rate above P/T with T = 3 s (tcp_tw_reuse_delay), predicted and measured; then each remedy against
/// the same burst, also those that do not help. It takes about 11 s. The results are kept in
/// $XDG_STATE_HOME/sockbench/rehearsal.json (default: ~/.local/state) and shown with later findings on this host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this remedy
    #[arg(long, value_name = "NAME")]
    remedy: Option<String>,
    #[arg(help = format!("Ports of the pool [default: {}; {} for the exhaustion]", rows::Size::default().ports, Setting::default().ports))]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=4000))]
    ports: Option<u32>,
    #[arg(help = format!("Connections per second of the exhaustion [default: {}]", Setting::default().rate))]
    #[arg(short = 'R', long, value_name = "N", conflicts_with = "remedy")]
    rate: Option<f64>,
    #[arg(help = format!("Length of the exhaustion [default: {}s]", Setting::default().duration.as_secs_f64()))]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = units::duration, conflicts_with = "remedy")]
    duration: Option<Duration>,
    /// Write the result as JSON to FILE (replaced if it exists); "-" writes only JSON to stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    json: Option<PathBuf>,
    /// Write a page to show to others to FILE (replaced if it exists)
    #[arg(long, value_name = "FILE", value_parser = load_args::page_file, help_heading = "Output")]
    html: Option<PathBuf>,
    /// Keep rehearsal.json and report.txt (the report as plain text) in this directory
    #[arg(short = 'o', long = "output", value_name = "DIR", help_heading = "Output")]
    dir: Option<PathBuf>,
    /// Replace a rehearsal that is already there
    #[arg(long, help_heading = "Output")]
    overwrite: bool,
    /// Show every figure, and how to apply each remedy
    #[arg(short = 'v', long, help_heading = "Output")]
    verbose: bool,
    /// No status lines
    #[arg(short = 'q', long, help_heading = "Output")]
    quiet: bool,
    /// No colours
    #[arg(long, help_heading = "Output")]
    no_color: bool,
    /// One row, inside its namespace
    #[arg(long, hide = true, value_name = "ROW")]
    inside: Option<String>,
    /// Connections of a burst
    #[arg(long, hide = true, value_name = "N")]
    asked: Option<u32>,
}

pub(crate) fn run(args: Args) -> Result<u8, Exit> {
    let default = rows::Size::default();
    let ports = args.ports.unwrap_or(default.ports);
    let size = rows::Size { ports, asked: args.asked.unwrap_or(ports * default.asked / default.ports) };
    let setting = setting(&args)?;
    if let Some(name) = &args.inside {
        return run_inside(name, size, &setting);
    }
    let names = rehearse::names();
    if let Some(name) = args.remedy.as_deref().filter(|n| !names.contains(n)) {
        let bare = |name: &str| name.replace(['-', '_'], "").to_lowercase();
        let near = names.iter().find(|known| bare(known) == bare(name)).map(|known| format!("--remedy {known}"));
        return Err(Exit::usage(format!("--remedy {name}: not a remedy")).hint(near.unwrap_or_else(|| names.join(", "))));
    }
    let output =
        OutputArgs { dir: args.dir, json: args.json, html: args.html, overwrite: args.overwrite, ..OutputArgs::default() };
    let files = RunFiles::prepare(&output, &Keeps::Rehearsal, None)?;
    // Without a namespace the prediction would not be measured.
    rehearse::check_namespace(size)
        .map_err(|refusal| Exit { hint: refusal.hint, ..Exit::environment(format!("rehearse: {}", refusal.why)) })?;
    let choice = Choice { size, accident: args.remedy.is_none().then_some(setting), remedy: args.remedy };
    let quiet = args.quiet;
    let prediction = choice.accident.map_or_else(String::new, |setting| rehearsal_text::render_prediction(&setting.predict()));
    // Before it is measured, so that nobody can say that it came after.
    if !quiet && let Some(setting) = &choice.accident {
        super::tell_line(&rehearsal_text::render_predicted(&setting.predict()));
    }
    let rehearsal = rehearse::run(&choice, &|row| {
        if !quiet {
            let made = row.made.map_or_else(|| "not run".into(), |m| format!("{} of {}", count(m), count(row.asked)));
            let why = if row.verdict == Effect::NotRun { format!(": {}", row.reason) } else { String::new() };
            super::tell_line(&format!("  {:<18} {made}{why}", row.remedy));
        }
    })
    .map_err(|e| {
        Exit::environment(format!("rehearse: {e}"))
            .hint("sockbench sandbox -- true shows whether a private namespace is allowed here")
    })?;
    let document = || serde_json::to_string_pretty(&rehearsal).map(|text| text + "\n");
    let mut written = Written::default();
    if let Some(dir) = &output.dir {
        written.rendered(&dir.join("rehearsal.json"), document());
        let whole = Page { detail: Detail::Full, ..Page::plain() };
        files.write_report(&(prediction.clone() + &rehearsal_text::render_rehearsal(&rehearsal, &whole)), &mut written);
    }
    files.write_json(document(), &mut written);
    files.write_html(|| html::render_rehearsal(&rehearsal), &mut written);
    remember(&rehearsal, quiet);
    if !files.is_stdout_json() {
        let page = super::page(args.no_color, args.verbose, None);
        let text = prediction + &rehearsal_text::render_rehearsal(&rehearsal, &page);
        written.note(files::to_stdout(text.as_bytes()));
    }
    written.settle(Ok(0))
}

/// Keeps the rehearsal where later findings look for proofs, and says where.
fn remember(rehearsal: &Rehearsal, quiet: bool) {
    match proofs::keep(rehearsal) {
        Ok(_) if quiet => {}
        Ok(file) => super::tell_line(&format!("kept for later findings: {}", file.display())),
        Err(e) => super::warn(&format!("the rehearsal could not be kept for later findings: {e}")),
    }
}

fn setting(args: &Args) -> Result<Setting, Exit> {
    let default = Setting::default();
    if args.rate.is_some_and(|r| !r.is_finite() || !(1.0..=20_000.0).contains(&r)) {
        return Err(Exit::usage(format!("--rate {}: not between 1 and 20000 per second", args.rate.unwrap_or(0.0))));
    }
    let duration = args.duration.unwrap_or(default.duration);
    if duration < Duration::from_secs(1) || duration > Duration::from_secs(300) {
        return Err(Exit::usage("--duration: not between 1s and 5m"));
    }
    let by_reuse_delay = std::path::Path::new("/proc/sys/net/ipv4/tcp_tw_reuse_delay").exists();
    let hold = if by_reuse_delay { default.hold } else { Duration::from_secs(60) };
    let duration = if by_reuse_delay || args.duration.is_some() { duration } else { Duration::from_secs(75) };
    Ok(Setting {
        ports: args.ports.unwrap_or(default.ports),
        rate: args.rate.unwrap_or(default.rate),
        duration,
        hold,
        by_reuse_delay,
    })
}

fn run_inside(name: &str, size: rows::Size, setting: &Setting) -> Result<u8, Exit> {
    let came = if name == "accident" {
        inside::accident(setting)
    } else {
        let all = rows::rows(size);
        let spec = all.into_iter().chain([rows::baseline(size)]).find(|s| s.name == name);
        inside::run(&spec.ok_or_else(|| Exit::usage(format!("--inside {name}: no such row")))?, size)
    };
    let came = came.map_err(|e| Exit::environment(format!("rehearse: {e}")))?;
    // As a value it is one line, which is what the parent reads, without a second writer of every type.
    let value = document::as_value(&came).map_err(|e| Exit::environment(format!("rehearse: {e}")))?;
    files::to_stdout(format!("{value}\n").as_bytes())?;
    Ok(0)
}
