//! What a person gets wrong is one message and a hint, in lines of 80 columns, before anything is made or started. The words are snapshots.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::snapshot;

/// Usage.
const USAGE: i32 = 2;
/// As a shell has it: there is no such command.
const NOT_FOUND: i32 = 127;
/// The environment refuses.
const ENVIRONMENT: i32 = 3;

/// Runs each of `lines`, a command line and its exit code, inside `dir`, and compares all that they say with a snapshot.
fn say(name: &str, dir: &Path, lines: &[(&str, i32)]) {
    let mut said = String::new();
    for (line, code) in lines {
        let before = names(dir);
        let out = Command::new(env!("CARGO_BIN_EXE_sockbench"))
            .args(words(line))
            .current_dir(dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(*code), "{line}: {err}");
        assert!(out.stdout.is_empty(), "{line}: {}", String::from_utf8_lossy(&out.stdout));
        for line in err.lines() {
            assert!(line.chars().count() <= 80 || line.split_whitespace().count() == 1, "{line}: more than 80 columns");
        }
        // Further lines of a message begin under its words.
        let paragraphs = err.replace("\n  ", " ");
        let (message, hint) = paragraphs.split_once('\n').unwrap();
        assert!(message.starts_with("sockbench: "), "{line}: {err}");
        // What the environment refuses may leave nothing to do but to read why.
        let is_hint = hint.starts_with("hint: ") && hint.lines().count() == 1;
        assert!(is_hint || *code == ENVIRONMENT && hint.is_empty(), "{line}: {err}");
        assert!(!err.contains("os error"), "{line}: an error of the system has a name: {err}");
        assert_eq!(names(dir), before, "{line}: something was made");
        said += &format!("$ sockbench {line}\n{err}\n");
    }
    snapshot::matches("mistakes", name, &said);
}

/// Words of a line without a shell's tricks; `+` inside a word is a blank.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(' ').map(|word| word.replace('+', " "))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn of_a_load() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        ("load https://127.0.0.1/ -o made", USAGE),
        ("load http://127.0.0.1:1/a+b -o made", USAGE),
        ("load http://192.0.2.1/ -o made", USAGE),
        ("load http://127.0.0.1:1/ -c 0 -o made", USAGE),
        ("load http://127.0.0.1:1/ -n 0 -o made", USAGE),
        ("load http://127.0.0.1:1/ --rate 0 -o made", USAGE),
        ("load http://127.0.0.1:1/ --spawn-rate 0 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold p95<1ms -o made", USAGE),
        ("load http://127.0.0.1:1/ --body-bytes 18446744073709551615 -o made", USAGE),
        ("load http://127.0.0.1:1/ -H X:\u{1b}[2J -o made", USAGE),
        ("load http://127.0.0.1:1/ -d \u{1b}[2J -o made", USAGE),
        ("load http://127.0.0.1:1/ --body @\u{1b}[2J -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold http_req_duration -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold p(95)<250 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold http_req_duration:p95<250 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold http_req_failed:rate<5 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold checks:rate>0.9 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold http_req_duration{name:/io}:med<1 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold rate_ratio>0.99 -o made", USAGE),
        ("load http://127.0.0.1:1/ --threshold ports_peak_share<0.7 --no-observe -o made", USAGE),
        ("load http://127.0.0.1:1/ --threads 20 -o made", USAGE),
        ("load http://127.0.0.1:1/ -d 1s --warmup 1s -o made", USAGE),
        ("load http://127.0.0.1:1/ -d 8000h -o made", USAGE),
        ("load http://127.0.0.1:1/ -d -5s -o made", USAGE),
        ("load http://127.0.0.1:1/ --source ::1 -o made", USAGE),
        ("load http://127.0.0.1:1/ --source 192.0.2.7 -o made", ENVIRONMENT),
        ("load http://127.0.0.1:1/ --source 127.0.0.0/8 -o made", USAGE),
        ("load http://127.0.0.1:1/ --port-mode auto --port-range 1-2 -o made", USAGE),
        ("load --server cpu-workers=zero -o made", USAGE),
        ("load --server bogus=1 -o made", USAGE),
        ("load --no-such-flag", USAGE),
        ("load -H http://127.0.0.1:1/ -o made", USAGE),
        ("load --host http://127.0.0.1:1/ -o made", USAGE),
        ("load http://127.0.0.1:1/ --json {\"a\":1}", USAGE),
        ("load http://127.0.0.1:1/ --html - -o made", USAGE),
        ("load http://127.0.0.1:1/ --html . -o made", USAGE),
        ("load http://127.0.0.1:1/ --html no-such-directory/page.html", USAGE),
        ("load http://127.0.0.1:1/ --html same --json same", USAGE),
        ("load http://127.0.0.1:1/ -d {\"a\":1}", USAGE),
        ("load http://127.0.0.1:1/ --data a=1", USAGE),
        ("load http://127.0.0.1:1/ --body @no-such-file -o made", USAGE),
        ("load http://127.0.0.1:1/ -H Content-Length:+5 -o made", USAGE),
        ("load http://127.0.0.1:1/ -R fast -o made", USAGE),
        ("load -H 127.0.0.1:1 -o made", USAGE),
        ("load -host 127.0.0.1 http://127.0.0.1:1/ -o made", USAGE),
        ("load -disable-keepalive http://127.0.0.1:1/ -o made", USAGE),
        ("load http://127.0.0.1:1/ -z 5s -q 10", USAGE),
        ("load -n 10 -q 10 http://127.0.0.1:1/", USAGE),
        ("load http://127.0.0.1:1/ -o csv", USAGE),
        ("load -n 10 -r http://127.0.0.1:1/ -o made", USAGE),
        ("load http://127.0.0.1:1/ -u user:pass -o made", USAGE),
        ("load http://127.0.0.1:1/ -s 5 -o made", USAGE),
        ("load script.js -o made", USAGE),
        ("run script.js", USAGE),
        ("http://127.0.0.1:1/", USAGE),
        ("load http://127.0.0.1:1/ --head-bytes 5G -o made", USAGE),
        ("load http://127.0.0.1:1/ --mix /a#b=1 -o made", USAGE),
        ("load http://unix:/run/x.sock:/ -o made", USAGE),
        ("load http://bücher.example/ -o made", USAGE),
        ("load :8080 -o made", USAGE),
        ("load --stages 10s@ -o made", USAGE),
        ("load --arrivals burst:0 -o made", USAGE),
        ("load --pin yes -o made", USAGE),
        ("load --think ..5ms -o made", USAGE),
        ("load --mix /a= -o made", USAGE),
        ("load --port-range 10000- -o made", USAGE),
    ];
    say("load", dir.path(), &lines);
}

