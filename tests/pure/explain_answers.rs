//! Texts that show no failed connection: answers with their statuses, and the usage texts of load tools.

use sockbench::testing::explain::{Known, TextReader};
use sockbench::testing::model::Limit;

use crate::explain_kinds::explained;

/// What a text without a failed connection says instead.
pub(crate) fn refused(text: &str) -> String {
    let mut reader = TextReader::new(Known::default());
    reader.feed(text.as_bytes());
    reader.finish().map_or_else(|nothing| nothing.to_string(), |e| format!("explained: {:?}", e.readings))
}

/// What nginx answers itself.
const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n";

/// A status beside a failure is counted beside it, and is no other line.
#[test]
fn a_status_beside_a_failure_is_not_lost() {
    let e = explained("connect: Connection refused\nHTTP/1.1 502 Bad Gateway\nall is well\n");
    assert_eq!((e.readings.len(), e.bad_answers, e.bad_status, e.other_lines), (1, 1, Some(502), 1));
}

/// Lists of options of load tools, and how they are called: words about timeouts and refusals there are no failures.
#[test]
fn a_usage_text_is_no_failure() {
    for text in USAGES {
        for text in [(*text).to_owned(), format!("bad argument\n{text}"), text.replace('\n', "\r\n")] {
            assert_eq!(refused(&text), "no known connection error found: this is the usage text of a program", "{text}");
        }
        let e = explained(&format!("{text}\nerror: connect: connection refused\n"));
        assert!(e.readings.len() == 1 && e.readings[0].limit == Limit::Refused, "{text}: {:?}", e.readings);
    }
    // A list of options without the word, in the middle of a log.
    assert_eq!(
        refused("started\n  --retry-connrefused  Retry on connection refused (use with --retry)\n"),
        "no known connection error found"
    );
    // An error number as the kernel has it, and a list of errors, are none.
    for text in ["-ECONNREFUSED", "- connect: connection refused", "-- connect: connection refused"] {
        assert_eq!(explained(text).readings[0].limit, Limit::Refused, "{text}");
    }
}

/// In the form that wrk, ab, hey, oha, h2load, k6, Locust and curl give theirs, each with the words of a failure in it.
const USAGES: &[&str] = &[
    "Usage: wrk <options> <url>                            \n  Options:                                            \n    -c, --connections <N>  Connections to keep open   \n        --timeout     <T>  Socket/request timeout     \n                                                      \n  Numeric arguments may include a SI unit (1k, 1M, 1G)\n",
    "Usage: ab [options] [http[s]://]hostname[:port]/path\nOptions are:\n    -s timeout      Seconds to max. wait for each response\n                    Default is 30 seconds, then: connection timed out\n    -r              Don't exit on socket receive errors: connection reset by peer\n",
    "Usage: hey [options...] <url>\n\nOptions:\n  -n  Number of requests to run. Default is 200.\n  -t  Timeout for each request in seconds: read timeout\n      after that, error: connection timed out.\n  -host\tHTTP Host header.\n",
    "Usage: oha [OPTIONS] <URL>\n\nOptions:\n  -t, --timeout <TIMEOUT>\n          Timeout for each request. Default to infinite.\n          \n          Error: request timeout, connection timed out\n      --connect-timeout <CONNECT_TIMEOUT>\n          Timeout for establishing a new connection. Default to 5s.\n",
    "Usage: h2load [OPTIONS]... [URI]...\nbenchmarking tool for HTTP/2 server\nOptions:\n  -T, --connection-active-timeout=<DURATION>\n              Specifies the maximum time. Error: connection timed out\n              after that.\n",
    "Start a test.\n\nUsage:\n  k6 run [flags]\n\nFlags:\n      --no-connection-reuse   error: connection reset by peer on reuse\n      --http-debug string[=\"headers\"]   log all failed requests: request timeout\n  -h, --help   help for run\n",
    "Usage: locust [options] [UserClass ...]\n\nCommon options:\n  -h, --help            show this help message and exit\n  --stop-timeout <number>\n                        Number of seconds to wait, error: connection timed out\n                        before it ends.\n",
    "Usage: curl [options...] <url>\n     --connect-timeout <seconds> Maximum time, then error: connection timed out\n     --retry-connrefused  Retry on connection refused (use with --retry)\n -m, --max-time <seconds>  Maximum time allowed for the transfer: operation timed out\n",
];

