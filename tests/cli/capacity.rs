//! Capacities for members, connections and open files, and what happens at their limits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::program::{BULLY, Left, Program};

/// Of more members than fit a node keeps the greatest, and says how many it left out.
#[test]
fn a_table_is_as_large_as_it_is_asked_for() {
    for (capacity, left_out) in [("4", Some(3)), ("8", None)] {
        let gcd = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = gcd.local_addr().expect("bound").port().to_string();
        let mut node = vec!["node", "localhost", &port, "1234567", "--days", "9"];
        node.extend(["--log", "json", "--for", "2s", "--capacity", capacity]);
        node.extend(["--connections", "16", "--no-probe"]);
        let node = Program::start(&node);
        let listening = node.await_event("listening");
        assert_eq!(listening["capacity"].to_string(), capacity);
        assert_eq!(listening["connections"], 16);
        let (mut stream, _) = gcd.accept().expect("it joins");
        let mut join = [0; 1_024];
        assert!(stream.read(&mut join).expect("it says so") > 0);
        // Six others, at ports where nobody listens.
        let others: String = (1..=6)
            .map(|n| format!("(I{n}\nI7654321\nt(V127.0.0.1\nI{n}\nts"))
            .collect();
        stream
            .write_all(format!("(d{others}.").as_bytes())
            .expect("it reads");
        drop((stream, gcd));
        let left = node.finish();
        let lines = left.json();
        let full = lines.iter().find(|line| line["event"] == "roster_full");
        let counted = full.map(|line| line["left_out"].as_u64().expect("a count"));
        assert_eq!(counted, left_out, "{left:?}");
    }
}

/// Of more connections than there are slots the silent ones are closed, and the last is served.
#[cfg(target_os = "linux")]
#[test]
fn no_more_connections_than_asked_for() {
    // Slots, those accepted so that another can be closed, those that end, and what is no
    // connection: standard streams, the poll's, the listener.
    const DESCRIPTORS_MAX: usize = 16 + 4 + 64 + 12;
    let gcd = Program::start(&["gcd", "0", "--log", "json"]);
    let port = gcd.port().to_string();
    let node = Program::start_line(&format!(
        "node localhost {port} 1234567 --days 9 --log json --connections 16"
    ));
    let port = node.port();
    node.await_event("leader");
    let crowd: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("the system accepts for it"))
        .collect();
    let mut last = TcpStream::connect(("127.0.0.1", port)).expect("the system accepts for it");
    last.write_all(b"VPROBE\n.").expect("it fits");
    let mut answer = [0; 100];
    let count = last.read(&mut answer).expect("it has its turn");
    assert!(count > 0, "no answer");
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.id())).expect("it runs");
    let open = open.count();
    assert!(open <= DESCRIPTORS_MAX, "{open} descriptors");
    drop(crowd);
}

fn lab_with_files(limit: &str, args: &[&str]) -> Left {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
        .args([BULLY, "lab", "--for", "1s", "--log", "json"])
        .args(args);
    Program::start_command(&mut command).finish()
}

/// The lab raises its limit of open files by itself, as far as it may.
#[cfg(unix)]
#[test]
fn a_lab_with_too_few_files_says_so() {
    let left = lab_with_files("300", &["--members", "100"]);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("error: 100 members need 581"), "{left:?}");
    assert!(left.err.contains("ulimit -n 1181"), "{left:?}");
    assert!(left.err.contains("--members 43"), "{left:?}");
    assert!(left.out.is_empty(), "nobody has started: {left:?}");
    // Enough to go on, though not as well.
    let left = lab_with_files("600", &["--members", "60"]);
    assert!(
        left.err.contains("warning: the system allows 600"),
        "{left:?}"
    );
    assert_eq!(left.code, Some(0), "{left:?}");
    // Only its own, softer limit stands in the way.
    let left = lab_with_files("-S 64", &["--members", "20"]);
    assert_eq!(
        (left.code, left.err.contains("warning")),
        (Some(0), false),
        "{left:?}"
    );
}
