//! What a check is.

use crate::fault::Stop;
use crate::observed::Observed;
use crate::stage::Stage;

/// One thing that is checked, with the sentence of the assignment it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// How it is called on the command line and in reports.
    pub id: &'static str,
    /// What a program that passes does.
    pub title: &'static str,
    /// The row of the assignment's rubric it belongs to.
    pub row: &'static str,
    /// Points for passing; a part is half of them.
    pub points: f64,
    /// The extra credit it belongs to, and is left out without.
    pub extra: Option<Extra>,
    /// The sentence of the assignment.
    pub sentence: &'static str,
    /// About how long it takes for a program that passes, in seconds.
    pub seconds: u32,
    pub(crate) judge: Judge,
}

/// The assignment's extra credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// PROBE messages.
    Probe,
    /// Feigned failure.
    Feign,
}

/// How a check comes to its verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judge {
    /// By a run of its own.
    Run(fn(&mut Stage<'_>) -> Result<(), Stop>),
    /// The same; every form of OK is tried before it counts as a fault.
    RunInEachForm(fn(&mut Stage<'_>) -> Result<(), Stop>),
    /// By what was observed in all runs of the others.
    Observed(fn(&Observed) -> Judgement),
}

/// The verdict of a check without a run of its own.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    /// 1 all points, 0.5 a part, 0 none; `None`: undecided.
    pub(crate) share: Option<f64>,
    pub(crate) expected: String,
    pub(crate) seen: String,
}
