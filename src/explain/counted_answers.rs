//! Answers that a line counts, good ones and all of them; and the status that a line names behind `HTTP`.

use super::counts::whole;
use super::normal::is_policy;

/// Answers by their status, where a line in lower case counts them so.
pub(super) fn by_status(text: &str) -> Option<Vec<(&str, u64)>> {
    // `[200] 104 responses` of hey and oha.
    if let Some((status, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']'))
        && let Some(n) = rest.trim().strip_suffix(" responses").and_then(|n| whole(n.trim()))
    {
        return Some(vec![(status, n)]);
    }
    // `http.codes.200: ..... 104` of artillery; `200:104` behind vegeta's `[code:count]`.
    if let Some((status, n)) = text.strip_prefix("http.codes.").and_then(|t| t.split_once(':')) {
        return Some(vec![(status, whole(n.trim_start_matches(['.', ' '])).unwrap_or(0))]);
    }
    let pairs = text.split_once("[code:count]")?.1.split_whitespace().filter_map(|pair| pair.split_once(':'));
    Some(pairs.map(|(status, n)| (status, whole(n).unwrap_or(0))).collect())
}

/// Answers with 2xx or 3xx in a line in lower case, where the line counts answers by their status.
pub(super) fn good(text: &str) -> u64 {
    if let Some(counts) = by_status(text) {
        return counts.iter().filter(|(status, _)| is_good(status)).fold(0, |sum, (_, n)| sum.saturating_add(*n));
    }
    // `1612 2xx responses, 75 non 2xx responses` of autocannon.
    if let Some((n, _)) = text.split_once(" 2xx responses") {
        return whole(n).unwrap_or(0);
    }
    // `1xx - 0, 2xx - 99, 3xx - 1`, `99 2xx, 1 3xx, 104 4xx, 0 5xx`
    if text.contains("2xx") && text.contains("5xx") {
        return of_class(text, "2xx").saturating_add(of_class(text, "3xx"));
    }
    0
}

/// The figure of a class of statuses, before it or behind it as the line has them.
pub(super) fn of_class(text: &str, class: &str) -> u64 {
    let words: Vec<&str> = text.split([' ', '=', ',', '-']).filter(|w| !w.is_empty()).collect();
    let at = |class: &str| words.iter().position(|w| *w == class);
    let number_first = at("2xx").is_some_and(|n| n > 0 && whole(words[n - 1]).is_some() && at("1xx").is_none());
    let near = at(class).and_then(|n| if number_first { n.checked_sub(1) } else { Some(n + 1) });
    near.and_then(|n| whole(words.get(n)?)).unwrap_or(0)
}

fn is_good(status: &str) -> bool {
    status.len() == 3 && status.starts_with(['2', '3'])
}

/// The one figure that a summary has for all answers, in a line in lower case.
pub(super) fn all(text: &str) -> Option<u64> {
    // wrk: `135626 requests in 3.00s, 20.1MB read`
    if let Some((n, _)) = text.split_once(" requests in ") {
        return whole(n);
    }
    // ab
    if let Some(n) = text.strip_prefix("complete requests:") {
        return whole(n.trim());
    }
    // k6: `http_reqs......: 104 20.8/s`
    let rest = text.split_once("http_reqs")?.1.trim_start_matches(['.', ':', ' ']);
    whole(rest.split(' ').next()?)
}

