//! What a load tool's summary says beside failures: that requests were answered, and with which statuses. A text of answers
//! alone has nothing to explain, and these say so in one line.

use super::NothingKnown;
use super::counted_answers;
use super::counts::whole;
use super::normal::is_policy;
use crate::model::figures::{self, counted};

/// The answers that a text counts.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// the tool whose summary the text is: what fails there are its own connections
    pub(super) tool: Option<&'static str>,
    /// failed requests, where the summary counts them
    failed: Option<Failed>,
    /// answers of another length than the first
    lengths: Option<u64>,
    /// answers with another status than 2xx or 3xx
    pub(super) bad: u64,
    /// answers with 2xx or 3xx
    good: u64,
    /// whether any figure of the summary counts an answer
    any: Option<bool>,
    /// all answers, where the text has one figure for them
    all: Option<u64>,
    /// what the last line about a status was of its answer
    part: Option<(Part, u16)>,
    /// the first of their statuses
    status: Option<u16>,
    /// some had another one
    is_mixed: bool,
    /// iterations that k6 did not start
    dropped: u64,
}

/// Lines about one answer: it may have each of them, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// `HTTP/1.1 502 Bad Gateway`, `< HTTP/1.1 502 Bad Gateway`
    Head,
    /// `<title>502 Bad Gateway</title>`
    Title,
    /// `<h1>502 Bad Gateway</h1>`
    Heading,
}

impl Part {
    /// The part of an answer that a line in lower case is; none for a line of another kind, which is an answer of its own.
    fn of(text: &str) -> Option<Self> {
        let starts = |text: &str| text.starts_with("http/");
        match text {
            _ if starts(text.trim_start_matches(['<', ' '])) => Some(Self::Head),
            _ if text.contains("<h1") => Some(Self::Heading),
            _ if text.contains("<title") => Some(Self::Title),
            _ => None,
        }
    }
}

/// Several tools print such a line.
const SOME_TOOL: &str = "the tool";

/// Tools, and words of their summaries in lower case.
pub(super) const SUMMARIES: &[(&str, &[&str])] = &[
    ("wrk", &[" requests in ", "non-2xx or 3xx responses:"]),
    (SOME_TOOL, &["requests/sec:"]),
    ("ab", &["complete requests:", "non-2xx responses:"]),
    ("k6", &["http_req_failed", "http_reqs", "dropped_iterations"]),
    ("Locust", &["aggregated ", "# occurrences"]),
    ("h2load", &["status codes: "]),
    ("oha", &["success rate:"]),
    ("vegeta", &["status codes [code:count]", "success [ratio]"]),
    ("bombardier", &["http codes:"]),
    ("siege", &["successful transactions:", "failed transactions:"]),
    ("httperf", &["reply status: "]),
    ("JMeter", &["summary = ", "summary + "]),
    ("Gatling", &["> request count "]),
    ("artillery", &["scenarios launched:", "vusers.completed", "vusers.failed"]),
    ("Nighthawk", &["benchmark.http_2xx"]),
    ("hey", &["status code distribution:"]),
    ("fortio", &["sockets used: "]),
    ("tsung", &["stats: request "]),
];

/// Failures that a summary counts without saying why.
#[derive(Debug, Clone, PartialEq)]
enum Failed {
    Requests(u64),
    /// percent of all
    Percent(f64),
}

impl Failed {
    const fn is_none(&self) -> bool {
        matches!(self, Self::Requests(0)) || matches!(self, Self::Percent(p) if *p <= 0.0)
    }
}

