use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// The lines that `pickles.py task` prints, given `input`.
pub(crate) fn pickles(task: &str, input: String) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pickles.py");
    let mut child = Command::new("python3")
        .args([script, task])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run python3 ({error}): install Python 3.9 or later, for it is what this test compares with")
        });
    let mut stdin = child.stdin.take().expect("it is piped");
    // In its own thread, since neither pipe holds everything.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "pickles.py {task} failed");
    writer
        .join()
        .expect("it does not panic")
        .expect("python3 reads it all");
    String::from_utf8(output.stdout)
        .expect("python3 prints UTF-8")
        .lines()
        .map(str::to_owned)
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits
        .iter()
        .map(|pair| {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).expect("a digit") as u8;
            digit(0) << 4 | digit(1)
        })
        .collect()
}
