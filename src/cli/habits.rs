//! Flags as other tools spell them: one line with the flag that does the same here.

/// What the flag `given` to `command` means elsewhere, and what to type here; none where it is not known.
pub(super) fn hint(command: &str, given: &str) -> Option<&'static str> {
    let name = given.split('=').next().unwrap_or(given);
    let of = |habits: &'static [Habit]| habits.iter().find(|(names, _)| names.contains(&name)).map(|h| h.1);
    OF_COMMANDS.iter().filter(|(commands, _)| commands.contains(&command)).find_map(|(_, habits)| of(habits))
}

/// What to type for words that are no command: people know `wrk URL` and `k6 run`.
pub(super) fn no_command(words: &[String]) -> Option<String> {
    let quoted = |words: &[String]| shlex::try_join(words.iter().map(String::as_str)).ok();
    match words {
        [verb, rest @ ..] if ["run", "bench", "test", "start", "attack"].contains(&verb.as_str()) => {
            Some(format!("sockbench load {}", quoted(rest)?))
        }
        [..] if words.iter().any(|w| w.starts_with("http://")) => Some(format!("sockbench load {}", quoted(words)?)),
        _ => None,
    }
}

/// Flags of one meaning, and what to type.
type Habit = (&'static [&'static str], &'static str);

const OF_COMMANDS: &[(&[&str], &[Habit])] = &[
    (&["study"], STUDY),
    (&["ports"], PORTS),
    (&["server"], SERVER),
    (&["report"], REPORT),
    (&["explain"], EXPLAIN),
    (&["load", "study"], HABITS),
];

const STUDY: &[Habit] = &[
    (&["-c", "--conns", "--concurrency"], "--users 10,50,100: a step for each number"),
    (&["-t", "--run-time"], "-d DURATION: the length of each step"),
    (&["-R", "--rate"], "a study takes users, --users 10,50,100; sockbench load -R N takes a rate"),
];
const PORTS: &[Habit] = &[
    (&["-p", "--port", "--dest", "--target"], "the destination is an argument of its own: sockbench ports 127.0.0.1:8080"),
    (&["-R", "--rate"], "--predict RATE"),
    (&["-w"], "--watch"),
    (&["-a"], "--all"),
];
const SERVER: &[Habit] = &[
    (&["-p", "--port", "-b", "--bind", "-l", "--host"], "--listen 127.0.0.1:8080"),
    (&["-w", "--workers", "-t", "--threads"], "--reactors N for event loops, --cpu-workers N for /cpu, --io-workers N for /io"),
];
const REPORT: &[Habit] = &[(&["-f"], "--format text, json, csv or hlog"), (&["--json"], "--format json")];
const EXPLAIN: &[Habit] = &[(&["-f", "--file"], "the file is an argument of its own: sockbench explain FILE")];

/// Flags of ab, autocannon, bombardier, curl, hey, k6, Locust, oha, vegeta, wrk and wrk2.
const HABITS: &[Habit] = &[
    (&["--host", "--url", "-host"], "the URL is an argument of its own: sockbench load http://127.0.0.1:8080/"),
    (&["--request"], "--method METHOD, or -X METHOD"),
    (&["--data", "--data-raw", "--data-binary", "--json-body", "-p", "-D", "--body-file"], "--body TEXT, or --body @FILE"),
    (&["-T"], "wrk's -T is --timeout; ab's and hey's -T is -H 'Content-Type: ...'"),
    (&["--content-type"], "-H 'Content-Type: application/json'"),
    (&["--rps", "--qps", "--throughput"], "-R N: requests per second in all"),
    (&["--stages", "--ramp-up"], "-r N starts users at a rate; sockbench study --users 10,50,100 runs steps"),
    (&["-m"], "--method METHOD; bombardier's and hey's -m"),
    (&["-z"], "-d DURATION; hey's -z"),
    (&["--connections", "--concurrency", "--vus", "--clients"], "-c N: one user is one connection"),
    (&["--iterations", "--amount", "--total"], "-n N"),
    (&["-k", "--keepalive", "--keep-alive"], "connections are kept anyway; --no-keepalive makes a new one for each request"),
    (&["--disable-keepalive", "--disable-keep-alive"], "--no-keepalive"),
    (&["-L", "--latency", "--latencies"], "latency percentiles are always reported: leave it out"),
    (&["--location", "--follow", "--redirects"], "redirects are counted by status, not followed: load the address they lead to"),
    (&["--insecure", "--http2", "--http3"], "plain HTTP/1.1 only: load the http:// port behind the TLS terminator"),
    (&["-A"], "hey's -A is -H 'Accept: ...'; ab's -A is -H 'Authorization: Basic ...'"),
    (&["--user", "--auth"], "-H 'Authorization: Basic ...'"),
    (&["-C", "--cookie"], "-H 'Cookie: name=value'"),
    (&["-s", "--script", "-f", "--locustfile"], "scripts are not run: --mix names paths with weights"),
    (&["--headless", "--autostart", "--autoquit"], "leave it out: runs are never interactive"),
    (&["--stop-timeout", "--gracefulStop"], "--timeout ends a request; what is in flight at the end is reported"),
    (
        &["--unix-socket", "--unix"],
        "unix sockets have no ports and are not loaded: `socat TCP-LISTEN:8080,fork UNIX-CONNECT:PATH`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_of_a_command_is_named_once_and_with_one_line() {
        for (commands, habits) in OF_COMMANDS {
            let all: Vec<&str> = habits.iter().flat_map(|h| h.0).copied().collect();
            for (i, name) in all.iter().enumerate() {
                assert!(name.starts_with('-') && !all[..i].contains(name), "{name}");
                assert!(hint(commands[0], name).is_some_and(|h| !h.contains('\n')), "{name}");
            }
        }
        assert!(hint("load", "--host=http://x").is_some() && hint("load", "--bogus").is_none());
        assert_ne!(hint("ports", "-p"), hint("load", "-p"));
    }
}
