//! Where results go. What cannot be written is found before the run where it can be known (exit 2), and keeps no other
//! result back where it cannot (exit 3). Nothing that was there is harmed, and no end of a run waits for ever.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{describe, messages, namespaces_work, text};
use crate::until::until;

/// Known before the run.
const USAGE: Option<i32> = Some(2);
/// Seen when it is written.
const ENVIRONMENT: Option<i32> = Some(3);
/// A short run against sockbench's own server that is ready at once.
const SHORT: &str = "load -n 20 -c 2 --mix /health --server cpu-iterations=1 --server io-workers=2";
/// Nobody listens there: a run ends with 3.
const NOWHERE: &str = "load http://127.0.0.1:1/ -n 1 -c 1";
/// The same as a study of one step.
const STUDY: &str = "study --url http://127.0.0.1:1/ --users 1 -d 1s";
const THRESHOLD: &str = "--threshold http_reqs:count>0";

/// A directory for one test, and a place of each kind in it.
struct Places {
    dir: tempfile::TempDir,
    _socket: UnixListener,
}

impl Places {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("file"), "mine").unwrap();
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let socket = UnixListener::bind(at("socket")).unwrap();
        Self { dir, _socket: socket }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `sockbench LINE`, inside the directory.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
        command.args(line.split(' ')).current_dir(self.path()).stdin(Stdio::null());
        command.env("XDG_STATE_HOME", self.path().join("directory")).env_remove("GITHUB_ACTIONS");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Started; its output is read by [`Places::end`].
    fn start(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A stored run of the project's own, and what `report`, `compare` and `explain` do with it.
    fn stored(&self) {
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/runs/healthy.json"), self.path().join("run.json")).unwrap();
    }
}

/// The names below `dir`, with what the files have.
fn contents(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        }
        let has = if path.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
        all.push((path, has));
    }
    all.sort();
    all
}

/// `sockbench: MESSAGE` and the hint, the last lines of stderr.
fn last_lines(out: &Output) -> (String, String) {
    let err = messages(out);
    let mut lines = err.lines().rev().map(str::to_owned);
    let hint = lines.next().unwrap_or_default();
    (lines.next().unwrap_or_default(), hint)
}

#[test]
fn what_can_be_known_is_found_before_the_run() {
    let places = Places::new();
    places.stored();
    let name_too_long = "n".repeat(300);
    let bad_files = ["missing/f", "directory", "directory/", "new/", "file/below", "socket", ".", &name_too_long];
    // The flags that name one file; --csv adds to its prefix.
    let commands = [
        (NOWHERE, &["--json", "--html", "--junit"][..]),
        (STUDY, &["--json", "--html", "--junit"]),
        ("rehearse", &["--json", "--html"]),
        ("report run.json --threshold http_reqs:count>0", &["--junit"]),
        ("compare run.json run.json", &["--json", "--junit"]),
        ("ports", &["--json"]),
        ("ports --predict 5", &["--json"]),
        ("explain EADDRNOTAVAIL", &["--json"]),
    ];
    let mut lines: Vec<String> = Vec::new();
    for (command, flags) in commands {
        for flag in flags {
            lines.extend(bad_files.iter().map(|file| format!("{command} {flag} {file}")));
        }
    }
    for command in [NOWHERE, STUDY, "report run.json"] {
        lines.extend(["missing/p", "file/p", &name_too_long].iter().map(|prefix| format!("{command} --csv {prefix}")));
    }
    // Locust's file of this name is a directory.
    for prefix in ["p", "p-1-1-users"] {
        fs::create_dir(places.path().join(format!("{prefix}_failures.csv"))).unwrap();
    }
    lines.extend([NOWHERE, STUDY, "report run.json"].iter().map(|command| format!("{command} --csv p")));
    fs::create_dir_all(places.path().join("taken/run_stats.csv")).unwrap();
    fs::create_dir_all(places.path().join("drawn/latency.svg")).unwrap();
    fs::create_dir(places.path().join("linked")).unwrap();
    symlink("../file", places.path().join("linked/.sockbench.lock")).unwrap();
    for command in [NOWHERE, STUDY, "rehearse"] {
        let dirs = ["file", "file/below", "fifo", "socket", "taken", "drawn", "linked", "/proc/nowhere", &name_too_long];
        lines.extend(dirs.iter().map(|dir| format!("{command} -o {dir}")));
    }
    // Two flags, one file.
    for same in ["--json same --html same", "--html same --junit same", "--json p2_stats.csv --csv p2"] {
        lines.push(format!("{NOWHERE} {THRESHOLD} {same}"));
    }
    lines.push("compare run.json run.json --json same --junit same".into());
    // Nothing but a file or a directory is meant.
    lines.extend(["--junit -", "-o -", "--html -"].iter().map(|flag| format!("{NOWHERE} {flag}")));

    let before = contents(places.path());
    for line in lines {
        let out = places.run(&line);
        let err = messages(&out);
        assert_eq!(out.status.code(), USAGE, "{line}: {err}");
        assert!(out.stdout.is_empty(), "{line}: {}", text(&out.stdout));
        let lines: Vec<&str> = err.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("sockbench: ") && lines[1].starts_with("hint: "), "{line}: {err}");
        assert!(!err.contains("os error"), "{line}: {err}");
        assert_eq!(contents(places.path()), before, "{line}: something was made");
    }
}

