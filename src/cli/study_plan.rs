//! Study plans: the built-in ones and TOML files. Unknown keys are errors.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::de::DeTable;

use super::request_args::{self, Mix, RequestArgs};
use super::{Exit, files, load_args, load_shape};
use crate::model::plan::{Arrivals, MixEntry, Think};
use crate::model::units::{self, Span};
use crate::model::{by_name, limits};

/// The experiment: 10, 50 and 100 users, the built-in plan of `study`.
const EXPERIMENT: &str = include_str!("plans/experiment.toml");
/// The experiment's third step as it failed, in a private namespace: half the ports for half the hold time.
const WINDOWS_PORTS: &str = include_str!("plans/windows-ports.toml");
/// Length of a step where neither a plan nor --duration says it.
pub(crate) const STEP: Duration = limits::STUDY_STEP;
/// Without --spawn-rate the users of a step start within this part of it.
const RAMP_PART: f64 = 10.0;

/// Flags of a server, by name without dashes.
type ServerTable = std::collections::BTreeMap<String, toml::Value>;

/// A plan as written, its texts parsed: an error names the line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
    /// the name of its file where it has none
    #[serde(default)]
    pub(crate) name: String,
    /// the file, or the name of a built-in plan: for messages
    #[serde(skip)]
    pub(crate) from: String,
    /// as `--mix`; without it the URL's own path is asked for
    #[serde(default, deserialize_with = "mix_text")]
    mix: Option<Mix>,
    /// as `--think`
    #[serde(default, deserialize_with = "think_time")]
    think: Option<Think>,
    /// longest cool-down
    #[serde(default = "cooldown_default", deserialize_with = "cooldown")]
    pub(crate) cooldown_max: Duration,
    /// flags of sockbench's own server, by name without dashes
    #[serde(default)]
    server: ServerTable,
    /// run in a private network namespace
    #[serde(default)]
    pub(crate) sandbox: bool,
    /// settings of the namespace
    #[serde(default)]
    pub(crate) sysctl: std::collections::BTreeMap<String, String>,
    pub(crate) step: Vec<StepFile>,
}

/// One step as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepFile {
    /// what the report calls it; "N users" otherwise
    name: Option<String>,
    pub(crate) users: u32,
    spawn_rate: Option<f64>,
    duration: Length,
    /// constant rate instead of a closed loop
    rate: Option<f64>,
    /// left out of the steady figures; by default the ramp
    #[serde(default, deserialize_with = "warmup")]
    warmup: Option<Duration>,
    /// this step's own mix and think time
    #[serde(default, deserialize_with = "mix_text")]
    mix: Option<Mix>,
    #[serde(default, deserialize_with = "think_time")]
    think: Option<Think>,
    /// whether this step keeps connections; otherwise as the command line says
    keepalive: Option<bool>,
    /// further flags of the server of this step; a step with any has its own server
    #[serde(default)]
    server: ServerTable,
}

/// The length of a step.
#[derive(Debug, Clone, Copy)]
struct Length(Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from, "duration", units::duration).map(Self)
    }
}

/// A text of the file, read by the parser of the flag of the same name.
fn parsed<'de, D: Deserializer<'de>, T>(from: D, key: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(|e| D::Error::custom(format!("{key}: {e}")))
}

fn mix_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mix>, D::Error> {
    parsed(from, "mix", request_args::mix).map(Some)
}

fn think_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Think>, D::Error> {
    parsed(from, "think", load_shape::think).map(Some)
}

fn warmup<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    parsed(from, "warmup", units::duration).map(Some)
}

fn cooldown<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parsed(from, "cooldown_max", units::duration)
}

const fn cooldown_default() -> Duration {
    Duration::from_secs(90)
}

/// One step as the arguments of a load run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: Option<String>,
    pub(crate) run: load_args::RunArgs,
    /// the steady part begins when the last user has started; a ramp longer than the step leaves none
    pub(crate) warmup_is_ramp: bool,
    pub(crate) keepalive: Option<bool>,
}