impl Answers {
    /// Takes a printable line: whether it names answers with a bad status.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let text = line.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let before = (self.bad, self.part);
        self.statuses(&text);
        let is_answer = (self.bad, self.part) != before;
        self.good = self.good.saturating_add(counted_answers::good(&text));
        self.all = counted_answers::all(&text).max(self.all);
        self.any = counted_answers::any(&text).into_iter().chain(self.any).reduce(|a, b| a | b);
        self.lengths = length(&text).or(self.lengths);
        if let Some(rest) = text.strip_prefix("dropped_iterations") {
            self.dropped = rest.trim_start_matches(['.', ':', ' ']).split(' ').next().and_then(whole).unwrap_or(0);
        }
        if let Some(failed) = failed(&text)
            && self.failed.as_ref().is_none_or(Failed::is_none)
        {
            self.failed = Some(failed);
        }
        let printed = |words: &&str| text.contains(*words);
        let Some((tool, _)) = SUMMARIES.iter().find(|(_, all)| all.iter().any(printed)) else { return is_answer };
        // wrk and autocannon print the same sentence; autocannon rounds to thousands.
        let is_rounded = text.split(' ').next().is_some_and(|n| n.ends_with('k'));
        let tool = if *tool == "wrk" && is_rounded { "autocannon" } else { tool };
        self.tool = self.tool.filter(|known| *known != SOME_TOOL).or(Some(tool));
        is_answer
    }

    /// Counts of statuses, as the tools print them.
    fn statuses(&mut self, text: &str) {
        let behind = |words: &str| whole(text.split_once(words)?.1.split_whitespace().next()?);
        if let Some(n) = behind("non-2xx or 3xx responses:").or_else(|| behind("non-2xx responses:")) {
            return self.add(None, n);
        }
        // autocannon: `1612 2xx responses, 75 non 2xx responses`, the second alone where there are no others.
        if let Some(n) = text.strip_suffix(" non 2xx responses").and_then(|t| whole(t.rsplit(' ').next()?)) {
            return self.add(None, n);
        }
        if let Some(counts) = counted_answers::by_status(text) {
            for (status, n) in counts.into_iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                self.add(status.parse().ok().filter(|s| *s >= 400), n);
            }
            return;
        }
        // Locust: `104 GET /cpu: HTTPError('503 Server Error: ...`; Gatling: `... found 503 104 (100.0%)`.
        if let Some((before, after)) = text.split_once("httperror('") {
            let status = after.split(' ').next().and_then(|s| s.parse().ok()).filter(|s| (400..600).contains(s));
            return self.add(status, if status.is_some() { before.split(' ').next().and_then(whole).unwrap_or(1) } else { 0 });
        }
        if let Some((_, after)) = text.split_once("found 5").or_else(|| text.split_once("found 4"))
            && let Some((status, rest)) = after.split_once(' ').filter(|(s, rest)| s.len() == 2 && rest.ends_with("%)"))
        {
            let class = if text.contains("found 5") { 500 } else { 400 };
            let n = rest.split(' ').next().and_then(whole).unwrap_or(0);
            return self.add(status.parse::<u16>().ok().map(|s| class + s), n);
        }
        // A failed row of JMeter: label, code, message.
        if text.contains(",false,")
            && let Some(status) = text.split(',').find(|f| f.len() == 3 && f.starts_with(['4', '5']) && whole(f).is_some())
        {
            return self.add(status.parse().ok(), 1);
        }
        if let Some(status) = one_status(text).or_else(|| counted_answers::by_http(text)) {
            return self.one(text, status);
        }
        // `1xx - 0, 2xx - 99, 4xx - 104`, `1xx=0 2xx=99 4xx=104`, `99 2xx, 0 3xx, 104 4xx, 0 5xx`
        if text.contains("2xx") && text.contains("5xx") {
            for class in ["4xx", "5xx"] {
                self.add(None, counted_answers::of_class(text, class));
            }
        }
    }

    /// One answer, unless an earlier line was of the same one: a saved page has its status in the title and in the heading.
    fn one(&mut self, text: &str, status: u16) {
        let part = Part::of(text);
        let is_same = part.zip(self.part).is_some_and(|(now, (before, said))| before < now && said == status);
        // A page on one line is whole.
        let is_whole = text.contains("<title") && text.contains("<h1");
        self.part = part.filter(|_| !is_whole).map(|part| (part, status));
        if !is_same {
            self.add(Some(status), 1);
        }
    }

    fn add(&mut self, status: Option<u16>, n: u64) {
        self.bad = self.bad.saturating_add(n);
        if n > 0 {
            self.is_mixed |= self.bad > n && self.status != status;
            self.status = self.status.or(status);
        }
    }

    pub(super) fn all(&self) -> Option<u64> {
        let by_status = (self.good > 0).then(|| self.good.saturating_add(self.bad));
        by_status.max(self.all).filter(|all| *all >= self.bad)
    }

    /// Whether a request was answered; none where the text counts no answers, and is no tool's summary.
    pub(super) fn any(&self) -> Option<bool> {
        self.any.map(|any| any || self.good > 0 || self.bad > 0).filter(|_| self.tool.is_some())
    }

    pub(super) const fn status(&self) -> Option<u16> {
        if self.is_mixed { None } else { self.status }
    }

    /// What the text says in one line; none where it is no summary.
    pub(super) fn told(&self) -> Option<NothingKnown> {
        let is_summary = self.tool.is_some();
        let tool = self.tool.unwrap_or("the summary");
        if self.bad > 0 {
            let status = match self.status {
                None => "a status other than 2xx and 3xx".to_owned(),
                Some(s) if self.is_mixed => format!("status {s} or the like"),
                Some(s) => format!("status {s}"),
            };
            let who = self.status.filter(|_| !self.is_mixed).map_or(ANSWERED, who_answered);
            return Some(NothingKnown::Answered(format!(
                "no failed connection: {} had {status}; {who}",
                counted(self.bad, "answer")
            )));
        }
        if self.any() == Some(false) && self.failed.as_ref().is_none_or(Failed::is_none) {
            return Some(NothingKnown::Unexplained(format!(
                "nothing was answered: {tool} counts no answer and no failure, and this text does not say why: sockbench watch -- COMMAND sees its connections"
            )));
        }
        if let Some(n) = self.lengths.filter(|n| *n > 0) {
            let text = format!("no failed connection: {} had another length than the first one", counted(n, "answer"));
            return Some(NothingKnown::Answered(text));
        }
        if self.dropped > 0 {
            return Some(NothingKnown::Answered(format!(
                "no failed connection: k6 did not start {} (dropped_iterations): it had too few VUs for the rate, or no time left",
                counted(self.dropped, "iteration")
            )));
        }
        match &self.failed {
            Some(failed) if !failed.is_none() => {
                let failed = match failed {
                    Failed::Requests(n) => counted(*n, "failed request"),
                    Failed::Percent(p) => format!("{} of the requests as failed", figures::share(p / 100.0)),
                };
                let text = format!("{tool} counts {failed}, and this text does not say why: give its error lines or its log too");
                Some(NothingKnown::Unexplained(text))
            }
            Some(_) => Some(NothingKnown::Answered(format!("no failure: {tool} counts none"))),
            None if is_summary => Some(NothingKnown::Answered(format!("no failure: this summary of {tool} shows none"))),
            None => None,
        }
    }
}

