//! Flags of `load` that a Locust master may hand to workers: read by the same definitions. What is local to the worker, or
//! could aim it at strangers, is not among them: Locust's port asks nobody for a password.

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::Exit;
use super::connection_args::ConnectionArgs;
use super::load_args::RunArgs;

/// What a master may decide, by the names of the arguments.
const ALLOWED: [&str; 9] = ["no_keepalive", "closer", "timeout", "seed", "think", "mix", "headers", "method", "body"];

/// The flags of one test.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct Carried {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    conn: ConnectionArgs,
    /// names of the arguments that were given
    #[arg(skip)]
    given: Vec<String>,
}

/// Reads flags as a shell would. Errors: exit 2, one line: words that `load` would refuse as well, and flags that only the
/// worker's own command line may have.
pub(crate) fn read(text: &str) -> Result<Carried, Exit> {
    let refused = |why: String| Exit::usage(format!("flags {text:?}: {why}"));
    let words = shlex::split(text).ok_or_else(|| refused("a quote without its end".into()))?;
    // A file would be the worker's: refused before it is read.
    let is_file = |value: &str| value.starts_with('@') && !value.starts_with("@@");
    let names_file = |pair: &[String]| pair[0] == "--body" && is_file(&pair[1]);
    if words.windows(2).any(names_file) || words.iter().any(|w| w.strip_prefix("--body=").is_some_and(is_file)) {
        return Err(refused("--body @FILE: a file of the worker is not a master's to send".into()));
    }
    let first_line = |e: &clap::Error| e.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let matches = Carried::command().try_get_matches_from(&words).map_err(|e| refused(first_line(&e)))?;
    let command = Carried::command();
    let is_given = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let given: Vec<String> = command.get_arguments().map(clap::Arg::get_id).filter(is_given).map(ToString::to_string).collect();
    if let Some(id) = given.iter().find(|id| !ALLOWED.contains(&id.as_str())) {
        return Err(refused(format!(
            "--{}: not for a master to decide; sockbench worker --help shows who may",
            id.replace('_', "-")
        )));
    }
    let carried = Carried::from_arg_matches(&matches).map_err(|e| refused(first_line(&e)))?;
    Ok(Carried { given, ..carried })
}

impl Carried {
    /// The connections of a worker whose own command line says `own`: what is given here comes before that.
    pub(crate) fn onto(&self, own: &ConnectionArgs) -> ConnectionArgs {
        let (mut conn, theirs) = (own.clone(), &self.conn);
        for name in &self.given {
            match name.as_str() {
                "no_keepalive" => conn.no_keepalive = theirs.no_keepalive,
                "closer" => conn.closer = theirs.closer,
                "timeout" => conn.timeout = theirs.timeout,
                "seed" => conn.seed = theirs.seed,
                _ => {}
            }
        }
        conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_decides_what_is_asked_and_nothing_that_is_the_workers() {
        let own = read("--no-keepalive").expect("allowed").conn;
        let carried = read("--mix /a=2,/b --think 10ms -H 'X-A: b c' --timeout 2s --body '@@x'").expect("allowed");
        let conn = carried.onto(&own);
        assert_eq!((conn.no_keepalive, conn.timeout.0.as_secs()), (true, 2), "what is not given stays the worker's");
        assert_eq!(carried.run.mix.as_ref().map(|m| m.0.len()), Some(2));
        for (text, says) in [
            ("--allow-remote", "--allow-remote: not for a master"),
            ("--source 127.0.0.2", "--source: not for a master"),
            ("--port-range 1-9", "--port-range: not for a master"),
            ("--threads 8", "--threads: not for a master"),
            ("-c 9", "--conns: not for a master"),
            ("-R 9", "--rate: not for a master"),
            ("--body @/etc/passwd", "a file of the worker"),
            ("--body=@/etc/passwd", "a file of the worker"),
            ("-o /tmp", "unexpected argument"),
            ("--mix x", "a path starts with /"),
            ("'", "a quote without its end"),
            ("http://127.0.0.1/", "unexpected argument"),
        ] {
            let exit = read(text).expect_err(text);
            assert!(exit.message.contains(says) && !exit.message.contains('\n'), "{text}: {}", exit.message);
        }
    }

    #[test]
    fn every_allowed_flag_is_one_of_load() {
        let command = Carried::command();
        for id in ALLOWED {
            assert!(command.get_arguments().any(|a| a.get_id() == id), "{id}");
        }
    }
}
