//! `--class`: many programs, resumable.

use std::fs;
use std::process::{Command, Stdio};

use crate::graded::{BULLY, Folder, run};

/// What `bully grade --class` prints, and its exit code.
fn class(folder: &Folder, jobs: &str) -> (String, Option<i32>) {
    let output = run(Command::new(BULLY)
        .args([
            "grade",
            "--only",
            "start-election",
            "--jobs",
            jobs,
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
fn a_program_that_writes_the_result_of_another_one_changes_nothing() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let folder = Folder::new();
    // Alice's writes finished results for the others before it takes part; theirs only exit.
    let script = folder.file("alice.py");
    let planted = serde_json::json!({
        "tool": "bully grade", "version": env!("CARGO_PKG_VERSION"), "finished": true,
        "command": ["false", "{gcd_port}"], "joined": true, "score": 5.0, "max": 5.0, "checks": [],
    })
    .to_string();
    let text = format!(
        "import os, runpy, sys
for name in ['bob.json', 'bob.txt', 'carol.json']:
    with open('results/' + name, 'w') as file:
        file.write({planted:?})
sys.path.insert(0, '{python}')
runpy.run_path('{python}/peer.py', run_name='__main__')
"
    );
    fs::write(&script, text).expect("a script");
    let list = |alice: &str| {
        let others = "bob = \"false {gcd_port}\"\ncarol = \"false {gcd_port} {su_id}\"\n";
        let text = format!("[programs]\nalice = \"{alice}\"\n{others}");
        fs::write(folder.file("class.toml"), text).expect("a list");
    };
    // Carol's result is of an earlier run.
    list("false {gcd_port}");
    class(&folder, "1");
    let results = folder.file("results");
    let carol = fs::read_to_string(results.join("carol.json")).expect("a result");
    fs::remove_file(results.join("bob.json")).expect("a result");

    list(&format!(
        "python3 -B {} {{gcd_host}} {{gcd_port}} {{su_id}} --days {{days}}",
        script.display()
    ));
    let (text, code) = class(&folder, "1");
    assert_eq!(code, Some(1), "{text}");
    let line = |name: &str| {
        let found = text.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert!(line("bob").ends_with("never joined"), "{text}");
    assert!(line("carol").ends_with("never joined"), "{text}");
    assert!(!line("alice").ends_with("never joined"), "{text}");
    let read = |name: &str| fs::read_to_string(results.join(name)).expect("a result");
    for name in ["bob.json", "bob.txt"] {
        assert!(
            read(name).contains("never joined"),
            "{name}: {}",
            read(name)
        );
    }
    assert_eq!(read("carol.json"), carol);
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
    let (first, code) = class(&folder, "2");
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
    let (second, _) = class(&folder, "2");
    let after = fs::metadata(&alice)
        .and_then(|file| file.modified())
        .expect("a result");
    assert_eq!(before, after, "alice was graded again");
    assert!(!line(&second, "bob").contains("never joined"), "{second}");
    assert!(results.join("bob.txt").exists());
}
