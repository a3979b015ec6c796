//! The rehearsal: the accident and every remedy, each in a private network namespace of its own.
//!
//! [`rows`] (pure) is the table of remedies; [`inside`] runs one of them within its namespace, in a child process;
//! [`judge`] (pure) compares its result with the model; [`accident`] (pure) is the short T that shows exhaustion, dead
//! time and recurrence in seconds. This file starts the children and puts the table together.

pub mod accident;
pub mod inside;
pub mod judge;
pub mod rows;

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::model::by_name;
use crate::model::document::{self, Unavailable};
use crate::model::order::Order as _;
use crate::model::rehearsal::{Accident, REHEARSAL_SCHEMA, Rehearsal, Row};
use crate::sys::child::{self, Child, Stderr};
use crate::sys::clock::{self, Clock};
use crate::sys::host;
use judge::Inside;
use rows::{Shape, Size, Spec};

/// Longest time that one child may take.
const CHILD_TIMEOUT: Duration = Duration::from_secs(110);
/// Children that wait run beside the others, this many at once: each needs a core only now and then.
const WAITING_AT_ONCE: usize = 4;

/// What is rehearsed.
#[derive(Debug, Clone)]
pub struct Choice {
    /// size of the rows
    pub size: Size,
    /// only this remedy
    pub remedy: Option<String>,
    /// the accident, unless only one remedy is asked for
    pub accident: Option<accident::Setting>,
}

/// Names of all remedies.
pub fn names() -> Vec<&'static str> {
    rows::rows(Size::default()).iter().map(|s| s.name).collect()
}

/// Settings of a row's namespace: the pool, no reuse, and the row's own.
pub fn sysctls(spec: &Spec, size: Size) -> Vec<(String, String)> {
    let mut all = vec![
        ("net.ipv4.ip_local_port_range".to_owned(), rows::range(size.ports)),
        ("net.ipv4.tcp_tw_reuse".to_owned(), "0".to_owned()),
    ];
    for (key, value) in &spec.sysctls {
        match all.iter_mut().find(|(k, _)| k == key) {
            Some((_, v)) => v.clone_from(value),
            None => all.push(((*key).to_owned(), value.clone())),
        }
    }
    all
}

/// Why there is no private namespace here, and what to do about it.
#[derive(Debug)]
pub struct Refusal {
    /// in the words of `sockbench sandbox`, which names the setting
    pub why: String,
    /// what it advises
    pub hint: Option<String>,
}

/// Whether this machine allows a private namespace with settings of its own: those of the baseline are written.
///
/// Errors: it does not.
pub fn check_namespace(size: Size) -> Result<(), Refusal> {
    let refusal = |e: io::Error| Refusal { why: e.to_string(), hint: None };
    let settings = sysctls(&rows::baseline(size), size);
    let command = child::sandboxed(&settings, &[], &["--version".to_owned()]).map_err(refusal)?;
    let mut child = Child::start(command, Stderr::Keep).map_err(refusal)?;
    let said = child.read_line(Duration::from_secs(10)).map(drop);
    said.map_err(|e| Refusal { why: child.complaint().unwrap_or_else(|| e.to_string()), hint: child.hint() })
}

