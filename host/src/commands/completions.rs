//! `bully completions` and `bully man`: what shells and `man` know of the command line.

use std::io;
use std::path::PathBuf;

use clap_complete::Shell;

use super::Failure;
use super::output::Output;

/// Write completions for a shell to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  bully completions bash > ~/.local/share/bash-completion/completions/bully
  bully completions zsh > ~/.zfunc/_bully
  bully completions fish > ~/.config/fish/completions/bully.fish";

/// Write manual pages, one for each command
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The folder to write them to, as in ~/.local/share/man/man1; it is made if it is missing
    folder: PathBuf,
}

/// Writes the completions of `command`.
pub(crate) fn completions(args: &Completions, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "bully", &mut script);
    let mut out = Output::default();
    out.write(&String::from_utf8_lossy(&script));
    out.close()
}

/// Writes the pages of `command`.
pub(crate) fn man(args: &Man, command: clap::Command) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&args.folder)?;
        clap_mangen::generate_to(command, &args.folder)
    };
    write().map_err(|error| {
        Failure::new(
            format!(
                "no pages can be written to {}: {error}",
                args.folder.display()
            ),
            "give a folder of your own, as in: bully man ~/.local/share/man/man1",
        )
    })
}
