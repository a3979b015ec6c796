//! What k6 documents is read as k6 reads it; what it refuses is refused.

use super::*;
use crate::gates::threshold::Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
use crate::model::result::{RunStamp, VerdictId};

/// (metric of k6, its expression): figure, operator, bound. From the thresholds page of k6's documentation and the tests of
/// its parser.
const OF_K6: &[(&str, &str, Figure, Operator, f64)] = &[
    ("http_req_failed", "rate<0.01", Figure::Rate, Less, 0.01),
    ("http_req_failed", "rate < 0.01", Figure::Rate, Less, 0.01),
    ("http_req_failed", "rate<=0.05", Figure::Rate, LessOrEqual, 0.05),
    ("http_req_duration", "p(95)<200", Figure::Percentile(95.0), Less, 200.0),
    ("http_req_duration", "p(90) < 400", Figure::Percentile(90.0), Less, 400.0),
    ("http_req_duration", "p(99.9) < 2000", Figure::Percentile(99.9), Less, 2000.0),
    ("http_req_duration", "p(0)>=0", Figure::Percentile(0.0), GreaterOrEqual, 0.0),
    ("http_req_duration", "p(100)<2000", Figure::Percentile(100.0), Less, 2000.0),
    ("http_req_duration", "avg < 200", Figure::Average, Less, 200.0),
    ("http_req_duration", "min>1", Figure::Minimum, Greater, 1.0),
    ("http_req_duration", "med<400", Figure::Median, Less, 400.0),
    ("http_req_duration", "max<2000", Figure::Maximum, Less, 2000.0),
    ("http_req_duration", "max != 0.5", Figure::Maximum, Unequal, 0.5),
    ("http_req_duration{type:API}", "p(95)<500", Figure::Percentile(95.0), Less, 500.0),
    ("http_reqs", "count>=500", Figure::Count, GreaterOrEqual, 500.0),
    ("http_reqs", "count >= 500", Figure::Count, GreaterOrEqual, 500.0),
    ("http_reqs", "count==20", Figure::Count, Equal, 20.0),
    ("http_reqs", "count===20", Figure::Count, Equal, 20.0),
    ("http_reqs", "  count  <=  20  ", Figure::Count, LessOrEqual, 20.0),
    ("http_reqs", "rate>100", Figure::Rate, Greater, 100.0),
    ("data_received", "count<10000", Figure::Count, Less, 10_000.0),
    ("dropped_iterations", "count<1", Figure::Count, Less, 1.0),
];

#[test]
fn the_examples_of_k6_are_read_alike() {
    for (metric, expression, figure, operator, bound) in OF_K6 {
        // A tag of a script says nothing here: the name of the endpoint is the tag.
        let text = format!("{}:{expression}", metric.replace("{type:API}", "{name:/api}"));
        let read = parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.test, Test::Number { figure: *figure, operator: *operator, bound: *bound }, "{text}");
        assert_eq!(read.metric.word(), metric.split('{').next().unwrap_or_default());
    }
}

#[test]
fn what_k6_refuses_is_refused() {
    for expression in [
        "count!20",
        "foo>20",
        "count>abc",
        "p()<1",
        "p(99<1",
        "p(foo)<1",
        "p(-1)<1",
        "p(101)<1",
        "p(NaN)<1",
        "p(+Inf)<1",
        "",
        "count",
    ] {
        for metric in ["http_reqs", "http_req_duration"] {
            let text = format!("{metric}:{expression}");
            let refused = parse(&text).expect_err(&text);
            assert!(!refused.hint.is_empty() && !refused.why.contains('\n'), "{text}: {refused:?}");
        }
    }
}

#[test]
fn tags_narrow_and_may_be_quoted() {
    let only = |text: &str| parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).only;
    assert_eq!(only("http_req_duration{name:/io}:med<1").name.as_deref(), Some("/io"));
    assert_eq!(only("http_req_duration{name:/a?b={c}}:med<1").name.as_deref(), Some("/a?b={c}"));
    assert_eq!(only("http_req_duration{name:\"/a?b=1,2\",method:GET}:med<1").name.as_deref(), Some("/a?b=1,2"));
    assert_eq!(only("http_req_duration{expected_response:true}:med<1").answered, Some(Answered::Well));
    assert_eq!(only("http_reqs{status:503}:count==0").status, Some(503));
    for bad in [
        "http_req_duration{name:/io:med<1",
        "http_req_duration{name}:med<1",
        "http_req_duration{scenario:x}:med<1",
        "http_req_duration{status:503}:med<1",
        "http_reqs{status:5xx}:count<1",
        "http_req_failed{status:503}:rate<0.1",
        "ports_peak_share{name:/io}<0.7",
        "http_reqs{status:200,expected_response:true}:count>1",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn bounds_take_units() {
    let bound = |text: &str| match parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).test {
        Test::Number { bound, .. } => bound,
        other => panic!("{other:?}"),
    };
    assert_eq!(bound("http_req_duration:p(95)<250ms"), 250.0);
    assert_eq!(bound("http_req_duration:max<1.5s"), 1500.0);
    assert_eq!(bound("http_req_failed:rate<5%"), 0.05);
    assert_eq!(bound("http_reqs:count>10k"), 10_000.0);
    assert_eq!(bound("http_reqs:rate>100/s"), 100.0);
    assert_eq!(bound("ports_peak_share<70%"), 0.7);
    assert_eq!(bound("rate_ratio:value>0.99"), 0.99);
    for bad in [
        "http_req_failed:rate<5",
        "ports_peak_share<70",
        "http_req_duration:max<-1",
        "http_reqs:count<inf",
        "http_req_duration:max<5%",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn words_are_compared_with_words_that_exist() {
    let stamp = parse("validity==valid").map(|t| t.test);
    assert_eq!(stamp, Ok(Test::Stamp { operator: Equal, stamp: RunStamp::Valid }));
    let verdict = parse("verdict != port-bound").map(|t| t.test);
    assert_eq!(verdict, Ok(Test::Verdict { operator: Unequal, id: VerdictId::PortBound }));
    let stamps = STAMPS.split(", ").map(|word| format!("validity=={word}"));
    for text in stamps.chain(VerdictId::VARIANTS.iter().map(|word| format!("verdict=={word}"))) {
        assert!(parse(&text).is_ok(), "{text}");
    }
    for bad in ["validity==good", "validity<valid", "validity:count==valid", "validity", "verdict==fine"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_unknown_metric_is_told_which_there_are() {
    assert!(parse("http_req_durations:p(95)<1").expect_err("no metric").hint.contains("http_req_duration"));
    assert!(parse("checks:rate>0.9").expect_err("of k6").hint.contains("http_req_failed"));
    assert!(parse("").is_err() && parse("<1").is_err());
    // An example that is no threshold would help nobody.
    for name in Metric::VARIANTS {
        let example = example(name.parse().expect("a name"));
        let text = example.trim_start_matches("such as '").trim_end_matches('\'');
        assert_eq!(parse(text).map(|t| t.metric.word()), Ok(*name), "{text}");
    }
}
