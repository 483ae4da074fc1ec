//! Answers PROBE while it leads.

use super::prelude::*;
use crate::wire::ProbeForm;

pub(crate) const CHECK: Check = Check {
    id: "probe-answer",
    title: "answers PROBE with OK while it leads",
    row: "Extra credit: PROBE",
    points: 1.0,
    extra: Some(Extra::Probe),
    sentence: "There is no message data. The response is the text OK.",
    seconds: 2,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    stage.join()?;
    stage.lead(lower)?;

    stage.phase()?;
    let first = stage.send(lower, Outgoing::Probe);
    if stage.wait(2.5, |stage| stage.answer(first).is_some())? {
        return Ok(());
    }
    // Right in another form is right.
    let dialect = &mut stage.setting.dialect;
    dialect.probe = match dialect.probe {
        ProbeForm::None => ProbeForm::Members,
        ProbeForm::Members => ProbeForm::None,
    };
    let form = dialect.probe;
    let second = stage.send(lower, Outgoing::Probe);
    stage.within(within(1.0, 2.5), "OK in answer to a PROBE", |stage| {
        stage.answer(second).is_some()
    })?;
    stage.note(match form {
        ProbeForm::None => "it answers ('PROBE', None) and not ('PROBE', members)",
        ProbeForm::Members => "it answers ('PROBE', members) and not ('PROBE', None)",
    });
    Ok(())
}
