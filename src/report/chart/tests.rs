//! Charts of fixture runs: what is drawn, and that nothing is drawn badly.

use proptest::prelude::*;

use super::*;
use crate::report::fixture;
use crate::stats::interval::Interval;

/// Those of a whole run.
fn times_of(seconds: &[Interval]) -> EndpointTimes {
    let mut times = EndpointTimes::default();
    for second in seconds {
        times.push(second);
    }
    times
}

#[test]
fn charts_of_a_study_mark_their_steps_and_leave_gaps() {
    let (a, b) = (fixture::healthy(), fixture::broken());
    let times = [times_of(&a.seconds), times_of(&b.seconds)];
    let step = |label, run, times| Step { label, run, times };
    let charts = study_charts(&[step("10 users", &a.run, &times[0]), step("50 users", &b.run, &times[1])]);
    assert_eq!(charts.each_ref().map(|c| c.0), ["rps", "response-times", "users", "cpu"]);
    for (_, chart) in &charts {
        let svg = chart.to_svg();
        assert!(svg.contains(">10 users<") && svg.contains(">50 users<") && svg.ends_with("</svg>\n"), "{svg}");
    }
    let gap = charts[0].1.series[0].points.iter().find(|p| p.1.is_none());
    assert_eq!(gap.map(|p| p.0), Some(20.0), "no line runs from one step into the next");
}

#[test]
fn response_times_are_drawn_for_each_endpoint_and_not_for_the_mix() {
    let f = fixture::healthy();
    let charts = run_charts(&f.run, &times_of(&f.seconds));
    let chart = &charts[1].1;
    let named: Vec<&str> = chart.series.iter().map(|s| s.name.as_str()).filter(|n| !n.is_empty()).collect();
    assert_eq!(named, ["/io", "/cpu", "/health"], "the slowest first");
    let at = |i: usize| chart.series[i].points.iter().find_map(|p| p.1).unwrap_or_default();
    // /io takes 200 to 206 ms, p50 before p95; /cpu 31 to 36 ms.
    assert!((200.0..=at(1)).contains(&at(0)) && (30.0..40.0).contains(&at(2)), "{} {} {}", at(0), at(1), at(2));
    assert_eq!(chart.to_svg().matches(">/io<").count(), 1, "p95 has the colour of its p50 and no legend of its own");
}

#[test]
fn a_title_cannot_break_the_document() {
    let mut chart = Chart::over_time("<a> & \"b\"", Axis::linear("x"));
    chart.series.push(Series::line("1 < 2", Color::Blue, vec![(0.0, Some(1.0))]));
    let svg = chart.to_svg();
    assert!(svg.contains("&lt;a&gt; &amp; &quot;b&quot;") && svg.contains("1 &lt; 2"));
}

#[test]
fn seconds_in_which_ports_were_not_counted_are_joined_by_a_dashed_line_and_named() {
    let mut run = fixture::broken().run;
    let whole = ports_chart(&run).to_svg();
    assert!(!whole.contains("stroke-dasharray=\"2 4\"") && !whole.contains("dashed where"));
    run.series[5].ports_used = None;
    let gap = ports_chart(&run).to_svg();
    assert!(gap.contains("stroke-dasharray=\"2 4\"") && gap.contains("ports used, dashed where not counted"), "{gap}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_chart_panics_or_draws_nonsense(
        values in prop::collection::vec((any::<f64>(), prop::option::of(any::<f64>())), 0..20),
        log in any::<bool>(),
    ) {
        let axis = if log { Axis::log("y") } else { Axis::linear("y") };
        let mut chart = Chart::over_time("t", axis);
        chart.series.push(Series::line("s", Color::Blue, values));
        let svg = chart.to_svg();
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
    }
}