/// Steps of users by flags alone: `--users 10,50,100` and what goes with it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Users {
    /// A step for each number [default: the plan's]
    ///
    /// Instead of a plan: --users 10,50,100.
    #[arg(short = 'u', long = "users", value_name = "N,N,...", value_delimiter = ',', value_parser = users,
          conflicts_with = "plan", help_heading = "Study")]
    pub(crate) each_step: Vec<u32>,
    /// Users started per second, with --users [default: all within a tenth of the step]
    #[arg(hide_short_help = true, short = 'r', long, value_name = "N", requires = "each_step", help_heading = "Study")]
    pub(crate) spawn_rate: Option<f64>,
    /// Pause after each answer [default: none]
    ///
    /// With --users: one time (200ms) or a range (100ms..500ms, uniform).
    #[arg(long, value_name = "A..B", value_parser = load_shape::think, requires = "each_step", help_heading = "Study")]
    pub(crate) think: Option<Think>,
    /// Paths with weights [default: the URL's path]
    ///
    /// With --users. The default is the URL's path; of sockbench's own server it is /health=50,/io=30,/cpu=20.
    #[arg(long, value_name = "PATH=WEIGHT,...", value_parser = request_args::mix, requires = "each_step", help_heading = "Study")]
    pub(crate) mix: Option<Mix>,
}

impl Users {
    /// The same as the text of a plan: one way in for flags and files, and `--print-plan` shows it.
    fn text(&self, duration: Duration) -> String {
        let string = |s: String| toml::Value::String(s).to_string();
        let each: Vec<String> = self.each_step.iter().map(u32::to_string).collect();
        let mut text = format!("name = {}\n", string(format!("{} users", each.join(", "))));
        if let Some(mix) = &self.mix {
            // A path with a query takes no weight: it has weight 1, as one without a number.
            let entry = |e: &MixEntry| if e.weight == 1 { e.path.clone() } else { format!("{}={}", e.path, e.weight) };
            let entries: Vec<String> = mix.0.iter().map(entry).collect();
            text += &format!("mix = {}\n", string(entries.join(",")));
        }
        if let Some(think) = self.think {
            text += &format!("think = {}\n", string(think.typed()));
        }
        for users in &self.each_step {
            let ramp = f64::from(*users) * RAMP_PART / duration.as_secs_f64().max(1e-3);
            // As a printed command has it: both make one plan.
            let ramp = units::typed(ramp).parse().unwrap_or(ramp);
            let spawn_rate = toml::Value::Float(self.spawn_rate.unwrap_or(ramp));
            let duration = string(Span(duration).to_string());
            text += &format!("\n[[step]]\nusers = {users}\nspawn_rate = {spawn_rate}\nduration = {duration}\n");
        }
        text
    }
}

/// One number of `--users`.
pub(crate) fn users(text: &str) -> Result<u32, String> {
    let count = units::count(text)?;
    let in_range = u32::try_from(count).ok().filter(|n| (1..=limits::USERS_MAX).contains(n));
    in_range.ok_or_else(|| format!("not between 1 and {}", limits::USERS_MAX))
}

/// The plan of `--users`, and its text. Errors: exit 2.
pub(crate) fn of_users(steps: &Users, each: Option<Duration>) -> Result<(PlanFile, String), Exit> {
    let text = steps.text(each.unwrap_or(STEP));
    Ok((parse(&text, "--users")?, text))
}

/// Reads a built-in plan or a TOML file; its text too.
pub(crate) fn read(name: Option<&str>) -> Result<(PlanFile, String), Exit> {
    let (text, from) = match name {
        None | Some("experiment") => (EXPERIMENT.to_owned(), "experiment"),
        Some("windows-ports") => (WINDOWS_PORTS.to_owned(), "windows-ports"),
        Some(url) if url.contains("://") => {
            return Err(Exit::usage(format!("plan {url}: a URL is not a plan")).hint(format!("sockbench study --url {url}")));
        }
        Some(list) if list.split(',').all(|n| n.parse::<u32>().is_ok()) => {
            return Err(
                Exit::usage(format!("plan {list}: numbers are not a plan")).hint(format!("sockbench study --users {list}"))
            );
        }
        Some(file) => {
            let text = std::fs::read_to_string(Path::new(file)).map_err(|e| {
                Exit::usage(format!("plan {file}: {}", files::words(&e))).hint(
                    "experiment, windows-ports or a TOML file (--print-plan shows one); steps without a file: --users 10,50,100",
                )
            })?;
            (text, file)
        }
    };
    Ok((parse(&text, from)?, text))
}

