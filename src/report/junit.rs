//! Thresholds as JUnit XML: a suite for each run, a case for each threshold. Escaping is the crate's.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::gates_text::{JudgedRun, actual};

/// The document. Errors: it cannot be written.
pub fn render(runs: &[JudgedRun]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("sockbench");
    for run in runs {
        let name = run.step.as_deref().unwrap_or("load");
        let mut suite = TestSuite::new(name);
        suite.set_time(Duration::try_from_secs_f64(run.duration_s).unwrap_or_default());
        suite.set_system_out(&run.verdict);
        for judged in &run.thresholds {
            let mut status = TestCaseStatus::success();
            let was = format!("{} in this run", actual(&judged.actual));
            if !judged.passed {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type("threshold").set_message(&was);
            }
            let mut case = TestCase::new(&judged.text, status);
            case.set_classname(format!("sockbench.{name}")).set_time(Duration::ZERO).set_system_out(was);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}
