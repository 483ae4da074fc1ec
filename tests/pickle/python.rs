use bully_tests::python::script;
pub(crate) use bully_tests::python::{hex, unhex};

/// The lines that `pickles.py task` prints, given `input`.
pub(crate) fn pickles(task: &str, input: String) -> Vec<String> {
    script("pickles.py", &[task], &input)
}
