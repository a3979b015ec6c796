//! Study plans: the built-in ones and TOML files. Unknown keys are errors.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::load_args::Mix;
use super::{Exit, load_args};
use crate::model::plan::Think;
use crate::model::units::{self, Span};

/// The experiment: 10/50/100 users, as the built-in plan of `study`.
pub(crate) const EXPERIMENT: &str = r#"# The experiment: CPU-bound against I/O-bound work under rising load.
name = "experiment"
mix = "/health=50,/io=30,/cpu=20"
think = "100ms..500ms"
# longest wait between two steps for leftover TIME_WAIT to go
cooldown_max = "90s"

# flags of the server that a study without a URL starts
[server]

[[step]]
users = 10
spawn_rate = 2
duration = "3m"

[[step]]
users = 50
spawn_rate = 5
duration = "3m"

[[step]]
users = 100
spawn_rate = 10
duration = "3m"
"#;

/// The experiment's third step as it failed, in a private namespace: half the ports for half the hold time.
pub(crate) const WINDOWS_PORTS: &str = r#"# The experiment's third step as it failed. Windows has 16384 dynamic ports and holds each for 120 s: 136.5/s.
# Here 8192 ports are held for 60 s: the same 136.5/s in half the time. One CPU worker stands for Flask's
# interpreter lock; the server answers Connection: close, and the client closes first, as with Flask and Locust.
name = "windows-ports"
mix = "/health=50,/io=30,/cpu=20"
think = "100ms..500ms"
sandbox = true

[sysctl]
"net.ipv4.tcp_tw_reuse" = "0"
"net.ipv4.ip_local_port_range" = "20000 28191"

[server]
cpu-workers = 1
cpu-work = "30ms"

[[step]]
users = 100
spawn_rate = 10
duration = "90s"
keepalive = false

[step.server]
keepalive = "off"
closer = "client"

# the same again with kept connections
[[step]]
users = 100
spawn_rate = 10
duration = "90s"
"#;

/// Flags of a server, by name without dashes.
type ServerTable = std::collections::BTreeMap<String, toml::Value>;

/// A plan as written, its texts parsed: what is wrong with one is told with its line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
    pub(crate) name: String,
    /// the file, or the name of a built-in plan: for messages
    #[serde(skip)]
    pub(crate) from: String,
    /// as `--mix`; without it the URL's own path is asked for
    #[serde(default, deserialize_with = "mix")]
    mix: Option<Mix>,
    /// as `--think`
    #[serde(default, deserialize_with = "think")]
    think: Option<Think>,
    /// longest cool-down
    #[serde(default = "cooldown_default", deserialize_with = "cooldown")]
    pub(crate) cooldown_max: Duration,
    /// flags of the own server, by name without dashes
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
    pub(crate) users: u32,
    spawn_rate: Option<f64>,
    /// where it stands in the text is kept: `--print-plan` puts another in its place
    duration: Spanned<Length>,
    /// constant rate instead of a closed loop
    rate: Option<f64>,
    /// left out of the steady figures; the ramp by default
    #[serde(default, deserialize_with = "warmup")]
    warmup: Option<Duration>,
    /// this step's own mix and think time
    #[serde(default, deserialize_with = "mix")]
    mix: Option<Mix>,
    #[serde(default, deserialize_with = "think")]
    think: Option<Think>,
    /// this step's own way with connections; the command line's otherwise
    keepalive: Option<bool>,
    /// further flags of this step's own server; a step with any has a server to itself
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

/// A text of the file by the parser of the flag of the same name.
fn parsed<'de, D: Deserializer<'de>, T>(from: D, key: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(|e| D::Error::custom(format!("{key}: {e}")))
}

fn mix<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mix>, D::Error> {
    parsed(from, "mix", load_args::mix).map(Some)
}

fn think<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Think>, D::Error> {
    parsed(from, "think", load_args::think).map(Some)
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
    pub(crate) run: load_args::RunArgs,
    /// the steady part begins when the last user has started; a ramp that outlasts the step leaves none
    pub(crate) warmup_is_ramp: bool,
    pub(crate) keepalive: Option<bool>,
}

