//! What the command line says of a grading.

use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;

use bully_grade::keeper::Bounds;
use bully_grade::report::Form;
use bully_grade::wire::{Keyed, OkForm};
use bully_grade::{CHECKS, Choice, Extra, Keeping, Options, Rubric, Template, TemplateError};
use clap::ValueEnum;

use crate::commands::{Failure, drawn_seed, duration, seed};

/// Grade a program of the lab, in whatever language it is written
///
/// Starts the program with a group coordinator and scripted peers around it, checks what the
/// assignment's rubric asks for, and says for each point what was expected and what was seen.
/// COMMAND is the program with placeholders for what changes from run to run:
///
/// {gcd_host} {gcd_port} {su_id} {days} {birthday} {mm-dd} {mm-dd-yyyy} {mm/dd/yy} {year} {month}
/// {day}, and {port}, which is {gcd_port}.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List the checks: id, points, time, and the sentence of the assignment
    #[arg(long)]
    pub(super) list: bool,

    /// Run only these checks
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(super) only: Vec<String>,

    /// Leave these checks out
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(super) skip: Vec<String>,

    /// Check extra credits too: probe, feign
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    extra: Vec<ExtraWord>,

    /// Arguments added to COMMAND for the check of feigned failure, if the program needs an option for it
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub(super) feign_with: Option<String>,

    /// Points, rows and sentences by check, in TOML
    #[arg(long, value_name = "FILE")]
    pub(super) rubric: Option<PathBuf>,

    /// Form of the OK the program is sent [default: its own]
    #[arg(
        long,
        value_name = "FORM",
        default_value = "auto",
        hide_default_value = true
    )]
    ok: OkWord,

    /// Keys of the lists the program is sent [default: its own]
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "auto",
        hide_default_value = true
    )]
    keyed_by: KeyedBy,

    /// Find the order of arguments: the common ones are added to COMMAND, one JOIN each
    #[arg(long, conflicts_with_all = ["list", "class"])]
    pub(super) detect: bool,

    /// Grade every program of a class: DIR/class.toml has their commands
    #[arg(long, value_name = "DIR", conflicts_with_all = ["list", "keep"])]
    pub(super) class: Option<PathBuf>,

    /// How many runs decide about a check that failed once
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=15))]
    pub(super) repeat: u32,

    /// How many checks, or programs of a class, run at once [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: Option<u16>,

    /// Multiplies all limits of time, for slow machines
    #[arg(long, value_name = "X", default_value = "1", value_parser = slack)]
    pub(super) slack: f64,

    /// Seed of everything random [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub(super) seed: Option<u64>,

    /// Leave outputs, messages and a diagram of every run in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,

    /// Form of a report, and its file; may be repeated: text, json, junit, tap, gradescope
    #[arg(long = "report", value_name = "FORM[=FILE]", value_parser = report)]
    pub(super) reports: Vec<ReportTo>,

    /// With a report for Gradescope, do not exit with 0 if checks fail
    #[arg(long)]
    pub(super) strict_exit: bool,

    /// Output kept of each stream of the program; the rest is read and dropped
    #[arg(long, value_name = "SIZE", default_value = "30KB", value_parser = size)]
    pub(super) output_max: u64,

    /// Memory the program may use
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = size)]
    pub(super) memory_max: u64,

    /// Processes the program may have at once
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) processes_max: u16,

    /// Time for one check with all its runs; what is not decided by then is unclear
    #[arg(long, value_name = "DURATION", default_value = "150s", value_parser = duration)]
    pub(super) for_max: Duration,

    /// The program, with placeholders
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  bully grade -- python3 lab2.py {gcd_host} {gcd_port} {su_id} {birthday}
  bully grade --detect -- python3 lab2.py             find the order of its arguments
  bully grade --extra probe,feign --report text --report json=result.json -- COMMAND...
  bully grade --only restart --keep evidence -- COMMAND...
  bully grade --class submissions --jobs 4            everybody in submissions/class.toml

