//! A whole grading: which forms the program speaks, then check after check.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use jiff::civil::Date;

use crate::check::{Check, Extra, Judge};
use crate::checks::{CHECKS, one_connection};
use crate::dialect;
use crate::observed::Observed;
use crate::options::Options;
use crate::report::{CheckReport, Report};
use crate::seen::rounded;
use crate::setting::Setting;
use crate::template::Template;
use crate::verdict::{self, Decision, Trial, Verdict};
use crate::wire::{Codec, Dialect};

/// Why a grading cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCheck(pub String);

impl core::fmt::Display for UnknownCheck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "there is no check called {:?}", self.0)
    }
}

impl core::error::Error for UnknownCheck {}

/// What is reported while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// These checks are running now.
    Running(&'a [&'static str]),
    /// The forms are known, or another check is done.
    Done(&'a Report),
}

/// The checks that these options ask for, in order.
///
/// # Errors
///
/// [`UnknownCheck`] if one that is named does not exist.
pub fn selected(
    only: &[String],
    skip: &[String],
    extra: &[Extra],
) -> Result<Vec<&'static Check>, UnknownCheck> {
    let known = |id: &&String| !CHECKS.iter().any(|check| check.id == id.as_str());
    if let Some(unknown) = only.iter().chain(skip).find(known) {
        return Err(UnknownCheck(unknown.clone()));
    }
    let chosen = |check: &&Check| {
        let named = only.iter().any(|id| id == check.id);
        let by_default = only.is_empty() && check.extra.is_none();
        let as_extra = check.extra.is_some_and(|of| extra.contains(&of));
        (named || by_default || as_extra) && !skip.iter().any(|id| id == check.id)
    };
    Ok(CHECKS.iter().filter(chosen).collect())
}

/// Grades a program, and calls `progress` after each check.
///
/// # Errors
///
/// [`UnknownCheck`] if the options name one that does not exist; nothing has been started then.
pub fn grade(
    options: &Options,
    codec: &dyn Codec,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Report, UnknownCheck> {
    let checks = selected(&options.only, &options.skip, &options.extra)?;
    let session = Session::new(options, codec, checks);
    let mut report = Report::new(options);
    session.run(&mut report, &mut progress);
    report.finished = true;
    progress(Progress::Done(&report));
    Ok(report)
}

/// A grading that is going on.
struct Session<'a> {
    options: &'a Options,
    codec: &'a dyn Codec,
    checks: Vec<&'static Check>,
    began: Instant,
    never: AtomicBool,
    birthday: Date,
    dialect: Mutex<Dialect>,
    observed: Mutex<Observed>,
    reachable: AtomicBool,
}

/// Days to the birthday that programs are given: far from both ends of the range.
const DAYS: u32 = 200;

impl<'a> Session<'a> {
    fn new(options: &'a Options, codec: &'a dyn Codec, checks: Vec<&'static Check>) -> Self {
        let today = jiff::Zoned::now().date();
        Self {
            options,
            codec,
            checks,
            began: Instant::now(),
            never: AtomicBool::new(false),
            birthday: today.saturating_add(jiff::Span::new().days(i64::from(DAYS))),
            dialect: Mutex::new(options.dialect.first()),
            observed: Mutex::default(),
            reachable: AtomicBool::new(true),
        }
    }