#[test]
fn of_a_study() {
    let dir = tempfile::tempdir().unwrap();
    let plan = "name = 'mine'\n[server]\nqueue = 0\n[[step]]\nusers = 1\nduration = '1s'\n";
    fs::write(dir.path().join("plan.toml"), plan).unwrap();
    let lines = [
        ("study plan.toml -o made", USAGE),
        ("study no-such-file.toml -o made", USAGE),
        ("study --source 192.0.2.7 -o made", ENVIRONMENT),
        ("study --url ftp://127.0.0.1/ -o made", USAGE),
        ("study --html no-such-directory/page.html", USAGE),
        ("study --users 1,5,10 -d 1s http://127.0.0.1:18780/", USAGE),
    ];
    say("study", dir.path(), &lines);
}

#[test]
fn of_other_commands() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        ("ports --to nowhere", USAGE),
        ("ports --predict fast", USAGE),
        ("ports --pool 5", USAGE),
        ("ports --predict 5 --pool 0", USAGE),
        ("ports --watch soon", USAGE),
        ("ports --watch 0", USAGE),
        ("ports --watch 99ms", USAGE),
        ("ports --predict 5 --json no-such-directory/f", USAGE),
        ("rehearse --html no-such-directory/page.html", USAGE),
        ("report no-such-run --format html", USAGE),
        // More than any kernel gives.
        ("watch --pid 4194305", USAGE),
        ("watch --to nowhere -- true", USAGE),
        ("server --io-sleep soon", USAGE),
        ("server --queue 0", USAGE),
        ("server --listen nowhere", USAGE),
        ("server --closer nobody", USAGE),
        ("sandbox --sysctl kernel.pid_max=1 -- true", USAGE),
        ("sandbox --sysctl net.ipv4.tcp_tw_reuse -- true", USAGE),
        ("sandbox --sysctl net.../kernel/pid_max=1 -- true", USAGE),
        ("watch -q -- no-such-program", NOT_FOUND),
        ("watch -q -- ./no-such-program", NOT_FOUND),
        ("watch -q -- no-such-program+-t1", NOT_FOUND),
        ("explain .", USAGE),
        ("no-such-command", USAGE),
    ];
    say("others", dir.path(), &lines);
}
