//! The command line of `bully grade`.

use crate::graded::{BULLY, grade, run};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn wrong_usage_exits_2_and_says_what_to_do() {
    let cases: [(&[&str], &str, &str); 9] = [
        (&[], "", "the command to grade is missing"),
        (&[], "lab2 {su_id}", "{gcd_port}"),
        (&[], "lab2 {gcd_prot}", "{gcd_prot} is no placeholder"),
        (
            &["--only", "jion"],
            "lab2 {gcd_port}",
            "no check called \"jion\"",
        ),
        (
            &["--report", "html"],
            "lab2 {gcd_port}",
            "text, json, junit, tap, gradescope",
        ),
        (
            &["--report", "json", "--report", "tap"],
            "lab2 {gcd_port}",
            "two reports",
        ),
        (&["--slack", "0"], "lab2 {gcd_port}", "0.1 to 20"),
        (
            &["--memory-max", "much"],
            "lab2 {gcd_port}",
            "30KB, 500MB, 1GB",
        ),
        (&["--class", "/nowhere"], "", "/nowhere/class.toml"),
    ];
    for (options, command, expected) in cases {
        let output = run(&mut grade(options, &words(command)));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{options:?} {command}: {text}"
        );
        assert!(text.contains(expected), "{options:?} {command}: {text}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_starts() {
    let options = ["--report", "json=/nowhere/report.json"];
    let output = run(&mut grade(
        &options,
        &words("touch /tmp/started {gcd_port}"),
    ));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("/nowhere/report.json"), "{text}");
}

#[test]
fn the_list_quotes_a_sentence_for_every_check() {
    let output = run(std::process::Command::new(BULLY)
        .args(["grade", "--list"])
        .stdout(std::process::Stdio::piped()));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let heading: Vec<&str> = text
        .lines()
        .take(1)
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(heading.join(" "), "check points time what is checked");
    for line in text.lines() {
        assert!(line.chars().count() <= 96, "{line}");
    }
    // Each check's lines as one.
    let of = |id: &str| {
        let mut lines = text.lines().skip_while(|line| !line.starts_with(id));
        let first = lines
            .next()
            .unwrap_or_else(|| panic!("{id} is missing: {text}"));
        let more = lines.take_while(|line| line.starts_with(' '));
        let words = [first]
            .into_iter()
            .chain(more)
            .flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    };
    for check in bully_grade::CHECKS {
        let all = of(&format!("{} ", check.id));
        assert!(all.contains(check.title), "{all}");
        assert!(all.contains(check.sentence), "{all}");
    }
}
