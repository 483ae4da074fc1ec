//! `bully diagram`: who sent what to whom, and when, as a picture.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bully_view::diagram::{self, Scale};
use bully_view::{Kind, MESSAGES_MAX, Run, Selection, Wanted, Who};
use clap::ValueEnum;

use super::output::Output;
use super::{Failure, logs};

/// Draw a run: a line for each member, an arrow for each message
///
/// Reads what --log json wrote, of a whole group in one process or of each member in a file of its own,
/// also from several machines: the messages show how their clocks differ. Writes one HTML page that
/// any browser shows, or another form.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Logs of the run; without any, or with -, standard input
    files: Vec<PathBuf>,

    #[command(flatten)]
    how: How,

    /// Output file; its extension selects the form, unless --to does [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is drawn, and how.
#[derive(Debug, clap::Args)]
struct How {
    /// Form of the diagram [default: html]
    #[arg(long, value_name = "FORM")]
    to: Option<Form>,

    /// Show events from this time since the start on: 5s, 500ms, 1.25
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,

    /// Show events up to this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,

    /// Only these and what they send each other: SU IDs, or gcd for the coordinator
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = chosen)]
    members: Vec<Chosen>,

    /// Leave out messages of these kinds, and their answers: probe, join, election, coordinator
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    hide: Vec<Kind>,

    /// What vertical distance stands for
    #[arg(long, value_name = "WHAT", default_value = "events")]
    scale: Scaled,

    /// Draw only the first N messages
    #[arg(long, value_name = "N", default_value_t = MESSAGES_MAX)]
    max: usize,
}

const EXAMPLES: &str = "\
Examples:
  bully lab --for 5s --log json | bully diagram -o lab.html
  bully diagram a.jsonl b.jsonl gcd.jsonl -o group.html     logs of three processes
  bully diagram lab.jsonl --hide probe,join --from 4.9s --until 5.2s -o crash.svg
  bully diagram lab.jsonl --to perfetto -o lab.json         for https://ui.perfetto.dev
  bully sim --crash leader@5s --diagram crash.html          draws a simulation

Exit status: 0 drawn, 1 drawn, but the logs contradict each other (the contradictions are listed),
2 wrong usage, 3 there is nothing to draw.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A page for browsers
    Html,
    /// A picture
    Svg,
    /// A log with vector clocks for ShiViz
    Shiviz,
    /// A trace for ui.perfetto.dev
    Perfetto,
    /// A small sequence diagram for Mermaid
    Mermaid,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scaled {
    /// Events at equal distances; pauses are marked
    Events,
    /// Time
    Time,
}

/// Somebody who was chosen.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    Coordinator,
    /// Whoever has this SU ID.
    Id(u32),
}

/// Draws the run that the logs have.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if let Some(output) = &args.output
        && args.files.contains(output)
    {
        return Err(Failure::usage(
            format!("{} would be overwritten while it is read", output.display()),
            "choose another name with -o",
        ));
    }
    let sources = logs::read(&args.files)?;
    let run = logs::run(&sources);
    draw(&run, &args.how, args.output.as_deref(), &title(&args.files))
}

/// Writes the whole of `run` to `file`, in the form that its name asks for.
pub(super) fn write(run: &Run, file: &Path, title: &str) -> Result<(), Failure> {
    let how = How {
        to: None,
        from: None,
        until: None,
        members: Vec::new(),
        hide: Vec::new(),
        scale: Scaled::Events,
        max: MESSAGES_MAX,
    };
    draw(run, &how, Some(file), title).map(|_| ())
}

fn draw(run: &Run, how: &How, output: Option<&Path>, title: &str) -> Result<ExitCode, Failure> {
    let selection = how.wanted(run)?.select(run);
    if selection.points.is_empty() {
        return Ok(logs::nothing("draw"));
    }
    for left_out in &selection.left_out {
        super::remark(&format!("note: {left_out}\n"));
    }
    let text = how
        .form(output)?
        .text(run, &selection, how.scale.scale(), title)?;
    match output {
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::unwritable("diagram", &error))?;
        }
        None => {
            let mut out = Output::default();
            out.write(&text);
            out.close()?;
        }
    }
    Ok(ExitCode::from(u8::from(run.is_inconsistent)))
}

