//! Runs to look at: logs written by the program under test, in a folder that goes with the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program's file.
pub(crate) const BULLY: &str = env!("CARGO_BIN_EXE_bully-tested");

/// A folder for one test, removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bully-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Simulates with these arguments, and returns the log's file.
    pub(crate) fn simulated(&self, name: &str, args: &[&str]) -> PathBuf {
        let all = [&["sim", "--trace", "--format", "json"], args].concat();
        let output = bully(&all);
        // A run that ends without agreement is drawn as well.
        assert_ne!(output.status.code(), Some(2), "{}", said(&output));
        self.write(name, output.stdout)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the program to its end.
pub(crate) fn bully(args: &[&str]) -> Output {
    let output = Command::new(BULLY).args(args).output();
    output.expect("it is there")
}

/// Runs `bully diagram` with these arguments and files.
pub(crate) fn diagram(args: &[&str], files: &[&Path]) -> Output {
    let files = files.iter().map(|file| file.to_str().expect("UTF-8"));
    let all: Vec<_> = ["diagram"]
        .into_iter()
        .chain(args.iter().copied())
        .chain(files)
        .collect();
    bully(&all)
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}
