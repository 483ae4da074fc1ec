//! From runs to a verdict: never a fail because the machine was busy.
//!
//! The same check is run with a node that is known to be right, at the same time and with the same
//! timers. Only where that one passes and no timer of the grader was late does a fault count; and
//! unless it is wrong whenever it happens, it takes more than half of the runs.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::path::Path;

use serde::Serialize;

use crate::check::{Check, Judge};
use crate::dialect::ok_text;
use crate::fault::Stop;
use crate::keep;
use crate::observed::Observed;
use crate::program::Program;
use crate::seen::{Line, rounded, timeline};
use crate::setting::Setting;
use crate::stage::Stage;
use crate::template::Template;
use crate::wire::{Dialect, OkForm};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All points.
    Pass,
    /// Half of them: something is missing, or it fails sometimes.
    Part,
    /// None.
    Fail,
    /// It could not be decided, through no fault that was seen.
    Unclear,
}

impl Verdict {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Part => "part",
            Self::Fail => "fail",
            Self::Unclear => "unclear",
        }
    }

    /// The share of the points.
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Pass => 1.0,
            Self::Part => 0.5,
            Self::Fail | Self::Unclear => 0.0,
        }
    }
}

/// One run of a check, as it stands in reports.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// `pass`, `part`, `fail`, or `disturbed`, which does not count.
    pub outcome: &'static str,
    /// Why, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// How late the grader's own timers were at most, in milliseconds.
    pub lag_ms: u64,
    /// What the same check said of our own node: `pass`, `fail`, or `none` if it was not needed.
    pub control: &'static str,
}

/// What a check came to, and why.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) expected: String,
    pub(crate) seen: String,
    pub(crate) notes: Vec<String>,
    pub(crate) evidence: Vec<Line>,
    /// The last lines the program wrote in the run that decided.
    pub(crate) output: String,
    pub(crate) runs: Vec<Run>,
    /// The program joined in at least one run.
    pub(crate) joined: bool,
    /// It takes this form of OK, and not the one it sends.
    pub(crate) understands: Option<OkForm>,
}

/// What is needed to run a check besides the [`Setting`].
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    pub(crate) setting: Setting<'a>,
    /// The command of our own node; `None`: without a control.
    pub(crate) control: Option<&'a Template>,
    /// How many runs there are at most, disturbed ones not counted.
    pub(crate) repeat: u32,
    /// Somebody was reached at the address the program sent in JOIN.
    pub(crate) reachable: bool,
    /// Where to leave what happened; `None`: nowhere.
    pub(crate) keep: Option<&'a Path>,
}

/// A timer later than this may have decided a run.
const LAG_MAX: Duration = Duration::from_millis(100);

/// How many runs may be disturbed until the check is given up as unclear.
const DISTURBED_MAX: u32 = 5;

/// One run's outcome.
struct Outcome {
    stop: Option<Stop>,
    notes: Vec<String>,
    partly: Vec<String>,
    evidence: Vec<Line>,
    output: String,
    joined: bool,
    lag: Duration,
    seconds: f64,
}

