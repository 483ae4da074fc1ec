//! Python as the judge of what a pickle means.

/// Runs a program in Python with `input` on stdin and returns what it prints.
pub(crate) fn python(code: &str, zone: Option<&str>, input: &[u8]) -> String {
    let printed = bully_tests::python::python(&["-c", code], zone, input);
    printed.trim().to_owned()
}

/// What Python takes a pickle for.
pub(crate) fn unpickled(pickle: &[u8]) -> String {
    let code = "import pickle, sys; print(repr(pickle.loads(sys.stdin.buffer.read())))";
    python(code, None, pickle)
}