    fn setting<'s>(&'s self, template: &'s Template, salt: &str) -> Setting<'s> {
        let salt = salt.bytes().fold(self.options.seed, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Setting {
            codec: self.codec,
            template,
            keeping: &self.options.keeping,
            folder: self.options.folder.as_deref(),
            dialect: *self.dialect.lock().unwrap_or_else(PoisonError::into_inner),
            su_id: 1_500_000 + u32::try_from(self.options.seed % 1_000_000).unwrap_or(0),
            days: DAYS,
            birthday: self.birthday,
            slack: self.options.slack,
            seed: salt,
            cancelled: &self.never,
            until: Instant::now() + self.options.limit,
        }
    }

    fn run(&self, report: &mut Report, progress: &mut impl FnMut(Progress<'_>)) {
        progress(Progress::Running(&["the forms it speaks"]));
        let found = dialect::detect(
            self.setting(&self.options.command, "forms"),
            self.options.dialect,
        );
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner) = found.dialect;
        report.dialect.clone_from(&found.how);
        report.forms = words(found.dialect);
        report.joined = found.joined;
        progress(Progress::Done(report));

        // Joining comes first: without it there is nothing to see in any other check.
        let (own, observing): (Vec<&Check>, Vec<&Check>) = self
            .checks
            .iter()
            .copied()
            .partition(|check| !matches!(check.judge, Judge::Observed(_)));
        let (first, rest): (Vec<&Check>, Vec<&Check>) = own
            .into_iter()
            .partition(|check| ["join", "port"].contains(&check.id));
        let mut jobs = self.options.jobs.max(1);
        for check in first {
            if check.id != "join" && !report.joined {
                report.add(self.report(check, never_joined()));
                continue;
            }
            progress(Progress::Running(&[check.id]));
            let decision = self.decide(
                check,
                if report.joined {
                    self.options.repeat
                } else {
                    1
                },
            );
            report.joined |= decision.joined;
            if check.id == "join" && decision.verdict == Verdict::Fail {
                self.reachable.store(false, Ordering::Relaxed);
            }
            if check.id == "port" && decision.verdict != Verdict::Pass {
                // Two copies of one that wants a port of its own are in each other's way.
                jobs = 1;
            }
            report.add(self.report(check, decision));
            progress(Progress::Done(report));
        }
        if report.joined {
            self.run_at_once(jobs, rest, report, progress);
            if !observing.is_empty() {
                self.watch();
            }
        } else {
            for check in rest {
                report.add(self.report(check, never_joined()));
            }
        }
        for check in observing {
            let decision = if report.joined {
                self.decide(check, 1)
            } else {
                never_joined()
            };
            report.add(self.report(check, decision));
            progress(Progress::Done(report));
        }
        report.seconds = rounded(self.began.elapsed().as_secs_f64());
    }

    /// Runs checks on several threads, and reports them in the order in which they end.
    fn run_at_once(
        &self,
        jobs: usize,
        mut checks: Vec<&'static Check>,
        report: &mut Report,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        if jobs > 1 {
            // The longest first, so that none is left to run alone at the end.
            checks.sort_by_key(|check| core::cmp::Reverse(check.seconds));
        }
        let next = AtomicUsize::new(0);
        let (to, from) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(checks.len()) {
                let (to, next, checks) = (to.clone(), &next, &checks);
                scope.spawn(move || {
                    while let Some(check) = checks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // Nobody listens only if the grading itself was given up.
                        let _ = to.send((*check, None));
                        let _ = to.send((*check, Some(self.decide(check, self.options.repeat))));
                    }
                });
            }
            drop(to);
            let mut running: Vec<&'static str> = Vec::new();
            for (check, decision) in from {
                let Some(decision) = decision else {
                    running.push(check.id);
                    progress(Progress::Running(&running));
                    continue;
                };
                running.retain(|id| *id != check.id);
                report.add(self.report(check, decision));
                report.forms = words(*self.dialect.lock().unwrap_or_else(PoisonError::into_inner));
                report.seconds = rounded(self.began.elapsed().as_secs_f64());
                progress(Progress::Done(report));
            }
        });
    }

    fn decide(&self, check: &Check, repeat: u32) -> Decision {
        let feigns = check.extra == Some(Extra::Feign);
        let with = |template: &Template, words: &[String]| match feigns {
            true => template.with(words),
            false => template.clone(),
        };
        let command = with(&self.options.command, &self.options.feign_words);
        let control = self.options.control.as_ref();
        let control = control.map(|control| with(control, &self.options.control_feign_words));
        let trial = Trial {
            setting: self.setting(&command, check.id),
            control: control.as_ref(),
            repeat,
            reachable: self.reachable.load(Ordering::Relaxed),
            keep: self.options.keep.as_deref(),
        };
        // What is observed in one check is added under a lock of its own: others run meanwhile.
        let mut observed = match check.judge {
            Judge::Observed(_) => self
                .observed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            _ => Observed::default(),
        };
        let decision = verdict::decide(check, trial, &mut observed);
        if !matches!(check.judge, Judge::Observed(_)) {
            let mut all = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
            all.merge(observed);
        }
        if let Some(ok) = decision.understands {
            self.dialect
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ok = ok;
        }
        decision
    }

    /// Watches the program for what no check waits for: connections that stay open, words.
    fn watch(&self) {
        let mut observed = Observed::default();
        let setting = self.setting(&self.options.command, "watch");
        verdict::observe(one_connection::watch, setting, &mut observed);
        let mut all = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        all.merge(observed);
    }

    fn report(&self, check: &Check, decision: Decision) -> CheckReport {
        let rubric = &self.options.rubric;
        let max = rubric.points(check);
        let seconds: f64 = decision.runs.iter().map(|run| run.seconds).sum();
        CheckReport {
            id: check.id,
            title: check.title,
            row: rubric.row(check).to_owned(),
            points: decision.verdict.share() * max,
            max,
            extra: check.extra.is_some(),
            verdict: decision.verdict,
            sentence: rubric.sentence(check).to_owned(),
            visibility: rubric.visibility(check),
            seconds: rounded(seconds),
            expected: decision.expected,
            seen: decision.seen,
            notes: decision.notes,
            runs: decision.runs,
            evidence: decision.evidence,
            output: decision.output,
            repeat: self.repeat_command(check),
        }
    }

    fn repeat_command(&self, check: &Check) -> String {
        let mut text = format!("{} --only {}", self.options.repeat_command, check.id);
        text.push_str(&format!(" --seed {}", self.options.seed));
        if check.extra == Some(Extra::Feign) && !self.options.feign_words.is_empty() {
            let words = self.options.feign_words.join(" ");
            text.push_str(&format!(" --feign-with '{words}'"));
        }
        format!("{text} -- {}", self.options.command)
    }
}

fn words(dialect: Dialect) -> BTreeMap<&'static str, &'static str> {
    verdict::dialect_words(dialect).into_iter().collect()
}

fn never_joined() -> Decision {
    Decision {
        verdict: Verdict::Fail,
        expected: "a program that has joined".to_owned(),
        seen: "it never joined, so this was not run".to_owned(),
        notes: Vec::new(),
        evidence: Vec::new(),
        output: String::new(),
        runs: Vec::new(),
        joined: false,
        understands: None,
    }
}