const ANSWERED: &str = "the target's program answered so, and its log says why";

/// Whose answer a status usually is.
const fn who_answered(status: u16) -> &'static str {
    match status {
        429 => "the target takes only so many requests of one client: a limit of its own, or of what stands before it",
        502 => {
            "a proxy got no valid answer from the server behind it (it refused, reset, or ended): the proxy's error log says which"
        }
        503 => {
            "the target or a proxy before it takes no more now: a full queue, a limit, or no healthy server; its log says which"
        }
        504 => {
            "a proxy waited for the server behind it for longer than its own timeout (nginx proxy_read_timeout, 60 s): that server is slow or stuck"
        }
        _ => ANSWERED,
    }
}

/// Words that mark a line which may name the status of an answer.
pub(super) const STATUS_WORDS: &[&str] = &[
    "http error",
    "http 4",
    "http 5",
    "bad gateway",
    "gateway time",
    "service unavailable",
    "service temporarily unavailable",
    "too many requests",
    "internal server error",
    "http/1.1\" 5",
    "http/1.1\" 4",
    "http/1.0\" 5",
    "http/2.0\" 5",
    "http/1.1 5",
    "http/1.1 4",
    "http/2 5",
    "http/2 4",
    "status code",
    "response code",
    " server error: ",
    " client error: ",
    "status=",
    "status: ",
    "status\":",
];

/// The status of one answer that a line names: `HTTP/1.1 504 Gateway Time-out`, `"GET / HTTP/1.1" 502 157`, `status code 503`,
/// `429 Too Many Requests`. A figure behind other words may be anything.
fn one_status(text: &str) -> Option<u16> {
    const PHRASES: &[(&str, u16)] = &[
        ("502 bad gateway", 502),
        ("504 gateway time", 504),
        ("503 service unavailable", 503),
        ("503 service temporarily unavailable", 503),
        ("429 too many requests", 429),
        ("500 internal server error", 500),
        // Python's requests.
        ("502 server error", 502),
        ("504 server error", 504),
        ("503 server error", 503),
        ("500 server error", 500),
        ("429 client error", 429),
    ];
    let is_answer = |words: &str| text.split_once(words).is_some_and(|(before, _)| !is_policy(before));
    let phrase = || PHRASES.iter().find(|(words, _)| is_answer(words)).map(|(_, status)| *status);
    let behind = |words: &&str| {
        let (_, rest) = text.split_once(*words).filter(|_| is_answer(words))?;
        let rest = rest.trim_start_matches(['"', ' ', ':', '=']);
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        // `HTTP/1.1 500 ms`: a time.
        let unit = rest[digits.len()..].trim_start().split(|c: char| !c.is_alphabetic()).next()?;
        if ["ms", "s", "us", "sec", "seconds"].contains(&unit) {
            return None;
        }
        digits.parse::<u16>().ok().filter(|status| digits.len() == 3 && (400..600).contains(status))
    };
    let labels = ["http/1.1", "http/1.0", "http/2.0", "http/2", "status code", "response code"];
    // Programs, orders and jobs have a status too.
    let bare = ["status=", "status:", "status\":"];
    let of_answer = |words: &&str| text.split_once(*words).is_some_and(|(before, after)| is_of_http(before, after));
    labels.iter().find_map(behind).or_else(|| bare.iter().filter(|w| of_answer(w)).find_map(behind)).or_else(phrase)
}

