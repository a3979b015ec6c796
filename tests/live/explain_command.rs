//! `sockbench explain` as a command: the experiment's figures, stored runs, refusals. Locust's files: `explain_locust`.

use crate::facts;
use crate::support::messages;
use assert_cmd::Command;
use serde_json::Value;

pub(crate) fn explain(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_sockbench"));
    c.arg("explain").args(args).env("NO_COLOR", "1");
    c
}

pub(crate) fn json(args: &[&str]) -> Value {
    let out = explain(args).args(["--json", "-"]).assert().success().get_output().stdout.clone();
    crate::documents::parse_bytes("explain", &out)
}

const WINERROR: &str = "OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted')";

#[test]
fn the_experiments_text_and_rates_come_to_its_figures() {
    let args = [
        WINERROR,
        "--pool",
        "16384",
        "--hold",
        "120",
        "--rate",
        "170",
        "--fail-rate",
        "300",
        "--recovered-rate",
        "120",
        "--duration",
        "180",
    ];
    let e = json(&args);
    assert_eq!(e["schema"], "sockbench-explain/1");
    let a = &e["arithmetic"];
    let near =
        |v: &Value, wanted: f64, within: f64| assert!((v.as_f64().unwrap() - wanted).abs() <= within, "{v} is not {wanted}");
    near(&a["ceiling_cps"], 136.5, 0.05);
    near(&a["forecast"]["exhausted_at_s"], 96.4, 0.05);
    near(&a["forecast"]["dead_s"], 23.6, 0.05);
    near(&a["forecast"]["echo_s"][0], 216.4, 0.05);
    assert_eq!(a["forecast"]["failures"], 7087);
    assert_eq!(a["forecast"]["successes"], 23584);
}

#[test]
fn windows_defaults_are_known() {
    let a = &json(&[WINERROR])["arithmetic"];
    assert_eq!((a["pool"].as_u64(), a["hold_s"].as_f64()), (Some(16384), Some(120.0)));
    let linux = &json(&["connect: cannot assign requested address"])["arithmetic"];
    assert_eq!((linux["pool"].as_u64(), linux["hold_s"].as_f64()), (Some(28232), Some(60.0)));
}

#[test]
fn unknown_texts_are_refused_with_what_is_known() {
    for text in ["10048 requests done", "all is well"] {
        let out = explain(&[text]).assert().code(1).get_output().stderr.clone();
        let err = String::from_utf8(out).unwrap();
        assert!(err.contains("no known connection error found") && err.contains("hint: ") && err.contains("Locust"), "{err}");
    }
    explain(&["no_such_failures.csv"]).assert().code(2);
    explain(&["-"]).write_stdin("").assert().code(2);
}

#[test]
fn standard_input_and_json_in_any_place() {
    let out = explain(&["-", "--json", "-"])
        .write_stdin("noise\nError: connect EADDRNOTAVAIL 127.0.0.1:8080 - Local (0.0.0.0:0)\n")
        .assert()
        .success();
    let e: Value = crate::documents::parse_bytes("explain", &out.get_output().stdout);
    assert_eq!((e["readings"][0]["limit"].as_str(), e["readings"][0]["call"].as_str()), (Some("local-ports"), Some("connect")));
    // A pipe is a file too: `explain <(command)`.
    let piped = explain(&["/dev/stdin", "--json", "-"]).write_stdin("noise\nconnect: Connection refused\n").assert().success();
    let piped: Value = serde_json::from_slice(&piped.get_output().stdout).unwrap();
    assert_eq!((piped["readings"][0]["limit"].as_str(), piped["other_lines"].as_u64()), (Some("refused"), Some(1)));
    let out = explain(&["--json", "10049"]).assert().success().get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["readings"][0]["limit"], "not-local");
}

/// `explain <(command)` of a shell, and a FIFO that somebody writes into.
#[test]
fn pipes_and_fifos_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let at = fifo.clone();
    let writer = std::thread::spawn(move || std::fs::write(at, "noise\nread: Connection reset by peer\n").unwrap());
    let read = explain(&[fifo.to_str().unwrap()]).assert().success();
    assert!(String::from_utf8_lossy(&read.get_output().stdout).starts_with("RESET"));
    writer.join().unwrap();
    let line = format!("{} explain <(echo 'connect: Connection refused')", env!("CARGO_BIN_EXE_sockbench"));
    let shell = Command::new("bash").args(["-c", &line]).env("NO_COLOR", "1").assert().success();
    assert!(String::from_utf8_lossy(&shell.get_output().stdout).starts_with("REFUSED"));
}

