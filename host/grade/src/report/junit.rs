//! JUnit's XML, for systems that build and test.

use core::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::content::{Report, details};
use crate::verdict::Verdict;

pub(super) fn render(report: &Report) -> String {
    let mut suite = TestSuite::new("bully grade");
    for check in &report.checks {
        let kind = match check.verdict {
            Verdict::Pass => None,
            Verdict::Part | Verdict::Fail => Some(NonSuccessKind::Failure),
            // Not the program's fault, as far as is known.
            Verdict::Unclear => Some(NonSuccessKind::Error),
        };
        let status = match kind {
            None => TestCaseStatus::success(),
            Some(kind) => {
                let mut status = TestCaseStatus::non_success(kind);
                status.set_type(check.verdict.name());
                status.set_message(format!(
                    "expected: {}; seen: {}",
                    check.expected, check.seen
                ));
                status.set_description(details(check));
                status
            }
        };
        let mut case = TestCase::new(check.id, status);
        case.set_classname(check.row.clone());
        case.set_time(Duration::from_secs_f64(check.seconds.max(0.0)));
        suite.add_test_case(case);
    }
    let mut junit = quick_junit::Report::new("bully grade");
    junit.set_time(Duration::from_secs_f64(report.seconds.max(0.0)));
    junit.add_test_suite(suite);
    match junit.to_string() {
        // Jenkins's schema has this count in suites only, and it is always 0.
        Ok(text) => text.replacen(" skipped=\"0\"", "", 1),
        // Writing into memory does not fail; if it did, its reason is better than nothing.
        Err(error) => error.to_string(),
    }
}
