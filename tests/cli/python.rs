//! Python as the judge of what a pickle means.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program in Python with `input` on stdin and returns what it prints.
pub(crate) fn python(code: &str, zone: Option<&str>, input: &[u8]) -> String {
    let mut command = Command::new("python3");
    command
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let mut child = command
        .spawn()
        .expect("python3 is needed as the judge of this test");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{code}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// What Python takes a pickle for.
pub(crate) fn unpickled(pickle: &[u8]) -> String {
    let code = "import pickle, sys; print(repr(pickle.loads(sys.stdin.buffer.read())))";
    python(code, None, pickle)
}
