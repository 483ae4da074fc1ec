//! One message a connection.

use super::prelude::*;
use crate::check::Judgement;
use crate::observed::Observed;

pub(crate) const CHECK: Check = Check {
    id: "one-connection",
    title: "sends one message on a connection, and closes it after",
    row: "Gives up sending or receiving after a time",
    points: 2.0,
    extra: None,
    sentence: "Sockets are not re-used. Once a message and its response, if it has one, are finished, the socket is closed.",
    seconds: 0,
    judge: Judge::Observed(judge),
};

/// A quiet time in which connections and messages can be observed: it follows, it leads, and nothing more
/// happens until every connection that is to be closed has been.
pub(crate) fn watch(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    let leader = stage.peer(Rank::Greater, LEADS)?;
    stage.join()?;
    stage.settle(leader)?;
    stage.close_listener(leader);
    stage.send(lower, Outgoing::Election);
    stage.wait(4.0, |stage| stage.got(lower, Kind::Coordinator))?;
    stage.pause(OBSERVED)
}

/// Longer than a connection may stay open after its exchange, in seconds.
const OBSERVED: f64 = 2.8;

fn judge(observed: &Observed) -> Judgement {
    let expected = "one message on each connection, closed by the program after it".to_owned();
    let (share, seen) = if observed.reused > 0 {
        let example = observed.reused_example.clone().unwrap_or_default();
        (
            Some(0.0),
            format!("{example}; {} such connections", observed.reused),
        )
    } else if observed.elections == 0 {
        (None, "no exchange to look at".to_owned())
    } else if observed.left_open > 0 && observed.left_open * 4 > observed.finished {
        (
            Some(0.5),
            format!(
                "{} of {} connections still open 2.5 s after their exchange was over",
                observed.left_open, observed.finished
            ),
        )
    } else {
        (
            Some(1.0),
            format!("{} connections closed", observed.finished),
        )
    };
    Judgement {
        share,
        expected,
        seen,
    }
}
