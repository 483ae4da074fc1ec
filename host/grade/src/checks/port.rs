//! Listens on whichever port the system gives it.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "port",
    title: "listens on a port that the system chooses, another one at each start",
    row: "Joins through the GCD",
    points: 2.0,
    extra: None,
    sentence: "Create your listening server with address ('localhost', 0) and then use listener.getsockname() to report your listener to the GCD when joining the group.",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    two_at_once(stage)?;
    let mut again = Stage::new(stage.setting)?;
    let outcome = two_at_once(&mut again);
    stage.seen.append(&mut again.seen);
    outcome?;
    let second = core::mem::take(&mut again.joined);
    let repeated = stage.joined.iter().find(|first| {
        second
            .iter()
            .any(|later| later.entry.port == first.entry.port)
    });
    match repeated {
        Some(first) => Err(wrong(
            "another port at each start",
            format!("port {} at both starts", first.entry.port),
            None,
        )),
        None => Ok(()),
    }
}

/// Two copies with different ids join the same coordinator.
fn two_at_once(stage: &mut Stage<'_>) -> Result<(), Stop> {
    stage.start(0)?;
    stage.start(1)?;
    stage.await_join(2)?;
    let ports: Vec<u16> = stage
        .joined
        .iter()
        .map(|joined| joined.entry.port)
        .collect();
    if ports[0] == ports[1] && stage.joined[0].entry.pid != stage.joined[1].entry.pid {
        return Err(wrong(
            "two copies at different ports",
            format!("both at port {}", ports[0]),
            None,
        ));
    }
    Ok(())
}