/// Whether a line speaks of HTTP around its `status=`: it names the protocol, a method, a path, a URL, a request, or a reason
/// that only an answer has (RFC 9110 section 15): `{"status":503,"error":"Service Unavailable"}`.
fn is_of_http(before: &str, after: &str) -> bool {
    const METHODS: &[&str] = &["get", "head", "post", "put", "delete", "patch", "options"];
    const WORDS: &[&str] = &["request", "requests", "response", "responses", "upstream", "url", "uri"];
    const REASONS: &[&str] =
        &["bad gateway", "gateway time", "service unavailable", "too many requests", "internal server error"];
    if before.trim_end().ends_with("exit") {
        return false;
    }
    let is_end = |c: char| c.is_whitespace() || "\"'=,()[]{}<>;".contains(c);
    let is_word = |word: &str| {
        let bare = word.trim_end_matches([':', '.']);
        word.starts_with('/') || word.starts_with("http") || METHODS.contains(&bare) || WORDS.contains(&bare)
    };
    let is_reason = |part: &str| REASONS.iter().any(|words| part.contains(words));
    [before, after].iter().any(|part| part.contains("://") || is_reason(part) || part.split(is_end).any(is_word))
}

/// Answers of another length: ab counts them as failed.
fn length(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("(connect: 0, receive: 0, length: ")?;
    whole(rest.split(',').next()?)
}

/// Failed requests, as summaries count them.
fn failed(text: &str) -> Option<Failed> {
    let behind = |words: &str| text.split_once(words).map(|(_, rest)| rest.trim_start_matches(['.', ':', ' ']));
    let number =
        |rest: &str| rest.split(|c: char| !c.is_ascii_digit() && c != ',').next().and_then(|n| whole(n.trim_matches(',')));
    // A share of no requests is not a number.
    let percent = |rest: &str| rest.split('%').next()?.parse::<f64>().ok().filter(|p| p.is_finite());
    if let Some(rest) = behind("failed requests:").or_else(|| behind("failed transactions:")).or_else(|| behind("vusers.failed:"))
    {
        return number(rest).map(Failed::Requests);
    }
    if let Some(rest) = behind("http_req_failed").filter(|rest| rest.contains('%')) {
        let n = behind("✓").or_else(|| rest.split_once('%').map(|(_, n)| n.trim_start()).filter(|_| rest.contains(" out of ")));
        return n.and_then(number).map(Failed::Requests).or_else(|| percent(rest).map(Failed::Percent));
    }
    // `11104 1171(10.55%) |`
    if let Some(rest) = text.strip_prefix("aggregated ") {
        return rest.split(' ').nth(1).and_then(number).map(Failed::Requests);
    }
    if let Some(rest) = behind("> request count ").and_then(|rest| rest.split_once("ko=")) {
        return number(rest.1).map(Failed::Requests);
    }
    if text.starts_with("summary ") {
        return behind("err: ").and_then(number).map(Failed::Requests);
    }
    if let Some(rest) = behind("requests: ").filter(|rest| rest.contains(" succeeded, ")) {
        return rest.split(", ").find_map(|part| part.strip_suffix(" failed").and_then(whole)).map(Failed::Requests);
    }
    let ratio = behind("success rate:").or_else(|| behind("success [ratio]"));
    ratio.and_then(percent).map(|p| Failed::Percent(100.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs, orders and jobs have a status too; an answer's stands beside a method, a path, a URL or a request.
    #[test]
    fn a_bare_status_is_of_an_answer_only_beside_words_of_http() {
        let others = [
            "exit status=500",
            "order status=404 items shipped",
            "job 17 ended, status: 503",
            "{\"status\":404,\"sku\":\"a-1\"}",
            "cron /opt/job.sh exit status=500",
        ];
        for text in others {
            assert_eq!(one_status(text), None, "{text}");
        }
        let answers = [
            "get /cart status=503 12ms",
            "post http://127.0.0.1:8080/cart status: 503",
            "level=warn method=get path=/cart status=503",
            "{\"status\":503,\"path\":\"/cart\"}",
            "{\"status\":503,\"error\":\"service unavailable\"}",
            "request failed, status: 503",
            "http answer status=503",
            "upstream status: 503",
        ];
        for text in answers {
            assert_eq!(one_status(text), Some(503), "{text}");
        }
    }
}