/// A status is an answer: who gives it, and how often it stands there.
#[test]
fn a_pasted_status_is_an_answer() {
    for (text, says) in [
        ("504 Gateway Time-out", "1 answer had status 504; a proxy waited"),
        ("<h1>502 Bad Gateway</h1>\n", "1 answer had status 502; a proxy got no valid answer"),
        ("HTTP/1.1 429 Too Many Requests", "status 429; the target takes only so many"),
        ("\"GET / HTTP/1.1\" 503 167\n\"GET / HTTP/1.1\" 503 167\n\"GET / HTTP/1.1\" 200 12\n", "2 answers had status 503;"),
        ("AxiosError: Request failed with status code 500", "status 500; the target's program answered so"),
        ("HTTP/1.1 502 Bad Gateway\nHTTP/1.1 504 Gateway Timeout\n", "2 answers had status 502 or the like"),
        ("HTTP Error 502: Bad Gateway", "1 answer had status 502; a proxy got no valid answer"),
        ("urllib.error.HTTPError: HTTP Error 404: Not Found", "1 answer had status 404"),
        ("HTTP 502", "1 answer had status 502"),
        // A saved page, alone and with its head, and two of them: one answer each.
        (PAGE, "1 answer had status 502;"),
        (&format!("HTTP/1.1 502 Bad Gateway\nServer: nginx\n\n{PAGE}"), "1 answer had status 502;"),
        (&format!("{PAGE}{PAGE}"), "2 answers had status 502;"),
        ("<title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>\n<h1>502 Bad Gateway</h1>", "2 answers had status 502;"),
    ] {
        assert!(refused(text).contains(says), "{text}: {}", refused(text));
    }
    for text in [
        "HTTP/1.1 200 OK",
        "503 parts in 2 s",
        "took 504 ms",
        "GET /errors/ECONNREFUSED 200 OK",
        "retrying 3 times on ECONNRESET",
        "retry on status code 503",
        "retry on 503 Service Unavailable",
        "HTTP/1.1 500 ms",
        "max_user_connections = 100",
        "Too many connections from one client are rejected by default",
        "idle timeout: server closes after (60 s), killing time",
        "the task timed out policy is off",
    ] {
        assert_eq!(refused(text), "no known connection error found", "{text}");
    }
}

/// A summary that counts no answer and no failure is none of success: nothing was answered.
#[test]
fn a_summary_without_an_answer_is_not_well() {
    let silent = [
        (
            "wrk",
            "Running 3s test @ http://127.0.0.1:80/\n  1 threads and 10 connections\n  0 requests in 3.07s, 0.00B read\nRequests/sec:      0.00\nTransfer/sec:       0.00B\n",
        ),
        ("autocannon", "Running 3s test @ http://127.0.0.1:80\n10 connections\n\n0 requests in 3.05s, 0 B read\n"),
        ("hey", "Summary:\n  Total:\t3.0012 secs\n  Requests/sec:\t0.0000\n\nStatus code distribution:\n\n"),
        ("oha", "Summary:\n  Success rate:\tNaN%\n  Requests/sec:\t0.0000\n\nStatus code distribution:\n"),
        ("ab", "Concurrency Level:      10\nComplete requests:      0\nFailed requests:        0\n"),
        (
            "h2load",
            "finished in 3.00s, 0.00 req/s, 0B/s\nrequests: 10 total, 10 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx\n",
        ),
        ("k6", "     http_req_failed................: 0.00% 0 out of 0\n     http_reqs......................: 0 0/s\n"),
        ("bombardier", "  HTTP codes:\n    1xx - 0, 2xx - 0, 3xx - 0, 4xx - 0, 5xx - 0\n    others - 0\n"),
        ("siege", "Transactions:\t\t        0 hits\nSuccessful transactions:           0\nFailed transactions:\t           0\n"),
        ("JMeter", "summary =      0 in 00:00:03 =    0.0/s Avg:     0 Min:     0 Max:     0 Err:     0 (0.00%)\n"),
        (
            "Locust",
            "         Aggregated                        0     0(0.00%) |      0       0       0      0 |    0.00        0.00\n",
        ),
        ("Gatling", "> request count                                          0 (OK=0      KO=0     )\n"),
    ];
    for (tool, text) in silent {
        let said = refused(text);
        assert!(said.starts_with("nothing was answered: "), "{tool}: {said}");
    }
    // Locust's first lines have no requests yet; what failed comes first.
    let later =
        format!("{}         Aggregated    12     0(0.00%) |      1       1       1      1 |    4.00        0.00\n", silent[10].1);
    assert_eq!(refused(&later), "no failure: Locust counts none");
    let failed = explained(&format!("{}  Socket errors: connect 0, read 0, write 0, timeout 10\n", silent[0].1));
    assert_eq!(failed.readings[0].limit, Limit::TimedOut);
}
