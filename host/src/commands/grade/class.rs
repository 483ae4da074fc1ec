//! `bully grade --class`: everybody in a folder, several at once, resumable.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use bully_grade::report::{Form, ReportFile};
use bully_grade::{CHECKS, Class, Earlier, Entrant, Pickle, Progress, Report};
use serde_json::Value;

use super::args::{Args, unknown};
use crate::commands::output::Output;
use crate::commands::{Failure, remark};

/// The result of a program, kept here: in the meantime other programs can write to its files.
enum Outcome {
    /// Of a run before this one.
    Earlier(Earlier),
    /// Of this run, with its two files.
    Graded(Box<Report>, [ReportFile; 2]),
    /// It could not be graded, or not be written.
    Failed(Failure),
}

/// Grades whoever has no finished result yet, and prints the table of all.
pub(super) fn run(args: &Args, folder: &Path) -> Result<ExitCode, Failure> {
    let class = Class::read(folder).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "class.toml has a table [programs] with a command for each name: \
             alice = \"python3 lab2.py {gcd_host} {gcd_port} {su_id} {birthday}\"",
        )
    })?;
    if !args.reports.is_empty() {
        return Err(Failure::usage(
            "the reports of a class have their places",
            "leave out --report: DIR/results has NAME.json and NAME.txt for each program",
        ));
    }
    std::fs::create_dir_all(class.results()).map_err(|error| cannot(&class.results(), &error))?;
    let options = match class.entrants.first() {
        Some(first) => args.options(first.command.clone())?,
        None => {
            return Err(Failure::usage(
                "there is no program in this class",
                "add one to [programs] in class.toml",
            ));
        }
    };
    // Who is still to be graded is known before the first program starts, which could write a result.
    let outcomes: Vec<Mutex<Option<Outcome>>> = class
        .entrants
        .iter()
        .map(|entrant| Mutex::new(class.finished(entrant).map(Outcome::Earlier)))
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(class.entrants.len()) {
            scope.spawn(|| {
                while let Some((entrant, outcome)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    class.entrants.get(at).zip(outcomes.get(at))
                } {
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    if outcome.is_some() {
                        continue;
                    }
                    let mut own = options.clone();
                    own.command = entrant.command.clone();
                    own.folder = Some(entrant.folder.clone());
                    own.jobs = 1;
                    *outcome = Some(grade(&class, entrant, &own).unwrap_or_else(Outcome::Failed));
                }
            });
        }
    });
    let outcomes = outcomes.into_iter().map(|outcome| {
        let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.unwrap_or_else(|| Outcome::Failed(Failure::new("it was not graded", "start again")))
    });
    finish(&class, outcomes.collect())
}

fn grade(
    class: &Class,
    entrant: &Entrant,
    options: &bully_grade::Options,
) -> Result<Outcome, Failure> {
    let json = class.report(entrant);
    let text = json.with_extension("txt");
    let claim =
        |form, path: &Path| ReportFile::create(form, path).map_err(|error| cannot(path, &error));
    let mut files = [claim(Form::Json, &json)?, claim(Form::Text, &text)?];
    let report = bully_grade::grade(options, &Pickle, |progress| {
        if let Progress::Done(report) = progress {
            // What cannot be written now is tried once more at the end, and is reported then.
            for file in &mut files {
                let _ = file.write(report);
            }
        }
    });
    let report = report.map_err(|error| unknown(&error))?;
    if std::io::stderr().is_terminal() {
        let line = bully_grade::report::summary_line(&report);
        remark(&format!("{}: {line}\n", entrant.name));
    }
    Ok(Outcome::Graded(Box::new(report), files))
}

/// Puts right what programs have written over each other's results, now that none runs any more,
/// and prints the table.
fn finish(class: &Class, outcomes: Vec<Outcome>) -> Result<ExitCode, Failure> {
    let mut failed = None;
    let mut rows = Vec::new();
    for (entrant, outcome) in class.entrants.iter().zip(outcomes) {
        let path = class.report(entrant);
        let mut restored = Vec::new();
        let result = match outcome {
            Outcome::Failed(failure) => Err(failure),
            Outcome::Earlier(earlier) => match earlier.restore() {
                Ok(files) => {
                    restored = files;
                    Ok(earlier.report)
                }
                Err(error) => Err(cannot(&path, &error)),
            },
            Outcome::Graded(report, mut files) => {
                let mut result = serde_json::to_value(&report)
                    .map_err(|error| Failure::new(error.to_string(), "grade this program alone"));
                for file in &mut files {
                    match file.restore(&report) {
                        Ok(true) => restored.push(file.path().to_owned()),
                        Ok(false) => {}
                        Err(error) => result = Err(cannot(file.path(), &error)),
                    }
                }
                result
            }
        };
        for path in restored {
            remark(&format!(
                "note: something other than the grader wrote {}; the grader's own result is back\n",
                path.display()
            ));
        }
        rows.push(match result {
            Ok(report) => Some(report),
            Err(failure) => {
                failed = Some(failure);
                None
            }
        });
    }
    let (table, perfect) = table(class, &rows);
    Output::all(&table)?;
    match failed {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::from(if perfect { 0 } else { 1 })),
    }
}

/// The table of all results, and whether everybody has all points.
fn table(class: &Class, rows: &[Option<Value>]) -> (String, bool) {
    let width = class
        .entrants
        .iter()
        .map(|entrant| entrant.name.chars().count())
        .max()
        .unwrap_or(0)
        .max("program".len());
    let mut text = format!(
        "{:<width$} {:>6} {:>6}  checks not passed\n",
        "program", "points", "of"
    );
    let mut perfect = true;
    for (entrant, report) in class.entrants.iter().zip(rows) {
        let Some(report) = report else {
            text.push_str(&format!("{:<width$}  no result\n", entrant.name));
            perfect = false;
            continue;
        };
        let checks = report["checks"].as_array().map_or(&[][..], Vec::as_slice);
        let verdict = |id: &str| {
            let check = checks.iter().find(|check| check["id"] == id);
            check
                .and_then(|check| check["verdict"].as_str())
                .unwrap_or("pass")
        };
        let short: Vec<String> = CHECKS
            .iter()
            .map(|check| (check.id, verdict(check.id)))
            .filter(|(_, verdict)| *verdict != "pass")
            .map(|(id, verdict)| match verdict {
                "fail" => id.to_owned(),
                other => format!("{id} ({other})"),
            })
            .collect();
        let joined = report["joined"] == true;
        let missing = if joined {
            short.join(", ")
        } else {
            "never joined".to_owned()
        };
        perfect &= short.is_empty() && joined;
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        text.push_str(&format!(
            "{:<width$} {:>6} {:>6}  {missing}\n",
            entrant.name,
            number(&report["score"]),
            number(&report["max"])
        ));
    }
    (text, perfect)
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "the folder of a class must be one that can be written to",
    )
}
