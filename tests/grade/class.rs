//! `--class`: many programs, resumable.

use std::fs;
use std::process::{Command, Stdio};

use crate::graded::{BULLY, Folder, run};

fn class(folder: &Folder) -> (String, Option<i32>) {
    let output = run(Command::new(BULLY)
        .args([
            "grade",
            "--only",
            "start-election",
            "--jobs",
            "2",
            "--class",
        ])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped()));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        !text.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (text, output.status.code())
}

#[test]
fn a_class_is_graded_once_and_goes_on_where_it_stopped() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let folder = Folder::new();
    let peer =
        format!("python3 -B {python}/peer.py {{gcd_host}} {{gcd_port}} {{su_id}} --days {{days}}");
    let list = format!(
        "[programs]\nalice = \"{peer}\"\nbob = \"python3 -B {python}/faulty.py --fault exits {{gcd_host}} {{gcd_port}} {{su_id}} --days {{days}}\"\n"
    );
    fs::write(folder.file("class.toml"), &list).expect("a list");
    let (first, code) = class(&folder);
    assert_eq!(code, Some(1), "{first}");
    let line = |text: &str, name: &str| {
        let found = text.lines().find(|line| line.starts_with(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    };
    assert!(line(&first, "bob").ends_with("never joined"), "{first}");
    assert!(line(&first, "alice").contains("5"), "{first}");

    // Who has a result is not graded again; who has another command is.
    let results = folder.file("results");
    let alice = results.join("alice.json");
    let before = fs::metadata(&alice)
        .and_then(|file| file.modified())
        .expect("a result");
    fs::write(
        folder.file("class.toml"),
        list.replace("--fault exits", "--fault quiet"),
    )
    .expect("a list");
    let (second, _) = class(&folder);
    let after = fs::metadata(&alice)
        .and_then(|file| file.modified())
        .expect("a result");
    assert_eq!(before, after, "alice was graded again");
    assert!(!line(&second, "bob").contains("never joined"), "{second}");
    assert!(results.join("bob.txt").exists());
}
