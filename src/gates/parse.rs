//! The grammar: k6's metric, tags and expression in one word.
//!
//! ```text
//! threshold  -> metric tags? (":" figure)? operator bound
//! tags       -> "{" tag ":" value ("," tag ":" value)* "}"      a value may stand in quotes
//! figure     -> "count" | "rate" | "value" | "avg" | "min" | "med" | "max" | "p(" number ")"
//! operator   -> ">" | ">=" | "<" | "<=" | "==" | "===" | "!="
//! bound      -> number unit?                                      250ms, 1s, 5%, 10k, 100/s
//! ```
//!
//! Source: the comment on k6's parser (metrics/thresholds_parser.go). What k6 takes means the same here, but for bounds that
//! no run can pass or fail (a share over 1): those are mistakes.

use std::str::FromStr;

use strum::VariantNames as _;

use super::threshold::{Answered, Figure, Metric, Operator, Selector, Test, Threshold, Unit};
use crate::model::result::VerdictId;
use crate::model::units;

/// Metrics of k6 that are about its scripts or users, or that a run does not keep in this form.
const ONLY_K6: &[(&str, &str)] = &[
    ("checks", "a run has no checks of a script: http_req_failed:rate counts requests that failed"),
    ("iterations", "a run has no iterations of a script: http_reqs counts requests"),
    ("iteration_duration", "a run has no iterations of a script: http_req_duration is the time of a request"),
    ("vus", "users are asked for with --conns"),
    ("vus_max", "users are asked for with --conns"),
    ("http_req_blocked", "http_req_duration is the whole time; schedule_lag is the wait before it"),
    ("http_req_connecting", "http_req_duration is the whole time, run.json has its phases"),
    ("http_req_tls_handshaking", "there is no TLS"),
    ("http_req_sending", "http_req_duration is the whole time, run.json has its phases"),
    ("http_req_waiting", "http_req_duration is the whole time, run.json has its phases"),
    ("http_req_receiving", "http_req_duration is the whole time, run.json has its phases"),
];

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadThreshold {
    /// what is wrong, one line
    pub why: String,
    /// what would be right
    pub hint: String,
}

fn bad(why: impl Into<String>, hint: impl Into<String>) -> BadThreshold {
    BadThreshold { why: why.into(), hint: hint.into() }
}

/// Reads one threshold. Errors: what is wrong with it, and what would be right.
pub fn parse(text: &str) -> Result<Threshold, BadThreshold> {
    let text = text.trim();
    let named = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let metric = metric(&text[..named])?;
    let rest = text[named..].trim_start();
    let (only, rest) = match rest.strip_prefix('{') {
        // Names of endpoints may have braces, an expression has none.
        Some(inside) => {
            let end = inside.rfind('}').ok_or_else(|| bad("no } after its tags", example(metric)))?;
            (selector(metric, &inside[..end])?, &inside[end + 1..])
        }
        None => (Selector::default(), rest),
    };
    let (left, operator, right) = scan(rest).ok_or_else(|| bad("no operator", example(metric)))?;
    let left = left.strip_prefix(':').unwrap_or(left).trim();
    let test = match metric {
        Metric::Validity => Test::Stamp { operator: same(operator)?, stamp: word(right, STAMPS)? },
        Metric::Verdict => Test::Verdict { operator: same(operator)?, id: word(right, &VerdictId::VARIANTS.join(", "))? },
        _ => {
            let figure = figure(metric, left)?;
            Test::Number { figure, operator, bound: bound(metric.unit(figure), right)? }
        }
    };
    if matches!(test, Test::Stamp { .. } | Test::Verdict { .. }) && !left.is_empty() {
        return Err(bad(format!("{left}: {} has no figures", metric.word()), example(metric)));
    }
    Ok(Threshold { text: text.to_owned(), metric, only, test })
}

const STAMPS: &str = "valid, port-bound, client-bound, incomplete";

fn metric(name: &str) -> Result<Metric, BadThreshold> {
    if let Ok(metric) = name.parse() {
        return Ok(metric);
    }
    if let Some((_, instead)) = ONLY_K6.iter().find(|(theirs, _)| *theirs == name) {
        return Err(bad(format!("{name}: k6's metric, not one of a run here"), *instead));
    }
    let shown: String = name.chars().take(40).collect();
    Err(bad(
        if name.is_empty() { "no metric at its start".to_owned() } else { format!("{shown}: no metric") },
        match percentile_alone(name) {
            Some(n) => format!("such as 'http_req_duration:p({n})<250ms'"),
            None => format!("such as 'http_req_duration:p(95)<250ms'; metrics: {}", Metric::VARIANTS.join(", ")),
        },
    ))
}

