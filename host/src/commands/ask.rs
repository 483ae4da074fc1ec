//! `bully status`, `members`, `monitor` and `resign`: what a running program says of itself.

use core::time::Duration;
use std::io;
use std::process::ExitCode;

use bully_view::{Line, sentence};
use clap::ValueEnum;
use serde_json::Value;

use super::Failure;
use super::output::Output;
use crate::control::{Address, Client, ClientError, Snapshot, View};

/// Say who leads, in the view of a running member
///
/// Asks a program that was started with --control. Each answer says in whose view it is, how old it is,
/// and when the leader was last heard from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the program answers: what its --control says
    #[arg(
        long,
        env = "BULLY_CONTROL",
        hide_env_values = true,
        value_name = "unix:PATH|127.0.0.1:PORT",
        required = true
    )]
    control: Option<Address>,

    /// Form of the answer
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
}

/// What follows the options of `bully status`.
pub(crate) const STATUS: &str = "\
Examples:
  bully lab --control unix:/tmp/lab &
  bully status --control unix:/tmp/lab
  bully status --control unix:/tmp/lab --format csv

Exit status: 0 if every member there that is up knows a leader, 1 if the program cannot be asked,
2 for wrong usage, 3 if some member knows of no leader now.";

/// What follows the options of `bully members`.
pub(crate) const MEMBERS: &str = "\
Examples:
  bully members --control unix:/tmp/lab
  bully members --control 127.0.0.1:23700 --format json

Exit status: 0 if every member there that is up knows a leader, 1 if the program cannot be asked,
2 for wrong usage, 3 if some member knows of no leader now.";

/// What follows the options of `bully monitor`.
pub(crate) const MONITOR: &str = "\
Examples:
  bully monitor --control unix:/tmp/lab
  bully monitor --control unix:/tmp/lab --format json

Exit status: 0 when the program has ended, 1 if it cannot be asked, 2 for wrong usage.";

/// What follows the options of `bully resign`.
pub(crate) const RESIGN: &str = "\
Examples:
  bully resign --control unix:/tmp/lab

Exit status: 0 if the program is ending, 1 if it cannot be asked, 2 for wrong usage.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The answer as it came, one object a line
    Json,
    /// A heading, and a line for each
    Csv,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Status,
    Members,
    Monitor,
    Resign,
}

/// What was not confirmed for longer may not be so any more, in seconds: members ask their leader every
/// 3 s at the latest.
const STALE: f64 = 4.0;

/// The exit status when nobody leads.
const NO_LEADER: u8 = 3;

/// Asks, and prints the answer.
pub(crate) fn run(args: &Args, ask: Ask) -> Result<ExitCode, Failure> {
    // Clap has seen to that.
    let Some(address) = &args.control else {
        return Err(Failure::usage(
            "--control is missing",
            "say where the program answers",
        ));
    };
    if ask == Ask::Monitor && args.format == Format::Csv {
        return Err(Failure::usage(
            "events have no columns in common",
            "use --format json, or text",
        ));
    }
    let wait = (ask == Ask::Monitor).then_some(MONITOR_WAIT);
    let mut client = Client::connect(address, wait)
        .map_err(|error| unreachable(address, &ClientError::Io(error)))?;
    let answer = client
        .ask(ask.word())
        .map_err(|error| unreachable(address, &error))?;
    let snapshot: Snapshot = serde_json::from_value(answer.clone())
        .map_err(|error| unreachable(address, &ClientError::Answer(error.to_string())))?;
    let age = answer["age_s"].as_f64().unwrap_or(0.0);
    let mut out = Output::default();
    out.write(&match (args.format, ask) {
        (Format::Json, _) => format!("{answer}\n"),
        (Format::Csv, Ask::Members) => listed_csv(&snapshot),
        (Format::Csv, _) => csv(&snapshot, age),
        (Format::Text, Ask::Members) => listed(&snapshot, age),
        (Format::Text, Ask::Resign) => stopping(&snapshot),
        (Format::Text, _) => text(&snapshot, age),
    });
    while ask == Ask::Monitor && !out.ended() {
        match client.next() {
            Ok(line) => out.write(&event(&line, args.format)),
            Err(error) if is_silence(&error) => {}
            // The program has ended, and that is what was to be seen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(unreachable(address, &ClientError::Io(error))),
        }
    }
    out.close()?;
    if matches!(ask, Ask::Monitor | Ask::Resign) {
        return Ok(ExitCode::SUCCESS);
    }
    let is_led = !snapshot.views.is_empty() && snapshot.views.iter().all(is_led);
    Ok(ExitCode::from(if is_led { 0 } else { NO_LEADER }))
}

