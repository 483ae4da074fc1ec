//! One message a connection.

use super::prelude::*;
use crate::check::Judgement;
use crate::observed::{Closing, Observed};
use crate::turn::LEFT_OPEN;

pub(crate) const CHECK: Check = Check {
    id: "one-connection",
    title: "sends one message on a connection, and closes it after, whoever opened it",
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
    for _ in 0..2 {
        stage.announce(leader);
        stage.pause(0.2)?;
    }
    stage.close_listener(leader);
    for _ in 0..3 {
        stage.send(lower, Outgoing::Election);
        stage.pause(0.2)?;
    }
    stage.wait(4.0, |stage| stage.got(lower, Kind::Coordinator))?;
    stage.pause(OBSERVED)
}

/// Longer than a connection may stay open after its exchange, in seconds.
const OBSERVED: f64 = 5.3;

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
    } else if let Some((sort, of)) = left_open(observed) {
        (
            Some(0.5),
            format!(
                "{} of {} connections {sort} still open {} s after their exchange was over",
                of.left_open,
                of.finished,
                LEFT_OPEN.as_secs()
            ),
        )
    } else {
        let all = [observed.opened, observed.answered, observed.announced];
        let closed: usize = all.iter().map(|of| of.finished - of.left_open).sum();
        (Some(1.0), format!("{closed} connections closed"))
    };
    Judgement {
        share,
        expected,
        seen,
    }
}

/// The sort of connections that the program leaves open, in words, if there is one.
///
/// One here and there may have been lost to a feigned failure. Of those with a COORDINATOR none
/// shows that it was read, so it takes all of them.
fn left_open(observed: &Observed) -> Option<(&'static str, Closing)> {
    let Observed {
        opened,
        answered,
        announced,
        ..
    } = *observed;
    if opened.left_open * 4 > opened.finished {
        Some(("that it opened are", opened))
    } else if answered.left_open * 2 > answered.finished {
        Some(("on which it answered are", answered))
    } else if announced.finished >= ANNOUNCED_MIN && announced.left_open == announced.finished {
        Some(("on which COORDINATOR was sent to it are", announced))
    } else {
        None
    }
}

/// How many connections with a COORDINATOR are enough to judge by.
const ANNOUNCED_MIN: usize = 3;
