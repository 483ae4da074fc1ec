//! `--help`: every flag is there, with its default and its unit.

use crate::program::Program;

/// What every command says that runs until it is stopped.
const RUNS: &[&str] = &[
    "--log <FORM>",
    "json-brief:",
    "--quiet",
    "--verbose",
    "text:",
    "json:",
    "[default: text]",
    "--for <DURATION>",
    "5s, 500ms, 2m, 1h",
    "[default: at Ctrl-C]",
    "Examples:",
    "Exit status:",
];

/// What every command says that speaks for one member.
const WIRE: &[&str] = &[
    "--bind <ADDR[:PORT]>",
    "[default: 127.0.0.1:0]",
    "--advertise <HOST>",
    "[default: that of --bind]",
    "--keyed-by <WHAT>",
    "auto:",
    "address:",
    "pid:",
    "--ok <FORM>",
    "text:",
    "pair:",
    "members:",
    "--probe <FORM>",
    "none:",
    "[default: auto]",
];

const NODE: &[&str] = &[
    "--control <unix:PATH|127.0.0.1:PORT>",
    "[env: BULLY_GCD_HOST]",
    "[env: BULLY_SU_ID]",
    "--no-handover",
    "up to 400 ms",
    "<GCD_HOST>",
    "<GCD_PORT>",
    "<SU_ID>",
    "[BIRTHDAY]",
    "seven digits",
    "YYYY-MM-DD or MM-DD",
    "--days <N>",
    "1 to 365",
    "--feign <HOW>",
    "close:",
    "ignore:",
    "[default: never]",
    "0 to 10 s",
    "1 to 4 s",
    "--no-probe",
    "--strict",
    "--capacity <N>",
    "4, 8, 16, 64, 256, 1024 or 4096",
    "[default: 1024]",
    "--connections <C>",
    "16, 64, 256 or 1024",
    "[default: 64]",
    "--seed <N>",
    "[default: drawn]",
    "--record <FILE>",
    "--record-max <SIZE>",
    "[default: 16MB]",
];

const GCD: &[&str] = &[
    "[PORT]",
    "[default: 23600]",
    "0 takes any that is free",
    "--keyed-by <WHAT>",
    "address:",
    "pid:",
    "[default: address]",
    "--bind <ADDR>",
    "[default: 127.0.0.1]",
    "other machines",
    "--capacity <N>",
    "1 to 4096",
    "[default: 4096]",
];

const LAB: &[&str] = &[
    "--top",
    "--control <unix:PATH|127.0.0.1:PORT>",
    "--no-handover",
    "--gcd <HOST> <PORT>",
    "--bind <ADDR>",
    "[default: 127.0.0.1]",
    "--advertise <HOST>",
    "[default: that of --bind]",
    "--ids <FROM>",
    "[default: 1000001]",
    "--members <N>",
    "[default: 5]",
    "1 to 1000",
    "--capacity <N>",
    "4, 8, 16, 64, 256, 1024 or 4096",
    "[default: 1024]",
    "up to 5 s more",
    "--feign <HOW>",
    "close:",
    "ignore:",
    "[default: never]",
    "--strict",
    "--seed <N>",
    "[default: drawn]",
];

const SIM: &[&str] = &[
    "--members <N>",
    "1 to 100000",
    "[default: 5]",
    "--capacity <C[,C]>",
    "4, 8, 16, 64, 256, 1024 or 4096",
    "[default: all]",
    "--start <ORDER>",
    "together:",
    "ascending:",
    "descending:",
    "shuffled:",
    "lowest-joins:",
    "highest-joins:",
    "--crash <WHO@TIME[..TIME]>",
    "leader@5s",
    "--delay <LAW:TIME>",
    "const:1ms, uniform:0.5ms..1.5ms, exp:1ms",
    "--loss <P>",
    "--partition <A|B@FROM..TO>",
    "'2|3@5s..9s'",
    "--feign <HOW>",
    "--strict",
    "--for <DURATION>",
    "[default: until all must agree",
    "--seed <N>",
    "[default: drawn]",
    "--seeds <A..B>",
    "--messages-max <N>",
    "[default: 10000000]",
    "--format <FORM>",
    "text:",
    "json:",
    "csv:",
    "--trace",
    "--record <DIR>",
    "Examples:",
    "Exit status:",
];

const GATEWAY: &[&str] = &[
    "--link </dev/TTY[:BAUD]|tcp:HOST:PORT|unix:PATH>",
    "115200 by default",
    "--gcd <HOST> <PORT>",
    "silent for 2 s",
];

