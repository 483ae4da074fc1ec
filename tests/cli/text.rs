//! `--log text`: for people, on stderr, with colour where it can be shown and is wanted.

use std::process::Command;

use crate::program::{BULLY, Program};

/// Runs a command on a terminal of its own and passes on what it shows.
const ON_A_TERMINAL: &str = "
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
";

fn on_a_terminal(vars: &[(&str, &str)]) -> String {
    shown(&["lab", "--for", "300ms", "--seed", "3"], vars)
}

fn shown(args: &[&str], vars: &[(&str, &str)]) -> String {
    let mut command = Command::new("python3");
    command
        .args(["-c", ON_A_TERMINAL, BULLY])
        .args(args)
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(vars.iter().copied());
    let left = Program::start_command(&mut command).finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    left.out.join("\n")
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    assert!(on_a_terminal(&[]).contains("\x1b["));
    assert!(
        on_a_terminal(&[("NO_COLOR", "")]).contains("\x1b["),
        "empty is unset"
    );
    assert!(!on_a_terminal(&[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!on_a_terminal(&[("TERM", "dumb")]).contains('\x1b'));
    let left = Program::run(&["lab", "--for", "300ms"]);
    assert!(
        !left.err.contains('\x1b'),
        "a file is no terminal: {left:?}"
    );
}

#[test]
fn a_terminal_shows_how_things_stand() {
    const STANDS: &str = "5 of 5 up, 5 follow (292, 1000003), ";
    let lab = ["lab", "--for", "1s", "--seed", "3"];
    assert!(shown(&lab, &[]).contains(STANDS));
    assert!(!shown(&lab, &[("TERM", "dumb")]).contains(STANDS));
    let json = [&lab[..], &["--log", "json"]].concat();
    assert!(!shown(&json, &[]).contains(STANDS));
    let left = Program::run(&lab);
    assert!(
        !left.err.contains(STANDS),
        "a file is no terminal: {left:?}"
    );
}

#[test]
fn the_log_is_aligned_and_speaks_the_labs_language() {
    let left = Program::run(&["lab", "--for", "1s", "--seed", "3"]);
    assert_eq!(left.code, Some(0), "{left:?}");
    for text in [
        "→ coordinator     SEND_JOIN",
        "← coordinator     WAITING_FOR_MEMBERS",
        "SEND_ELECTION            ELECTION, 5 members",
        "← (292, 1000003)  WAITING_FOR_OK           OK",
        "SEND_VICTORY             COORDINATOR (292, 1000003)",
        "starts an election: joined",
        "(292, 1000003)   leads",
        "follows (292, 1000003)",
    ] {
        assert!(left.err.contains(text), "lacks {text:?}:\n{}", left.err);
    }
    let mut lines = left.err.lines();
    assert_eq!(lines.next(), Some("seed 3 (repeat with --seed 3)"));
    for line in lines {
        assert!(line.chars().count() <= 100, "{line}");
        let arrow = line.chars().position(|letter| "←→".contains(letter));
        assert!(arrow.is_none_or(|at| at == 29), "{line}");
        let state = line.find("SEND_").or_else(|| line.find("WAITING_"));
        // Counted in bytes: the arrow has three.
        assert!(state.is_none_or(|at| at == 49), "{line}");
    }
    // Data is on stdout: the summary, and nothing else.
    assert_eq!(left.out.len(), 2);
    assert_eq!(
        left.out[0],
        "agreed: 5 of 5 members are up, (292, 1000003) leads"
    );
    assert!(left.out[1].starts_with("sent in 1."), "{left:?}");
    assert!(left.out[1].contains("5 JOIN, "), "{left:?}");
}
