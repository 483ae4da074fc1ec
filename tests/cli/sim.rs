//! `bully sim`: what it reports, that a seed says it all, and the promise of its exit code.

use core::time::Duration;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::program::{BULLY, Left, Program};

fn sim(args: &str) -> Left {
    let args: Vec<_> = args.split(' ').filter(|arg| !arg.is_empty()).collect();
    Program::run(&[&["sim"], &args[..]].concat())
}

/// The objects without what depends on the real clock.
fn lines(left: &Left) -> Vec<Value> {
    let mut lines = left.json();
    for line in &mut lines {
        let line = line.as_object_mut().expect("an object");
        let before = line.len();
        line.retain(|name, _| !name.starts_with("wall_"));
        assert!(line.len() < before, "{left:?}");
    }
    lines
}

fn sent(line: &Value, kind: &str) -> u64 {
    line["messages"][kind].as_u64().expect("a count")
}

/// What elections cost: all but the PROBEs and their OKs.
fn to_elect(line: &Value) -> u64 {
    let kinds = ["join", "election", "ok", "coordinator"];
    let all: u64 = kinds.iter().map(|kind| sent(line, kind)).sum();
    all - line["probe_oks"].as_u64().expect("a count")
}

#[test]
fn a_seed_gives_the_same_bytes_each_time() {
    for args in [
        "--members 7 --seeds 3..9 --crash leader@2s --loss 0.02 --for 12s",
        "--members 5 --seeds 1..3 --feign ignore --delay exp:1ms --for 20s",
        "--members 6 --seed 4 --partition 3|4@3s..6s",
    ] {
        let (one, two) = (sim(args), sim(args));
        assert_eq!(one.out, two.out, "{args}");
        assert_eq!(one.code, two.code, "{args}");
        let json = format!("{args} --format json");
        assert_eq!(lines(&sim(&json)), lines(&sim(&json)), "{args}");
    }
    let seeds = |seed: u32| lines(&sim(&format!("--format json --seed {seed}")));
    let (one, other) = (seeds(1), seeds(2));
    assert_ne!(one[0]["settled_s"], other[0]["settled_s"]);
}

#[test]
fn a_seed_is_the_same_alone_and_among_others() {
    let all = lines(&sim("--format json --seeds 5..40 --crash leader@1s"));
    let seeds: Vec<_> = all.iter().map(|line| line["seed"].as_u64()).collect();
    assert_eq!(seeds, (5..=40).map(Some).collect::<Vec<_>>(), "in order");
    for seed in [5, 23, 40] {
        let alone = lines(&sim(&format!(
            "--format json --seed {seed} --crash leader@1s"
        )));
        assert_eq!(alone[0], all[seed - 5]);
    }
}

#[test]
fn an_object_has_all_there_is_to_know() {
    let left = sim("--format json --seed 1 --crash leader@2s");
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(
        left.err.starts_with("seed 1 (repeat with --seed 1)\n"),
        "{left:?}"
    );
    let [line] = &left.json()[..] else {
        panic!("one line: {left:?}");
    };
    assert_eq!(line["seed"], 1);
    assert_eq!(line["agreed"], true);
    assert_eq!(line["leader"], json!([1, 1_000_004]), "the fifth is gone");
    assert_eq!(line["cut"], false);
    assert_eq!(line["breach"], json!(null));
    assert_eq!(line["fullest_table"], 5);
    assert_eq!(
        line["simulated_s"], 41.6,
        "38.6 s after the crash all must agree, and a second later they do"
    );
    assert_eq!(line["not_checked"], json!([]));
    let detected = line["detection_to_leader_s"].as_f64().expect("detected");
    assert!(detected < 1.0, "{line}");
    assert!(
        line["disagreed_s"].as_f64() >= Some(detected),
        "from the crash on: {line}"
    );
    let (settled, after) = (&line["settled_s"], &line["crash_to_leader_s"]);
    let between = settled.as_f64().expect("settled") - after.as_f64().expect("crashed");
    assert!((between - 2.0).abs() < 1e-6, "{line}");
    assert!(sent(line, "join") >= 5, "{line}");
    let opened: u64 = ["join", "election", "coordinator", "probe"]
        .iter()
        .map(|kind| sent(line, kind))
        .sum();
    assert_eq!(
        line["exchanges"], opened,
        "one for each message that is no answer"
    );
    assert!(sent(line, "coordinator") >= 3, "{line}");
    assert!(line["polls"].as_u64() > Some(opened), "{line}");
    // A PROBE has 16 bytes, its OK 10, and everything else more.
    assert!(line["wire_bytes"].as_u64() > Some(16 * opened), "{line}");
    assert!(line["wall_s"].as_f64() > Some(0.0), "{line}");
}