/// Which members end because they were asked to.
fn stopping(snapshot: &Snapshot) -> String {
    match snapshot.views.as_slice() {
        [view] => format!("{} is stopping\n", pid(view.node)),
        views => format!("{} members are stopping\n", views.len()),
    }
}

/// How often a monitor looks whether its own reader is still there.
const MONITOR_WAIT: Duration = Duration::from_secs(1);

fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn unreachable(address: &Address, error: &ClientError) -> Failure {
    Failure::new(
        format!("the program at {address} cannot be asked: {error}"),
        "is it running, and with the same --control?",
    )
}

/// Returns `true` unless it runs and knows of no leader. One that feigns failure or has left is not asked.
fn is_led(view: &View) -> bool {
    view.leader.is_some() || view.state == "failed" || view.state == "resigned"
}

impl Ask {
    fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Members => "members",
            Self::Monitor => "monitor",
            Self::Resign => "resign",
        }
    }
}

fn pid((days, id): (u32, u32)) -> String {
    format!("({days}, {id})")
}

/// How a member stands, in a sentence.
fn standing(view: &View) -> String {
    let since = view.since_s;
    match (view.state.as_str(), view.leader) {
        ("leading", _) => format!("leads for {since:.1} s"),
        ("following", Some(leader)) => {
            let contact = match view.confirmed_s {
                None => "no contact yet".to_owned(),
                Some(ago) if ago > STALE => {
                    format!("last contact {ago:.1} s ago, so this may be out of date")
                }
                Some(ago) => format!("last contact {ago:.1} s ago"),
            };
            format!("follows {} for {since:.1} s, {contact}", pid(leader))
        }
        ("failed", _) => format!("feigns failure for {since:.1} s"),
        ("resigned", _) => "has left".to_owned(),
        ("joining", _) => format!("joining for {since:.1} s"),
        ("waiting", _) => format!("waits for COORDINATOR from a greater member for {since:.1} s"),
        _ => format!("electing for {since:.1} s"),
    }
}

fn text(snapshot: &Snapshot, age: f64) -> String {
    let mut text = match snapshot.views.len() {
        1 => format!("state {age:.3} s ago:\n"),
        count => format!("state of {count} members, {age:.3} s ago:\n"),
    };
    for view in &snapshot.views {
        text += &format!(
            "{:>15} {}; table of {}\n",
            pid(view.node),
            standing(view),
            view.members
        );
    }
    text
}

fn csv(snapshot: &Snapshot, age: f64) -> String {
    let mut text =
        "age_s,days,id,state,leader_days,leader_id,since_s,confirmed_s,members\n".to_owned();
    for view in &snapshot.views {
        let (days, id) = view.leader.map_or_else(
            || (String::new(), String::new()),
            |(days, id)| (days.to_string(), id.to_string()),
        );
        let confirmed = view
            .confirmed_s
            .map_or_else(String::new, |ago| format!("{ago:.3}"));
        text += &format!(
            "{age:.3},{},{},{},{days},{id},{:.3},{confirmed},{}\n",
            view.node.0, view.node.1, view.state, view.since_s, view.members
        );
    }
    text
}

fn listed(snapshot: &Snapshot, age: f64) -> String {
    let Some(view) = snapshot.views.first() else {
        return "no member is here\n".to_owned();
    };
    let mut text = format!("table of {}, {age:.3} s ago:\n", pid(view.node));
    for (who, host, port) in snapshot.listed.iter().flatten() {
        let role = match (*who == view.node, Some(*who) == view.leader) {
            (true, true) => "  itself, leads",
            (true, false) => "  itself",
            (false, true) => "  leads",
            (false, false) => "",
        };
        text += &format!(
            "{:>15} {}:{port}{role}\n",
            pid(*who),
            crate::log::printable(host)
        );
    }
    text
}

fn listed_csv(snapshot: &Snapshot) -> String {
    let leader = snapshot.views.first().and_then(|view| view.leader);
    let mut text = "days,id,host,port,leads\n".to_owned();
    for (who, host, port) in snapshot.listed.iter().flatten() {
        let leads = Some(*who) == leader;
        let host = crate::log::printable(host).replace('"', "\"\"");
        text += &format!("{},{},\"{host}\",{port},{leads}\n", who.0, who.1);
    }
    text
}

/// An event as it is printed.
fn event(line: &str, format: Format) -> String {
    if format != Format::Text {
        return format!("{line}\n");
    }
    match Line::parse(line) {
        Ok(parsed) => sentence(&parsed).map_or_else(String::new, |text| {
            let who = parsed.node.map_or_else(String::new, crate::log::pid_text);
            format!("{:>12.3} {who:>15} {text}\n", parsed.t)
        }),
        Err(_) => {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let why = value["why"]
                .as_str()
                .unwrap_or("a line that cannot be read");
            format!("{why}\n")
        }
    }
}
