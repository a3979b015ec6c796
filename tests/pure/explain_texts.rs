//! Real error lines of other tools, each with the expected call, limit and certainty; and lines to be refused.

use serde::Deserialize;
use sockbench::testing::explain::{Known, TextReader, explain_text, read_line};
use sockbench::testing::model::{Certainty, Explanation, Os, Reading, Side};

#[derive(Deserialize)]
struct Table {
    line: Vec<Line>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    from: String,
    call: String,
    limit: String,
    certainty: String,
    /// how often the line says that it happened
    #[serde(default = "once")]
    count: u64,
}

const fn once() -> u64 {
    1
}

#[derive(Deserialize)]
struct Refused {
    text: String,
    why: String,
}

fn table() -> Table {
    toml::from_str(include_str!("../data/error_texts.toml")).unwrap()
}

/// A name or an address of IPv6 may have no address to be reached from: one reading says so, and what to use instead.
#[test]
fn localhost_that_is_ipv6_only_has_a_reading_with_the_address_to_use() {
    for (text, why) in [
        (
            "OSError: [Errno 99] Cannot assign requested address [while attempting to connect to ('localhost', 8089, 0, 0)]",
            "localhost is ::1",
        ),
        ("connect to localhost:8080 failed: Cannot assign requested address", "localhost is ::1"),
        ("OSError: [Errno 99] connect() to ('::1', 8089, 0, 0): Cannot assign requested address", "IPv6 is off"),
        ("dial tcp [::1]:8080: connect: cannot assign requested address", "IPv6 is off"),
    ] {
        let explained = explain_text(text, &Known::default()).expect(text);
        let tells: Vec<&str> = explained.readings.iter().flat_map(|r| &r.alternatives).map(|a| a.tell.as_str()).collect();
        assert!(tells.iter().any(|t| t.contains(why) && t.contains("127.0.0.1")), "{text}: {tells:?}");
    }
}

#[test]
fn every_line_is_read_as_expected() {
    let table = table();
    assert!(table.line.len() >= 500, "{} lines", table.line.len());
    let mut wrong = Vec::new();
    for l in &table.line {
        let got = read_line(&l.text, None).map_or_else(
            || "nothing".to_owned(),
            |r| format!("{} {} {} {}", r.call.word(), r.limit.word(), r.certainty.word(), r.count),
        );
        let wanted = format!("{} {} {} {}", l.call, l.limit, l.certainty, l.count);
        if got != wanted {
            wrong.push(format!("{}\n  {}\n  wanted {wanted}, got {got}", l.from, l.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), table.line.len(), wrong.join("\n"));
}

#[test]
fn every_text_stands_once() {
    let table = table();
    let mut texts: Vec<&str> = table.line.iter().map(|l| &*l.text).chain(table.refused.iter().map(|r| &*r.text)).collect();
    texts.sort_unstable();
    let twice: Vec<_> = texts.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    assert!(twice.is_empty(), "{twice:#?}");
    let pages: Pages = toml::from_str(include_str!("../data/error_pages.toml")).unwrap();
    let mut names: Vec<&str> = pages.page.iter().map(|p| &*p.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]), "{names:#?}");
}