#[test]
fn what_shows_only_at_the_end_keeps_no_other_result_back() {
    let places = Places::new();
    places.stored();
    // A disk that is full, and a FIFO that nobody reads.
    for (i, bad) in ["/dev/full", "fifo"].into_iter().enumerate() {
        let lines = [
            format!("{SHORT} {THRESHOLD} --json {bad} --html page-{i} --junit junit-{i} --csv csv-{i} -o kept-{i}"),
            format!("{SHORT} {THRESHOLD} --html {bad} --junit {bad}"),
            format!("report run.json {THRESHOLD} --junit {bad}"),
            format!("compare run.json run.json --json {bad} --junit compared-{i}"),
            format!("ports --json {bad}"),
            format!("explain EADDRNOTAVAIL --json {bad}"),
        ];
        for line in lines {
            let mut child = places.start(&line);
            until(&format!("an end of: {line}"), || child.try_wait().unwrap().is_some());
            let out = child.wait_with_output().unwrap();
            let err = text(&out.stderr);
            assert_eq!(out.status.code(), ENVIRONMENT, "{line}: {}", describe(&out));
            let why = if bad == "fifo" { "no reader opened this FIFO" } else { "no space left on device (ENOSPC)" };
            assert!(err.lines().any(|l| l.starts_with("sockbench: ") && l.contains(bad) && l.contains(why)), "{line}: {err}");
            let page = line.starts_with("ports") || line.starts_with("explain") || !out.stdout.is_empty();
            assert!(page, "{line}: the report is printed all the same");
        }
        for kept in ["page", "junit", "compared"].map(|name| format!("{name}-{i}")) {
            assert!(fs::metadata(places.path().join(&kept)).is_ok_and(|m| m.len() > 0), "{kept}");
        }
        for kept in ["run.json", "run.hlog", "report.txt", "run_stats.csv"] {
            assert!(places.path().join(format!("kept-{i}")).join(kept).is_file(), "{kept}");
        }
        assert!(places.path().join(format!("csv-{i}_stats.csv")).is_file());
        let out = places.run(&format!("{SHORT} --json {bad}"));
        assert_eq!(last_lines(&out).1, "hint: no other file was written");
    }
    let names: Vec<PathBuf> = contents(places.path()).into_iter().map(|(path, _)| path).collect();
    let left = |path: &&PathBuf| path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".sockbench"));
    assert_eq!(names.iter().find(left), None, "nothing of the work is left");
}

#[test]
fn a_rehearsal_and_a_study_keep_the_others_too() {
    let places = Places::new();
    let step = "[[step]]\nusers = 1\nduration = '300ms'\nthink = '20ms'\n";
    fs::write(places.path().join("plan.toml"), format!("mix = '/health'\n[server]\ncpu-iterations = 1\n{step}{step}")).unwrap();
    let mut child = places.start("study plan.toml --no-observe --html /dev/full -o kept");
    // Where the first step's document and log go is found free before the run, and is taken in the middle of it.
    let kept = places.path().join("kept");
    let tasks = format!("/proc/{}/task", child.id());
    let has_child = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).is_ok_and(|pids| !pids.is_empty());
    until("its server runs", || fs::read_dir(&tasks).is_ok_and(|tasks| tasks.flatten().any(has_child)));
    fs::create_dir(kept.join("step-1-1-users.json")).unwrap();
    fs::create_dir(kept.join("step-1-1-users.hlog")).unwrap();
    until("the study ends", || child.try_wait().unwrap().is_some());
    let out = child.wait_with_output().unwrap();
    let (message, hint) = last_lines(&out);
    assert_eq!(out.status.code(), ENVIRONMENT, "{}", describe(&out));
    for failed in ["step-1-1-users.json", "step-1-1-users.hlog", "/dev/full"] {
        assert!(message.contains(failed), "{failed}: {message}");
    }
    assert!(hint.ends_with(" other files were written") && !out.stdout.is_empty(), "{hint}");
    for name in ["study.json", "report.txt", "step-1-1-users_stats.csv", "step-2-1-users.json", "step-2-1-users.hlog"] {
        assert!(kept.join(name).is_file(), "{name}");
    }
    let study = fs::read(kept.join("study.json")).unwrap();
    let _: serde_json::Value = crate::documents::parse_bytes("study", &study);
    if !namespaces_work() {
        return;
    }
    let out = places.run("rehearse --remedy keep-alive --json /dev/full --html page -o rehearsed");
    assert_eq!(out.status.code(), ENVIRONMENT, "{}", describe(&out));
    for name in ["page", "rehearsed/rehearsal.json", "rehearsed/report.txt", "directory/sockbench/rehearsal.json"] {
        assert!(places.path().join(name).is_file(), "{name}");
    }
    assert!(!out.stdout.is_empty());
}