/// `p95`: a percentile without its metric.
fn percentile_alone(name: &str) -> Option<&str> {
    name.strip_prefix(['p', 'P']).filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn example(metric: Metric) -> String {
    let example = match metric {
        Metric::Duration => "http_req_duration{name:/io}:p(95)<250ms",
        Metric::Failed => "http_req_failed:rate<1%",
        Metric::Requests => "http_reqs{status:503}:count==0",
        Metric::DataReceived => "data_received:rate>1M",
        Metric::DataSent => "data_sent:count<10M",
        Metric::NeverStarted => "dropped_iterations:count==0",
        Metric::LocalFailures => "local_failures:count==0",
        Metric::PortsPeakShare => "ports_peak_share<0.7",
        Metric::RateRatio => "rate_ratio>0.99",
        Metric::ScheduleLag => "schedule_lag:p(99)<5ms",
        Metric::ClientBusiestThread => "client_busiest_thread<0.9",
        Metric::Validity => "validity==valid",
        Metric::Verdict => "verdict==healthy",
    };
    format!("such as '{example}'")
}

/// Both sides of the first operator. None where there is none.
pub fn scan(text: &str) -> Option<(&str, Operator, &str)> {
    // Longer ones first: each begins with a shorter one.
    const OPERATORS: [(&str, Operator); 7] = [
        ("===", Operator::Equal),
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let at = text.find(['<', '>', '=', '!'])?;
    let (word, operator) = OPERATORS.iter().find(|(word, _)| text[at..].starts_with(word))?;
    Some((text[..at].trim(), *operator, text[at + word.len()..].trim()))
}

fn same(operator: Operator) -> Result<Operator, BadThreshold> {
    match operator {
        Operator::Equal | Operator::Unequal => Ok(operator),
        _ => Err(bad("a word has no order", "== or !=")),
    }
}

fn word<T: FromStr>(given: &str, all: &str) -> Result<T, BadThreshold> {
    unquoted(given).parse().map_err(|_| bad(format!("{given}: unknown"), format!("one of {all}")))
}

fn figure(metric: Metric, text: &str) -> Result<Figure, BadThreshold> {
    let hint = || format!("{} has {}; {}", metric.word(), metric.figures(), example(metric));
    let figure = match text {
        "" if metric.has(Figure::Value) => Figure::Value,
        "" => return Err(bad(format!("{}: which figure of it is not said", metric.word()), hint())),
        "value" => Figure::Value,
        "count" => Figure::Count,
        "rate" => Figure::Rate,
        "avg" => Figure::Average,
        "min" => Figure::Minimum,
        "med" => Figure::Median,
        "max" => Figure::Maximum,
        _ => {
            let inside = text.strip_prefix("p(").and_then(|t| t.strip_suffix(')'));
            let n = inside.and_then(|n| n.trim().parse::<f64>().ok()).filter(|n| (0.0..=100.0).contains(n));
            Figure::Percentile(n.ok_or_else(|| bad(format!("{text}: no figure of {}", metric.word()), hint()))?)
        }
    };
    if metric.has(figure) { Ok(figure) } else { Err(bad(format!("{text}: no figure of {}", metric.word()), hint())) }
}

/// Reads a bound of this unit: a bare number of milliseconds, a share of one, a count; or with a unit of its own.
fn bound(unit: Unit, text: &str) -> Result<f64, BadThreshold> {
    let (value, such_as) = match unit {
        Unit::Milliseconds => {
            let with_unit = || units::duration(text).ok().map(|d| d.as_secs_f64() * 1000.0);
            (text.parse::<f64>().ok().or_else(with_unit), "250, 250ms or 1.5s")
        }
        Unit::Share => {
            let percent = text.strip_suffix('%').map(|p| p.trim().parse::<f64>().map(|p| p / 100.0));
            (percent.unwrap_or_else(|| text.parse()).ok(), "0.01 or 1%")
        }
        Unit::Count | Unit::Bytes => (units::rate(text).ok().filter(|_| !text.ends_with("/s")), "500, 10k or 1M"),
        Unit::PerSecond | Unit::BytesPerSecond => (units::rate(text).ok(), "100, 100/s or 10k"),
    };
    match value {
        Some(v) if !v.is_finite() => Err(bad(format!("{text}: no bound"), format!("such as {such_as}"))),
        Some(v) if v < 0.0 => {
            Err(bad(format!("{text}: below zero, which no run passes or every run"), format!("such as {such_as}")))
        }
        Some(v) if unit == Unit::Share && v > 1.0 => {
            Err(bad(format!("{text}: a share is at most 1"), format!("such as {such_as}; {text}% is a share as well")))
        }
        Some(v) => Ok(v),
        None => {
            let shown: String = text.chars().take(40).collect();
            Err(bad(format!("{shown:?}: no bound"), format!("such as {such_as}")))
        }
    }
}

fn selector(metric: Metric, text: &str) -> Result<Selector, BadThreshold> {
    let mut only = Selector::default();
    for pair in split_tags(text) {
        let (tag, value) =
            pair.split_once(':').ok_or_else(|| bad(format!("{{{text}}}: a tag without a value"), example(metric)))?;
        let (tag, value) = (tag.trim(), unquoted(value.trim()));
        if !metric.tags().contains(&tag) {
            let tags = metric.tags().join(", ");
            let hint = if tags.is_empty() { "it is of the whole run".to_owned() } else { format!("one of {tags}") };
            return Err(bad(format!("{tag}: no tag of {}", metric.word()), hint));
        }
        let wrong = |such_as: &str| bad(format!("{tag}:{value}: unknown"), format!("such as {{{tag}:{such_as}}}"));
        match tag {
            "name" => only.name = Some(value.to_owned()),
            "method" => only.method = Some(value.to_owned()),
            "status" => only.status = Some(value.parse().ok().filter(|s| (100..1000).contains(s)).ok_or_else(|| wrong("503"))?),
            _ => {
                only.answered = Some(match value {
                    "true" => Answered::Well,
                    "false" => Answered::Badly,
                    _ => return Err(wrong("true")),
                });
            }
        }
    }
    if only.status.is_some() && only.answered.is_some() {
        return Err(bad("status and expected_response together", "the status says whether it was expected"));
    }
    Ok(only)
}

/// At commas outside quotes.
fn split_tags(text: &str) -> Vec<&str> {
    let mut quote = None;
    text.split(|c: char| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        c == ',' && quote.is_none()
    })
    .collect()
}

fn unquoted(text: &str) -> &str {
    ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(text)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