This is not a sandbox: the program runs as you. See host/grade/README.md for unshare and bwrap.
Exit status: 0 all required checks pass, 1 some do not, 2 wrong usage, 3 none fails but some are
unclear or the program never joined.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExtraWord {
    /// PROBE messages
    Probe,
    /// Feigned failure
    Feign,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OkWord {
    /// As the program itself answers
    Auto,
    /// 'OK'
    Text,
    /// ('OK', None)
    Pair,
    /// ('OK', members)
    Members,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyedBy {
    /// As the program's own lists
    Auto,
    /// {(days, id): (host, port)}
    Pid,
    /// {(host, port): (days, id)}
    Address,
}

/// A report that is asked for: on stdout unless there is a file.
#[derive(Clone, Debug)]
pub(super) struct ReportTo {
    pub(super) form: Form,
    pub(super) file: Option<PathBuf>,
}

impl Args {
    pub(super) fn options(&self, command: Template) -> Result<Options, Failure> {
        let rubric = match &self.rubric {
            None => Rubric::built_in(),
            Some(path) => {
                let fix = "see `bully grade --list` for the ids; a change is [checks.ID] with points, row, sentence or visibility";
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::new(format!("{}: {error}", path.display()), "name a rubric file")
                })?;
                Rubric::parse(&text)
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display()), fix))?
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
        let own = std::env::current_exe().map_err(|error| Failure::system(&error))?;
        let words = |text: &Option<String>| -> Vec<String> {
            let text = text.as_deref().unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        };
        let options = Options {
            control: Some(control(&own)),
            control_feign_words: vec!["--feign".into(), "close".into()],
            feign_words: words(&self.feign_with),
            folder: None,
            keeping: Keeping {
                keeper: vec![OsString::from(&own), "grade-keeper".into()],
                bounds: Bounds {
                    memory: self.memory_max,
                    processes: self.processes_max.into(),
                },
                output_max: usize::try_from(self.output_max).unwrap_or(usize::MAX),
            },
            only: self.only.clone(),
            skip: self.skip.clone(),
            extra: self.extras(),
            rubric,
            dialect: self.dialect(),
            jobs: self.jobs.map_or(cores / 2, usize::from).max(1),
            repeat: self.repeat,
            slack: self.slack,
            seed: self.seed.unwrap_or_else(drawn_seed),
            limit: self.for_max,
            keep: self.keep.clone(),
            repeat_command: self.repeat_command(),
            command,
        };
        bully_grade::selected(&options.only, &options.skip, &options.extra)
            .map_err(|error| unknown(&error))?;
        Ok(options)
    }

    pub(super) fn extras(&self) -> Vec<Extra> {
        let extra = |word: &ExtraWord| match word {
            ExtraWord::Probe => Extra::Probe,
            ExtraWord::Feign => Extra::Feign,
        };
        self.extra.iter().map(extra).collect()
    }

    fn dialect(&self) -> Choice {
        Choice {
            keyed: match self.keyed_by {
                KeyedBy::Auto => None,
                KeyedBy::Pid => Some(Keyed::Pid),
                KeyedBy::Address => Some(Keyed::Address),
            },
            ok: match self.ok {
                OkWord::Auto => None,
                OkWord::Text => Some(OkForm::Text),
                OkWord::Pair => Some(OkForm::Pair),
                OkWord::Members => Some(OkForm::Members),
            },
        }
    }

    /// What of this command line matters for one check.
    fn repeat_command(&self) -> String {
        let mut text = "bully grade".to_owned();
        match self.ok {
            OkWord::Auto => {}
            OkWord::Text => text.push_str(" --ok text"),
            OkWord::Pair => text.push_str(" --ok pair"),
            OkWord::Members => text.push_str(" --ok members"),
        }
        match self.keyed_by {
            KeyedBy::Auto => {}
            KeyedBy::Pid => text.push_str(" --keyed-by pid"),
            KeyedBy::Address => text.push_str(" --keyed-by address"),
        }
        text
    }
}

/// The node that is known to be right: this program's own.
fn control(own: &std::path::Path) -> Template {
    let words = [
        "node",
        "{gcd_host}",
        "{gcd_port}",
        "{su_id}",
        "--days",
        "{days}",
    ];
    let own = own.to_string_lossy().into_owned();
    let words = core::iter::once(own).chain(words.map(str::to_owned));
    Template::new(words).unwrap_or_else(|error| unreachable!("{error}"))
}

pub(super) fn template(error: &TemplateError) -> Failure {
    let tip = match error {
        TemplateError::Empty => "it stands after --: bully grade -- python3 lab2.py {gcd_host} {gcd_port} {su_id} {birthday}".to_owned(),
        TemplateError::Unknown(_) => format!(
            "there are: {}",
            bully_grade::PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" ")
        ),
        TemplateError::NoPort => {
            "add {gcd_port} where the program takes the coordinator's port, or try --detect".to_owned()
        }
    };
    Failure::usage(error.to_string(), tip)
}

pub(super) fn unknown(error: &bully_grade::UnknownCheck) -> Failure {
    let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    Failure::usage(error.to_string(), format!("there are: {}", ids.join(" ")))
}

fn report(text: &str) -> Result<ReportTo, String> {
    let (name, file) = match text.split_once('=') {
        Some((_, "")) => return Err("the name of a file is missing after =".to_owned()),
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let form = Form::ALL.iter().find(|(known, _)| *known == name);
    let form = form.map(|(_, form)| *form).ok_or_else(|| {
        let names = Form::ALL.map(|(name, _)| name).join(", ");
        format!("a report is one of {names}, with =FILE or without")
    })?;
    Ok(ReportTo { form, file })
}

/// Reads `30KB`, `1GB`, `500MB` or a plain number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" | "K" => 1 << 10,
        "MB" | "M" => 1 << 20,
        "GB" | "G" => 1 << 30,
        _ => 0,
    };
    let size = digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(factor));
    size.filter(|size| *size > 0)
        .ok_or_else(|| "a size is written 30KB, 500MB, 1GB, or in bytes".to_owned())
}

fn slack(text: &str) -> Result<f64, String> {
    let slack = text.parse().ok();
    slack
        .filter(|slack| (0.1..=20.0).contains(slack))
        .ok_or_else(|| "a factor from 0.1 to 20 is wanted".to_owned())
}
