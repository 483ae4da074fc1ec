//! `bully grade`: any lab program, judged over its own wire.

mod args;
mod class;
mod keeper;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use args::Args;
use args::{ReportTo, template, unknown};
use bully_grade::report::{Form, ReportFile, Style, in_lines, progress_line, summary_line};
use bully_grade::{CHECKS, Extra, Pickle, Progress, Report, Template};
use bully_view::{Run, Source};
pub(crate) use keeper::{Keeper, run as keep};

use super::output::Output;
use super::{Failure, diagram, remark};

/// Grades and reports.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.list {
        return list(args);
    }
    if let Some(folder) = &args.class {
        if !args.command.is_empty() {
            return Err(Failure::usage(
                "a class has its commands in class.toml, and one was given",
                "leave out what stands after --, or --class",
            ));
        }
        return class::run(args, folder);
    }
    if args.detect {
        return detect(args);
    }
    let command = Template::new(args.command.clone()).map_err(|error| template(&error))?;
    let options = args.options(command)?;
    let mut outputs = Outputs::open(args)?;
    let report = bully_grade::grade(&options, &Pickle, |progress| outputs.show(progress))
        .map_err(|error| unknown(&error))?;
    if let Some(folder) = &args.keep {
        draw_kept(folder);
    }
    outputs.finish(&report)?;
    let gradescope = args
        .reports
        .iter()
        .any(|report| report.form == Form::Gradescope);
    Ok(match gradescope && !args.strict_exit {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(report.exit_code()),
    })
}

/// Draws what was kept of each check, beside it. A picture that cannot be written changes no verdict; it is reported.
fn draw_kept(folder: &Path) {
    for check in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = check.path().join("events.jsonl");
        let Ok(opened) = File::open(&file) else {
            continue;
        };
        let name = check.file_name().to_string_lossy().into_owned();
        let source = Source::read(&name, BufReader::new(opened));
        let drawn = source.map_err(|error| Failure::system(&error));
        let drawn = drawn.and_then(|source| {
            let run = Run::new(&[source]);
            if run.messages.is_empty() {
                // A check in which nothing was sent.
                return Ok(());
            }
            diagram::write(
                &run,
                &check.path().join("diagram.html"),
                &format!("bully grade: {name}"),
            )
        });
        if let Err(failure) = drawn {
            remark(&format!("note: no diagram of {name}: {}\n", failure.what));
        }
    }
}

/// Where the reports go.
struct Outputs {
    stdout: Option<Form>,
    style: Style,
    files: Vec<ReportFile>,
    failed: Option<(PathBuf, io::Error)>,
    progress: bool,
    done: usize,
    all: usize,
}

impl Outputs {
    /// Claims all files before anything is started.
    fn open(args: &Args) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let mut stdout = None;
        for ReportTo { form, file } in &args.reports {
            let Some(path) = file else {
                if stdout.replace(*form).is_some() {
                    return Err(Failure::usage(
                        "two reports cannot both go to stdout",
                        "give all but one a file: --report json=FILE",
                    ));
                }
                continue;
            };
            files.push(ReportFile::create(*form, path).map_err(|error| {
                Failure::new(
                    format!("{}: {error}", path.display()),
                    "name a file in a folder that can be written to",
                )
            })?);
        }
        let extras = args.extras();
        let all = bully_grade::selected(&args.only, &args.skip, &extras).map_or(0, |all| all.len());
        let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self {
            stdout: stdout.or((files.is_empty()).then_some(Form::Text)),
            style: if coloured {
                Style::Colour
            } else {
                Style::Plain
            },
            files,
            failed: None,
            progress: io::stderr().is_terminal(),
            done: 0,
            all,
        })
    }

    fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Running(running) => {
                if self.progress {
                    let line = progress_line(self.done, self.all, running);
                    remark(&format!("\r{line}\x1b[K"));
                }
            }
            Progress::Done(report) => {
                self.done = report.checks.len();
                self.write(report);
            }
        }
    }

    fn write(&mut self, report: &Report) {
        for file in &mut self.files {
            if let Err(error) = file.write(report) {
                self.failed = Some((file.path().to_owned(), error));
            }
        }
    }

    fn finish(mut self, report: &Report) -> Result<(), Failure> {
        if self.progress {
            remark("\r\x1b[K");
        }
        self.write(report);
        if let Some(form) = self.stdout {
            let text = match form {
                Form::Text => report.text(self.style),
                form => report.render(form),
            };
            let mut stdout = io::stdout().lock();
            let written = stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush());
            if let Err(error) = written
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                return Err(Failure::new(
                    format!("the report could not be written: {error}"),
                    "write it to a file elsewhere: --report text=FILE",
                ));
            }
        } else {
            remark(&format!("{}\n", summary_line(report)));
        }
        match self.failed {
            None => Ok(()),
            Some((path, error)) => Err(Failure::new(
                format!("{}: {error}", path.display()),
                "make room or name another file, and grade again",
            )),
        }
    }
}

fn list(args: &Args) -> Result<ExitCode, Failure> {
    let rubric = Template::without_port(["list".to_owned()])
        .map_err(|error| template(&error))
        .and_then(|command| args.options(command))?
        .rubric;
    // Where titles and sentences begin.
    const COLUMN: usize = 35;
    let mut text = format!(
        "{:<20} {:>6} {:>5}  what is checked\n",
        "check", "points", "time"
    );
    for check in &CHECKS {
        let points = rubric.checks.get(check.id).and_then(|change| change.points);
        let extra = match check.extra {
            None => "",
            Some(Extra::Probe) => "  (--extra probe)",
            Some(Extra::Feign) => "  (--extra feign)",
        };
        let time = match check.seconds {
            0 => String::new(),
            seconds => format!("{seconds:>3} s"),
        };
        let points = points.unwrap_or(check.points);
        let first = format!("{:<20} {points:>6} {time:>5} ", check.id);
        text.push_str(&in_lines(
            &first,
            COLUMN,
            &format!("{}{extra}", check.title),
        ));
        let sentence = format!("\"{}\"", check.sentence);
        text.push_str(&in_lines(&" ".repeat(COLUMN - 1), COLUMN, &sentence));
    }
    for row in &rubric.by_hand {
        text.push_str(&format!(
            "{:<20} {:>6}        {}\n",
            "(by hand)", row.points, row.row
        ));
    }
    Output::all(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn detect(args: &Args) -> Result<ExitCode, Failure> {
    let command = Template::without_port(args.command.clone()).map_err(|error| template(&error))?;
    let options = args.options(command)?;
    let mut found = bully_grade::detect(&options, &Pickle);
    // What works first, as far as it was found; the rest in the order it was tried.
    found.sort_by_key(|tried| !tried.fits);
    let mut text = String::new();
    for tried in &found {
        let word = if tried.fits { "works" } else { "no" };
        text.push_str(&format!(
            "{word:<6} {}\n       {}\n",
            tried.command, tried.what
        ));
    }
    let works = found.iter().find(|tried| tried.fits);
    if let Some(tried) = works {
        text.push_str(&format!("\nbully grade -- {}\n", tried.command));
    }
    Output::all(&text)?;
    Ok(match works {
        Some(_) => ExitCode::SUCCESS,
        None => {
            remark(
                "none of the common orders works: look into the program for what it expects, and \
                 write it with placeholders\n",
            );
            ExitCode::from(3)
        }
    })
}
