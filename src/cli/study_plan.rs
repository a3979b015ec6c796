//! Study plans: the built-in ones and TOML files. Unknown keys are errors.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Exit, load_args, units};

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

/// A plan as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
    pub(crate) name: String,
    /// as `--mix`; without it the URL's own path is asked for
    pub(crate) mix: Option<String>,
    /// as `--think`
    pub(crate) think: Option<String>,
    pub(crate) cooldown_max: Option<String>,
    /// flags of the own server, by name without dashes
    #[serde(default)]
    pub(crate) server: ServerTable,
    /// run in a private network namespace
    #[serde(default)]
    pub(crate) sandbox: bool,
    /// settings of the namespace
    #[serde(default)]
    pub(crate) sysctl: std::collections::BTreeMap<String, String>,
    pub(crate) step: Vec<StepFile>,
}

/// One step as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepFile {
    pub(crate) users: u32,
    pub(crate) spawn_rate: Option<f64>,
    pub(crate) duration: String,
    /// constant rate instead of a closed loop
    pub(crate) rate: Option<f64>,
    /// left out of the steady figures; the ramp by default
    pub(crate) warmup: Option<String>,
    /// this step's own mix and think time
    pub(crate) mix: Option<String>,
    pub(crate) think: Option<String>,
    /// this step's own way with connections; the command line's otherwise
    pub(crate) keepalive: Option<bool>,
    /// further flags of this step's own server; a step with any has a server to itself
    #[serde(default)]
    pub(crate) server: ServerTable,
}

/// One step with its texts parsed.
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
    let plan: PlanFile = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| text[..s.start].matches('\n').count() + 1);
        let what = e.message().replace('\n', ", ");
        Exit::usage(format!("plan {from}: line {line}: {what}"))
            .hint("sockbench study --print-plan prints the built-in plan as an example")
    })?;
    if plan.step.is_empty() {
        return Err(Exit::usage(format!("plan {from}: no [[step]]"))
            .hint("sockbench study --print-plan prints the built-in plan as an example"));
    }
    Ok(plan)
}

impl PlanFile {
    /// The flags of each step's own server, as command-line words.
    pub(crate) fn server_flags(&self) -> Vec<Vec<String>> {
        self.step.iter().map(|s| words(self.server.iter().chain(&s.server))).collect()
    }

    /// Longest cool-down.
    pub(crate) fn cooldown(&self) -> Result<Duration, Exit> {
        self.cooldown_max.as_deref().map_or(Ok(Duration::from_secs(90)), |t| field("cooldown_max", units::duration(t)))
    }

    /// The steps, each as the arguments of a load run; `each` replaces their durations.
    pub(crate) fn steps(&self, each: Option<Duration>) -> Result<Vec<Step>, Exit> {
        let named = |number: usize, e: Exit| Exit { message: format!("plan {}: step {number}: {}", self.name, e.message), ..e };
        self.step.iter().zip(1..).map(|(s, number)| self.step(s, each).map_err(|e| named(number, e))).collect()
    }

    fn step(&self, s: &StepFile, each: Option<Duration>) -> Result<Step, Exit> {
        let mix = s.mix.as_ref().or(self.mix.as_ref()).map(|m| field("mix", load_args::mix(m))).transpose()?;
        let think = s.think.as_ref().or(self.think.as_ref()).map(|t| field("think", load_args::think(t))).transpose()?;
        let duration = match each {
            Some(d) => d,
            None => field("duration", units::duration(&s.duration))?,
        };
        let warmup = s.warmup.as_deref().map(|t| field("warmup", units::duration(t))).transpose()?;
        Ok(Step {
            keepalive: s.keepalive,
            warmup_is_ramp: warmup.is_none(),
            run: load_args::RunArgs {
                conns: u64::from(s.users),
                duration: Some(duration),
                run_time: None,
                requests: None,
                spawn_rate: s.spawn_rate.filter(|_| s.rate.is_none()),
                rate: s.rate,
                think: think.filter(|_| s.rate.is_none()).unwrap_or_default(),
                warmup: warmup.unwrap_or_default(),
                mix,
                headers: Vec::new(),
                method: "GET".into(),
                body: String::new(),
            },
        })
    }
}

fn words<'a>(table: impl Iterator<Item = (&'a String, &'a toml::Value)>) -> Vec<String> {
    let mut flags = Vec::new();
    for (name, value) in table {
        flags.push(format!("--{}", name.replace('_', "-")));
        match value {
            toml::Value::String(s) => flags.push(s.clone()),
            toml::Value::Boolean(true) => {}
            other => flags.push(other.to_string()),
        }
    }
    flags
}

fn field<T>(name: &str, value: Result<T, String>) -> Result<T, Exit> {
    value.map_err(|e| {
        Exit::usage(format!("{name}: {e}")).hint("sockbench study --print-plan prints the built-in plan as an example")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plan_is_the_experiment() {
        let plan = parse(EXPERIMENT, "experiment").expect("sound");
        let steps = plan.steps(None).expect("sound");
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
    fn bad_values_name_their_key() {
        let plan = parse("name='x'\nthink='5s..1s'\n[[step]]\nusers=1\nduration='1s'\n", "f").expect("shape is sound");
        assert!(plan.steps(None).expect_err("think").message.contains("step 1: think"));
    }
}
