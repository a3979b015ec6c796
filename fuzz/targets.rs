//! What is fuzzed: each takes any bytes, and panics where something is wrong. `fuzz_targets/` has one program for each, for
//! cargo-fuzz; tests/pure/fuzzed.rs runs the same on the seeds below and what becomes of them.
#![allow(dead_code, clippy::unwrap_used, reason = "each program uses one; what cannot happen is a finding")]

use sockbench::testing::cli::read_plan;
use sockbench::testing::compare;
use sockbench::testing::explain::{Known, TextReader, explain_run, locust_csv};
use sockbench::testing::http1::{
    Answer, AnswerHeads, Chunked, Expect, Found, HeadLimits, HeadReader, Progress, ResponseReader, Start,
};
use sockbench::testing::report::{Page, hlog, json, render_run};

/// A target: its name, what it does, what to begin with.
pub type Target = (&'static str, fn(&[u8]), &'static [&'static [u8]]);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("request", request, REQUESTS),
    ("chunked", chunked, CHUNKS),
    ("response", response, RESPONSES),
    ("locust", locust, LOCUST),
    ("hlog", interval_log, LOGS),
    ("run_json", run_json, RUNS),
    ("explain", explain, TEXTS),
    ("foreign", foreign, SUMMARIES),
    ("plan", plan, PLANS),
];

const REQUESTS: &[&[u8]] = &[
    b"\x14GET /io?ms=5 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"\x03\r\n\r\nPOST /x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"\x30GET http://a:1/%20?q HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\x01OPTIONS * HTTP/1.1\r\nHost:a\r\nA: b\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
];
const CHUNKS: &[&[u8]] = &[
    b"\x075;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\nrest",
    b"\x02ffffffffffffffff\r\n",
    b"\x00000000000000001\r\na\r\n0\r\n\r\n",
];
const RESPONSES: &[&[u8]] = &[
    b"\x21HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer-Timing: queue;dur=1, work;dur=2\r\n\r\nhelloHTTP/1.1",
    b"\x44HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
    b"\x10HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"\x05HTTP/1.0 200 OK\n\nto the end",
    b"\x02SSH-2.0-x\r\n",
];
const LOCUST: &[&[u8]] = &[
    b"Method,Name,Error,Occurrences,First Seen,Last Seen\r\nGET,/a,\"OSError(10048, 'x')\",1435,1,2\r\n",
    b"Timestamp,User Count,Type,Name,Requests/s,Failures/s,Total Request Count,Total Failure Count\r\n1700000000,10,,Aggregated,1,0,10,0\r\n1700000001,10,,Aggregated,1,0,18446744073709551615,9\r\n",
    b"Type,Name,Request Count,Failure Count,Median Response Time\r\n,Aggregated,18446744073709551615,3,5\r\n",
    b"Count,Message,Traceback,Nodes\r\n18446744073709551615,\"ConnectionRefusedError(111, 'x')\",\"\",\"a\"\r\n2,\"ConnectionRefusedError(111, 'x')\",\"\",\"b\"\r\n",
];
const LOGS: &[&[u8]] = &[
    b"#[Histogram log format version 1.3]\n#[StartTime: 1700000000.0 (seconds since epoch)]\nTag=GET /health,0.0,1.0,1.5,HISTFAAAABx4nJNpmSzMwMDAxAABzFCaEUoz2X+AsA==\n",
    b"Tag=/health,18446744073709551615,1,1,HISTFAAAABx4nJNpmSzMwMDAxAABzFCaEUoz2X+AsA==\n",
];
const RUNS: &[&[u8]] = &[include_bytes!("../tests/data/runs/gone.json"), include_bytes!("../tests/data/runs/exhausted.json")];
const TEXTS: &[&[u8]] = &[
    b"\x08OSError(10048, '[WinError 10048] Only one usage of each socket address')\nconnect: Cannot assign requested address\n",
    b"\x20  Socket errors: connect 18446744073709551615, read 3, write 0, timeout 9999999999999999999\nNon-2xx or 3xx responses: 12\n",
    b"\x01State Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 4097 4096 0.0.0.0:80 0.0.0.0:*\nTIME-WAIT 0 0 127.0.0.1:40000 127.0.0.1:80\n",
    b"\x11[18446744073709551615] dial tcp 127.0.0.1:80: connect: connection refused\n> request count 18446744073709551615 (OK=1 KO=18446744073709551615)\n",
    b"\x11 99999999999999999999 x GET /a: ConnectionResetError(104, 'Connection reset by peer')\n 18446744073709551615 GET /a: ConnectionResetError(104, 'x')\n",
];
const SUMMARIES: &[&[u8]] = &[
    b"{\"summary\":{\"successRate\":1.0,\"total\":2.0,\"requestsPerSec\":1e308},\"latencyPercentiles\":{\"p50\":0.1},\"statusCodeDistribution\":{\"200\":18446744073709551615,\"500\":2}}",
    b"{\"metrics\":{\"http_reqs\":{\"count\":1e300,\"rate\":1},\"http_req_duration\":{\"avg\":1,\"med\":1,\"p(95)\":2},\"http_req_failed\":{\"passes\":1,\"fails\":2}}}",
    b"Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time\r\n,Aggregated,18446744073709551615,1,5,5\r\n",
];

const PLANS: &[&[u8]] = &[
    b"name = 'x'\ncooldown_max = '9s'\n[server]\nio-workers = 4\n[sysctl]\n'net.ipv4.tcp_tw_reuse' = '0'\n[[step]]\nusers = 1\nduration = '1s'\nmix = '/a=2,/b?c'\nthink = '1s..2s'\n[step.server]\nqueue = 1\n",
    b"step=[{users=1,duration='3m',warmup='1s'},{users=2,duration=\"4m\",rate=1e3,keepalive=false}] # both\n",
    include_bytes!("../src/cli/plans/experiment.toml"),
    include_bytes!("../src/cli/plans/windows-ports.toml"),
];

/// The first byte says where the others are cut in two.
fn halves(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (cut, bytes) = data.split_first()?;
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    Some((bytes, first, second))
}

/// A request is the same whole and in two pieces, and no head is longer than what came.
pub fn request(data: &[u8]) {
    let Some((bytes, first, _)) = halves(data) else { return };
    let limits = HeadLimits { bytes: 512, fields: 8, target: 64, body: 1000 };
    let (mut at_once, mut in_two) = (HeadReader::default(), HeadReader::default());
    let whole = at_once.read(bytes, &limits);
    if let Ok(Found::Head { consumed, .. }) = whole {
        assert!(consumed <= bytes.len());
    }
    match in_two.read(first, &limits) {
        Ok(Found::More) => assert_eq!(in_two.read(bytes, &limits), whole),
        early => assert_eq!(early, whole),
    }
}

/// A chunked body comes to the same whole and in two pieces, a broken one with what it had before.
pub fn chunked(data: &[u8]) {
    let Some((bytes, first, second)) = halves(data) else { return };
    let read = |pieces: &[&[u8]]| {
        let (mut chunks, mut body, mut consumed) = (Chunked::of_request(), 0, 0);
        for piece in pieces {
            match chunks.on_bytes(piece) {
                Ok(step) => {
                    assert!(step.consumed <= piece.len() && step.body <= step.consumed);
                    (body, consumed) = (body + step.body, consumed + step.consumed);
                    if step.done {
                        return (Ok(()), body, consumed);
                    }
                }
                Err(broken) => return (Err(format!("{:?}", broken.fault)), body + broken.body, consumed + broken.consumed),
            }
        }
        (Ok(()), body, consumed)
    };
    assert_eq!(read(&[bytes]), read(&[first, second]));
}

/// An answer comes to the same whole and in two pieces: its end, its fault, its figures.
pub fn response(data: &[u8]) {
    let Some((bytes, first, second)) = halves(data) else { return };
    let expect = Expect { head_bytes: 512, head_fields: 8, body_bytes: 1000, ..Expect::default() };
    let read = |pieces: &[&[u8]]| {
        let (mut reader, mut heads) = (ResponseReader::new(expect), AnswerHeads::default());
        reader.begin(Start::Fresh);
        let mut last = Ok(Progress::More);
        for piece in pieces.iter().filter(|p| !p.is_empty()) {
            last = reader.on_bytes(piece, &mut heads);
            if last != Ok(Progress::More) {
                break;
            }
        }
        let answer = if last.is_err() && reader.answer().status == 0 { Answer::default() } else { reader.answer() };
        // The end of the connection says something only where the answer is open.
        (last, answer, (last == Ok(Progress::More)).then(|| reader.on_eof()))
    };
    let (whole, split) = (read(&[bytes]), read(&[first, second]));
    // Bytes beyond an answer are seen only as far as they have come.
    let is_surplus = matches!(whole.0, Ok(Progress::Done { surplus: Some(_) }));
    if is_surplus {
        assert!(matches!(split.0, Ok(Progress::Done { .. })), "{:?}", split.0);
    } else {
        assert_eq!(whole, split);
    }
}

/// Locust's files.
pub fn locust(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let known = Known::default();
    let _ = locust_csv::Kind::of(&text);
    let _ = locust_csv::counts(&text);
    let _ = locust_csv::read_history(&text);
    let _ = locust_csv::explain_exceptions(&text, &known);
    let _ = locust_csv::explain_locust(&text, Some(&text), &known);
}

/// A run's interval log.
pub fn interval_log(data: &[u8]) {
    let run = json::parse(include_str!("../tests/data/runs/healthy.json")).unwrap();
    let _ = hlog::read(data, &run);
}

/// A stored run is explained and reported, whatever its figures.
pub fn run_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(run) = json::parse(&text) {
        let _ = explain_run(&run, &Known::default());
        let _ = render_run(&run, &Page::plain());
    }
}

/// A text comes to the same whole and in two pieces.
pub fn explain(data: &[u8]) {
    let Some((bytes, first, second)) = halves(data) else { return };
    let read = |pieces: &[&[u8]]| {
        let mut reader = TextReader::new(Known::default());
        for piece in pieces {
            reader.feed(piece);
        }
        reader.finish().map(|e| serde_json::to_string(&e).unwrap()).map_err(|e| e.to_string())
    };
    assert_eq!(read(&[bytes]), read(&[first, second]));
}

/// Summaries of other tools, to be compared.
pub fn foreign(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = compare::oha("a", &text);
    let _ = compare::k6("a", &text);
    let _ = compare::locust("a", &text, Some(&text));
}

/// A plan that is read is read again with other lengths of its steps.
pub fn plan(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(again) = read_plan(&text) {
        assert_eq!(read_plan(&again).as_deref(), Ok(again.as_str()));
    }
}
