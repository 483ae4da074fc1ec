//! The commands that the READMEs show: each is run, and what is shown of its output has the shape of
//! what comes out.
//!
//! Servers run beside each other, as in shells of their own, and are ended by SIGTERM. What would take
//! minutes is bounded, and printed as it was run. Commands of cargo and of `.ci/` are steps of `.ci/run`.

use core::fmt::Write as _;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bully::Pid;
use bully_tests::chip::{ChipThread, Plug};
use bully_tests::process::free_port;
use rustix::process::Signal;

use crate::program::{BULLY, Program};

/// A command of a document, and the lines that follow it as its output.
struct Shown {
    command: String,
    output: Vec<String>,
}

/// Commands that are not run here, by words in them, and why.
const NOT_RUN: [(&str, &str); 2] = [
    (
        " --top",
        "as it takes a whole terminal until somebody ends it",
    ),
    (
        " --control",
        "as tests/view/control.rs runs those that ask a group and the group",
    ),
];

/// The commands of one block: shells beside each other, or one after the other.
type Block = Vec<Shown>;

/// A folder with `bully` on the PATH, a program to grade, and the tests of this checkout.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bully-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("bin")).expect("it can be made");
        let link = |from: &Path, to: &str| {
            std::os::unix::fs::symlink(from, path.join(to)).expect("it can be made");
        };
        link(Path::new(BULLY), "bin/bully");
        link(&root().join("tests"), "tests");
        fs::write(path.join("lab2.py"), LAB2).expect("it can be written");
        Self(path)
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(&self.0)
            .env("PATH", format!("{}:{path}", self.0.join("bin").display()));
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A student's program with the arguments that the README has: the tests' peer.
const LAB2: &str = r#"
import datetime, os, sys
host, port, su_id, birthday = sys.argv[1:]
today, born = datetime.date.today(), datetime.date.fromisoformat(birthday)
years = (born.replace(year=today.year + more) for more in (0, 1))
days = next((day - today).days for day in years if day > today)
os.execvp("python3", ["python3", "tests/python/peer.py", host, port, su_id, "--days", str(days)])
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the project")
        .to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of ```` ```console ```` and ```` ```sh ````; a block of plain text right after one is the
/// output of its first command.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut output_of_first = false;
    for line in text.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some(language)) => {
                fence = Some(language);
                if matches!(language, "console" | "sh") {
                    blocks.push(Block::new());
                    output_of_first = true;
                } else {
                    output_of_first &= language == "text";
                }
            }
            (Some(_), Some(_)) => fence = None,
            (Some("console" | "sh"), None) => {
                let block = blocks.last_mut().expect("the fence began one");
                if let Some(command) = line.strip_prefix("$ ") {
                    block.push(Shown {
                        command: without_comment(command),
                        output: Vec::new(),
                    });
                } else if let Some(shown) = block.last_mut() {
                    shown.output.push(line.to_owned());
                }
            }
            (Some("text"), None) if output_of_first => {
                let first = blocks.last_mut().and_then(|block| block.first_mut());
                first
                    .expect("a block has a command")
                    .output
                    .push(line.to_owned());
            }
            (Some(_), None) => {}
            (None, None) => output_of_first &= !line.starts_with('#'),
        }
    }
    blocks
}

/// Without the remark at the end, which stands apart from the command.
fn without_comment(command: &str) -> String {
    let end = command
        .find("  #")
        .or(command.find(" # "))
        .unwrap_or(command.len());
    command[..end].trim_end().to_owned()
}

/// A line with its numbers as `#` and its spaces as one: what does not change from run to run.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut number = false;
    for letter in line
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        let inside = number && matches!(letter, '.' | ':' | '/');
        match letter {
            '0'..='9' if !number => shape.push('#'),
            '0'..='9' => {}
            _ if inside => continue,
            other => shape.push(other),
        }
        number = letter.is_ascii_digit();
    }
    shape
}

/// A step of `.ci/run` or `.ci/fast` as the documents write it.
fn is_step(command: &str) -> bool {
    let steps = read(".ci/run") + &read(".ci/fast");
    let plain = |line: &str| {
        let words = line.trim().trim_start_matches("step ").split_whitespace();
        let words = words.filter(|word| !matches!(*word, "--locked" | "-q"));
        words
            .collect::<Vec<_>>()
            .join(" ")
            .replace("--package", "-p")
    };
    command == ".ci/run" || steps.lines().any(|line| plain(line).starts_with(command))
}

/// The command with bounds on what would take minutes.
fn bounded(command: &str) -> String {
    let mut command = command.to_owned();
    for (from, to) in [
        ("bully bench | ", "bully bench --quick --only poll | "),
        (
            "bully grade -- ",
            "bully grade --only join --for-max 60s -- ",
        ),
        ("--members 1000 ", "--members 60 "),
        ("--seeds 1..1000 ", "--seeds 1..8 "),
        ("--seeds 1..15", "--seeds 1..2"),
        ("for n in 10 20 40 80;", "for n in 10 20;"),
        ("for n in 10 20; do", "for n in 10; do"),
    ] {
        command = command.replace(from, to);
    }
    command
}

fn is_server(command: &str) -> bool {
    [
        "bully gcd",
        "bully node",
        "bully gateway",
        "python3 tests/python/peer.py",
    ]
    .iter()
    .any(|server| command.starts_with(server))
}

