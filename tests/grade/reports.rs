//! The reports, read by programs that know nothing of ours.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::graded::{Folder, faulty, grade, run};

/// One grading in every form: two checks pass, one fails in part, one fails.
struct Reports {
    folder: Folder,
    text: String,
}

fn reports() -> &'static Reports {
    static REPORTS: OnceLock<Reports> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let folder = Folder::new();
        let to = |form: &str| format!("{form}={}/{form}", folder.path().display());
        let files = ["json", "junit", "tap", "gradescope"].map(to);
        let keep = folder.file("keep").display().to_string();
        let mut options = vec!["--report", "text", "--keep", &keep, "--seed", "4"];
        for file in &files {
            options.extend(["--report", file]);
        }
        for id in ["join", "payload", "greatest", "log"] {
            options.extend(["--only", id]);
        }
        let output = run(&mut grade(&options, &faulty("bare-election")));
        assert_eq!(output.status.code(), Some(0), "Gradescope wants 0");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Reports { folder, text }
    })
}

fn read(form: &str) -> String {
    fs::read_to_string(reports().folder.file(form)).expect("a report")
}

/// What `program` prints, given `input`; it must succeed.
fn judge(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed to read this report: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\n{input}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn perl_reads_the_tap_report() {
    const SCRIPT: &str = r#"
        use TAP::Parser;
        local $/; my $text = <STDIN>;
        my $parser = TAP::Parser->new({ tap => $text });
        while (my $result = $parser->next) {}
        die join "\n", $parser->parse_errors if $parser->parse_errors;
        printf "%d %d %d\n", $parser->tests_planned, scalar($parser->passed), scalar($parser->failed);
    "#;
    assert_eq!(judge("perl", &["-e", SCRIPT], &read("tap")), "4 3 1\n");
}

#[test]
fn the_junit_report_has_the_schemas_form() {
    // The elements and attributes of the schema that Jenkins publishes (junit-10.xsd).
    const SCRIPT: &str = r#"
import re, sys, xml.etree.ElementTree as ET
ALLOWED = {
    'testsuites': ({'name', 'time', 'tests', 'failures', 'errors'}, ['testsuite']),
    'testsuite': ({'name', 'tests', 'failures', 'errors', 'group', 'time', 'skipped', 'timestamp', 'hostname', 'id',
                   'package', 'file', 'log', 'url'}, ['testsuite', 'properties', 'testcase', 'system-out', 'system-err']),
    'testcase': ({'name', 'time', 'classname', 'group'}, ['skipped', 'error', 'failure', 'system-out', 'system-err']),
    'failure': ({'type', 'message'}, []), 'error': ({'type', 'message'}, []),
}
REQUIRED = {'testsuite': {'name', 'tests', 'failures', 'errors'}, 'testcase': {'name'}}
def visit(element):
    attributes, children = ALLOWED[element.tag]
    assert set(element.attrib) <= attributes, (element.tag, element.attrib)
    assert REQUIRED.get(element.tag, set()) <= set(element.attrib), element.tag
    assert all(child.tag in children for child in element), element.tag
    for name in ('tests', 'failures', 'errors', 'disabled'):
        int(element.attrib.get(name, '0'))
    assert re.fullmatch(r'(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?', element.attrib.get('time', '')), element.attrib
    for child in element:
        visit(child)
root = ET.fromstring(sys.stdin.read())
assert root.tag == 'testsuites'
visit(root)
for suite in root:
    cases = suite.findall('testcase')
    assert int(suite.attrib['tests']) == len(cases)
    assert int(suite.attrib['failures']) == sum(case.find('failure') is not None for case in cases)
    assert int(suite.attrib['errors']) == sum(case.find('error') is not None for case in cases)
    print(suite.attrib['tests'], suite.attrib['failures'], suite.attrib['errors'])
"#;
    assert_eq!(judge("python3", &["-c", SCRIPT], &read("junit")), "4 1 0\n");
}

#[test]
fn a_strict_reader_of_gradescopes_fields_finds_the_score() {
    const SCRIPT: &str = r#"
import json, sys
TOP = {'score', 'execution_time', 'output', 'output_format', 'test_output_format', 'test_name_format',
       'visibility', 'stdout_visibility', 'extra_data', 'tests', 'leaderboard'}
TEST = {'score', 'max_score', 'status', 'name', 'name_format', 'number', 'output', 'output_format', 'tags',
        'visibility', 'extra_data'}
VISIBILITY = {'hidden', 'after_due_date', 'after_published', 'visible'}
FORMATS = {'text', 'html', 'simple_format', 'md', 'ansi'}
results = json.load(sys.stdin)
assert set(results) <= TOP, set(results) - TOP
for test in results['tests']:
    assert set(test) <= TEST, set(test) - TEST
    assert test['status'] in ('passed', 'failed') and test['visibility'] in VISIBILITY
    assert test['output_format'] in FORMATS and isinstance(test['number'], str)
    assert 0 <= test['score'] <= test['max_score']
assert results['visibility'] in VISIBILITY and results['stdout_visibility'] in VISIBILITY
assert abs(sum(test['score'] for test in results['tests']) - results['score']) < 1e-9
print(results['score'], len(results['tests']))
"#;
    let found = judge("python3", &["-c", SCRIPT], &read("gradescope"));
    // join 3, greatest 5, log 5; payload 0 of 2.
    assert_eq!(found, "13.0 4\n");
}

#[test]
fn the_json_report_says_what_was_wrong_and_how_to_see_it_again() {
    let report: serde_json::Value = serde_json::from_str(&read("json")).expect("JSON");
    assert_eq!(report["tool"], "bully grade");
    assert_eq!(report["finished"], true);
    assert_eq!(report["dialect"]["keyed_by"], "pid");
    let payload = crate::graded::check(&report, "payload");
    assert_eq!(payload["verdict"], "fail");
    assert_eq!(payload["points"], 0.0);
    let seen = payload["seen"].as_str().expect("a text");
    assert_eq!(seen, "the name alone, 'ELECTION'");
    let evidence = payload["evidence"].as_array().expect("a timeline");
    assert!(evidence.len() <= 20, "{} lines", evidence.len());
    let offending: Vec<_> = evidence
        .iter()
        .filter(|line| line["offending"] == true)
        .collect();
    assert_eq!(offending.len(), 1, "{evidence:?}");
    let hex = offending[0]["hex"].as_str().expect("bytes");
    assert_eq!(&hex[..4], "8004", "protocol 4: {hex}");
    let repeat = payload["repeat"].as_str().expect("a command");
    assert!(
        repeat.starts_with("bully grade --only payload --seed 4 -- python3 "),
        "{repeat}"
    );
}

#[test]
fn the_text_report_shows_the_offending_message_and_its_bytes() {
    let text = &reports().text;
    for expected in [
        "fail        0/2  payload",
        "Expected: ('ELECTION', members)",
        "bytes 8004",
        "Again: bully grade --only payload",
        "judged by hand: Beautiful style and design (10 points)",
        "13 of 15 points",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing: {text}");
    }
}

#[test]
fn titles_in_the_text_report_are_broken_into_lines_and_not_cut() {
    let text = &reports().text;
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for id in ["join", "payload", "greatest", "log"] {
        let check = bully_grade::CHECKS.iter().find(|check| check.id == id);
        let title = check.expect("a check").title;
        assert!(words(text).contains(title), "{title:?} is missing: {text}");
    }
    let first = text.split("\n\n").nth(1).expect("a table of checks");
    for line in first.lines() {
        assert!(line.chars().count() <= 96, "{line}");
    }
}

#[test]
fn reports_are_their_owners_and_nothing_else_is_left() {
    let folder = &reports().folder;
    for form in ["json", "junit", "tap", "gradescope"] {
        let mode = fs::metadata(folder.file(form))
            .expect("a report")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{form}");
    }
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["gradescope", "json", "junit", "keep", "tap"]);
}

#[test]
fn what_is_kept_has_every_message_of_the_program() {
    let run = reports().folder.file("keep").join("payload-1");
    let wire = fs::read_to_string(run.join("wire.jsonl")).expect("messages");
    let lines: Vec<serde_json::Value> = wire
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(of("JOIN"), 1, "{wire}");
    assert!(of("ELECTION") >= 1, "{wire}");
    let output = fs::read_to_string(run.join("stdout.txt")).expect("output");
    assert!(output.contains(r#""event": "joined""#), "{output}");
    let diagram = fs::read_to_string(run.join("diagram.html")).expect("a diagram");
    assert!(diagram.contains("<title>ELECTION ("), "{diagram}");
    assert!(diagram.contains("<title>JOIN ("), "{diagram}");
}
