//! Python as the judge: what it prints, given some input.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// What `python3` prints when called with `args` and in the time zone `zone`, given `input`.
///
/// # Panics
///
/// If there is no Python, or it fails.
pub fn python(args: &[&str], zone: Option<&str>, input: &[u8]) -> String {
    let mut command = Command::new("python3");
    command
        .args(args)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("cannot run python3 ({error}): install Python 3.9 or later, for it is what this test compares with")
    });
    let mut stdin = child.stdin.take().expect("it is piped");
    // In its own thread, since neither pipe holds everything.
    let output = thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().expect("python3 ends");
        assert!(output.status.success(), "python3 {args:?} failed");
        let written = writer.join().expect("it does not panic");
        written.expect("python3 reads it all");
        output
    });
    String::from_utf8(output.stdout).expect("python3 prints UTF-8")
}

/// The lines that a script of `tests/python` prints, given `input`.
///
/// # Panics
///
/// As [`python`].
pub fn script(name: &str, args: &[&str], input: &str) -> Vec<String> {
    let script = format!("{}/python/{name}", env!("CARGO_MANIFEST_DIR"));
    let args = [&[script.as_str()], args].concat();
    let printed = python(&args, None, input.as_bytes());
    printed.lines().map(str::to_owned).collect()
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hex digits as bytes.
///
/// # Panics
///
/// If `text` is anything else.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits
        .iter()
        .map(|pair| {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).expect("a digit") as u8;
            digit(0) << 4 | digit(1)
        })
        .collect()
}
