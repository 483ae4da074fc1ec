//! Joins through the group coordinator.

use super::prelude::*;

pub(crate) const CHECK: Check = Check {
    id: "join",
    title: "joins through the group coordinator, with its own process id and listen address",
    row: "Joins through the GCD",
    points: 3.0,
    extra: None,
    sentence: "When starting up, contact the GCD and send a JOIN message, which is a double: (process_id, listen_address)",
    seconds: 1,
    judge: Judge::Run(run),
};

fn run(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let caller = stage.unlisted(Rank::Lower, LIVE)?;
    stage.tolerates_refusal = true;
    stage.join()?;

    let joined = stage.joined[0].entry.clone();
    let mut link = 0;
    let mut is_reached = false;
    // It may open its listener only after it has joined.
    for _ in 0..6 {
        link = stage.send(caller, Outgoing::Election);
        let answered = stage.wait(0.3, |stage| stage.answer(link).is_some())?;
        is_reached = answered || !stage.links[link].refused;
        if is_reached {
            break;
        }
    }
    if !is_reached {
        return Err(wrong(
            "a listening socket at the address sent in JOIN",
            format!("nobody listens at ('{}', {})", joined.host, joined.port),
            None,
        ));
    }
    stage.wait(2.0, |stage| stage.answer(link).is_some())?;

    let template = stage.setting.template;
    let (su_id, days) = (stage.setting.su_id, stage.setting.days);
    if template.has("su_id") && joined.pid.id != su_id {
        stage.partly(format!(
            "the SU ID is {}, not {su_id} as given",
            joined.pid.id
        ));
    }
    if template.passes_date() && joined.pid.days.abs_diff(days) > 1 {
        stage.partly(format!(
            "the days to the birthday are {}, not {days} as given",
            joined.pid.days
        ));
    }
    if stage.joined.len() > 1 {
        stage.partly(format!("{} JOINs for one start", stage.joined.len()));
    }
    if !["127.0.0.1", "localhost"].contains(&joined.host.as_str()) {
        stage.note(format!("its host is sent as '{}'", joined.host));
    }
    Ok(())
}