#[test]
fn what_is_no_error_is_refused() {
    let table = table();
    assert!(table.refused.len() >= 200, "{} lines", table.refused.len());
    let taken: Vec<String> = table
        .refused
        .iter()
        .filter_map(|r| {
            read_line(&r.text, None).map(|got| format!("{} ({}): {} {}", r.text, r.why, got.call.word(), got.limit.word()))
        })
        .collect();
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn an_open_reading_tells_how_to_tell_the_readings_apart() {
    for l in table().line {
        let r = read_line(&l.text, None).unwrap();
        assert_eq!(r.certainty == Certainty::Certain, r.alternatives.is_empty(), "{}", l.text);
        assert!(r.says.len() > 30 && r.is_not.starts_with("not "), "{}: {} / {}", l.text, r.says, r.is_not);
        if r.certainty == Certainty::Ambiguous && r.limit.word() != "hidden" {
            assert!(r.alternatives.len() >= 2, "{}", l.text);
        }
    }
}

#[test]
fn the_code_follows_the_system() {
    let code = |text: &str| read_line(text, None).and_then(|r| r.code);
    assert_eq!(code("dial tcp 127.0.0.1:1: connectex: Only one usage of each socket address"), Some(10048));
    assert_eq!(code("dial tcp 127.0.0.1:1: connect: cannot assign requested address"), Some(99));
    assert_eq!(code("connect: Can't assign requested address"), Some(49));
    assert_eq!(code("accept4: too many open files in system (ENFILE)"), Some(23));
}

fn words(r: &Reading) -> String {
    format!("{} {} {}", r.call.word(), r.limit.word(), r.count)
}

fn explained(text: &str) -> Explanation {
    explain_text(text, &Known::default()).unwrap()
}

#[test]
fn every_kind_of_a_summary_is_told_with_its_count() {
    let e = explained("  10048 requests in 10.02s\n  Socket errors: connect 12, read 34, write 0, timeout 5\n");
    let read: Vec<String> = e.readings.iter().map(words).collect();
    assert_eq!(read, ["read reset 34", "connect hidden 12", "read timed-out 5"]);
    let e = explained("requests: 9 total, 9 started, 9 done, 2 succeeded, 7 failed, 6 errored, 2 timeout");
    let read: Vec<String> = e.readings.iter().map(words).collect();
    assert_eq!(read, ["unnamed hidden 4", "read timed-out 2"], "the seventh was answered");
}

/// A sum so far counts what it counted before, too, and what another sum of the same failure counts is not in it.
#[test]
fn of_each_running_sum_the_last_counts() {
    let sums = "stats: error_connect_epipe 5 10\nstats: error_abort_epipe 3 7\nstats: error_connect_epipe 2 12";
    assert_eq!(explained(sums).readings.iter().map(words).collect::<Vec<_>>(), ["write reset 19"]);
}

/// On Linux 98 comes from bind() alone, and an outgoing bind() is no listener's.
#[test]
fn in_use_on_linux_is_told_as_bind_and_never_mended_by_tw_reuse() {
    for text in [
        "Failed to establish a new connection: [Errno 98] Address already in use",
        "tcp connect error: Address already in use (os error 98)",
        "Error 98 connecting to 127.0.0.1:6379. Address already in use.",
    ] {
        let e = explained(text);
        let r = &e.readings[0];
        let limits: Vec<&str> = r.alternatives.iter().map(|a| a.limit.word()).collect();
        assert_eq!((r.call.word(), limits), ("bind", vec!["local-ports", "port-busy"]), "{text}");
        assert!(
            r.says.contains("On Linux 98 comes from bind()") && r.says.contains("tcp_tw_reuse never helps bind()"),
            "{}",
            r.says
        );
        let names: Vec<_> = e.remedies.iter().filter_map(|r| r.name.as_deref()).collect();
        assert!(names.contains(&"no-port") && !names.contains(&"tw-reuse"), "{names:?}");
    }
    for text in
        ["dial tcp 10.0.0.1:80: bind: address already in use", "curl: (45) bind failed with errno 98: Address already in use"]
    {
        let r = &explained(text).readings[0];
        assert_eq!(r.side, Some(Side::Client), "{text}");
        assert!(!r.is_not.contains("no outgoing") && r.says.contains("before connecting"), "{} {}", r.says, r.is_not);
    }
}

#[test]
fn the_code_is_that_of_the_words() {
    let code = |text: &str| read_line(text, None).map(|r| (r.name, r.code));
    let of = |name: &str, n| Some((Some(name.to_owned()), Some(n)));
    assert_eq!(code("write: broken pipe"), of("EPIPE", 32));
    assert_eq!(code("dial tcp 10.0.0.1:80: connect: no route to host"), of("EHOSTUNREACH", 113));
    assert_eq!(code("connect: network is unreachable"), of("ENETUNREACH", 101));
    // An end of file and a tool's own clock have no errno.
    assert_eq!(code("Server disconnected"), Some((None, None)));
    assert_eq!(code("curl: (28) Operation timed out after 5001 milliseconds"), Some((None, None)));
    let net = read_line("System.Net.Sockets.SocketException (99): Cannot assign requested address", None).unwrap();
    assert_eq!(net.tool.as_deref(), Some(".NET"));
    let java = read_line("java.net.ConnectException: Connection refused", None).unwrap();
    assert_eq!(java.tool.as_deref(), Some("Java"), "ConnectException is not ConnectEx");
}

/// The lines of a stack trace are one error; lines of one text come from one system.
#[test]
fn a_stack_trace_is_one_error() {
    let e = explained(
        "OSError: [Errno 99] Cannot assign requested address\n\nNewConnectionError: <x>: Failed to establish a new connection: [Errno 99] Cannot assign requested address\n",
    );
    assert_eq!(e.readings.iter().map(words).collect::<Vec<_>>(), ["connect local-ports 2"]);
    let e =
        explained("Error: connect EADDRINUSE 127.0.0.1:52620\n  errno: -4091,\n  code: 'EADDRINUSE',\n  syscall: 'connect'\n");
    let r = &e.readings[0];
    assert_eq!((e.readings.len(), r.os, r.certainty), (1, Some(Os::Windows), Certainty::Certain));
}

/// Users of another program read first what to change in it; what sockbench can show comes after.
#[test]
fn advice_leads_with_the_change_in_the_program() {
    for (text, change) in [
        ("requests.exceptions.ConnectionError: [Errno 99] Cannot assign requested address", "requests.Session()"),
        ("OSError(10048, '[WinError 10048] Only one usage of each socket address')", "self.client"),
        ("Get \"http://10.0.0.1\": dial tcp 10.0.0.1:80: connect: cannot assign requested address", "MaxIdleConnsPerHost"),
        ("java.net.NoRouteToHostException: Cannot assign requested address (Address not available)", "PoolingHttpClient"),
        ("Error: connect EADDRNOTAVAIL 127.0.0.1:8080", "keepAlive: true"),
    ] {
        let e = explained(text);
        let first = &e.remedies[0];
        assert_eq!(first.name.as_deref(), Some("keep-alive"), "{text}");
        assert!(first.change.as_deref().is_some_and(|c| c.contains(change)) && first.command.is_empty(), "{text}: {first:?}");
        assert!(e.remedies.iter().any(|r| r.command.starts_with("sockbench load")), "{text}");
    }
}

#[derive(Deserialize)]
struct Pages {
    page: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    name: String,
    text: String,
    pool: Option<u32>,
    readings: Vec<String>,
}

fn read_page(text: &str, pool: Option<u32>) -> Vec<String> {
    let known = Known { pool, ..Known::default() };
    explain_text(text, &known).map(|e| e.readings.iter().map(words).collect()).unwrap_or_default()
}

#[test]
fn every_page_is_read_with_its_counts() {
    let pages: Pages = toml::from_str(include_str!("../data/error_pages.toml")).unwrap();
    assert!(pages.page.len() >= 60, "{} pages", pages.page.len());
    let mut wrong = Vec::new();
    for p in &pages.page {
        let got = read_page(&p.text, p.pool);
        if got != p.readings {
            wrong.push(format!("{}: wanted {:?}, got {got:?}", p.name, p.readings));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), pages.page.len(), wrong.join("\n"));
}

/// Lists are compared with the pool that their own system has by default.
#[test]
fn a_list_of_sockets_is_compared_with_the_usual_pool_of_its_system() {
    let list = |n: u32, row: fn(u32) -> String| (0..n).map(|i| row(30_000 + i) + "\n").collect::<String>();
    let windows = |port| format!("  TCP    10.0.0.2:{port}     10.0.0.1:80      TIME_WAIT       0");
    let macos = |port| format!("tcp4       0      0  10.0.0.2.{port}         10.0.0.1.80            TIME_WAIT");
    let linux = |port| format!("TIME-WAIT 0      0      10.0.0.2:{port}     10.0.0.1:80");
    assert_eq!(read_page(&list(16_000, windows), None), ["connect local-ports 16000"]);
    assert_eq!(read_page(&list(16_000, macos), None), ["connect local-ports 16000"]);
    assert_eq!(read_page(&list(16_000, linux), None), [""; 0], "28232 ports there");
    assert_eq!(read_page(&list(28_000, linux), None), ["connect local-ports 28000"]);
    // A server's list: many destinations, no pool of this machine.
    let server = |port| format!("tcp   0   0 10.0.0.2:80     10.0.{}.{}:{port}   TIME_WAIT", port / 250 % 250, port % 250);
    assert_eq!(read_page(&list(28_000, server), None), [""; 0]);
}

/// The fast search must find every line that the reader understands: behind a first line, which is always read.
#[test]
fn no_line_that_says_something_is_passed_over() {
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let passed: Vec<String> = table()
        .line
        .into_iter()
        .filter(|l| !is_number(&l.text) && explain_text(&format!("a log begins\n{}\n", l.text), &Known::default()).is_none())
        .map(|l| l.text)
        .collect();
    assert!(passed.is_empty(), "{} passed over:\n{}", passed.len(), passed.join("\n"));
}

/// Pieces of any size give the same answer; what is over 64 KiB is cut, and said.
#[test]
fn a_text_may_come_in_pieces_and_long_lines_are_cut() {
    let pages: Pages = toml::from_str(include_str!("../data/error_pages.toml")).unwrap();
    for p in pages.page.iter().filter(|p| p.pool.is_none()) {
        for size in [1, 7, 64] {
            let mut reader = TextReader::new(Known::default());
            p.text.as_bytes().chunks(size).for_each(|piece| reader.feed(piece));
            let got = reader.finish().map(|e| e.readings.iter().map(words).collect::<Vec<_>>()).unwrap_or_default();
            assert_eq!(got, p.readings, "{} in pieces of {size}", p.name);
        }
    }
    let long = format!("connect: Connection refused: {}\n{} Connection refused\n", "x".repeat(100_000), "y".repeat(100_000));
    let e = explained(&long);
    assert_eq!((e.readings[0].count, e.cut_lines, e.other_lines), (1, 2, 1));
}

mod any {
    use proptest::prelude::*;
    use sockbench::testing::explain::{Known, explain_text, locust_csv, read_line};

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = read_line(&text, None);
            let _ = explain_text(&text, &Known::default());
        }

        #[test]
        fn nor_words_of_errors_in_any_order(words in prop::collection::vec(prop::sample::select(vec![
            "error", "errno", "10048", "99", "(", ")", ":", "connect", "bind", "socket errors: connect ", "OSError(", "'", ",", "-", "os error ", "\u{2019}", "\u{130}",
        ]), 0..12)) {
            let _ = read_line(&words.concat(), None);
            let _ = read_line(&words.join(" "), None);
        }

        #[test]
        fn nor_any_history(rows in prop::collection::vec((0_u32..400, 0_u64..50, 0_u64..50), 0..40)) {
            let mut csv = "Timestamp,User Count,Type,Name,Total Request Count,Total Failure Count\n".to_owned();
            for (t, r, f) in rows {
                csv += &format!("{t},1,,Aggregated,{r},{f}\n");
            }
            if let Ok(m) = locust_csv::read_history(&csv) {
                prop_assert!(m.rate_before_cps.is_finite() && m.fail_rate_cps.is_finite());
            }
        }
    }
}
