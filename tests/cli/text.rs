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

/// Runs a command on a terminal of 40 columns and passes on what it shows.
const ON_FORTY_COLUMNS: &str = "
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 40, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(fd, 4096):
        os.write(1, data)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// Text without what switches colours.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut pieces = text.split('\x1b');
    plain.push_str(pieces.next().unwrap_or(""));
    for piece in pieces {
        let end = piece.find('m').expect("only colours are switched");
        plain.push_str(&piece[end + 1..]);
    }
    plain
}

/// U7: a status line that wraps is not overwritten, and piles up.
#[test]
fn the_status_fits_a_terminal_of_forty_columns() {
    let gcd = Program::start(&["gcd", "0", "--log", "json-brief"]);
    let port = gcd.port().to_string();
    let node = format!("node localhost {port} 1234567 --days 9 --for 2500ms");
    let node: Vec<_> = node.split(' ').collect();
    for (args, stands) in [
        (&node[..], "1 s: leads, 1 known"),
        (&["gcd", "0", "--for", "2500ms"], "1 s: 0 of "),
        (
            &["lab", "--for", "1500ms", "--seed", "3"],
            " s: 5 of 5 up, 5 follow (292, 10",
        ),
    ] {
        let mut command = Command::new("python3");
        command
            .args(["-c", ON_FORTY_COLUMNS, BULLY])
            .args(args)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm");
        let left = Program::start_command(&mut command).finish();
        assert_eq!(left.code, Some(0), "{left:?}");
        // What ends with a return and no newline is overwritten by the next.
        let shown = left.out.join("\n");
        let overwritten: Vec<_> = shown
            .split('\n')
            .flat_map(|line| line.trim_end_matches('\r').split('\r'))
            .filter(|text| text.contains(" s: "))
            .map(plain)
            .collect();
        assert!(
            overwritten.iter().any(|text| text.contains(stands)),
            "lacks {stands:?}: {overwritten:?}"
        );
        for text in overwritten {
            assert!(text.chars().count() < 40, "{text:?}");
        }
    }
}

#[test]
fn quiet_is_who_leads_and_verbose_is_all() {
    let lab = ["lab", "--for", "4s", "--seed", "3"];
    let quiet = Program::run(&[&lab[..], &["--quiet"]].concat());
    let lines: Vec<_> = quiet.err.lines().skip(1).collect();
    assert!(lines.len() >= 5, "{quiet:?}");
    for line in lines {
        assert!(
            line.contains(" leads: ") || line.contains(" follows ("),
            "{line}"
        );
    }
    let normal = Program::run(&lab);
    // One that is not answered in time is shown.
    let answered = "WAITING_FOR_PROBE_OK     OK";
    assert!(!normal.err.contains(answered), "{normal:?}");
    let verbose = Program::run(&[&lab[..], &["--verbose"]].concat());
    for text in [
        "→ (292, 1000003)  SEND_PROBE               PROBE",
        "← (292, 1000003)  WAITING_FOR_PROBE_OK     OK",
        "WAITING_FOR_ANY_MESSAGE  PROBE",
    ] {
        assert!(
            verbose.err.contains(text),
            "lacks {text:?}: {}",
            verbose.err
        );
    }
    let both = Program::run(&[&lab[..], &["--quiet", "--verbose"]].concat());
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[test]
fn every_line_begins_with_the_local_time_of_day() {
    let mut command = Command::new(BULLY);
    command
        .args(["lab", "--for", "300ms", "--seed", "3"])
        .env("TZ", "UTC-14");
    let left = Program::start_command(&mut command).finish();
    let mut here = Command::new("date");
    here.env("TZ", "UTC-14").arg("+%H");
    let hour = here.output().expect("there is a date").stdout;
    let hour: u32 = String::from_utf8_lossy(&hour)
        .trim()
        .parse()
        .expect("an hour");
    for line in left.err.lines().skip(2) {
        let time = line.get(..12).expect("a time");
        let shape: String = time
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
            .collect();
        assert_eq!(shape, "00:00:00.000", "{line}");
        let shown: u32 = time[..2].parse().expect("an hour");
        // The hour may have passed in between.
        assert!(
            (shown + 1) % 24 == hour || shown == hour,
            "{line} at {hour}"
        );
    }
}

/// A node that follows (365, 7654321), which is gone after that.
fn follower_of_nobody() -> String {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let (coordinator, leader) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    let gcd = port(&coordinator).to_string();
    let node = ["node", "localhost", &gcd, "1234567", "--days", "9"];
    let node = Program::start(&[&node[..], &["--for", "9s"]].concat());
    let own = node.await_text("listens at 127.0.0.1:");
    let own: u16 = own
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let (mut stream, _) = coordinator.accept().expect("it joins");
    let _ = stream.read(&mut [0; 1024]);
    let members = format!("(d(V127.0.0.1\nI{}\nt(I365\nI7654321\ntst", port(&leader));
    let list = &members[..members.len() - 1];
    stream
        .write_all(format!("{list}.").as_bytes())
        .expect("it reads");
    drop(stream);
    let (mut stream, _) = leader.accept().expect("it asks the greater one");
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"VOK\n.");
    let mut announce = TcpStream::connect(("127.0.0.1", own)).expect("it listens");
    announce
        .write_all(format!("(VCOORDINATOR\n{members}.").as_bytes())
        .expect("it reads");
    let _ = announce.read(&mut [0; 1]);
    node.await_text("follows (365, 7654321): it was announced");
    drop((leader, coordinator));
    let mut text = String::new();
    for awaited in ["SEND_PROBE", "has lost its leader", " leads: "] {
        text += &node.await_text(awaited);
        text.push('\n');
    }
    let mut request = TcpStream::connect(("127.0.0.1", own)).expect("it listens");
    request
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("it reads");
    // Longer than a COORDINATOR of its own suppresses elections.
    std::thread::sleep(core::time::Duration::from_millis(400));
    let mut election = TcpStream::connect(("127.0.0.1", own)).expect("it listens");
    election.write_all(b"VELECTION\n.").expect("it reads");
    let _ = election.read(&mut [0; 100]);
    text + &node.finish().err
}

/// U3: wording that misled.
#[test]
fn what_the_text_says_is_what_happened() {
    let text = follower_of_nobody();
    for right in [
        // Nothing was received from somebody who is gone.
        "→ (365, 7654321)  SEND_PROBE               PROBE not sent: nobody listens there",
        "has lost its leader (365, 7654321)",
        "leads: 1 greater member, it does not answer",
        // A GET is no opcode.
        "it speaks HTTP: a browser or a web server",
        // Nobody knows who sends an ELECTION.
        "starts an election: received ELECTION",
    ] {
        assert!(text.contains(right), "lacks {right:?}: {text}");
    }
    for wrong in [
        "turns away",
        "lesser member",
        "repeat with",
        "SEND_PROBE               nobody",
    ] {
        assert!(!text.contains(wrong), "has {wrong:?}: {text}");
    }
}