/// Parses a plan; `from` names it in errors.
pub(crate) fn parse(text: &str, from: &str) -> Result<PlanFile, Exit> {
    let mut plan: PlanFile = toml::Deserializer::parse(text).and_then(by_name::of).map_err(|e| {
        let line = e.span().map_or(1, |s| text[..s.start].matches('\n').count() + 1);
        let what = e.message().replace('\n', ", ");
        Exit::usage(format!("plan {from}: line {line}: {what}"))
            .hint("sockbench study --print-plan prints the built-in plan as an example")
    })?;
    from.clone_into(&mut plan.from);
    if plan.name.is_empty() {
        plan.name = Path::new(from).file_stem().map_or(from.into(), |stem| stem.to_string_lossy().into_owned());
    }
    if plan.step.is_empty() {
        return Err(Exit::usage(format!("plan {from}: no [[step]]"))
            .hint("sockbench study --print-plan prints the built-in plan as an example"));
    }
    Ok(plan)
}

impl PlanFile {
    /// The flags of the server of each step, as command-line words.
    pub(crate) fn server_words(&self) -> Vec<Vec<String>> {
        self.step.iter().map(|s| words(self.server.iter().chain(&s.server))).collect()
    }

    /// The steps, each as the arguments of a load run; `each` replaces their durations.
    pub(crate) fn steps(&self, each: Option<Duration>) -> Vec<Step> {
        self.step.iter().map(|s| self.step(s, each)).collect()
    }

    /// `text`, which this plan was read from, with `each` in place of its steps' durations.
    pub(crate) fn text_with(text: &str, each: Duration) -> String {
        let table = DeTable::parse(text).ok();
        let steps = table.iter().filter_map(|table| table.get_ref().get("step")?.get_ref().as_array()).flatten();
        let places: Vec<_> = steps.filter_map(|step| Some(step.get_ref().get("duration")?.span())).collect();
        let mut text = text.to_owned();
        // From the end, so that earlier places keep their offsets.
        for place in places.into_iter().rev() {
            text.replace_range(place, &format!("\"{}\"", Span(each)));
        }
        text
    }

    fn step(&self, s: &StepFile, each: Option<Duration>) -> Step {
        let think = s.think.or(self.think);
        Step {
            name: s.name.clone(),
            keepalive: s.keepalive,
            warmup_is_ramp: s.warmup.is_none(),
            run: load_args::RunArgs {
                conns: Some(u64::from(s.users)),
                duration: Some(each.unwrap_or(s.duration.0)),
                run_time: None,
                requests: None,
                spawn_rate: s.spawn_rate.filter(|_| s.rate.is_none()),
                rate: s.rate,
                stages: None,
                arrivals: Arrivals::default(),
                preconnect: None,
                think: think.filter(|_| s.rate.is_none()).unwrap_or_default(),
                warmup: s.warmup.unwrap_or_default(),
                mix: s.mix.as_ref().or(self.mix.as_ref()).cloned(),
                request: RequestArgs::default(),
            },
        }
    }
}

