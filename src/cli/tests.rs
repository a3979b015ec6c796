//! What is wrong with a command line, in one line and a hint.

use super::*;

fn refused(line: &str) -> Exit {
    let words: Vec<String> = line.split(' ').skip(1).map(Into::into).collect();
    one_dash(&words).and_then(|()| only_urls(read(&words)?, &words)).expect_err(line)
}

/// A flag that is right, beside one that is wrong: what its letter means elsewhere is no hint.
#[test]
fn a_hint_is_about_the_flag_that_failed() {
    for good in ["-t 30s", "-d 10s", "-d5s", "-t3m"] {
        for (bad, flag) in [
            ("--threads 0", "--threads"),
            ("--mix /a=x", "--mix"),
            ("-H a=b", "--header"),
            ("--stages a=1", "--stages"),
            ("-c x=1", "--conns"),
            ("-n 0.5", "--requests"),
        ] {
            for line in [format!("sockbench load {good} {bad}"), format!("sockbench load {bad} {good}")] {
                let shown = format!("{:?}", refused(&line));
                assert!(shown.contains(flag) || shown.contains(bad), "{line}: {shown}");
                assert!(!shown.contains("wrk's -t") && !shown.contains("curl's -d"), "{line}: {shown}");
            }
        }
    }
}

#[test]
fn bad_arguments_are_one_line_and_a_hint_that_helps() {
    for (line, says, hint) in [
        ("sockbench load -c -3", "-3: a negative value", "sockbench load --help"),
        ("sockbench load -d -5s", "-5s: a negative value", "sockbench load --help"),
        ("sockbench load -t 4", "a number without a unit", "wrk's -t is --threads"),
        ("sockbench load -d 5s -t4", "a number without a unit", "wrk's -t is --threads"),
        ("sockbench load -c 5 -d @file", "not a length of time", "curl's -d is --body"),
        ("sockbench load --bogus", "--bogus", "sockbench load --help"),
        ("sockbench load -d 10000000h", "longer than a year", "sockbench load --help"),
        ("sockbench study --theads 4", "--theads", "--threads"),
        ("sockbench server --queue 0", "at least 1", "sockbench server --help"),
        ("sockbench server --reactors 257", "at most 256", "sockbench server --help"),
        ("sockbench server --target-bytes 1000000000000000", "at most 1048576", "sockbench server --help"),
        ("sockbench server --queue 10000000000", "at most 1048576", "sockbench server --help"),
        ("sockbench server --io-workers 8193", "at most 8192", "sockbench server --help"),
        ("sockbench server --cpu-workers 1M", "at most 8192", "sockbench server --help"),
        ("sockbench server --max-conns 2M", "at most 1048576", "sockbench server --help"),
        ("sockbench load --closer bogus", "one of client, server, reset", "sockbench load --help"),
        ("sockbench load --port-mode foo", "one of auto, bind, no-port, ring, range", "sockbench load --help"),
        ("sockbench load -H X:a\r\nY:b", "a line break in the value", "such as 'Accept: text/html'"),
        ("sockbench load -H http://127.0.0.1:8080", "a URL, not a header field", "sockbench load http://127.0.0.1:8080"),
        ("sockbench load --host http://127.0.0.1:8080", "--host", "argument of its own"),
        ("sockbench load --data x", "--data", "--body TEXT"),
        ("sockbench load --json {\"a\":1}", "not a file for the result", "--body"),
        ("sockbench load -d {\"a\":1}", "not a length of time", "curl's -d is --body"),
        ("sockbench load --body @no-such-file", "no-such-file", "@@ begins a text"),
        ("sockbench load -R fast", "not a rate", "sockbench load --help"),
        ("sockbench load -H 127.0.0.1:8080", "an address, not a header field", "sockbench load http://127.0.0.1:8080"),
        ("sockbench load -H localhost:8080/x", "an address, not a header field", "sockbench load http://localhost:8080/x"),
        ("sockbench load -host example.com", "-host", "hey's -host"),
        ("sockbench load -disable-keepalive", "-disable-keepalive", "--no-keepalive"),
        ("sockbench load -duration 5s", "-duration", "--duration, with two dashes"),
        ("sockbench load -o csv", "'csv'", "--csv PREFIX"),
        ("sockbench load -u user:pass", "not a whole number", "Authorization"),
        ("sockbench load -r http://127.0.0.1:1/", "not a rate", "ab's -r"),
        ("sockbench load -n 5 -q 10 http://127.0.0.1:1/", "http://127.0.0.1:1/", "-R N"),
        ("sockbench load -H transfer-encoding:chunked", "sent with their length", "--body TEXT"),
        ("sockbench sandbox", "not provided: <COMMAND>...", "sockbench sandbox --help"),
        ("sockbench ports --fail-rate 3", "not provided: --predict <RATE>", "sockbench ports --help"),
        ("sockbench bogus", "bogus", "sockbench --help"),
        ("sockbench http://127.0.0.1:80/", "not a command", "sockbench load http://127.0.0.1:80/"),
        ("sockbench -t2 -c10 http://127.0.0.1:80/", "not a command", "sockbench load -t2 -c10 http://127.0.0.1:80/"),
        ("sockbench run -u 5 http://a/", "not a command", "sockbench load -u 5 http://a/"),
        ("sockbench ports -p 170", "-p", "sockbench ports 127.0.0.1:8080"),
        ("sockbench server -p 9000", "-p", "--listen 127.0.0.1:"),
        ("sockbench server --listen 9000", "a port without an address", "127.0.0.1:9000, or 0.0.0.0:9000"),
        ("sockbench server --admin 9000", "a port without an address", "127.0.0.1:9000, or 0.0.0.0:9000"),
        ("sockbench ports --serve 9000", "a port without an address", "127.0.0.1:9000, or 0.0.0.0:9000"),
        ("sockbench ports --serve nowhere", "not an address with a port", "such as 127.0.0.1:"),
        ("sockbench study -c 10", "-c", "--users"),
        ("sockbench study --rate 5", "--rate", "sockbench load -R"),
        ("sockbench report -f csv", "-f", "--format"),
        ("sockbench sandbox id", "id", "sandbox [FLAGS] -- id"),
        ("sockbench watch ab http://localhost/", "ab", "watch [FLAGS] -- ab ..."),
        ("sockbench load -v 10 http://a/", "http://a/", "-v takes no value: leave out '10'"),
        ("sockbench load --busy-poll on http://a/", "on: not a URL", "--busy-poll takes no value: leave out 'on'"),
        ("sockbench load http://a/ --no-keepalive true", "true: not a URL", "--no-keepalive takes no value: leave out 'true'"),
        ("sockbench load http://a/ b", "b: not a URL", "a URL begins with http://"),
        ("sockbench load --stages 30s", "--stages", "30s@50"),
        ("sockbench load -T4", "-T", "--timeout"),
        ("sockbench load --think 50..40ms", "longer than the longest", "100ms..500ms"),
        ("sockbench rehearse --remedy ring -R 5", "cannot be used with", "sockbench rehearse --help"),
    ] {
        let exit = refused(line);
        assert_eq!(exit.code, EXIT_USAGE, "{line}");
        assert!(exit.message.contains(says) && !exit.message.contains('\n'), "{line}: {}", exit.message);
        assert!(exit.hint.as_deref().is_some_and(|h| h.contains(hint)), "{line}: {:?}", exit.hint);
    }
}