/// Names the diagram after its logs.
fn title(files: &[PathBuf]) -> String {
    let names = files.iter().filter_map(|file| file.file_stem());
    let names: Vec<_> = names.map(OsStr::to_string_lossy).collect();
    match names.as_slice() {
        [] => "A run of the bully election".to_owned(),
        [.., _] if names.len() > 4 => format!("{} logs of a bully election", names.len()),
        _ => format!("Bully election: {}", names.join(", ")),
    }
}

impl How {
    fn wanted(&self, run: &Run) -> Result<Wanted, Failure> {
        let mut members = BTreeSet::new();
        for chosen in &self.members {
            let is_chosen = |who: &Who| match (chosen, who) {
                (Chosen::Coordinator, Who::Coordinator) => true,
                (Chosen::Id(id), Who::Member(pid)) => *id == pid.id,
                _ => false,
            };
            let before = members.len();
            members.extend(run.lanes.iter().map(|lane| lane.who).filter(is_chosen));
            if members.len() == before {
                let all: Vec<_> = run.lanes.iter().map(|lane| lane.who.to_string()).collect();
                let whom = match chosen {
                    Chosen::Coordinator => "coordinator".to_owned(),
                    Chosen::Id(id) => format!("member with the SU ID {id}"),
                };
                return Err(Failure::usage(
                    format!("there is no {whom} in these logs"),
                    format!("there are: {}", all.join(", ")),
                ));
            }
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until < from
        {
            return Err(Failure::usage(
                "--until is before --from",
                "exchange the two",
            ));
        }
        Ok(Wanted {
            from: self.from,
            until: self.until,
            members,
            hide: self.hide.iter().cloned().collect(),
            messages_max: self.max,
            ..Wanted::default()
        })
    }

    fn form(&self, output: Option<&Path>) -> Result<Form, Failure> {
        let ending = output.and_then(Path::extension).and_then(OsStr::to_str);
        Ok(match (self.to, ending) {
            (Some(form), _) => form,
            (None, None | Some("html" | "htm")) => Form::Html,
            (None, Some("svg")) => Form::Svg,
            (None, Some("json" | "perfetto")) => Form::Perfetto,
            (None, Some("mmd" | "mermaid")) => Form::Mermaid,
            (None, Some("log" | "shiviz")) => Form::Shiviz,
            (None, Some(ending)) => {
                return Err(Failure::usage(
                    format!("no form of diagram has names that end in .{ending}"),
                    "use .html, .svg, .json (Perfetto), .mmd (Mermaid), .log (ShiViz), or --to FORM",
                ));
            }
        })
    }
}

impl Form {
    fn text(
        self,
        run: &Run,
        selection: &Selection,
        scale: Scale,
        title: &str,
    ) -> Result<String, Failure> {
        let template = |error| {
            Failure::new(
                format!("the diagram cannot be written: {error}"),
                "this is a fault of the program, please report it",
            )
        };
        match self {
            Self::Html => diagram::html(run, selection, scale, title).map_err(template),
            Self::Svg => diagram::svg(run, selection, scale, title).map_err(template),
            Self::Shiviz => Ok(diagram::shiviz(run, selection)),
            Self::Perfetto => Ok(diagram::perfetto(run, selection)),
            Self::Mermaid => diagram::mermaid(run, selection).map_err(|error| {
                Failure::usage(
                    error.to_string(),
                    "choose less with --from, --until, --members or --hide probe, or another form",
                )
            }),
        }
    }
}

impl Scaled {
    fn scale(self) -> Scale {
        match self {
            Self::Events => Scale::Events,
            Self::Time => Scale::Time,
        }
    }
}

/// Reads a moment, in microseconds since the start.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if text.parse() == Ok(0.0) {
        return Ok(0);
    }
    let span = super::duration(text)?;
    i64::try_from(span.as_micros()).map_err(|_| "that is beyond any run".to_owned())
}

fn chosen(text: &str) -> Result<Chosen, String> {
    if text.eq_ignore_ascii_case("gcd") {
        return Ok(Chosen::Coordinator);
    }
    let id = text.parse();
    id.map(Chosen::Id)
        .map_err(|_| "write SU IDs, or gcd, as in --members gcd,1000001,1000002".to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    match text.to_ascii_lowercase().as_str() {
        "probe" => Ok(Kind::Probe),
        "join" => Ok(Kind::Join),
        "election" => Ok(Kind::Election),
        "coordinator" => Ok(Kind::Coordinator),
        _ => Err(
            "write probe, join, election or coordinator, with commas between several".to_owned(),
        ),
    }
}
