//! `bully bench`: what it costs, beside others in the same run.

use std::path::{Path, PathBuf};

use bully_bench::{Bench, CSV_HEADING, Figure, Job, Picture, Python, Section, Trouble, heap};
use clap::ValueEnum;

use super::files::raise_limit;
use super::output::Output;
use super::{Failure, remark};
use crate::bench::{counting, group_alone, plan};
use crate::log::Progress;

/// Measure what it costs, each figure compared with something else in the same run
///
/// Machines differ and have other things to do, so a time means nothing by itself: each figure
/// stands beside that of another program or of a formula, and the two take turns. The ratio says
/// how many times better ours is: of times, bytes and messages it is other / ours, of rates ours /
/// other; so above 1 ours is always better, and below 1 worse. It is left out where one of the two is
/// zero. n counts members, or connections at once. Times of live groups depend on how busy the
/// machine is, and so does what they stand beside: they say at which load they were measured, the
/// processes that ran or waited for a processor.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Measure only this section; may be repeated [default: all]
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,

    /// Fewer rounds and smaller groups: less exact, but over in half a minute
    #[arg(long)]
    quick: bool,

    /// Form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,

    /// Also draw the figures as curves over n, into this folder, one SVG each
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,

    /// Run a group of N members and report what was measured, for another process of ours
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u16).range(2..=1000))]
    group_of: Option<u16>,

    /// Do one step of the plan and report its figures, for another process of ours
    #[arg(long, value_name = "STEP", hide = true)]
    job: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bully bench --quick                          all of it, in half a minute
  bully bench --only wire --only table         as exact as can be, but only these
  bully bench --only scale --plots target/plots  large groups, and their curves

Allocations are counted by the program bully-heap, which cargo builds and installs beside bully.
Where it is missing, those figures are left out.

Exit status: 0 if all was measured, 1 if something could not be, 2 for wrong usage.";

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned rows for people
    Text,
    /// One object a line: section, name, n, ours, other, other_name, ratio, unit, load
    Json,
    /// A heading, and one line each
    Csv,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    raise_limit();
    if let Some(count) = args.group_of {
        return answer(group_alone(count.into()));
    }
    if let Some(what) = &args.job {
        return answer(counting::answer(what, args.quick));
    }
    if let Some(folder) = &args.plots {
        // Better now than after minutes.
        draw(&[], &[], folder)?;
    }
    let mut bench = Bench::new(args.quick, Python::start());
    if !bench.has_python() {
        remark("no python3: the rows beside CPython are left out\n");
    }
    let mut jobs = plan(&args.only, args.quick);
    let uncounted = without_counting(&mut jobs);
    let mut progress = Progress::new(jobs.len() as u64, "steps");
    let mut figures: Vec<Figure> = Vec::new();
    let mut pictures = Vec::new();
    let mut troubles = Vec::new();
    let mut output = Output::default();
    match args.format {
        Format::Text => output.write(&(bully_bench::text_heading() + "\n")),
        Format::Json => {}
        Format::Csv => output.write(&format!("{CSV_HEADING}\n")),
    }
    for (done, job) in jobs.into_iter().enumerate() {
        progress.show(done as u64);
        let what = job.what.clone();
        let outcome = match job.counts_heap && !heap::is_counted() {
            true => counting::measure(&what, &mut bench),
            false => job.run(&mut bench),
        };
        progress.clear();
        for text in bench.remarks.drain(..) {
            remark(&format!("{what}: {text}\n"));
        }
        if let Err(Trouble(why)) = outcome {
            remark(&format!("{what}: {why}\n"));
            troubles.push(format!("{what}: {why}"));
        }
        pictures.append(&mut bench.pictures);
        for figure in bench.figures.drain(..) {
            let last = figures.last().map(|last| last.section);
            output.write(&(args.format.row(&figure, last) + "\n"));
            if output.ended() {
                return output.close();
            }
            figures.push(figure);
        }
    }
    if let Some(folder) = &args.plots {
        let plotted = draw(&figures, &pictures, folder)?;
        remark(&format!("{plotted} plots in {}\n", folder.display()));
    }
    match (troubles.first(), uncounted) {
        (Some(first), _) => Err(incomplete(first)),
        (None, Some(failure)) => Err(failure),
        (None, None) => output.close(),
    }
}

/// Writes what another process of ours is to read.
fn answer(measured: Result<String, Trouble>) -> Result<(), Failure> {
    let line = measured.map_err(|Trouble(why)| incomplete(&why))?;
    let mut output = Output::default();
    output.write(&(line + "\n"));
    output.close()
}

/// Takes the jobs that count allocations out of `jobs` if nobody can do them: neither this program nor
/// the one beside it. Returns the failure to end with if there were any.
fn without_counting(jobs: &mut Vec<Job>) -> Option<Failure> {
    if heap::is_counted() || !jobs.iter().any(|job| job.counts_heap) {
        return None;
    }
    let why = match counting::program() {
        Ok(program) if program.is_file() => return None,
        Ok(program) => format!("there is no {}", program.display()),
        Err(error) => format!("the program beside this one is not found: {error}"),
    };
    let all = jobs.len();
    jobs.retain(|job| !job.counts_heap);
    let what = format!(
        "{} of {all} steps are left out, which count allocations: {why}",
        all - jobs.len()
    );
    if !jobs.is_empty() {
        remark(&format!("{what}\n"));
    }
    Some(Failure::new(
        what,
        "build it beside this program: cargo build --release --bins; cargo install has both",
    ))
}

/// Draws into `folder`, which is made if it is not there; returns how many plots.
fn draw(figures: &[Figure], pictures: &[Picture], folder: &Path) -> Result<usize, Failure> {
    bully_bench::plot(figures, pictures, folder).map_err(|Trouble(why)| {
        Failure::new(
            format!("no plots in {}: {why}", folder.display()),
            "give a folder that can be written to: --plots DIR",
        )
    })
}

fn incomplete(why: &str) -> Failure {
    Failure::new(
        why,
        "if it is about open files, raise their limit: ulimit -n 65536; or leave it out with --only",
    )
}

impl Format {
    /// The row of a figure, which follows one of the section `last`.
    fn row(self, figure: &Figure, last: Option<Section>) -> String {
        match self {
            Self::Text if last != Some(figure.section) => {
                let gap = if last.is_some() { "\n" } else { "" };
                let (section, row) = (figure.section.name(), bully_bench::text(figure));
                format!("{gap}{section}\n{row}")
            }
            Self::Text => bully_bench::text(figure),
            Self::Json => bully_bench::json(figure),
            Self::Csv => bully_bench::csv(figure),
        }
    }
}