/// A hint about the value of a flag may name another flag only where the value itself shows that the other was meant.
#[test]
fn the_hint_of_a_bad_value_names_the_flag_that_was_given() {
    let cli = Cli::command();
    let mut refusals = 0;
    for command in cli.get_subcommands() {
        let flags = command.get_arguments().filter(|a| a.get_action().takes_values());
        for long in flags.filter_map(clap::Arg::get_long) {
            for value in ["9000", "?", "99999999", "nowhere:"] {
                let line = format!("sockbench {} --{long}={value}", command.get_name());
                let words: Vec<String> = line.split(' ').map(Into::into).collect();
                let Err(e) = Cli::try_parse_from(&words) else { continue };
                if e.kind() != ErrorKind::ValueValidation {
                    continue;
                }
                let (exit, given) = (bad_arguments(&e, &words[1..]), format!("--{long}"));
                assert!(exit.message.contains(&given), "{line}: {}", exit.message);
                let hint = exit.hint.unwrap_or_default();
                let others = hint.split(|c: char| c.is_whitespace() || ",;=".contains(c)).filter(|w| w.starts_with("--"));
                let others: Vec<&str> = others.filter(|w| *w != "--help" && *w != given).collect();
                assert!(others.is_empty(), "{line}: {hint}");
                refusals += 1;
            }
        }
    }
    assert!(refusals > 100, "{refusals}");
}

#[test]
fn every_flag_with_a_value_says_its_default() {
    let cli = Cli::command();
    for name in ["load", "study", "server"] {
        let command = cli.find_subcommand(name).expect("it is one");
        for arg in command.get_arguments().filter(|a| !a.is_positional() && a.get_id() != "help") {
            let text = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
            let takes_value = arg.get_action().takes_values();
            let shown = text.contains("default") || !arg.get_default_values().is_empty() || !takes_value;
            assert!(shown, "{name} --{}: {text}", arg.get_id());
            assert!(takes_value || !text.contains("[default"), "{name} --{}: a switch is off: {text}", arg.get_id());
            assert!(arg.get_help_heading().is_some() || name == "server", "{name} --{}: under no heading", arg.get_id());
        }
    }
}

#[test]
fn flags_of_an_own_server_are_checked_before_it_is_started() {
    let flags = |text: &str| vec![format!("--{text}")];
    assert_eq!(server_plan(&flags("cpu-workers=1")).expect("sound").cpu_workers, 1);
    let twice = [flags("queue=1"), flags("queue=2")].concat();
    assert_eq!(server_plan(&twice).expect("the last wins").queue, 2);
    let exit = server_plan(&flags("cpu-workers=zero")).expect_err("not a number");
    assert!(exit.code == EXIT_USAGE && exit.message.contains("zero"), "{exit:?}");
}

/// What is too long goes on under its own words; the columns beside it stay.
#[test]
fn a_long_line_leaves_the_table_above_it_as_it_is() {
    let told = within("endpoint   answers\n/health        12\nconnections: 12 accepted; closed: client-fin 10, reset 2", 40);
    assert!(told.starts_with("endpoint   answers\n/health        12\nconnections: 12 accepted;"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 40) && told.lines().count() == 4, "{told}");
}