/// Reads a built-in plan or a TOML file; its text too.
pub(crate) fn read(name: Option<&str>) -> Result<(PlanFile, String), Exit> {
    let (text, from) = match name {
        None | Some("experiment") => (EXPERIMENT.to_owned(), "experiment"),
        Some("windows-ports") => (WINDOWS_PORTS.to_owned(), "windows-ports"),
        Some(url) if url.contains("://") => {
            return Err(Exit::usage(format!("plan {url}: a URL is no plan")).hint(format!("sockbench study --url {url}")));
        }
        Some(file) => {
            let text = std::fs::read_to_string(Path::new(file)).map_err(|e| {
                Exit::usage(format!("plan {file}: {e}"))
                    .hint("a TOML file, experiment or windows-ports; sockbench study --print-plan prints the built-in one")
            })?;
            (text, file)
        }
    };
    Ok((parse(&text, from)?, text))
}

/// Parses a plan; `from` names it in errors.
pub(crate) fn parse(text: &str, from: &str) -> Result<PlanFile, Exit> {
    let mut plan: PlanFile = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| text[..s.start].matches('\n').count() + 1);
        let what = e.message().replace('\n', ", ");
        Exit::usage(format!("plan {from}: line {line}: {what}"))
            .hint("sockbench study --print-plan prints the built-in plan as an example")
    })?;
    from.clone_into(&mut plan.from);
    if plan.step.is_empty() {
        return Err(Exit::usage(format!("plan {from}: no [[step]]"))
            .hint("sockbench study --print-plan prints the built-in plan as an example"));
    }
    Ok(plan)
}

impl PlanFile {
    /// The flags of each step's own server, as command-line words.
    pub(crate) fn server_words(&self) -> Vec<Vec<String>> {
        self.step.iter().map(|s| words(self.server.iter().chain(&s.server))).collect()
    }

    /// The steps, each as the arguments of a load run; `each` replaces their durations.
    pub(crate) fn steps(&self, each: Option<Duration>) -> Vec<Step> {
        self.step.iter().map(|s| self.step(s, each)).collect()
    }

    /// `text`, which this plan was read from, with `each` in place of its steps' durations.
    pub(crate) fn text_with(&self, text: &str, each: Duration) -> String {
        let mut text = text.to_owned();
        // From the end, so that the places before stay where they are.
        for step in self.step.iter().rev() {
            text.replace_range(step.duration.span(), &format!("\"{}\"", Span(each)));
        }
        text
    }

    fn step(&self, s: &StepFile, each: Option<Duration>) -> Step {
        let think = s.think.or(self.think);
        Step {
            keepalive: s.keepalive,
            warmup_is_ramp: s.warmup.is_none(),
            run: load_args::RunArgs {
                conns: u64::from(s.users),
                duration: Some(each.unwrap_or(s.duration.get_ref().0)),
                run_time: None,
                requests: None,
                spawn_rate: s.spawn_rate.filter(|_| s.rate.is_none()),
                rate: s.rate,
                think: think.filter(|_| s.rate.is_none()).unwrap_or_default(),
                warmup: s.warmup.unwrap_or_default(),
                mix: s.mix.as_ref().or(self.mix.as_ref()).cloned(),
                headers: Vec::new(),
                method: "GET".into(),
                body: String::new(),
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

    #[test]
    fn the_built_in_plan_is_the_experiment() {
        let plan = parse(EXPERIMENT, "experiment").expect("sound");
        let steps = plan.steps(None);
        let users: Vec<_> = steps.iter().map(|s| (s.run.conns, s.run.spawn_rate, s.run.duration)).collect();
        let three = Some(Duration::from_secs(180));
        assert_eq!(users, [(10, Some(2.0), three), (50, Some(5.0), three), (100, Some(10.0), three)]);
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
        let plan = parse(text, "f").expect("sound");
        let printed = plan.text_with(text, Duration::from_secs(90));
        assert_eq!(printed, "name='x'\nstep=[{users=1,duration=\"1m30s\"},{users=2,duration=\"1m30s\"}] # both\n");
        let quick = parse(EXPERIMENT, "e").expect("sound").text_with(EXPERIMENT, Duration::from_secs(20));
        assert!(!quick.contains("3m") && quick.matches("duration = \"20s\"").count() == 3, "{quick}");
    }

    #[test]
    fn a_url_is_no_plan() {
        let e = read(Some("http://127.0.0.1:5000/")).expect_err("a URL");
        assert_eq!(e.hint.as_deref(), Some("sockbench study --url http://127.0.0.1:5000/"));
    }
}
