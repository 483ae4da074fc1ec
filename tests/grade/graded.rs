//! A run of `bully grade`, and its report.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

/// The program's file.
pub(crate) const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// How long anything may take that is sure to end.
const LIMIT: Duration = Duration::from_secs(240);

/// A folder of its own for one test; removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bully-grade-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The words that run a script of `tests/python` with the placeholders its programs take.
pub(crate) fn python(script: &str, options: &[&str]) -> Vec<String> {
    let file = format!("{}/python/{script}", env!("CARGO_MANIFEST_DIR"));
    let places = ["{gcd_host}", "{gcd_port}", "{su_id}", "--days", "{days}"];
    let words = ["python3", "-B", &file]
        .into_iter()
        .chain(options.iter().copied());
    words.chain(places).map(str::to_owned).collect()
}

/// The faulty program of this name.
pub(crate) fn faulty(fault: &str) -> Vec<String> {
    python("faulty.py", &["--fault", fault])
}

/// `bully grade OPTIONS -- COMMAND`, ready to be started. A port of its own is there for the program
/// that wants one.
pub(crate) fn grade(options: &[&str], command: &[String]) -> Command {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let port = std::process::id() % 400 * 10 + NEXT.fetch_add(1, Ordering::Relaxed) % 10;
    let mut grade = Command::new(BULLY);
    grade
        .arg("grade")
        .args(options)
        .arg("--")
        .args(command)
        .env("FIXED_PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    grade
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command.spawn().expect("it is there");
    let mut child = Killed(child);
    let began = Instant::now();
    // What is printed fits into the pipes: reports are some 30 kB, and a pipe holds 64.
    while child.0.try_wait().expect("it was started").is_none() {
        assert!(began.elapsed() < LIMIT, "it does not end: {command:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.output()
}

/// A child that does not outlive its test.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    fn output(&mut self) -> Output {
        use std::io::Read as _;
        let mut output = Output {
            status: self.0.wait().expect("it has ended"),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_end(&mut output.stdout).expect("its output");
        }
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_end(&mut output.stderr).expect("its output");
        }
        output
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The JSON report of a run, and its exit code.
pub(crate) fn report(options: &[&str], command: &[String]) -> (Value, i32) {
    let folder = Folder::new();
    let file = folder.file("report.json");
    let to = format!("json={}", file.display());
    let options = [options, &["--report", &to]].concat();
    let output = run(&mut grade(&options, command));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "no report ({error}): {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let report = serde_json::from_str(&text).expect("JSON");
    (report, output.status.code().expect("an exit code"))
}

/// The verdict of a check in a report.
pub(crate) fn verdict<'a>(report: &'a Value, id: &str) -> &'a str {
    check(report, id)["verdict"].as_str().expect("a verdict")
}

/// A check in a report.
pub(crate) fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no check {id} in {report:#}"))
}