/// Runs a check until its verdict is known.
pub(crate) fn decide(check: &Check, trial: Trial<'_>, observed: &mut Observed) -> Decision {
    let (run, in_each_form) = match check.judge {
        Judge::Run(run) => (run, false),
        Judge::RunInEachForm(run) => (run, true),
        Judge::Observed(judge) => return by_observation(judge(observed)),
    };
    let mut forms = vec![trial.setting.dialect.ok];
    if in_each_form {
        forms.extend([OkForm::Members, OkForm::Text, OkForm::Pair]);
        let own = forms[0];
        let mut at = 0;
        forms.retain(|form| {
            at += 1;
            at == 1 || *form != own
        });
        forms.truncate(trial.repeat as usize);
    }
    let mut counts = Counts::default();
    let mut runs = Vec::new();
    let mut failed: Option<Outcome> = None;
    let mut passed: Option<(Outcome, OkForm)> = None;
    let mut joined = false;
    let mut system = None;
    let verdict = loop {
        let form = forms[(counts.failed as usize).min(forms.len() - 1)];
        let mut setting = trial.setting;
        setting.dialect.ok = form;
        setting.seed = setting
            .seed
            .wrapping_add(runs.len() as u64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let number = runs.len() + 1;
        let (outcome, control) = with_control(check, run, setting, trial, observed, number);
        joined |= outcome.joined;
        let away_for_good = matches!(outcome.stop, Some(Stop::Away)) && !trial.reachable;
        let (word, counted) = match &outcome.stop {
            None if outcome.partly.is_empty() => ("pass", Counted::Passed),
            None => ("part", Counted::Passed),
            Some(Stop::Cancelled) => break Verdict::Unclear,
            Some(Stop::System(why)) => {
                system = Some(why.clone());
                ("disturbed", Counted::Disturbed)
            }
            Some(Stop::Undecided(_)) => ("disturbed", Counted::Undecided),
            Some(Stop::Away) if !away_for_good => ("disturbed", Counted::Disturbed),
            Some(_) if outcome.lag > LAG_MAX || control == "fail" => {
                ("disturbed", Counted::Disturbed)
            }
            Some(Stop::Fault(fault)) if fault.at_once && !in_each_form => {
                ("fail", Counted::FailedAtOnce)
            }
            Some(_) => ("fail", Counted::Failed),
        };
        runs.push(Run {
            outcome: word,
            why: outcome.why(),
            seconds: rounded(outcome.seconds),
            lag_ms: u64::try_from(outcome.lag.as_millis()).unwrap_or(u64::MAX),
            control,
        });
        match counted {
            Counted::Passed => {
                counts.passed += 1;
                // The better of two that passed is not looked for: the first says what it can do.
                passed.get_or_insert((outcome, form));
            }
            Counted::Failed => {
                counts.failed += 1;
                failed.get_or_insert(outcome);
            }
            Counted::FailedAtOnce => {
                failed = Some(outcome);
                break Verdict::Fail;
            }
            Counted::Undecided => {
                counts.undecided += 1;
                failed.get_or_insert(outcome);
            }
            Counted::Disturbed => {
                counts.disturbed += 1;
                if counts.failed == 0 {
                    failed = Some(outcome);
                }
            }
        }
        if let Some(verdict) = counts.verdict(trial.repeat, in_each_form) {
            break verdict;
        }
    };
    let understands = passed
        .as_ref()
        .map(|(_, form)| *form)
        .filter(|form| in_each_form && *form != trial.setting.dialect.ok);
    let decisive = match verdict {
        Verdict::Pass => passed.map(|(outcome, _)| outcome),
        _ => failed.or(passed.map(|(outcome, _)| outcome)),
    };
    let mut decision = Decision {
        verdict,
        expected: check.title.to_owned(),
        seen: "there was no time for it".to_owned(),
        notes: Vec::new(),
        evidence: Vec::new(),
        output: String::new(),
        runs,
        joined,
        understands,
    };
    if let Some(outcome) = decisive {
        outcome.fill(&mut decision);
    }
    if decision.verdict == Verdict::Part && counts.failed > 0 {
        decision.notes.push(format!(
            "sometimes: {} of {} runs fail",
            counts.failed,
            counts.failed + counts.passed
        ));
    }
    if verdict == Verdict::Unclear && counts.disturbed > 0 {
        decision.notes.push(format!(
            "{} runs were disturbed and do not count",
            counts.disturbed
        ));
    }
    if let Some(form) = understands {
        decision.notes.push(format!(
            "it understands {}, and not the OK it sends itself",
            ok_text(form)
        ));
    }
    if let Some(why) = system {
        decision
            .notes
            .push(format!("the system got in the way: {why}"));
    }
    decision
}

enum Counted {
    Passed,
    Failed,
    FailedAtOnce,
    Undecided,
    Disturbed,
}

#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    undecided: u32,
    disturbed: u32,
}

impl Counts {
    /// The verdict, once it is known.
    fn verdict(&self, repeat: u32, in_each_form: bool) -> Option<Verdict> {
        let most = repeat / 2 + 1;
        if in_each_form && self.passed > 0 {
            return Some(Verdict::Pass);
        }
        if in_each_form && self.failed >= repeat.min(3) {
            return Some(Verdict::Fail);
        }
        if !in_each_form && self.failed >= most {
            return Some(Verdict::Fail);
        }
        if self.passed > 0 && self.failed == 0 {
            return Some(Verdict::Pass);
        }
        if self.passed >= most {
            return Some(Verdict::Part);
        }
        if self.undecided >= most || self.disturbed >= DISTURBED_MAX {
            return Some(Verdict::Unclear);
        }
        None
    }
}

impl Outcome {
    fn why(&self) -> Option<String> {
        match &self.stop {
            None if self.partly.is_empty() => None,
            None => Some(self.partly.join("; ")),
            Some(stop) => Some(words(stop).1),
        }
    }

    fn fill(self, decision: &mut Decision) {
        match &self.stop {
            None => {
                decision.seen = "that".to_owned();
                if !self.partly.is_empty() {
                    decision.seen = self.partly.join("; ");
                    if decision.verdict == Verdict::Pass {
                        decision.verdict = Verdict::Part;
                    }
                }
            }
            Some(stop) => (decision.expected, decision.seen) = words(stop),
        }
        decision.notes.extend(self.notes);
        decision.evidence = self.evidence;
        decision.output = self.output;
    }
}

/// What was expected and what was seen instead.
fn words(stop: &Stop) -> (String, String) {
    match stop {
        Stop::Fault(fault) => (fault.expected.clone(), fault.seen.clone()),
        Stop::Ended(how) => (
            "a program that stays in the group".to_owned(),
            format!("it ended {how}"),
        ),
        Stop::Away => (
            "connections accepted at the address it sent in JOIN".to_owned(),
            "it runs and refuses connections; if it pretends to fail, switch that off here"
                .to_owned(),
        ),
        Stop::Undecided(why) => ("a case that shows it".to_owned(), why.clone()),
        Stop::Cancelled => ("an end in time".to_owned(), "no time was left".to_owned()),
        Stop::System(why) => ("a system that plays along".to_owned(), why.clone()),
    }
}

