//! Flags as other tools spell them: one line with the flag that does the same here.

/// What the flag `given` to `command`, one of `words`, means elsewhere, and what to type here; none where it is not known.
pub(super) fn hint(command: &str, given: &str, words: &[String]) -> Option<&'static str> {
    let name = given.split('=').next().unwrap_or(given);
    let number_follows = || words.windows(2).any(|w| w[0] == name && w[1].starts_with(|c: char| c.is_ascii_digit()));
    if let Some((_, hint)) = NUMBERS.iter().find(|(flag, _)| *flag == name).filter(|_| command == "load" && number_follows()) {
        return Some(hint);
    }
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

/// `rate` of `-rate=5`: one dash, and more letters than a flag and its value have.
pub(super) fn long_of_one_dash(word: &str) -> Option<&str> {
    let name = word.strip_prefix('-')?.split('=').next()?;
    let is_long = name.len() > 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !name.starts_with('-');
    is_long.then_some(name)
}

/// The flag that a word with one dash means, as Go's programs spell long flags: `-disable-keepalive`, `-rate=5`. None
/// for flags of one letter, and for their values (`-d10s`).
pub(super) fn one_dash<'w>(words: &'w [String], long_flags: &[&str]) -> Option<(&'w str, String)> {
    let is_load = words.first().is_some_and(|w| ["load", "study"].contains(&w.as_str()));
    words.iter().filter(|_| is_load).take_while(|w| w.as_str() != "--").find_map(|word| {
        let name = long_of_one_dash(word)?;
        if name == "host" {
            return Some(("-host", "-H 'Host: NAME'; hey's -host. The URL is an argument of its own".to_owned()));
        }
        let two = format!("--{name}");
        let known = long_flags.contains(&name).then(|| format!("{two}, with two dashes"));
        let hint = known.or_else(|| HABITS.iter().find(|(names, _)| names.contains(&two.as_str())).map(|h| h.1.to_owned()))?;
        Some((word.split('=').next().unwrap_or(word), hint))
    })
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
const REPORT: &[Habit] = &[
    (&["-f"], "--format text, json, csv, hlog or html"),
    (&["--json"], "--format json"),
    (&["--html"], "--format html > FILE"),
    (&["--hlog"], "--format hlog > FILE"),
];
const EXPLAIN: &[Habit] = &[(&["-f", "--file"], "the file is an argument of its own: sockbench explain FILE")];

/// Flags that mean something else where a number follows.
const NUMBERS: &[(&str, &str)] = &[
    ("-s", "--timeout SECONDS; ab's -s"),
    ("-i", "-n N; k6's -i"),
    ("-a", "-n N; autocannon's -a"),
    ("-p", "each connection carries one request at a time: leave it out; autocannon's -p"),
];

/// Flags of ab, autocannon, bombardier, curl, hey, k6, Locust, oha, vegeta, wrk and wrk2.
const HABITS: &[Habit] = &[
    (&["--targets", "--urls-from-file"], "sockbench load URL URL; --mix '/a=9,/b=1' names several paths below each"),
    (&["--head", "-I", "-i"], "--method HEAD"),
    (&["-b"], "-H 'Cookie: name=value' (curl's -b), or --body TEXT (bombardier's -b)"),
    (&["--form", "-F"], "--body @FILE and -H 'Content-Type: multipart/form-data; boundary=...': forms are not built"),
    (&["-G", "--get"], "put the query into the URL: http://127.0.0.1:8080/path?name=value"),
    (&["--user-agent"], "-H 'User-Agent: ...'"),
    (&["--compressed"], "-H 'Accept-Encoding: gzip'"),
    (&["--max-time", "--connect-timeout", "--socket-timeout"], "--timeout DURATION"),
    (&["--cpus", "--procs"], "--threads N"),
    (&["--disable-compression"], "leave it out: no compression is asked for"),
    (&["-x", "--proxy"], "proxies are not used: give the proxy's own http:// address as the URL to load it"),
    (&["-e", "-g", "--csv-full-history"], "--csv PREFIX writes Locust's three CSV files, the whole history among them"),
    (&["--pipelining", "--pipeline"], "each connection carries one request at a time: leave it out"),
    (&["--only-summary", "--no-tui", "--no-progress"], "--quiet"),
    (&["--host", "--url"], "the URL is an argument of its own: sockbench load http://127.0.0.1:8080/"),
    (&["--request"], "--method METHOD, or -X METHOD"),
    (
        &["--data", "--data-raw", "--data-binary", "--data-urlencode", "--json-body", "-p", "-D", "--body-file"],
        "--body TEXT, or --body @FILE",
    ),
    (&["-T"], "wrk's -T is --timeout; ab's and hey's -T is -H 'Content-Type: ...'"),
    (&["--content-type"], "-H 'Content-Type: application/json'"),
    (&["--rps", "--qps", "--throughput"], "-R N: requests per second in all"),
    (&["--stage", "--ramp-up"], "--stages 30s@50,1m@200 or -r N; sockbench study --users 10,50,100 runs steps"),
    (&["-m"], "--method METHOD; bombardier's and hey's -m"),
    (&["-z"], "-d DURATION; hey's -z"),
    (&["--connections", "--concurrency", "--vus", "--clients", "--workers", "--max-workers"], "-c N: one user is one connection"),
    (&["--iterations", "--amount", "--total"], "-n N"),
    (&["-k", "--keepalive", "--keep-alive"], "connections are kept anyway; --no-keepalive makes a new one for each request"),
    (&["--disable-keepalive", "--disable-keep-alive", "--disable-keepalives"], "--no-keepalive"),
    (
        &["-L"],
        "leave it out: latency percentiles are always reported (wrk2's -L), and redirects are counted by status, not followed \
         (curl's -L)",
    ),
    (&["-l", "--latency", "--latencies"], "latency percentiles are always reported: leave it out"),
    (
        &["--location", "--follow", "--redirects", "--redirect", "--max-redirects", "--disable-redirects"],
        "redirects are counted by status, not followed: load the address they lead to",
    ),
    (&["--insecure", "--http2", "--http3", "--h2"], "plain HTTP/1.1 only: load the http:// port behind the TLS terminator"),
    (&["-A"], "hey's -A is -H 'Accept: ...'; ab's -A is -H 'Authorization: Basic ...'"),
    (&["--user"], "--users N; curl's --user is -H 'Authorization: Basic ...'"),
    (&["--auth"], "-H 'Authorization: Basic ...'"),
    (&["-C", "--cookie"], "-H 'Cookie: name=value'"),
    (&["-s", "--script", "-f", "--locustfile"], "scripts are not run: --mix names paths with weights"),
    (&["--headless", "--autostart", "--autoquit"], "leave it out: runs are never interactive"),
    (&["--stop-timeout", "--gracefulStop"], "--timeout ends a request; what is in flight at the end is reported"),
    (
        &["--unix-socket", "--unix"],
        "unix sockets have no ports and are not loaded: `socat TCP-LISTEN:8080,fork UNIX-CONNECT:PATH`",
    ),
];

/// Whether a value shows it.
type Shows = fn(&str) -> bool;

/// A flag of `load` whose value shows that another tool's flag of the same letter was meant.
struct OfAnother {
    /// as it is called in full
    flag: &'static str,
    letter: char,
    shows: Shows,
    /// what to type
    hint: &'static str,
}

const OF_OTHERS: [OfAnother; 2] = [
    OfAnother {
        flag: "--run-time",
        letter: 't',
        shows: |value| value.parse::<f64>().is_ok(),
        hint: "wrk's -t is --threads; a time is 30s or 3m",
    },
    OfAnother {
        flag: "--duration",
        letter: 'd',
        shows: |value| value.starts_with(['{', '[', '@']) || value.contains('='),
        hint: "curl's -d is --body; -d is the length of the run",
    },
];

/// What to type instead of a short flag with a value that only another tool's flag of this letter takes. `failed` is the flag whose
/// value was refused, in full (`--duration <DURATION>`).
pub(super) fn of_another_tool(command: &str, failed: &str, words: &[String], value: &str) -> Option<&'static str> {
    let failed = failed.split(' ').next().unwrap_or(failed);
    let is_short = |letter: char| words.iter().any(|w| w.strip_prefix('-').is_some_and(|w| w.starts_with(letter)));
    let meant = OF_OTHERS.iter().find(|o| o.flag == failed && is_short(o.letter) && (o.shows)(value.trim()));
    meant.filter(|_| command == "load").map(|o| o.hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_of_a_command_is_named_once_and_with_one_line() {
        for (commands, habits) in OF_COMMANDS {
            let all: Vec<&str> = habits.iter().flat_map(|h| h.0).copied().collect();
            for (i, name) in all.iter().enumerate() {
                assert!(name.starts_with('-') && !all[..i].contains(name), "{name}");
                assert!(hint(commands[0], name, &[]).is_some_and(|h| !h.contains('\n')), "{name}");
            }
        }
        assert!(hint("load", "--host=http://x", &[]).is_some() && hint("load", "--bogus", &[]).is_none());
        assert_ne!(hint("ports", "-p", &[]), hint("load", "-p", &[]));
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_follows_a_flag_decides_what_it_means() {
        let of = |line: &str, given: &str| hint("load", given, &words(line)).unwrap_or_default();
        assert!(
            of("load -s 5 http://h/", "-s").starts_with("--timeout") && of("load -s a.lua http://h/", "-s").contains("scripts")
        );
        assert!(of("load -i 10 http://h/", "-i").starts_with("-n") && of("load -i http://h/", "-i").contains("HEAD"));
    }

    #[test]
    fn long_flags_with_one_dash_are_recognised() {
        let of = |line: &str| one_dash(&words(line), &["rate", "duration"]).map(|(w, h)| (w.to_owned(), h));
        assert_eq!(of("load -rate=50 u"), Some(("-rate".into(), "--rate, with two dashes".into())));
        assert!(of("load -host example.com u").is_some_and(|(_, h)| h.contains("argument of its own")));
        assert!(of("load -disable-keepalive u").is_some_and(|(_, h)| h == "--no-keepalive"));
        for fine in ["load -d10s -c4 -vvv u", "load -qv u", "load -XPOST u", "sandbox -- hey -host x", "load --rate 5"] {
            assert_eq!(of(fine), None, "{fine}");
        }
    }
}
