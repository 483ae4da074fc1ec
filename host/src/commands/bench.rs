//! `bully bench`: what it costs, beside others in the same run.

use std::path::{Path, PathBuf};

use bully_bench::{Bench, CSV_HEADING, Figure, Picture, Section, Trouble};
use clap::ValueEnum;

use super::files::raise_limit;
use super::output::Output;
use super::{Failure, remark};
use crate::bench::{group_alone, plan};
use crate::log::Progress;

/// Measure what it costs, each figure beside something else in the same run
///
/// Machines differ and have other things to do, so a time means nothing by itself: each figure
/// stands beside that of another program or of a formula, and the two take turns. The ratio says
/// how many times better ours is: of times, bytes and messages it is other / ours, of rates ours /
/// other, so above 1 is better and below 1 worse throughout. It is left out where one of the two is
/// nothing. n counts members, or connections at once. Times of live groups depend on how busy the
/// machine is, and so does what they stand beside: they say at which load they were measured, the
/// processes that ran or waited for a processor.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this part of the report; may be repeated [default: all]
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

    /// Run a group of N members and tell what became of it, for another process of ours
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u16).range(2..=1000))]
    group_of: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  bully bench --quick                          all of it, in half a minute
  bully bench --only wire --only table         as exact as can be, but only these
  bully bench --only scale --plots target/plots  large groups, and their curves

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
        let told = group_alone(count.into()).map_err(|trouble| incomplete(&trouble.0))?;
        let mut output = Output::default();
        output.write(&format!("{told}\n"));
        return output.close();
    }
    if let Some(folder) = &args.plots {
        // Better now than after minutes.
        draw(&[], &[], folder)?;
    }
    let mut bench = Bench::new(args.quick);
    if !bench.has_python() {
        remark("no python3: the rows beside CPython are left out\n");
    }
    let jobs = plan(&args.only, args.quick);
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
        let outcome = job.run(&mut bench);
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
    match troubles.first() {
        None => output.close(),
        Some(first) => Err(incomplete(first)),
    }
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
