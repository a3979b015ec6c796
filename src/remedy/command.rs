//! The plan in force as a `sockbench load` command, and as the same command with one thing changed. Every flag that
//! decides about the run is there, so a command can be pasted. Where results go (`-o`, `--json`, `--csv`) is left out:
//! a second run must not replace the first one's files.

use std::fmt;

use super::change;
use super::flags::{flags, has_default_source, quoted};
use crate::model::course::LevelOf;
use crate::model::limits;
use crate::model::plan::{LoadPlan, PortMode, Think};
use crate::model::units::exact;

/// A command line, and how it differs from the run that it is a remedy for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// to be pasted into a shell
    pub line: String,
    /// flags that are new or other, `drop --flag` for those that go, what comes before; none where nothing of the run
    /// is changed
    pub change: Option<String>,
}

impl Command {
    /// This command after another one that must succeed: `sysctl -w ... && sockbench load ...`.
    #[must_use]
    pub(crate) fn after(self, first: &str) -> Self {
        let change = self.change.map_or_else(|| first.to_owned(), |change| format!("{first}, then {change}"));
        Self { line: format!("{first} && {}", self.line), change: Some(change) }
    }

    /// This command as the argument of another one: `taskset -c 1 sockbench load ...`.
    #[must_use]
    pub(crate) fn under(self, outer: &str) -> Self {
        // An outer command that ends its own flags with `--` is no command without what follows.
        let first = if outer.ends_with(" --") { format!("{outer} sockbench ...") } else { outer.to_owned() };
        let change = self.change.map_or_else(|| first.clone(), |change| format!("{first}, {change}"));
        Self { line: format!("{outer} {}", self.line), change: Some(change) }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A command that looks at something.
impl From<String> for Command {
    fn from(line: String) -> Self {
        Self { line, change: None }
    }
}

impl From<&str> for Command {
    fn from(line: &str) -> Self {
        line.to_owned().into()
    }
}

/// The plan as a `sockbench load` command.
pub fn load(plan: &LoadPlan) -> String {
    let mut words = vec!["sockbench load".to_owned()];
    // The entries of the mix of several destinations are URLs.
    if !plan.target.own_server && !plan.has_several_destinations() {
        words.push(quoted(&plan.target.url));
    }
    words.extend(flags(plan).iter().map(ToString::to_string));
    words.join(" ")
}

/// Flags of a load run that a study of users does not have, or that each of its steps has its own of.
const NOT_OF_A_STUDY: [&str; 9] =
    ["--conns", "--requests", "--rate", "--spawn-rate", "--warmup", "--method", "--header", "--body", "--duration"];

/// A study of these users, otherwise as the steps like `plan`.
pub(crate) fn study(plan: &LoadPlan, users: &[u32]) -> String {
    let each: Vec<String> = users.iter().map(u32::to_string).collect();
    let mut words = vec![format!("sockbench study --users {}", each.join(","))];
    if !plan.duration.is_zero() && plan.duration != limits::STUDY_STEP {
        words.push(format!("--duration {}", exact(plan.duration)));
    }
    if !plan.target.own_server {
        words.push(format!("--url {}", quoted(&plan.target.url)));
    }
    let of_study = flags(plan).into_iter().filter(|f| !NOT_OF_A_STUDY.contains(&f.name));
    words.extend(of_study.map(|f| f.to_string()));
    words.join(" ")
}

/// The plan with one change, as a command.
pub(crate) fn load_with(plan: &LoadPlan, change: impl FnOnce(&mut LoadPlan)) -> Command {
    let changed = changed(plan, change);
    Command { line: load(&changed), change: change::between(plan, &changed) }
}

/// The plan with one change, and with what must follow from it so that the command line takes it.
pub(crate) fn changed(plan: &LoadPlan, change: impl FnOnce(&mut LoadPlan)) -> LoadPlan {
    let mut changed = plan.clone();
    change(&mut changed);
    // An address that a mode of ports took by itself goes with the mode.
    if changed.port_mode == PortMode::Auto && plan.port_mode != PortMode::Auto && has_default_source(plan) {
        changed.sources.clear();
    }
    // A worker without a user has nothing to do, and the command line refuses it.
    changed.threads = changed.threads.min(changed.users);
    follow_stages(plan, &mut changed);
    // An open loop has neither pauses nor a ramp.
    if changed.is_open_loop() {
        (changed.think, changed.spawn_rate) = (Think::default(), 0.0);
    }
    changed
}

/// Stages keep their shape where their peak or their length is another; other users than theirs, or a rate, have none.
fn follow_stages(plan: &LoadPlan, changed: &mut LoadPlan) {
    let Some(stages) = &plan.stages else { return };
    let level = match stages.of {
        LevelOf::Users => f64::from(changed.users) / f64::from(plan.users.max(1)),
        LevelOf::Rate => changed.rate / plan.rate,
    };
    let length = changed.duration.as_secs_f64() / plan.duration.as_secs_f64();
    let of = if changed.is_open_loop() { LevelOf::Rate } else { LevelOf::Users };
    // A number of requests in place of a time has no stages.
    let fits = of == stages.of && level.is_finite() && length.is_finite() && length > 0.0;
    changed.stages = fits.then(|| stages.scaled(level, length));
    if let Some(stages) = changed.stages.as_ref().filter(|_| plan.shard.is_none()) {
        changed.duration = stages.duration();
        match stages.of {
            LevelOf::Users => changed.users = stages.peak() as u32,
            LevelOf::Rate => changed.rate = stages.peak(),
        }
    }
}

/// The plan after settings of the kernel: in its own namespace where it has one, else of the host.
pub(crate) fn load_after_sysctl(plan: &LoadPlan, settings: &[(&str, &str)], change: impl FnOnce(&mut LoadPlan)) -> Command {
    if plan.environment.sandbox {
        return load_with(plan, |p| {
            for (key, value) in settings {
                p.environment.set_sysctl(key, value);
            }
            change(p);
        });
    }
    let load = load_with(plan, change);
    if settings.is_empty() {
        return load;
    }
    let words: Vec<String> = settings.iter().map(|(key, value)| quoted(&format!("{key}={value}"))).collect();
    load.after(&format!("sysctl -w {}", words.join(" ")))
}
