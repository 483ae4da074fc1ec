//! Wrong usage: exit 2, nothing on stdout, what is wrong and what to do.

use crate::program::Program;

/// Arguments with spaces between them, and what has to be said about them.
const WRONG: &[(&str, &[&str])] = &[
    (
        "node localhost 23600 1234567",
        &[
            "birthday is missing",
            "bully node localhost 23600 1234567 04-01",
            "--days",
        ],
    ),
    ("node localhost 23600", &["<SU_ID>", "--help"]),
    (
        "node localhost 23600 999999 04-01",
        &["seven digits", "1000000 to 9999999"],
    ),
    ("node localhost 23600 10000000 04-01", &["seven digits"]),
    ("node localhost 23600 ada 04-01", &["seven digits"]),
    ("node localhost 0 1234567 04-01", &["1 to 65535"]),
    ("node localhost 65536 1234567 04-01", &["1 to 65535"]),
    ("node localhost port 1234567 04-01", &["1 to 65535"]),
    ("node localhost 23600 1234567 04-31", &["no such day"]),
    ("node localhost 23600 1234567 2003-02-29", &["no such day"]),
    (
        "node localhost 23600 1234567 1.4.",
        &["YYYY-MM-DD or MM-DD"],
    ),
    (
        "node localhost 23600 1234567 --days 0",
        &["1 to 365", "give 365"],
    ),
    (
        "node localhost 23600 1234567 --days 366",
        &["1 to 365", "give 365"],
    ),
    (
        "node localhost 23600 1234567 04-01 --days 5",
        &["cannot be used with"],
    ),
    (
        "node localhost 23600 1234567 04-01 --bind 40000",
        &["an address of this machine", "127.0.0.1:40000"],
    ),
    (
        "node localhost 23600 1234567 04-01 --bind 0.0.0.0:0",
        &["others cannot connect", "--advertise HOST"],
    ),
    (
        "node localhost 23600 1234567 04-01 --bind [::]:0",
        &["others cannot connect", "--advertise HOST"],
    ),
    (
        "node localhost 23600 1234567 04-01 --advertise 0.0.0.0",
        &["others cannot connect"],
    ),
    (
        "node localhost 23600 1234567 04-01 --advertise cs2:40000",
        &["only the host", "--bind"],
    ),
    (
        "node localhost 23600 1234567 04-01 --advertise=",
        &["name or address"],
    ),
    (
        "node localhost 23600 1234567 04-01 --feign sleep",
        &["close", "ignore"],
    ),
    (
        "node localhost 23600 1234567 04-01 --keyed-by name",
        &["auto", "address", "pid"],
    ),
    (
        "node localhost 23600 1234567 04-01 --ok yes",
        &["auto", "text", "pair", "members"],
    ),
    (
        "node localhost 23600 1234567 04-01 --probe text",
        &["auto", "none", "members"],
    ),
    ("node localhost 23600 1234567 04-01 --seed -1", &["--seed"]),
    (
        "node localhost 23600 1234567 04-01 --for soon",
        &["5s, 500ms, 2m, 1h"],
    ),
    (
        "node localhost 23600 1234567 04-01 --log xml",
        &["text", "json"],
    ),
    (
        "node localhost 23600 1234567 04-01 --capacity 100",
        &["4, 8, 16, 64, 256, 1024, 4096 members"],
    ),
    (
        "node localhost 23600 1234567 04-01 --connections 0",
        &["16, 64, 256, 1024 connections"],
    ),
    ("gcd 65536", &["65536"]),
    ("gcd --keyed-by auto", &["address", "pid"]),
    ("lab --members 0", &["1..=1000"]),
    ("lab --members 1001", &["1..=1000"]),
    (
        "lab --capacity 1000",
        &["4, 8, 16, 64, 256, 1024, 4096 members"],
    ),
    ("lab --for 0s", &["5s, 500ms, 2m, 1h"]),
    ("lab --for=-1s", &["5s, 500ms, 2m, 1h"]),
    ("sim --members 0", &["1..=100000"]),
    ("sim --members 100001", &["1..=100000"]),
    ("sim --capacity 100", &["4, 8, 16, 64, 256, 1024, 4096"]),
    ("sim --start random", &["shuffled", "lowest-joins"]),
    ("sim --crash leader", &["leader@5s", "3@5s..8s"]),
    ("sim --crash 3@8s..5s", &["leader@5s", "3@5s..8s"]),
    ("sim --crash 6@5s", &["no member 6", "--members 6"]),
    (
        "sim --delay 1ms",
        &["const:1ms", "uniform:0.5ms..1.5ms", "exp:1ms"],
    ),
    ("sim --loss 1.5", &["0 to 1"]),
    ("sim --loss -0.5", &["0 to 1"]),
    ("sim --partition 3@2s..6s", &["'2|3@5s..9s'"]),
    (
        "sim --partition 5|6@2s..6s",
        &["no member 6", "--members 6"],
    ),
    ("sim --feign sleep", &["close", "ignore"]),
    ("sim --for 0s", &["5s, 500ms, 2m, 1h"]),
    ("sim --seed -1", &["--seed"]),
    ("sim --seeds 15..1", &["1..15"]),
    ("sim --seed 1 --seeds 1..2", &["cannot be used with"]),
    ("sim --trace --seeds 1..2", &["cannot be used with"]),
    ("gateway", &["--link", "--gcd", "--help"]),
    (
        "gateway --gcd localhost 23600 --link ttyACM0",
        &["/dev/ttyACM0", "tcp:localhost:5555", "unix:/tmp/chip"],
    ),
    (
        "gateway --gcd localhost 23600 --link /dev/ttyACM0:fast",
        &["bits a second", "/dev/ttyACM0:115200"],
    ),
    (
        "gateway --gcd localhost 23600 --link /dev/ttyACM0:0",
        &["bits a second"],
    ),
    (
        "gateway --gcd localhost 23600 --link tcp:5555",
        &["tcp:localhost:5555"],
    ),
    (
        "gateway --gcd localhost 23600 --link tcp:localhost:0",
        &["tcp:localhost:5555"],
    ),
    (
        "gateway --gcd localhost 23600 --link unix:",
        &["unix:/tmp/chip"],
    ),
    (
        "gateway --gcd localhost 23600 --link /",
        &["no serial device", "ls /dev/tty*"],
    ),
    (
        "gateway --link tcp:localhost:5555 --gcd localhost",
        &["2 values", "--help"],
    ),
    (
        "gateway --link tcp:localhost:5555 --gcd localhost 0",
        &["1 to 65535", "--gcd localhost 23600"],
    ),
    (
        "gateway --link tcp:localhost:5555 --gcd localhost 23600 --bind 0.0.0.0:0",
        &["others cannot connect", "--advertise HOST"],
    ),
    (
        "bench --only memory",
        &["wire, table, poll, sockets, group, heap", "--help"],
    ),
    ("bench --format xml", &["text, json, csv"]),
    ("bench --plots", &["--plots <DIR>"]),
    ("lab --gcd localhost", &["2 values", "--help"]),
    (
        "lab --gcd localhost 0",
        &["1 to 65535", "--gcd localhost 23600"],
    ),
    ("lab --bind 10.0.0.1", &["--gcd <HOST> <PORT>"]),
    (
        "lab --gcd localhost 23600 --bind 0.0.0.0",
        &["others cannot connect", "--advertise HOST"],
    ),
    (
        "lab --gcd localhost 23600 --bind 10.0.0.1:5",
        &["without a port"],
    ),
    ("lab --ids 9999998", &["SU ID 10000002", "--ids 9999995"]),
    ("lab --ids 5", &["seven digits"]),
    ("gcd --capacity 0", &["1..=4096"]),
    ("gcd --bind cs2", &["an address of this machine"]),
    ("lab --for 0", &["longer than zero", "leave the option out"]),
    ("gcd --for 0s", &["longer than zero"]),
    ("practice", &["unrecognized subcommand", "--help"]),
];

#[test]
fn what_is_wrong_is_said_and_what_to_do() {
    for (args, expected) in WRONG {
        let left = Program::run_line(args);
        assert_eq!(left.code, Some(2), "{args:?}: {left:?}");
        assert!(left.out.is_empty(), "{args:?}: {left:?}");
        assert!(left.err.starts_with("error: "), "{args:?}: {left:?}");
        for text in *expected {
            assert!(
                left.err.contains(text),
                "{args:?} lacks {text:?}: {}",
                left.err
            );
        }
        let does_report = left.err.contains("tip: ") || left.err.contains("--help");
        assert!(does_report, "{args:?}: {}", left.err);
    }
}