#[test]
fn the_other_forms_say_the_same() {
    let args = "--members 4 --seeds 7..9";
    let json = lines(&sim(&format!("{args} --format json")));
    let csv = sim(&format!("{args} --format csv"));
    let names: Vec<_> = csv.out[0].split(',').collect();
    assert_eq!(csv.out.len(), 4);
    let text = sim(args);
    assert_eq!(text.out[0], "seeds 7..9");
    let rows = &text.out[2..5];
    for ((object, line), row) in json.iter().zip(&csv.out[1..]).zip(rows) {
        let values: Vec<_> = line.split(',').collect();
        assert_eq!(names.len(), values.len());
        for (name, value) in names.iter().zip(values) {
            let expected = match *name {
                "wall_s" => continue,
                "leader_days" => &object["leader"][0],
                "leader_id" => &object["leader"][1],
                "join" | "election" | "ok" | "coordinator" | "probe" => &object["messages"][*name],
                "not_checked" => {
                    assert_eq!((value, &object[*name]), ("", &json!([])));
                    continue;
                }
                "wall_peak_rss_bytes" => {
                    assert!(value.parse::<u64>().expect("bytes") > 1 << 20);
                    continue;
                }
                name => &object[name],
            };
            match expected {
                Value::Null => assert_eq!(value, "", "{name}"),
                Value::Number(number) if number.is_f64() => {
                    assert_eq!(value.parse::<f64>().ok(), number.as_f64(), "{name}");
                }
                expected => assert_eq!(value, expected.to_string(), "{name}"),
            }
        }
        for kind in ["seed", "wire_bytes"] {
            let figure = object[kind].to_string();
            assert!(row.split(' ').any(|cell| cell == figure), "{row}");
        }
    }
    for line in &text.out[1..] {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let summary = text.out[5..].join("\n");
    assert!(summary.starts_with("agreed: 3 of 3\n"), "{summary}");
    let mut sums: Vec<_> = json.iter().map(to_elect).collect();
    sums.sort_unstable();
    let median = format!("; {} without PROBEs and their OKs", sums[1]);
    assert!(summary.contains(&median), "{summary}");
    assert!(
        text.err
            .contains(" times as fast as real time on each core"),
        "{text:?}"
    );
}

#[test]
fn a_joiner_of_a_settled_group_costs_what_the_rules_allow() {
    for start in ["lowest-joins", "highest-joins"] {
        let left = sim(&format!(
            "--members 20 --start {start} --for 20s --seeds 1..15 --format json"
        ));
        assert_eq!(left.code, Some(0), "{left:?}");
        let lines = lines(&left);
        assert_eq!(lines.len(), 15);
        for line in lines {
            assert_eq!(line["leader"], json!([2, 1_000_020]), "{line}");
            // One to get in, one more, and the leader's now and then.
            assert!((1..=4).contains(&sent(&line, "join")), "{line}");
            assert!(to_elect(&line) <= 19 * 22, "{line}");
        }
    }
}

#[test]
fn a_trace_says_what_happens_to_whom() {
    let left = sim("--members 3 --seed 2 --crash leader@1s --trace");
    assert_eq!(left.code, Some(0), "{left:?}");
    let all = left.out.join("\n");
    assert!(all.starts_with("seed 2 (repeat with --seed 2)\n"), "{all}");
    for text in [
        "    3  starts",
        "1.000000       3  crashes",
        "2  leader is 2",
        "COORDINATOR",
    ] {
        assert!(all.contains(text), "lacks {text:?}: {all}");
    }
    let times: Vec<f64> = left.out[2..]
        .iter()
        .map_while(|line| line.get(..12)?.trim().parse().ok())
        .collect();
    assert!(times.len() > 20 && times.is_sorted(), "{all}");
    assert!(
        all.contains("\nagreed: 1 of 1\n"),
        "the report comes below: {all}"
    );
}

#[test]
fn who_does_not_agree_is_named_and_how_to_see_it() {
    // Cut in two to the end, both sides have a leader.
    let args = "--members 4 --partition 2|3@0s..10s --for 9s";
    let left = sim(&format!("{args} --seeds 1..7"));
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.out.contains(&"agreed: 0 of 7".to_owned()), "{left:?}");
    for text in [
        "error: seed 1 ends without agreement\n",
        "and 2 more",
        "bully sim --members 4 --partition '2|3@0s..10s' --for 9s --seed 1 --trace",
    ] {
        assert!(left.err.contains(text), "lacks {text:?}: {}", left.err);
    }
}

