//! Which order of arguments a program takes: the common ones are tried, one JOIN each.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use bully::Pid;

use crate::options::Options;
use crate::peer::is_accepted;
use crate::seen::Seen;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::template::{ORDERS, Template};
use crate::wire::Codec;

/// What came of one order.
#[derive(Clone, Debug, PartialEq)]
pub struct Detected {
    /// The whole command.
    pub command: Template,
    /// It joined with the process id that it was given.
    pub fits: bool,
    /// What happened, in words.
    pub what: String,
}

/// How long a program may take to join, in seconds.
const JOINS_WITHIN: f64 = 5.0;

/// Tries the common orders of arguments after the command of `options`, and returns what came of
/// each, in the order of `ORDERS`.
pub fn detect(options: &Options, codec: &dyn Codec) -> Vec<Detected> {
    let cancelled = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Detected>>> = ORDERS.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some((order, result)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    ORDERS.get(at).zip(results.get(at))
                } {
                    let words: Vec<String> = order.split(' ').map(str::to_owned).collect();
                    let command = options.command.with(&words);
                    let tried = attempt(options, &command, codec, &cancelled);
                    if let Ok(mut result) = result.lock() {
                        *result = Some(tried);
                    }
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(|result| result.into_inner().ok().flatten())
        .collect()
}

/// As whom the program joins, though the coordinator may refuse that.
fn joining(stage: &Stage<'_>) -> Option<Pid> {
    let mut messages = stage.seen.iter().filter_map(Seen::message);
    messages.find_map(|message| message.joining.as_ref().map(|entry| entry.pid))
}

fn attempt(
    options: &Options,
    command: &Template,
    codec: &dyn Codec,
    cancelled: &AtomicBool,
) -> Detected {
    const DAYS: u32 = 200;
    let today = jiff::Zoned::now().date();
    let setting = Setting {
        codec,
        template: command,
        keeping: &options.keeping,
        folder: options.folder.as_deref(),
        dialect: options.dialect.first(),
        su_id: 1_500_000 + u32::try_from(options.seed % 1_000_000).unwrap_or(0),
        days: DAYS,
        birthday: today.saturating_add(jiff::Span::new().days(i64::from(DAYS))),
        slack: options.slack,
        seed: options.seed,
        cancelled,
        until: Instant::now() + options.limit,
    };
    let detected = |fits, what: String| Detected {
        command: command.clone(),
        fits,
        what,
    };
    let mut stage = match Stage::new(setting) {
        Ok(stage) => stage,
        Err(error) => return detected(false, error.to_string()),
    };
    let outcome = stage
        .start(0)
        .and_then(|()| stage.wait(JOINS_WITHIN, |stage| joining(stage).is_some()));
    if let Some(pid) = joining(&stage) {
        let right_id = pid.id == setting.su_id;
        let right_days = !command.passes_date() || pid.days.abs_diff(DAYS) <= 1;
        let as_whom = format!("joins as ({}, {})", pid.days, pid.id);
        return match right_id && right_days && is_accepted(pid) {
            true => detected(true, as_whom),
            false => detected(
                false,
                format!("{as_whom}, not ({DAYS}, {}) as given", setting.su_id),
            ),
        };
    }
    let odd = stage
        .seen
        .iter()
        .find(|seen| seen.hex().is_some())
        .map(Seen::text);
    let what = match (odd, outcome) {
        (Some(text), _) => format!("sends {text}"),
        (None, Err(crate::fault::Stop::Ended(how))) => format!("ends {how}"),
        (None, _) => "does not join".to_owned(),
    };
    detected(false, what)
}
