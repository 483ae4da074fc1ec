//! `--detect`: which order of arguments a program takes.

use crate::graded::{Folder, grade, run};

#[test]
fn the_order_of_arguments_is_found() {
    let folder = Folder::new();
    let script = folder.file("lab2.py");
    // Takes days before the id; anything else is as good as no argument.
    let text = "import pickle, socket, sys, time
host, port, days, su_id = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
listener = socket.create_server(('localhost', 0))
with socket.create_connection((host, port)) as gcd:
    gcd.sendall(pickle.dumps(('JOIN', ((days, su_id), listener.getsockname()))))
    gcd.recv(1024)
time.sleep(60)
";
    std::fs::write(&script, text).expect("a script");
    let command = ["python3".to_owned(), script.display().to_string()];
    let output = run(&mut grade(&["--detect", "--jobs", "6"], &command));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let works: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("works"))
        .collect();
    assert_eq!(works.len(), 1, "{text}");
    assert!(
        works[0].ends_with("{gcd_host} {gcd_port} {days} {su_id}"),
        "{text}"
    );
    assert!(
        text.contains("not (200, "),
        "as somebody else is reported: {text}"
    );
}

#[test]
fn a_program_that_takes_none_gets_that_answer() {
    let command = ["false".to_owned()];
    let output = run(&mut grade(&["--detect", "--jobs", "6"], &command));
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("ends with exit status 1"), "{text}");
}