#[test]
fn a_run_that_is_cut_off_says_so() {
    let left = sim("--members 9 --seed 1 --messages-max 50 --format json");
    assert_eq!(left.code, Some(1), "{left:?}");
    let line = &left.json()[0];
    assert_eq!(line["cut"], true);
    assert_eq!(line["agreed"], false);
    let simulated = line["simulated_s"].as_f64().expect("seconds");
    assert!(simulated < 10.0, "{line}");
    assert!(left.err.contains("--messages-max"), "{left:?}");
    let left = sim("--members 9 --seed 1 --messages-max 50");
    assert!(
        left.out.contains(&"agreed: 0 of 1, 1 cut off".to_owned()),
        "{left:?}"
    );
}

#[test]
fn an_end_in_the_middle_of_an_election_is_put_off_where_members_play_dead() {
    let left = sim("--members 9 --feign close --for 20s --seeds 1..200 --format json");
    assert_eq!(left.code, Some(0), "{left:?}");
    let ends: Vec<_> = left
        .json()
        .iter()
        .map(|line| line["simulated_s"].as_f64())
        .collect();
    assert!(
        ends.iter()
            .all(|end| (Some(20.0)..=Some(25.0)).contains(end)),
        "{ends:?}"
    );
    assert!(ends.contains(&Some(20.0)), "{ends:?}");
    assert!(ends.iter().any(|end| *end > Some(20.0)), "{ends:?}");
}