#[test]
fn a_fifo_with_a_reader_gets_the_whole_document() {
    let places = Places::new();
    let child = places.start(&format!("{SHORT} -v --json fifo"));
    let mut document = String::new();
    File::open(places.path().join("fifo")).unwrap().read_to_string(&mut document).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    let run: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(run["totals"]["attempts"], 20);
    assert!(fs::symlink_metadata(places.path().join("fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn what_a_shell_has_opened_is_written_and_not_replaced() {
    let places = Places::new();
    let to_file = |line: &str| {
        let path = places.path().join("stdout");
        let file = File::create(&path).unwrap();
        assert!(places.command(line).stdout(file).stderr(Stdio::null()).status().unwrap().success(), "{line}");
        fs::read_to_string(path).unwrap()
    };
    let json = to_file(&format!("{SHORT} --json /dev/stdout"));
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "the document alone: {json}");
    let both = to_file(&format!("{SHORT} --html /dev/stdout"));
    assert!(both.contains("<!DOCTYPE html>") && both.contains("</html>") && both.contains("  more "), "{both}");
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
}

/// Names that others can guess, and links that others have put there.
#[test]
fn what_others_have_put_there_is_neither_followed_nor_destroyed() {
    let places = Places::new();
    let kept = places.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let mine = ["run.json.part", "run.hlog.part", "report.txt.part", "notes.md"];
    for name in mine {
        fs::write(kept.join(name), "mine").unwrap();
    }
    for link in ["run_stats.csv", "report.txt", "page.html"] {
        symlink("../file", kept.join(link)).unwrap();
    }
    let out = places.run(&format!("{SHORT} -o kept --html kept/page.html --json kept/again.json"));
    assert!(out.status.success(), "{}", describe(&out));
    for name in mine {
        assert_eq!(fs::read_to_string(kept.join(name)).unwrap(), "mine", "{name}");
    }
    assert_eq!(fs::read_to_string(places.path().join("file")).unwrap(), "mine");
    assert!(!fs::symlink_metadata(kept.join("page.html")).unwrap().is_symlink());
}

#[test]
fn a_directory_is_one_runs_at_a_time() {
    let places = Places::new();
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let mut first = places.start(&format!("load {url} -c 1 --think 5ms -d 60s -q -o kept"));
    let kept = places.path().join("kept");
    until("the first run has begun its log", || kept.is_dir() && fs::read_dir(&kept).unwrap().count() == 2);
    let names = || contents(&kept).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let before = names();
    for second in [
        format!("load {url} -n 1 -o kept"),
        format!("load {url} -n 1 -o kept --overwrite"),
        "study --users 1 -d 1s -o kept".to_owned(),
        "rehearse -o ./kept/".to_owned(),
    ] {
        let out = places.run(&second);
        let (message, hint) = last_lines(&out);
        assert_eq!(out.status.code(), USAGE, "{second}: {}", describe(&out));
        let holder = format!("in use by process {} since ", first.id());
        assert!(message.contains(&holder) && message.contains("sockbench load"), "{message}");
        assert!(hint.starts_with("hint: another directory"), "{hint}");
        assert_eq!(names(), before, "{second}: something was touched");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first.id().cast_signed()), nix::sys::signal::Signal::SIGKILL).unwrap();
    first.wait().unwrap();
    let url = format!("{}/health", url.trim_end_matches('/'));
    // What a killed run leaves keeps nobody out.
    assert!(kept.join(".sockbench.lock").exists());
    let out = places.run(&format!("load {url} -n 5 -q -o kept"));
    assert!(out.status.success() && !kept.join(".sockbench.lock").exists(), "{}", describe(&out));
    assert_eq!(places.run(&format!("load {url} -n 5 -q -o kept")).status.code(), USAGE, "results are not replaced");
    assert!(places.run(&format!("load {url} -n 5 -q -o kept --overwrite")).status.success());
}
