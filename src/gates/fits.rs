//! Whether a run of a plan can have what a threshold asks for, before it is run.

use super::parse::BadThreshold;
use super::threshold::{Metric, Threshold};
use crate::model::plan::LoadPlan;

/// Errors: a run of `plan` has no such endpoint or figure, so that the threshold could only fail.
pub fn check(threshold: &Threshold, plan: &LoadPlan) -> Result<(), BadThreshold> {
    let bad = |why: String, hint: &str| Err(BadThreshold { why: format!("{}: {why}", threshold.text), hint: hint.to_owned() });
    if let Some(name) = &threshold.only.name
        && !plan.mix.iter().any(|entry| entry.path == *name)
    {
        let paths: Vec<&str> = plan.mix.iter().take(10).map(|entry| entry.path.as_str()).collect();
        return bad(format!("no endpoint {name} in this run"), &format!("it has {}", paths.join(", ")));
    }
    if let Some(method) = threshold.only.method.as_ref().filter(|m| **m != plan.method) {
        return bad(format!("no requests with {method} in this run"), &format!("it has {}", plan.method));
    }
    match threshold.metric {
        Metric::RateRatio | Metric::ScheduleLag | Metric::NeverStarted if !plan.is_open_loop() => {
            bad("a run without --rate asks for no rate and has no schedule".into(), "--rate N, or without this threshold")
        }
        Metric::PortsPeakShare | Metric::ClientBusiestThread if !plan.observe => {
            bad("a run with --no-observe does not measure it".into(), "without --no-observe")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn what_a_run_cannot_have_is_found_before_it() {
        let closed = crate::stats::fixture::plan();
        let open = LoadPlan { rate: 10.0, ..closed.clone() };
        let blind = LoadPlan { observe: false, ..closed.clone() };
        let fits = |text: &str, plan: &LoadPlan| check(&parse(text).expect(text), plan).is_ok();
        for text in ["rate_ratio>0.99", "schedule_lag:max<5ms", "dropped_iterations:count==0"] {
            assert!(fits(text, &open) && !fits(text, &closed), "{text}");
        }
        for text in ["ports_peak_share<0.7", "client_busiest_thread<0.9"] {
            assert!(fits(text, &closed) && !fits(text, &LoadPlan { observe: false, ..blind.clone() }), "{text}");
        }
        assert!(fits("http_req_duration{name:/io,method:GET}:med<1", &closed));
        assert!(!fits("http_req_duration{name:/nowhere}:med<1", &closed));
        assert!(!fits("http_reqs{method:POST}:count>1", &closed));
    }
}