/// Runs everything; `each` is called with every row as it ends.
///
/// Errors: the baseline could not be run: no namespace, no child.
pub fn run(choice: &Choice, each: &(dyn Fn(&Row) + Sync)) -> io::Result<Rehearsal> {
    let clock = Clock::start();
    let started_at = clock::wall_rfc3339();
    let kernel = host::read_kernel_release()?;
    let size = choice.size;
    let baseline_spec = rows::baseline(size);
    let baseline = judge::baseline(&baseline_spec, &child(&baseline_spec, size)?);
    each(&baseline);
    let share = baseline.made.unwrap_or(0) as f64 / baseline.asked.max(1) as f64;
    let wanted = |s: &Spec| choice.remedy.as_deref().is_none_or(|r| r == s.name);
    let (waiting, quick): (Vec<Spec>, Vec<Spec>) = rows::rows(size).into_iter().filter(wanted).partition(Spec::waits);
    let one = |spec: &Spec| {
        let row = rehearse(spec, size, share);
        each(&row);
        row
    };
    let (mut table, course) = std::thread::scope(|scope| {
        let accident = choice.accident.map(|a| scope.spawn(move || run_accident(&a)));
        let slow: Vec<_> = waiting
            .chunks(waiting.len().div_ceil(WAITING_AT_ONCE).max(1))
            .map(|some| scope.spawn(move || some.iter().map(one).collect::<Vec<Row>>()))
            .collect();
        let mut table: Vec<Row> = quick.iter().map(one).collect();
        for thread in slow {
            table.extend(thread.join().unwrap_or_default());
        }
        (table, accident.and_then(|a| a.join().ok()))
    });
    let accident = course.transpose()?;
    if choice.remedy.is_none() {
        for (name, what, commands) in rows::windows_rows() {
            table.push(Row::not_run(name, what, commands, format!("Windows only; by the model: {what}")));
        }
    }
    table.order_by_key(|row| (row.verdict, std::cmp::Reverse(row.made)));
    let mut rehearsal = Rehearsal {
        schema: REHEARSAL_SCHEMA.into(),
        kernel,
        started_at,
        duration_s: clock.now().as_secs_f64(),
        accident,
        baseline,
        rows: table,
        unavailable: Vec::new(),
    };
    explain_nulls(&mut rehearsal);
    Ok(rehearsal)
}

/// One remedy; where it cannot run, the reason why.
fn rehearse(spec: &Spec, size: Size, baseline_share: f64) -> Row {
    let times = if let Shape::Namespaces(n) = spec.shape { n } else { 1 };
    let runs: io::Result<Vec<Inside>> = (0..times).map(|_| child(spec, size)).collect();
    match runs {
        Ok(runs) => judge::row(spec, &runs, baseline_share),
        Err(e) => {
            let row = Row::not_run(spec.name, &spec.what, spec.commands.clone(), e.to_string());
            Row { asked: spec.asked, predicted: Some(spec.predicted), ..row }
        }
    }
}

/// Runs a row in a namespace of its own: `sockbench sandbox ... -- sockbench rehearse --inside NAME`.
fn child(spec: &Spec, size: Size) -> io::Result<Inside> {
    let arguments = ["rehearse", "--inside", spec.name, "--ports", &size.ports.to_string(), "--asked", &size.asked.to_string()];
    let text = child_with(&sysctls(spec, size), &arguments.map(String::from), CHILD_TIMEOUT)?;
    by_name::read(&text).map_err(|e| io::Error::other(format!("row {}: {e}", spec.name)))
}

/// Runs the accident in a namespace of its own.
fn run_accident(setting: &accident::Setting) -> io::Result<Accident> {
    let text = child_with(&setting.sysctls(), &setting.arguments(), setting.duration + CHILD_TIMEOUT)?;
    let inside: Inside = by_name::read(&text).map_err(io::Error::other)?;
    let run = inside.runs.first().ok_or_else(|| io::Error::other("the accident came back without a run"))?;
    Ok(accident::of(setting, run))
}

/// Starts this program in a fresh namespace and returns what it printed.
fn child_with(sysctls: &[(String, String)], arguments: &[String], patience: Duration) -> io::Result<String> {
    let command: Command = child::sandboxed(sysctls, &[], arguments)?;
    let mut child = Child::start(command, Stderr::Keep)?;
    match child.read_line(patience) {
        Ok(line) => {
            child.wait(Duration::from_secs(5))?;
            Ok(line)
        }
        Err(e) => Err(io::Error::other(e)),
    }
}

fn explain_nulls(r: &mut Rehearsal) {
    for key in document::nulls(&*r) {
        let reason = match key.as_str() {
            "accident" => "left out: only one remedy was asked for",
            "accident.measured.recovered_s" | "accident.predicted.recovered_s" => "the run ended first",
            k if k.contains("first_failure_s") => "nothing failed",
            k if k.ends_with(".predicted") => {
                "Windows only: nothing is asked for here, `what` says what the model comes to there"
            }
            _ => "the row was not run, or its namespace did not let it be read: its reason says why",
        };
        r.unavailable.push(Unavailable { key, reason: reason.into() });
    }
}

impl Spec {
    /// It sleeps or paces for seconds: it runs beside the others.
    fn waits(&self) -> bool {
        matches!(self.shape, Shape::Paced(_) | Shape::BurstsWithWaits(_))
    }
}