#[test]
fn a_reader_who_leaves_ends_it() {
    let script = format!("{BULLY} sim --seeds 1..100000000 | head -n 5");
    let started = Instant::now();
    let left = Program::start_command(Command::new("sh").args(["-c", &script])).finish();
    assert_eq!(left.out.len(), 5, "{left:?}");
    assert!(left.err.is_empty(), "{left:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Starts a command on a terminal of its own, and returns the last it saw there: up to a text, or
/// after three seconds of a command that writes.
const UP_TO_THE_BAR: &str = r#"
import os, pty, signal, sys, time
text, command = sys.argv[1].encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, end = b"", time.monotonic() + 3
while text not in seen and time.monotonic() < end:
    seen = seen[-200:] + os.read(terminal, 4096)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
sys.stdout.buffer.write(seen)
"#;

fn on_a_terminal(term: &str, args: &[&str], text: &str) -> String {
    let mut command = Command::new("python3");
    command
        .args(["-c", UP_TO_THE_BAR, text, BULLY])
        .args(args)
        .env("TERM", term);
    let left = Program::start_command(&mut command).finish();
    assert_eq!(left.code, Some(0), "{left:?}");
    left.out.join("\n")
}

/// What a command shows at a terminal, up to this text.
pub(crate) fn up_to_the_bar(args: &[&str], text: &str) -> String {
    on_a_terminal("xterm", args, text)
}

#[test]
fn who_waits_at_a_terminal_sees_how_far_it_is() {
    let args = ["sim", "--seeds", "1..100000000", "--format", "csv"];
    let seen = up_to_the_bar(&args, " seeds, ");
    assert!(seen.contains(" of 100000000 seeds, "), "{seen}");
    assert!(!on_a_terminal("dumb", &args, " seeds, ").contains(" seeds, "));
}

#[test]
fn a_quiet_hour_is_no_storm() {
    let left = sim("--for 1h --seed 1");
    assert_eq!(left.code, Some(0), "{left:?}");
}

#[test]
fn a_delay_beyond_all_reason_is_wrong_usage() {
    for delay in ["const:1e19", "exp:1e18", "uniform:0..1e15"] {
        let left = sim(&format!("--seed 1 --delay {delay}"));
        assert_eq!(left.code, Some(2), "{left:?}");
        assert!(left.err.contains("delays are at most 1h"), "{left:?}");
    }
    let left = sim("--seed 1 --crash 1@1e18s");
    assert_eq!(left.code, Some(2), "{left:?}");
}

#[test]
fn where_everybody_is_down_nobody_disagrees() {
    let left = sim("--members 2 --seed 1 --crash 1@5s --crash 2@5s --format json");
    assert_eq!(left.code, Some(0), "{left:?}");
    let line = &left.json()[0];
    assert_eq!(
        (&line["agreed"], &line["leader"]),
        (&json!(true), &json!(null))
    );
}

#[test]
fn a_run_lasts_as_long_as_agreement_may_take() {
    // 9.6 s after the end of the partition the two sides had not met yet.
    let left = sim("--members 6 --partition 3|4@2s..12s --seeds 1..40");
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(
        left.out.contains(&"agreed: 40 of 40".to_owned()),
        "{left:?}"
    );
}

#[test]
fn what_is_not_checked_is_named() {
    for (args, what) in [
        ("--strict --for 2s", "to the letter none are promised"),
        ("--for 2s", "faults never ended for as long as settling"),
        (
            "--delay exp:300ms --for 1s",
            "a quarter of the wait for an OK",
        ),
        ("--plain 2", "the leaders that plain members follow"),
        ("--cut 1-2@0s..100s", "not everybody reached everybody"),
    ] {
        let left = sim(&format!("--seed 1 {args}"));
        let lines = left.out.iter().filter(|line| line.contains("not checked"));
        let lines: Vec<_> = lines.filter(|line| line.contains(what)).collect();
        assert_eq!(lines.len(), 1, "{left:?}");
    }
    let left = sim("--seed 1 --crash leader@3s");
    assert!(!left.out.join("\n").contains("not checked"), "{left:?}");
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let script = format!("{BULLY} sim --seeds 1..3 > /dev/full");
    let left = Program::start_command(Command::new("sh").args(["-c", &script])).finish();
    assert_eq!(left.code, Some(1), "{left:?}");
}

/// Every line without what depends on the machine.
fn without_wall(text: &str) -> String {
    let cut = |line: &str| line.split(",\"wall_").next().map(str::to_owned);
    text.lines().filter_map(cut).collect::<Vec<_>>().join("\n")
}

/// A folder of the tests' own.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("bully-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

#[test]
fn shards_run_by_gnu_parallel_merge_into_the_report_of_the_whole_sweep() {
    let found = Command::new("parallel").arg("--version").output();
    let found = found.expect("GNU parallel is installed: apt-get install parallel");
    let version = String::from_utf8_lossy(&found.stdout);
    assert!(version.contains("GNU parallel"), "{version}");
    let folder = folder("shards");
    // One of them without agreement: what went wrong is merged, too.
    let sweep = "--members 6 --crash leader@2s..4s --loss 0.2 --for 12s --seeds 3..40";
    let command = format!(
        "parallel -j 2 '{BULLY} sim {sweep} --shard {{}}/5 --format json > {{}}.json' \
         ::: 1 2 3 4 5"
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(&folder);
    Program::start_command(&mut shell).finish();
    let files: Vec<_> = (1..=5)
        .map(|shard| folder.join(format!("{shard}.json")).display().to_string())
        .collect();
    for format in ["text", "json", "csv"] {
        let whole = sim(&format!("{sweep} --format {format}"));
        let merged = sim(&format!("--merge {} --format {format}", files.join(" ")));
        let wall = |left: &Left| match format {
            "csv" => left
                .out
                .iter()
                .filter_map(|line| line.rsplitn(3, ',').nth(2).map(str::to_owned))
                .collect::<Vec<_>>()
                .join("\n"),
            _ => without_wall(&left.out.join("\n")),
        };
        assert_eq!(wall(&whole), wall(&merged), "{format}");
        assert_eq!(whole.code, merged.code, "{format}");
        assert!(whole.out.len() >= 38, "{format}");
    }
    // A shard that is missing, and one that comes twice.
    let left = sim(&format!("--merge {} {}", files[0], files[2]));
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("are missing"), "{left:?}");
    let left = sim(&format!("--merge {} {}", files[0], files[0]));
    assert!(left.err.contains("is there twice"), "{left:?}");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
}

#[test]
fn every_fault_of_the_command_line_is_simulated() {
    for args in [
        "--pause leader@5s..9s",
        "--vanish leader@5s..9s",
        "--crash gcd@5s --crash leader@7s",
        "--crash 40%@5s..9s --members 9",
        "--crash leader@5s..9s --back-as moved",
        "--partition 2|3+gcd@5s..9s",
        "--cut 1-5@5s..9s --cut 5>3@5s..9s",
        "--slow 2:20ms --slow 50%:1ms",
        "--plain 1",
        "--capacity 8,64,4096",
    ] {
        let left = sim(&format!("--seeds 1..5 {args}"));
        assert_eq!(left.code, Some(0), "{args}: {left:?}");
    }
    for (args, text) in [
        ("--cut 1-9@5s..9s", "there is no member 9"),
        ("--pause 9@5s..9s", "there is no member 9"),
        ("--crash leader@5s --back-as moved", "nobody comes back"),
        ("--members 5000", "--capacity 64"),
        ("--shard 1/2", "--seeds"),
        ("--merge /nowhere", "cannot be read"),
    ] {
        let left = sim(args);
        assert!(left.code > Some(0), "{args}: {left:?}");
        assert!(left.err.contains(text), "{args}: {left:?}");
    }
}

#[test]
fn everything_may_be_drawn_from_the_seed() {
    let args = "--random --seeds 1..60 --format json";
    let (one, other) = (sim(args), sim(args));
    assert_eq!(lines(&one), lines(&other));
    let joined: Vec<u64> = lines(&one)
        .iter()
        .filter_map(|line| line["messages"]["join"].as_u64())
        .collect();
    assert!(
        joined.iter().min() < Some(&10) && joined.iter().max() > Some(&40),
        "groups of all sizes: {joined:?}"
    );
    // Only what failed has a row, and each seed that failed has one.
    let failed = sim(&format!("{args} --failed"));
    let good = |line: &&Value| line["agreed"] == true;
    let bad = lines(&one).len() - lines(&one).iter().filter(good).count();
    assert_eq!(failed.out.len(), bad);
    assert_eq!(failed.code, one.code);
    let left = sim("--random --members 5");
    assert_eq!(left.code, Some(2), "{left:?}");
}