/// Runs servers beside each other at a coordinator of their own, the documented one unless they start
/// it themselves, until each has joined or listens.
fn serve(folder: &Folder, block: &[&Shown]) {
    let port = free_port().to_string();
    let plug = Plug::device();
    let device = plug.link();
    let chip = ChipThread::start(
        &plug,
        Pid {
            days: 200,
            id: 1_777_777,
        },
    );
    let mut running: Vec<(Program, bool)> = Vec::new();
    let mut start = |command: &str| {
        let mut words: Vec<String> = command
            .split_whitespace()
            .map(|word| match word {
                "23600" => port.clone(),
                "/dev/ttyACM0" => device.clone(),
                word => word.to_owned(),
            })
            .collect();
        if command == "bully gcd" {
            words.push(port.clone());
        }
        let ours = words[0] == "bully";
        let program = Program::start_command(folder.command(&words[0]).args(&words[1..]));
        match words[1].as_str() {
            "gcd" => drop(program.await_text("listens at")),
            "node" => drop(program.await_text("joined: ")),
            "gateway" => drop(program.await_text("listens at")),
            _ => drop(program.next_json()),
        }
        println!("started: {}", words.join(" "));
        running.push((program, ours));
    };
    if !block.iter().any(|shown| shown.command == "bully gcd") {
        start("bully gcd");
    }
    for shown in block {
        start(&shown.command);
    }
    for (program, ours) in running.into_iter().rev() {
        if ours {
            program.signal(Signal::TERM);
            let left = program.finish();
            assert_eq!(left.code, Some(0), "{}", left.err);
        }
    }
    drop(chip);
}

/// Runs a command to its end. Returns its output and log.
fn run(folder: &Folder, command: &str) -> String {
    let command = bounded(command);
    println!("run: {command}");
    let done = folder
        .command("sh")
        .args(["-c", &command])
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    assert!(done.status.success(), "{command}: {}\n{text}", done.status);
    text
}

/// What is shown and did not come out, by shape.
fn missing(shown: &Shown, text: &str) -> String {
    let shapes: BTreeSet<String> = text.lines().map(shape).collect();
    let lines = shown
        .output
        .iter()
        .filter(|line| !shapes.contains(&shape(line)));
    lines.fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
}

/// Runs every command of a document.
fn check(document: &str) {
    let folder = Folder::new(&document.replace('/', "-"));
    for block in blocks(&read(document)) {
        let servers: Vec<&Shown> = block
            .iter()
            .filter(|shown| is_server(&shown.command))
            .collect();
        if !servers.is_empty() {
            serve(&folder, &servers);
        }
        for shown in block.iter().filter(|shown| !is_server(&shown.command)) {
            let command = shown.command.replace("cargo run --release -- ", "bully ");
            if is_step(&shown.command) && command == shown.command {
                println!("a step of .ci/run: {command}");
                continue;
            }
            assert!(
                !command.starts_with("cargo") && !command.starts_with(".ci"),
                "{document} shows `{command}`, which .ci/run does not run"
            );
            if let Some((_, why)) = NOT_RUN.iter().find(|(words, _)| command.contains(words)) {
                println!("not run, {why}: {command}");
                continue;
            }
            if command.starts_with("parallel ") && !has("parallel") {
                println!("not run, as GNU parallel is not installed: {command}");
                continue;
            }
            // Members of a live group do not always come in the same order; other output stays.
            let tries = if command.starts_with("bully lab") {
                5
            } else {
                1
            };
            let missing = (0..tries)
                .map(|_| missing(shown, &run(&folder, &command)))
                .find_or_last(String::is_empty);
            let absent = missing.lines().count();
            if bounded(&command) == command || absent == 0 {
                assert_eq!(missing, "", "{document}: `{command}` does not print these");
            } else {
                println!(
                    "not compared, as less was run: {absent} lines of {}",
                    shown.output.len()
                );
                assert!(shown.output.len() - absent > 2, "{document}: `{command}`");
            }
        }
    }
}

/// `find`, or the last if there is none.
trait FindOrLast: Iterator<Item = String> {
    fn find_or_last(self, test: impl Fn(&String) -> bool) -> String;
}

impl<I: Iterator<Item = String>> FindOrLast for I {
    fn find_or_last(self, test: impl Fn(&String) -> bool) -> String {
        let mut last = String::new();
        for item in self {
            last = item;
            if test(&last) {
                break;
            }
        }
        last
    }
}

fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

#[test]
fn every_command_of_the_front_page_runs() {
    check("README.md");
}

#[test]
fn every_command_of_the_host_page_runs() {
    check("host/README.md");
}

#[test]
fn every_command_of_the_core_page_runs() {
    check("core/README.md");
}

#[test]
fn a_block_of_commands_is_read_with_their_output() {
    let text = "```console\n$ one  # why\nout 1\n$ two\n```\nSo:\n```text\nmore 2.5\n```\n# Next\n```text\nno\n```\n";
    let blocks = blocks(text);
    let [block] = blocks.as_slice() else {
        panic!("one block");
    };
    let [one, two] = block.as_slice() else {
        panic!("two commands");
    };
    assert_eq!((one.command.as_str(), two.command.as_str()), ("one", "two"));
    assert_eq!(one.output, ["out 1", "more 2.5"]);
    assert!(missing(one, "out 7\nmore  3").is_empty());
    assert_eq!(missing(one, "out 7\nless 3.1"), "more 2.5\n");
}