fn words<'a>(table: impl Iterator<Item = (&'a String, &'a toml::Value)>) -> Vec<String> {
    let mut flags = Vec::new();
    for (name, value) in table {
        flags.push(format!("--{}", name.replace('_', "-")));
        match value {
            toml::Value::String(s) => flags.push(s.clone()),
            other => flags.push(other.to_string()),
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load_shape::think;
    use crate::cli::request_args::mix;

    #[test]
    fn the_built_in_plan_is_the_experiment() {
        let plan = parse(EXPERIMENT, "experiment").expect("sound");
        let steps = plan.steps(None);
        assert_eq!(plan.name, "experiment");
        let users: Vec<_> = steps.iter().map(|s| (s.run.conns, s.run.spawn_rate, s.run.duration)).collect();
        let three = Some(Duration::from_secs(180));
        assert_eq!(users, [(Some(10), Some(2.0), three), (Some(50), Some(5.0), three), (Some(100), Some(10.0), three)]);
        assert!(steps.iter().all(|s| s.warmup_is_ramp));
    }

    #[test]
    fn unknown_keys_are_errors_with_a_line() {
        let e = parse("name = \"x\"\nuserz = 3\n[[step]]\nusers=1\nduration=\"1s\"\n", "f.toml").expect_err("unknown key");
        assert!(e.message.contains("line 2") && e.message.contains("userz"), "{}", e.message);
        assert_eq!(e.code, 2);
    }

    #[test]
    fn bad_values_name_their_file_line_and_key() {
        let plan = |line: &str| format!("name='x'\n\n[[step]]\nusers=1\nduration='1s'\n{line}\n");
        for (text, says) in [
            (plan("think='5s..1s'"), "line 6: think: 5s..1s"),
            (plan("mix='x'"), "line 6: mix: "),
            (plan("warmup='soon'"), "line 6: warmup: "),
            (plan("").replace("1s", "1x"), "line 5: duration: "),
            (plan("").replace("\n\n", "\ncooldown_max='-3s'\n"), "line 2: cooldown_max: "),
        ] {
            let e = parse(&text, "file.toml").expect_err(&text);
            assert!(e.message.starts_with(&format!("plan file.toml: {says}")) && e.code == 2, "{says}: {}", e.message);
        }
    }

    #[test]
    fn a_plan_is_printed_with_the_lengths_it_would_run() {
        let text = "name='x'\nstep=[{users=1,duration='3m'},{users=2,duration='4m'}] # both\n";
        assert!(parse(text, "f").is_ok());
        let printed = PlanFile::text_with(text, Duration::from_secs(90));
        assert_eq!(printed, "name='x'\nstep=[{users=1,duration=\"1m30s\"},{users=2,duration=\"1m30s\"}] # both\n");
        let quick = PlanFile::text_with(EXPERIMENT, Duration::from_secs(20));
        assert!(!quick.contains("3m") && quick.matches("duration = \"20s\"").count() == 3, "{quick}");
    }

    #[test]
    fn a_url_and_a_list_of_users_are_not_plans_but_flags() {
        let hint = |plan: &str| read(Some(plan)).expect_err(plan).hint;
        assert_eq!(hint("http://127.0.0.1:5000/").as_deref(), Some("sockbench study --url http://127.0.0.1:5000/"));
        assert_eq!(hint("10,50").as_deref(), Some("sockbench study --users 10,50"));
    }

    #[test]
    fn a_minimal_plan_is_called_as_its_file() {
        let plan = parse("[[step]]\nusers = 3\nduration = '5s'\n", "plans/knee.toml").expect("sound");
        assert_eq!((plan.name.as_str(), plan.steps(None).len()), ("knee", 1));
    }

    #[test]
    fn users_by_flags_are_a_plan_like_any_other() {
        let given = mix("/a?b=c,/d=2").expect("a mix");
        let think = Some(think("5ms..7ms").expect("a think time"));
        let users = Users { each_step: vec![1, 20], think, mix: Some(given.clone()), ..Users::default() };
        let (plan, text) = of_users(&users, None).expect("sound");
        let steps = plan.steps(None);
        assert_eq!((plan.name.as_str(), steps[1].run.mix.as_ref()), ("1, 20 users", Some(&given)), "{text}");
        assert_eq!((steps[0].run.conns, steps[1].run.conns, Some(steps[1].run.think)), (Some(1), Some(20), think));
        assert_eq!((steps[1].run.duration, steps[1].run.spawn_rate), (Some(STEP), Some(10.0)), "a tenth of 20 s");
        let faster = Users { each_step: vec![8], spawn_rate: Some(4.0), ..Users::default() };
        let run = &of_users(&faster, Some(Duration::from_secs(3))).expect("sound").0.steps(None)[0].run;
        assert_eq!((run.spawn_rate, run.duration, run.mix.clone()), (Some(4.0), Some(Duration::from_secs(3)), None));
    }

    #[test]
    fn windows_ports_reaches_its_end_whatever_the_machine_does() {
        let plan = parse(WINDOWS_PORTS, "windows-ports").expect("sound");
        let steps = plan.steps(None);
        let names: Vec<_> = steps.iter().map(|s| s.name.as_deref()).collect();
        assert_eq!(names, [Some("short"), Some("kept")]);
        // An open loop: 170/s use up 8192 ports within 48.2 s of 90.
        assert!(steps.iter().all(|s| s.run.rate == Some(170.0)));
        assert!(steps[0].run.duration.is_some_and(|d| d.as_secs_f64() > 8192.0 / 170.0));
    }
}