/// Whether a line of a summary, in lower case, counts any answer; none where it counts nothing of the kind.
pub(super) fn any(text: &str) -> Option<bool> {
    let first = |rest: &str| rest.trim_start_matches(['.', ':', ' ', '|']).split([' ', ',', '(']).next().map(str::to_owned);
    let behind = |words: &str| text.split_once(words).and_then(|(_, rest)| first(rest));
    let is_some = |n: String| whole(&n).map(|n| n > 0);
    // wrk, autocannon: `0 requests in 3.07s, 0.00B read`; autocannon counts those that it sent.
    if let Some((n, rest)) = text.split_once(" requests in ")
        && let Some((_, bytes)) = rest.strip_suffix(" read").and_then(|rest| rest.rsplit_once(", "))
    {
        return Some(n != "0" && bytes.starts_with(|c: char| c.is_ascii_digit()) && bytes.contains(|c| ('1'..='9').contains(&c)));
    }
    // hey, oha, wrk
    if let Some(rate) = behind("requests/sec:") {
        return rate.parse().ok().filter(|rate: &f64| rate.is_finite()).map(|rate| rate > 0.0);
    }
    if let Some(counts) = by_status(text) {
        return Some(counts.iter().any(|(status, n)| *status != "0" && *n > 0));
    }
    if text.contains("2xx") && text.contains("5xx") {
        return Some(["1xx", "2xx", "3xx", "4xx", "5xx"].iter().any(|class| of_class(text, class) > 0));
    }
    // h2load: `requests: 10 total, 10 started, 0 done, ...`
    if let Some(rest) = text.split_once("requests: ").map(|(_, rest)| rest).filter(|rest| rest.contains(" started, ")) {
        return rest.split(", ").find_map(|part| part.strip_suffix(" done").and_then(whole)).map(|n| n > 0);
    }
    // k6: `http_req_failed....: 0.00% 0 out of 0`
    if let Some((_, all)) = text.split_once("http_req_failed").and_then(|(_, rest)| rest.split_once(" out of ")) {
        return first(all).and_then(is_some);
    }
    // `Aggregated 0 0(0.00%)` of Locust, whose table of percentiles begins in the same way.
    if let Some(rest) = text.strip_prefix("aggregated ") {
        return rest.split(' ').nth(1).filter(|failed| failed.contains('(')).and_then(|_| first(rest)).and_then(is_some);
    }
    [
        "complete requests:",
        "http_reqs",
        "successful transactions:",
        "> request count ",
        "summary = ",
        "stats: request ",
        "all done ",
    ]
    .iter()
    .find_map(|words| behind(words))
    .and_then(is_some)
}

/// The status behind `HTTP` in a line in lower case: `HTTP Error 502: Bad Gateway`, `HTTP 502`. A count is none:
/// `HTTP 500 requests`.
pub(super) fn by_http(text: &str) -> Option<u16> {
    ["http error ", "http error: ", "http "].iter().find_map(|words| {
        let (before, rest) = text.split_once(words)?;
        let starts = !before.ends_with(|c: char| c.is_alphanumeric() || c == '/');
        let (digits, rest) = rest.split_at_checked(3)?;
        let next = rest.trim_start().split(|c: char| !c.is_alphabetic()).next()?;
        let is_unit = rest.starts_with(' ') && UNITS.contains(&next);
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '%')
            && !rest.strip_prefix(['.', ',']).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        let status = digits.parse::<u16>().ok().filter(|status| (400..600).contains(status))?;
        (starts && ends && !is_unit && !is_policy(before)).then_some(status)
    })
}