/// A line of 200 MB within 100 MB of addresses: it is cut, said, and what follows it is read.
#[test]
fn a_line_of_any_length_needs_little_memory() {
    let produce = "head -c 200000000 /dev/zero | tr '\\0' 'x'; echo; echo 'connect: Connection refused'";
    let line = format!("({produce}) | (ulimit -v 100000; exec {} explain -)", env!("CARGO_BIN_EXE_sockbench"));
    let shell = Command::new("bash").args(["-c", &line]).env("NO_COLOR", "1").assert().success();
    let text = String::from_utf8_lossy(&shell.get_output().stdout).into_owned();
    assert!(text.starts_with("REFUSED") && text.contains("1 line over 64 KiB"), "{text}");
}

/// Behind a pipe, `explain` alone is `explain -`: text, and JSON only where that is asked for.
#[test]
fn a_pipe_needs_no_dash() {
    let line = "connect: Connection refused\n";
    let page = |args: &[&str]| explain(args).write_stdin(line).assert().success().get_output().stdout.clone();
    assert!(page(&[]).starts_with(b"REFUSED"));
    assert_eq!(page(&[]), page(&["-"]));
    assert!(page(&["--json"]).starts_with(b"{"));
    assert_eq!(page(&["--json"]), page(&["-", "--json"]));
}

/// Several files or directories are no text.
#[test]
fn of_several_files_each_is_explained_alone() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["two", "s1"].map(|name| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    });
    for names in [[names[0].as_str(), names[1].as_str()], [names[0].as_str(), "missing.csv"]] {
        let out = explain(&names).assert().code(2);
        let err = String::from_utf8(out.get_output().stderr.clone()).unwrap();
        assert!(err.contains("one at a time"), "{err}");
    }
    // The words of a message are no files.
    explain(&["connect:", "Connection", "refused"]).assert().success();
}

/// `report` alone says what it needs, and names the newest kept run nearby.
#[test]
fn a_report_of_nothing_names_the_newest_run_nearby() {
    let dir = tempfile::tempdir().unwrap();
    let report = || {
        let out = Command::new(env!("CARGO_BIN_EXE_sockbench")).arg("report").current_dir(dir.path()).assert().code(2);
        String::from_utf8(out.get_output().stderr.clone()).unwrap()
    };
    let said = report();
    assert!(said.contains("give RUN") && said.contains("-o DIR") && !said.contains("--help"), "{said}");
    for (run, written_s) in [("old", 60), ("results/new", 90), (".hidden", 99)] {
        std::fs::create_dir_all(dir.path().join(run)).unwrap();
        let file = std::fs::File::create(dir.path().join(run).join("run.json")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(written_s)).unwrap();
    }
    assert!(report().contains("hint: the newest run here: sockbench report results/new\n"), "{}", report());
}

/// A text that says what happened is answered, whatever its statuses; one that counts failures and does not say why is not.
#[test]
fn answers_without_a_failed_connection_are_answered() {
    for (text, said) in [
        ("  59995 requests in 30.01s, 48.63MB read\nRequests/sec:   1999.10\n", "wrk shows none"),
        ("Complete requests:      1000\nFailed requests:        0\n", "ab counts none"),
        ("  Non-2xx or 3xx responses: 12479\n", "12,479 answers"),
        ("104                GET /cpu: HTTPError('503 Server Error: SERVICE UNAVAILABLE for url: /cpu')\n", "status 503"),
        ("HTTP/1.1 502 Bad Gateway\n", "a proxy got no valid answer from the server behind it"),
        ("requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: http://h/\n", "status 502"),
        ("{\"status\":503,\"error\":\"Service Unavailable\"}\n", "status 503"),
        ("504 Gateway Time-out\n", "longer than its own timeout"),
    ] {
        let out = explain(&["-"]).write_stdin(text).assert().success();
        let page = String::from_utf8(out.get_output().stdout.clone()).unwrap();
        let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.starts_with("NO FAIL") && flat.contains(said), "{text}: {page}");
        let e = json_of(text);
        assert!(e["readings"].as_array().is_some_and(Vec::is_empty) && e["answer"].is_string(), "{text}: {e}");
    }
    let out = explain(&["-"]).write_stdin("> request count   1048 (OK=944    KO=104   )\n").assert().code(1);
    let err = messages(out.get_output());
    assert!(err.lines().count() == 1 && err.contains("does not say why"), "{err}");
}

fn json_of(text: &str) -> Value {
    let out = explain(&["-", "--json", "-"]).write_stdin(text).assert().success();
    crate::documents::parse_bytes("explain", &out.get_output().stdout)
}

