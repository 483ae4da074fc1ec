//! Process ids at the ends of their range, and beyond: a verdict, and the right one.

use crate::graded::{Folder, check, python, report, verdict};

/// A program that joins as `pid`, a Python expression, and prints what it is answered.
fn joins_as(pid: &str, folder: &Folder) -> Vec<String> {
    let script = folder.file("joins.py");
    let text = format!(
        "import pickle, socket, sys, time
listener = socket.create_server(('localhost', 0))
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as gcd:
    gcd.sendall(pickle.dumps(('JOIN', ({pid}, listener.getsockname()))))
    gcd.settimeout(60)
    print('answered', pickle.loads(gcd.recv(4096)), flush=True)
time.sleep(60)
"
    );
    std::fs::write(&script, text).expect("a script");
    let script = script.display().to_string();
    ["python3", &script, "{gcd_host}", "{gcd_port}"]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_join_with_an_extreme_process_id_is_refused_and_a_fault_of_join() {
    for (pid, seen) in [
        ("(200, 0)", "JOIN as (200, 0)"),
        ("(0, 1000001)", "JOIN as (0, 1000001)"),
        ("(366, 1000001)", "JOIN as (366, 1000001)"),
        ("(200, 10000000)", "JOIN as (200, 10000000)"),
        ("(4294967295, 1000001)", "JOIN as (4294967295, 1000001)"),
        ("(200, 4294967295)", "JOIN as (200, 4294967295)"),
    ] {
        let folder = Folder::new();
        let (report, code) = report(&["--repeat", "1"], &joins_as(pid, &folder));
        assert_eq!(code, 3, "{pid}: it never joined");
        let join = check(&report, "join");
        assert_eq!(join["verdict"], "fail", "{pid}");
        assert_eq!(join["seen"], seen, "{pid}");
        let output = join["output"].as_str().expect("a text");
        assert!(
            output.contains("answered Malformed process id") || output.is_empty(),
            "{pid}: {output}"
        );
    }
}

#[test]
fn a_join_whose_process_id_is_no_pair_of_numbers_is_quoted() {
    for pid in ["(-5, 1000001)", "(2**70, 1000001)", "(200, '1000001')", "7"] {
        let folder = Folder::new();
        let (report, code) = report(
            &["--only", "join", "--repeat", "1", "--slack", "0.2"],
            &joins_as(pid, &folder),
        );
        assert_eq!(code, 3, "{pid}: it never joined");
        let join = check(&report, "join");
        assert_eq!(join["verdict"], "fail", "{pid}");
        let seen = join["seen"].as_str().expect("a text");
        assert!(seen.contains("JOIN"), "{pid}: {seen}");
    }
}

#[test]
fn a_birthday_tomorrow_or_a_year_away_costs_no_points() {
    let ids = ["only-greater", "greatest", "payload", "everyone"];
    let options = ["--only", &ids.join(","), "--jobs", "4", "--seed", "2"];
    for days in ["1", "2", "7", "355", "361", "365"] {
        let words = python("peer.py", &[]);
        let words = words
            .iter()
            .map(|word| word.replace("{days}", days))
            .collect::<Vec<_>>();
        // A machine that is too busy makes it unclear.
        let mut found = Vec::new();
        for _ in 0..3 {
            let (report, _) = report(&options, &words);
            found = ids.map(|id| verdict(&report, id).to_owned()).to_vec();
            if !found.iter().any(|verdict| verdict == "unclear") {
                break;
            }
        }
        assert!(
            found.iter().all(|verdict| verdict == "pass"),
            "{days} days: {found:?} of {ids:?}"
        );
    }
}