const BENCH: &[&str] = &[
    "--only <SECTION>",
    "wire:",
    "table:",
    "poll:",
    "sockets:",
    "group:",
    "heap:",
    "[default: all]",
    "--quick",
    "half a minute",
    "--format <FORM>",
    "text:",
    "json:",
    "csv:",
    "[default: text]",
    "--plots <DIR>",
    "above 1 ours is always better",
    "Examples:",
    "Exit status:",
];

const REPLAY: &[&str] = &[
    "<FILE>",
    "--format <FORM>",
    "[default: text]",
    "--verify",
    "--from <TIME>",
    "--to <TIME>",
    "--until <EVENT>",
    "--state",
    "--verbose",
    "Examples:",
    "Exit status:",
];

const DIAGRAM: &[&str] = &[
    "[FILES]...",
    "--to <FORM>",
    "html:",
    "svg:",
    "shiviz:",
    "perfetto:",
    "mermaid:",
    "--output <FILE>",
    "--from <TIME>",
    "--until <TIME>",
    "--members <LIST>",
    "--hide <KINDS>",
    "--scale <WHAT>",
    "[default: events]",
    "--max <N>",
    "[default: 10000]",
    "Examples:",
    "Exit status:",
];

const EXPLAIN: &[&str] = &[
    "[FILES]...",
    "--from <TIME>",
    "--until <TIME>",
    "Exit status:",
];

const STATUS: &[&str] = &[
    "--control <unix:PATH|127.0.0.1:PORT>",
    "[env: BULLY_CONTROL]",
    "--format <FORM>",
    "text:",
    "json:",
    "csv:",
    "Exit status: 0 if every member there that is up knows a leader",
];

const TOP: &[&str] = &[
    "[FILES]...",
    "--control <unix:PATH|127.0.0.1:PORT>",
    "Keys:",
    "PgUp",
];

const ALL: &[&str] = &[
    "diagram",
    "explain",
    "status",
    "members",
    "monitor",
    "resign",
    "top",
    "completions",
    "man",
    "node",
    "gcd",
    "lab",
    "sim",
    "gateway",
    "bench",
    "replay",
    "Examples:",
    "bully lab --for 5s",
    "bully sim --members 20",
    "bully gcd",
    "bully node localhost 23600",
    "bully gateway --link /dev/ttyACM0",
    "Exit status: 0 done, 1 failed, 2 wrong usage",
    "stderr",
    "stdout",
];

#[test]
fn every_flag_is_shown_with_its_default() {
    let commands = [
        ("node", &[NODE, RUNS, WIRE][..]),
        ("gcd", &[GCD, RUNS][..]),
        ("lab", &[LAB, RUNS][..]),
        ("sim", &[SIM]),
        ("gateway", &[GATEWAY, RUNS, WIRE][..]),
        ("bench", &[BENCH]),
        ("replay", &[REPLAY]),
        ("diagram", &[DIAGRAM]),
        ("explain", &[EXPLAIN]),
        ("status", &[STATUS]),
        ("top", &[TOP]),
    ];
    for (command, expected) in commands {
        let left = Program::run(&[command, "--help"]);
        // Lines are broken to fit the terminal.
        let help = left.out.join(" ");
        let help: Vec<_> = help.split_whitespace().collect();
        let help = help.join(" ");
        assert_eq!(left.code, Some(0));
        assert_eq!(left.err, "");
        for text in expected.iter().copied().flatten() {
            assert!(
                help.contains(text),
                "{command} --help lacks {text:?}: {help}"
            );
        }
    }
}

#[test]
fn the_overview_shows_how_to_begin() {
    let left = Program::run(&["--help"]);
    let help = left.out.join("\n");
    assert_eq!(left.code, Some(0));
    for text in ALL {
        assert!(help.contains(text), "--help lacks {text:?}: {help}");
    }
}

#[test]
fn help_fits_a_terminal() {
    for command in [
        "node",
        "gcd",
        "lab",
        "sim",
        "gateway",
        "bench",
        "replay",
        "diagram",
        "explain",
        "status",
        "members",
        "monitor",
        "resign",
        "top",
        "completions",
        "man",
    ] {
        for flag in ["-h", "--help"] {
            let left = Program::run(&[command, flag]);
            for line in &left.out {
                assert!(line.chars().count() <= 100, "{command} {flag}: {line}");
            }
        }
    }
}

#[test]
fn without_a_command_the_overview_is_an_answer_but_no_success() {
    let left = Program::run(&[]);
    assert_eq!(left.code, Some(2));
    assert!(left.err.contains("Usage: bully <COMMAND>"), "{left:?}");
    assert!(left.out.is_empty());
}

#[test]
fn the_version_is_the_packages() {
    let left = Program::run(&["--version"]);
    assert_eq!(left.code, Some(0));
    assert_eq!(left.out, [format!("bully {}", env!("CARGO_PKG_VERSION"))]);
}