fn by_observation(judgement: crate::check::Judgement) -> Decision {
    let verdict = match judgement.share {
        Some(share) if share >= 1.0 => Verdict::Pass,
        Some(share) if share > 0.0 => Verdict::Part,
        Some(_) => Verdict::Fail,
        None => Verdict::Unclear,
    };
    Decision {
        verdict,
        expected: judgement.expected,
        seen: judgement.seen,
        notes: Vec::new(),
        evidence: Vec::new(),
        output: String::new(),
        runs: Vec::new(),
        joined: true,
        understands: None,
    }
}

/// Runs something for what is to be observed in it; what came of it is of no interest.
pub(crate) fn observe(run: RunCheck, setting: Setting<'_>, observed: &mut Observed) {
    once(run, setting, Some(observed), None);
}

type RunCheck = fn(&mut Stage<'_>) -> Result<(), Stop>;

/// One run of the graded program, and of our own node beside it.
fn with_control(
    check: &Check,
    run: RunCheck,
    setting: Setting<'_>,
    trial: Trial<'_>,
    observed: &mut Observed,
    number: usize,
) -> (Outcome, &'static str) {
    let needless = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let control = trial.control.map(|template| {
            let setting = Setting {
                template,
                folder: None,
                cancelled: &needless,
                ..setting
            };
            scope.spawn(move || once(run, setting, None, None))
        });
        let keep = trial.keep.map(|folder| (folder, check.id, number));
        let outcome = once(run, setting, Some(observed), keep);
        let is_fault = matches!(
            outcome.stop,
            Some(Stop::Fault(_) | Stop::Ended(_) | Stop::Away)
        );
        if !is_fault {
            needless.store(true, Ordering::Relaxed);
        }
        let control = control.and_then(|control| control.join().ok());
        let word = match control.map(|control| (control.stop, control.lag)) {
            Some((None, _)) => "pass",
            Some((Some(Stop::Cancelled), _)) | None => "none",
            Some((Some(_), _)) => "fail",
        };
        (outcome, word)
    })
}

fn once(
    run: RunCheck,
    setting: Setting<'_>,
    observed: Option<&mut Observed>,
    keep: Option<(&Path, &str, usize)>,
) -> Outcome {
    let mut outcome = Outcome {
        stop: None,
        notes: Vec::new(),
        partly: Vec::new(),
        evidence: Vec::new(),
        output: String::new(),
        joined: false,
        lag: Duration::ZERO,
        seconds: 0.0,
    };
    let mut stage = match Stage::new(setting) {
        Ok(stage) => stage,
        Err(error) => {
            outcome.stop = Some(error.into());
            return outcome;
        }
    };
    outcome.stop = run(&mut stage).err();
    let end = stage.now();
    outcome.seconds = end.as_secs_f64();
    // First the program, so that it does not see its peers go.
    for program in &mut stage.programs {
        program.end();
    }
    if let Some(observed) = observed {
        observed.add(&stage, end);
    }
    let offending = match &outcome.stop {
        Some(Stop::Fault(fault)) => fault.offending,
        _ => None,
    };
    let written: u64 = stage.programs.iter().map(Program::written).sum();
    let kept = setting.keeping.output_max as u64;
    if written > 2 * kept {
        stage.note(format!(
            "it wrote {} kB, of which {} kB of each output are kept",
            written >> 10,
            kept >> 10
        ));
    }
    outcome.evidence = timeline(&stage.seen, offending, |party| stage.name(party));
    outcome.output = last_words(&stage);
    outcome.joined = !stage.joined.is_empty();
    outcome.lag = stage.lag;
    if let Some((folder, id, number)) = keep
        && let Err(error) = keep::run(folder, id, number, &stage)
    {
        stage.note(format!("not kept: {error}"));
    }
    outcome.notes = core::mem::take(&mut stage.notes);
    outcome.partly = core::mem::take(&mut stage.partly);
    outcome
}

/// The last lines that the program wrote, for people.
fn last_words(stage: &Stage<'_>) -> String {
    const LINES: usize = 6;
    const BYTES: usize = 1_000;
    let outputs = stage.programs.first().map(|program| program.outputs());
    let [out, err] = outputs.unwrap_or_default();
    let text = if err.trim().is_empty() { out } else { err };
    let mut lines: Vec<&str> = text.lines().rev().take(LINES).collect();
    lines.reverse();
    let text: String = lines
        .join("\n")
        .chars()
        .filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control())
        .collect();
    let from = text.len().saturating_sub(BYTES);
    let from = (from..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(from);
    text[from..].to_owned()
}

/// The forms, for reports.
pub(crate) fn dialect_words(dialect: Dialect) -> [(&'static str, &'static str); 2] {
    let keyed = match dialect.keyed {
        crate::wire::Keyed::Pid => "pid",
        crate::wire::Keyed::Address => "address",
    };
    let ok = match dialect.ok {
        OkForm::Text => "text",
        OkForm::Pair => "pair",
        OkForm::Members => "members",
    };
    [("keyed_by", keyed), ("ok", ok)]
}