/// What a figure behind `http` may count or measure.
const UNITS: &[&str] = &[
    "ms",
    "s",
    "us",
    "sec",
    "seconds",
    "requests",
    "reqs",
    "req",
    "users",
    "vus",
    "connections",
    "clients",
    "workers",
    "threads",
    "calls",
    "times",
    "bytes",
    "kb",
    "mb",
    "rps",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_answers_and_all_of_them_as_tools_count_them() {
        for (line, n) in [
            ("[200] 104 responses", 104),
            ("[503] 104 responses", 0),
            ("http.codes.302: ........ 7", 7),
            ("status codes [code:count] 200:90 301:10 503:4", 100),
            ("status codes: 99 2xx, 1 3xx, 104 4xx, 0 5xx", 100),
            ("1xx - 0, 2xx - 99, 3xx - 0, 4xx - 104, 5xx - 0", 99),
            ("1612 2xx responses, 75 non 2xx responses", 1612),
            ("75 non 2xx responses", 0),
            ("200 requests failed", 0),
        ] {
            assert_eq!(good(line), n, "{line}");
        }
        assert_eq!(all("135626 requests in 3.00s, 20.1mb read"), Some(135_626));
        assert_eq!(all("complete requests: 1000"), Some(1000));
        assert_eq!(all("http_reqs......................: 104 20.8/s"), Some(104));
        assert_eq!(all("104 requests failed"), None);
    }

    /// Each tool's own figure, at zero and above.
    #[test]
    fn a_summary_counts_answers_or_none() {
        for (line, zero, some) in [
            ("wrk", "0 requests in 3.07s, 0.00b read", "135626 requests in 3.00s, 20.1mb read"),
            ("autocannon", "10 requests in 3.04s, 0 b read", "2k requests in 3.04s, 1.2 mb read"),
            ("hey", "requests/sec: 0.0000", "requests/sec: 1611.2"),
            ("hey", "[200] 0 responses", "[503] 12 responses"),
            ("ab", "complete requests: 0", "complete requests: 1000"),
            ("k6", "http_reqs......................: 0 0/s", "http_reqs......................: 104 20.8/s"),
            ("k6", "http_req_failed................: 0.00% 0 out of 0", "http_req_failed...: 0.00% 0 out of 104"),
            ("h2load", "requests: 9 total, 9 started, 0 done, 0 succeeded", "requests: 9 total, 9 started, 9 done, 0 succeeded"),
            ("h2load", "status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx", "status codes: 0 2xx, 0 3xx, 0 4xx, 7 5xx"),
            ("bombardier", "1xx - 0, 2xx - 0, 3xx - 0, 4xx - 0, 5xx - 0", "1xx - 0, 2xx - 0, 3xx - 0, 4xx - 8, 5xx - 0"),
            ("httperf", "reply status: 1xx=0 2xx=0 3xx=0 4xx=0 5xx=0", "reply status: 1xx=0 2xx=9 3xx=0 4xx=0 5xx=0"),
            ("vegeta", "status codes [code:count] 0:150", "status codes [code:count] 0:1 200:149"),
            ("vegeta", "status codes [code:count]", "status codes [code:count] 503:1"),
            ("siege", "successful transactions: 0", "successful transactions: 12"),
            ("Locust", "aggregated 0 0(0.00%) | 0 0 0 0 | 0.00 0.00", "aggregated 12 0(0.00%) | 1 1 1 1 | 0.00 0.00"),
            ("JMeter", "summary = 0 in 00:00:03 = 0.0/s", "summary = 12 in 00:00:03 = 4.0/s"),
            ("Gatling", "> request count 0 (ok=0 ko=0 )", "> request count 12 (ok=12 ko=0 )"),
            ("fortio", "all done 0 calls (plus 0 warmup)", "all done 40 calls (plus 4 warmup)"),
        ] {
            assert_eq!((any(zero), any(some)), (Some(false), Some(true)), "{line}");
        }
        for line in ["42 requests in flight", "aggregated 0 0 0 0 0", "requests/sec: nan of them", "summary: 0"] {
            assert_eq!(any(line), None, "{line}");
        }
    }

    #[test]
    fn a_status_behind_http_is_no_count() {
        for (line, status) in [
            ("urllib.error.httperror: http error 502: bad gateway", Some(502)),
            ("http 502", Some(502)),
            ("got http 404 for /x", Some(404)),
            ("http error 404: not found", Some(404)),
            ("http 500 requests sent", None),
            ("http 500ms", None),
            ("http 502.5 kb", None),
            ("http 200 ok", None),
            ("http 5021", None),
            ("retry on http 503", None),
        ] {
            assert_eq!(by_http(line), status, "{line}");
        }
    }
}