#[test]
fn a_stored_run_is_diagnosed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.json");
    std::fs::write(&file, serde_json::to_vec(&facts::exhausted()).unwrap()).unwrap();
    let e = json(&[file.to_str().unwrap()]);
    assert_eq!((e["source"].as_str(), e["findings"][0]["id"].as_str()), (Some("run"), Some("local-ports-exhausted")));
    let by_dir = json(&[dir.path().to_str().unwrap()]);
    assert_eq!(by_dir["findings"], e["findings"]);
    std::fs::write(&file, "{\"schema\":\"sockbench/9\"}").unwrap();
    explain(&[file.to_str().unwrap()]).assert().code(2);
}

/// A list far from its pool is no error, and the refusal says how far.
#[test]
fn a_pasted_list_is_compared_with_the_pool_given() {
    let list: String = (0..95).fold(String::new(), |all, i| format!("{all}TIME-WAIT 0 0 10.0.0.2:{} 10.0.0.1:80\n", 40_000 + i));
    let out = explain(&["-", "--pool", "100", "--json", "-"]).write_stdin(list.clone()).assert().success();
    let e: Value = crate::documents::parse_bytes("explain", &out.get_output().stdout);
    assert_eq!((e["readings"][0]["limit"].as_str(), e["readings"][0]["count"].as_u64()), (Some("local-ports"), Some(95)));
    let far = explain(&["-"]).write_stdin(list).assert().success();
    let err = String::from_utf8_lossy(&far.get_output().stdout).into_owned();
    assert!(err.contains("95") && err.contains("28,232") && err.contains("10.0.0.1:80"), "{err}");
}

/// Darwin's numbers, names and settings; none of Linux's.
#[test]
fn macos_is_told_its_own_facts() {
    for text in [
        "OSError: [Errno 49] Can't assign requested address",
        "OSError: [Errno 48] Address already in use",
        "dial tcp 127.0.0.1:8080: connect: can't assign requested address",
        "ConnectionRefusedError: [Errno 61] Connection refused",
        "java.net.ConnectException: Operation timed out",
        "apr_socket_connect(): Operation timed out (60)",
        "ConnectionResetError: [Errno 54] Connection reset by peer",
    ] {
        let out = explain(&[text]).assert().success().get_output().stdout.clone();
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains("macOS"), "{said}");
        for linux in ["ss -", "net.ipv4", "ip_local_port_range", "nstat", "journalctl", "ip addr", "60 s", "ring"] {
            assert!(!said.contains(linux), "{linux}: {said}");
        }
    }
    let e = json(&["connect: can't assign requested address"]);
    let a = &e["arithmetic"];
    assert_eq!((a["pool"].as_u64(), a["hold_s"].as_f64()), (Some(16384), Some(30.0)));
    assert!(a["assumed"][0].as_str().unwrap().contains("documentation"), "{a}");
    let commands = e["remedies"].to_string();
    assert!(commands.contains("net.inet.tcp.msl=1000") && commands.contains("net.inet.ip.portrange.first=10000"), "{commands}");
    let forced = json(&["--os", "macos", "bind: address already in use"]);
    assert!(forced["remedies"].to_string().contains("lsof"), "{forced}");
}

#[test]
fn a_file_without_failures_says_so_and_a_binary_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("n_failures.csv");
    std::fs::write(&none, "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n").unwrap();
    let said = explain(&[none.to_str().unwrap()]).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&said).contains("no failures in this file"));
    let binary = dir.path().join("core");
    std::fs::write(&binary, b"\x7fELF\x02\x01\x01\0\0connect: connection refused\0\x1b[31m").unwrap();
    let out = explain(&[binary.to_str().unwrap()]).assert().code(2).get_output().clone();
    assert!(out.stdout.is_empty() && String::from_utf8_lossy(&out.stderr).contains("not a text"));
    explain(&["-"]).write_stdin(b"connect: connection refused\0".as_slice()).assert().code(2);
}

#[test]
fn no_control_character_reaches_the_terminal() {
    let coloured = "\u{1b}[31mERRO\u{1b}[0m dial tcp 10.0.0.1:80: connect: connection refused\u{7}\n";
    for args in [vec!["-"], vec!["-", "--json", "-"]] {
        let out = explain(&args).write_stdin(coloured).assert().success().get_output().stdout.clone();
        assert!(out.iter().all(|b| !b.is_ascii_control() || *b == b'\n'), "{}", String::from_utf8_lossy(&out));
    }
    // PowerShell's > writes UTF-16.
    let utf16: Vec<u8> = "\u{feff}connect: connection refused\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    explain(&["-"]).write_stdin(utf16).assert().success();
}
