//! What was observed of the graded program in all runs together, for the checks that have no run of
//! their own.

use core::time::Duration;

use crate::stage::Stage;
use crate::turn::LEFT_OPEN;

/// What was observed so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Connections of the program that carried more than one message: how many, and an example.
    pub(crate) reused: usize,
    pub(crate) reused_example: Option<String>,
    /// Connections that the program opened.
    pub(crate) opened: Closing,
    /// Connections that others opened, with a message that the program answered.
    pub(crate) answered: Closing,
    /// Connections that others opened, with a COORDINATOR.
    pub(crate) announced: Closing,
    /// All that the program wrote, as far as it was kept.
    pub(crate) output: String,
    /// How many bytes it wrote in all.
    pub(crate) written: u64,
    /// How many runs there were.
    pub(crate) runs: usize,
    /// How many elections it took part in, so that there was something to write about.
    pub(crate) elections: usize,
}

/// How many connections of one sort the program has closed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closing {
    /// Those whose exchange was over long enough before the end of the run.
    pub(crate) finished: usize,
    /// Of these, the ones that the program had not closed.
    pub(crate) left_open: usize,
}

impl Closing {
    fn add(&mut self, other: Self) {
        self.finished += other.finished;
        self.left_open += other.left_open;
    }
}

/// How much output is kept of all runs together, in bytes.
const OUTPUT_MAX: usize = 1 << 18;

impl Observed {
    /// Adds what happened on a stage until `end`, when it was last looked at.
    pub(crate) fn add(&mut self, stage: &Stage<'_>, end: Duration) {
        self.runs += 1;
        for link in &stage.links {
            let is_exchange = link.inbound && link.messages > 0;
            if is_exchange && link.messages > 1 {
                self.reused += 1;
                self.reused_example.get_or_insert_with(|| {
                    format!(
                        "{} messages on one connection to {}",
                        link.messages,
                        stage.name(link.ours)
                    )
                });
            }
            if let Some(done) = link.done
                && done + LEFT_OPEN <= end
            {
                let of = match (link.inbound, link.messages) {
                    (true, _) => &mut self.opened,
                    (false, 0) => &mut self.announced,
                    (false, _) => &mut self.answered,
                };
                of.add(Closing {
                    finished: 1,
                    left_open: usize::from(link.closed.is_none()),
                });
            }
        }
        self.elections += usize::from(stage.seen.iter().any(|seen| {
            matches!(
                seen.kind(),
                Some(crate::wire::Kind::Election | crate::wire::Kind::Coordinator)
            )
        }));
        for program in &stage.programs {
            self.written += program.written();
            for text in program.outputs() {
                if self.output.len() < OUTPUT_MAX {
                    self.output.push_str(&text);
                }
            }
        }
    }
}

impl Observed {
    /// Adds what was observed elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.reused += other.reused;
        self.reused_example = self.reused_example.take().or(other.reused_example);
        self.opened.add(other.opened);
        self.answered.add(other.answered);
        self.announced.add(other.announced);
        self.written += other.written;
        self.runs += other.runs;
        self.elections += other.elections;
        if self.output.len() < OUTPUT_MAX {
            self.output.push_str(&other.output);
        }
    }
}
