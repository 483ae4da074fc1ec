//! `bully grade --class`: everybody in a folder, several at once, resumable.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use bully_grade::report::{Form, ReportFile};
use bully_grade::{CHECKS, Class, Entrant, Pickle, Progress};
use serde_json::Value;

use super::args::{Args, unknown};
use crate::commands::output::Output;
use crate::commands::{Failure, remark};

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
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(class.entrants.len()) {
            scope.spawn(|| {
                while let Some(entrant) = class.entrants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if class.finished(entrant).is_some() {
                        continue;
                    }
                    let mut own = options.clone();
                    own.command = entrant.command.clone();
                    own.folder = Some(entrant.folder.clone());
                    own.jobs = 1;
                    if let Err(failure) = grade(&class, entrant, &own) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                        return;
                    }
                }
            });
        }
    });
    if let Some(failure) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let (table, perfect) = table(&class);
    Output::all(&table)?;
    Ok(ExitCode::from(if perfect { 0 } else { 1 }))
}

fn grade(class: &Class, entrant: &Entrant, options: &bully_grade::Options) -> Result<(), Failure> {
    let json = class.report(entrant);
    let text = json.with_extension("txt");
    let claim =
        |form, path: &Path| ReportFile::create(form, path).map_err(|error| cannot(path, &error));
    let mut json = claim(Form::Json, &json)?;
    let mut text = claim(Form::Text, &text)?;
    let mut failed = None;
    let report = bully_grade::grade(options, &Pickle, |progress| {
        if let Progress::Done(report) = progress {
            for file in [&mut json, &mut text] {
                if let Err(error) = file.write(report) {
                    failed = Some(cannot(file.path(), &error));
                }
            }
        }
    });
    let report = report.map_err(|error| unknown(&error))?;
    if std::io::stderr().is_terminal() {
        let line = bully_grade::report::summary_line(&report);
        remark(&format!("{}: {line}\n", entrant.name));
    }
    failed.map_or(Ok(()), Err)
}

/// The table of all results, and whether everybody has all points.
fn table(class: &Class) -> (String, bool) {
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
    for entrant in &class.entrants {
        let Some(report) = class.finished(entrant) else {
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
        perfect &= short.is_empty();
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
