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
