//! What the command line says of the log.

use super::text::Detail;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned lines for people, on stderr
    Text,
    /// One object a line, on stdout; every message too
    Json,
    /// The same without single messages
    JsonBrief,
}

// No doc comment: it would stand in the help of the commands.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Form of the log
    #[arg(
        long = "log",
        env = "BULLY_LOG",
        hide_env_values = true,
        value_name = "FORM",
        default_value = "text"
    )]
    pub(super) format: Format,

    /// Text log: only changes of the leader, and errors
    #[arg(long, conflicts_with = "verbose")]
    quiet: bool,

    /// Text log: also routine, such as answered PROBEs, and messages at their other end
    #[arg(long)]
    verbose: bool,
}

impl LogArgs {
    /// How much the text shows.
    pub(super) fn detail(&self) -> Detail {
        match (self.quiet, self.verbose) {
            (true, _) => Detail::Quiet,
            (_, true) => Detail::Verbose,
            _ => Detail::Normal,
        }
    }
}
