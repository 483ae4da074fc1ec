//! `bully replay`, on recordings that `bully sim` made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// A directory that is gone when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("bully-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("there is room");
        Self(directory)
    }

    fn file(&self, name: &str) -> String {
        let path = self.0.join(name);
        path.to_str().expect("its name is text").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bully(args: &[&str]) -> Output {
    let output = Command::new(BULLY).args(args).output();
    output.expect("it is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes text")
}

/// Members that lose their leader, and the simulator's trace of them.
fn recorded(name: &str) -> (Directory, Vec<String>) {
    let directory = Directory::new(name);
    let at = directory.0.to_str().expect("its name is text").to_owned();
    let crash = [
        "--crash",
        "leader@4s..9s",
        "--feign",
        "close",
        "--for",
        "25s",
    ];
    let args = [
        "sim", "--seed", "7", "--trace", "--format", "json", "--record", &at,
    ];
    let output = bully(&[&args[..], &crash[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout).lines().map(str::to_owned).collect();
    (directory, lines)
}

fn files(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).expect("it is there");
    let mut files: Vec<_> = files
        .map(|file| file.expect("it is there").path())
        .map(|path| path.to_str().expect("its name is text").to_owned())
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_repeated_has_the_same_events_as_the_run() {
    let (directory, lines) = recorded("events");
    let files = files(&directory.0);
    assert_eq!(files.len(), 6, "{files:?}");
    // What the members did, and not what was done to them; messages have what only a network knows.
    let of_members = |line: &&String| {
        let others = [r#""event":"message""#, r#""event":"process""#];
        line.starts_with(r#"{"t""#) && !others.iter().any(|other| line.contains(other))
    };
    let mut expected: Vec<_> = lines.iter().filter(of_members).cloned().collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let output = bully(&[&["replay", "--format", "json"], &files[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let repeated = text(&output.stdout);
    let repeated = repeated.lines().map(str::to_owned).collect::<Vec<_>>();
    let times: Vec<_> = repeated
        .iter()
        .map(|line| {
            line["{\"t\":".len()..]
                .split(',')
                .next()
                .expect("a time")
                .parse::<f64>()
                .expect("a number")
        })
        .collect();
    assert!(times.is_sorted(), "the lines are not in the order of time");
    let mut came: Vec<_> = repeated.iter().filter(of_members).cloned().collect();
    expected.sort();
    came.sort();
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(came, expected);
}

#[test]
fn a_recording_is_verified_and_one_that_is_damaged_is_not() {
    let (directory, _) = recorded("verify");
    let file = files(&directory.0).swap_remove(1);
    let output = bully(&["replay", "--verify", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("does as recorded"));
    let sound = std::fs::read(&file).expect("it is there");
    let damaged = directory.file("damaged.byr");
    for at in [0, 3, 4, 10, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&damaged, bytes).expect("there is room");
        let output = bully(&["replay", "--verify", &damaged]);
        assert_eq!(output.status.code(), Some(3), "byte {at}");
        assert!(
            text(&output.stderr).starts_with(&damaged),
            "{}",
            text(&output.stderr)
        );
    }
    std::fs::write(&damaged, &sound[..sound.len() / 2]).expect("there is room");
    let output = bully(&["replay", "--verify", &damaged, &file]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("all is as recorded"),
        "{}",
        text(&output.stderr)
    );
    assert!(text(&output.stdout).contains("does as recorded"));
}

#[test]
fn a_moment_is_looked_at() {
    let (directory, _) = recorded("moment");
    let file = files(&directory.0).swap_remove(0);
    let output = bully(&["replay", &file, "--until", "leader_lost", "--state"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "has lost its leader",
        "phase: ",
        "knows (1, 1000001)",
        "coordinator at 127.0.0.1:20000",
        "JOIN is sent",
    ] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let lines = shown
        .lines()
        .filter(|line| line.contains("has lost its leader"));
    assert_eq!(lines.count(), 1);
    let output = bully(&[
        "replay", &file, "--from", "4s", "--to", "8", "--format", "json",
    ]);
    let shown = text(&output.stdout);
    assert!(shown.lines().count() > 5);
    for line in shown.lines() {
        let at = line["{\"t\":".len()..].split(',').next().expect("a time");
        let at: f64 = at.parse().expect("a number");
        assert!((4.0..=8.0).contains(&at), "{line}");
    }
}

#[test]
fn wrong_usage_says_what_to_do() {
    for (args, said) in [
        (&["replay"][..], "FILE"),
        (&["replay", "/nowhere/at.byr"], "--record"),
        (&["replay", "x.byr", "--until", "lunch"], "leader_lost"),
        (&["replay", "x.byr", "--from", "soon"], "5s"),
    ] {
        let output = bully(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
    }
    let directory = Directory::new("usage");
    let file = directory.file("none.byr");
    for bytes in [&b""[..], b"{\"t\":0.1}", b"BYR\x07 of another version"] {
        std::fs::write(&file, bytes).expect("there is room");
        assert_eq!(bully(&["replay", &file]).status.code(), Some(3));
    }
}

/// A pipe whose reader stops would stop the member.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_recorded_into() {
    let directory = Directory::new("pipe");
    let pipe = directory.file("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("there is mkfifo").success());
    let args = [
        "node",
        "localhost",
        "1",
        "1234567",
        "--days",
        "9",
        "--record",
    ];
    for path in [pipe.as_str(), "/dev/null"] {
        let output = bully(&[&args[..], &[path]].concat());
        let why = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{why}");
        assert!(why.contains("not a regular file"), "{why}");
    }
}

/// Both files of a recording are of one run.
#[test]
fn a_new_recording_removes_the_older_half_of_an_earlier_one() {
    let directory = Directory::new("earlier");
    let (path, old) = (directory.file("a.byr"), directory.file("a.byr.old"));
    for file in [&path, &old] {
        std::fs::write(file, "of an earlier run").expect("there is room");
    }
    let sink = bully_record::FileSink::create(Path::new(&path), 1 << 20);
    drop(sink.expect("it can be written"));
    assert!(!Path::new(&old).exists());
    assert_eq!(std::fs::read(&path).expect("it is there"), b"");
}
