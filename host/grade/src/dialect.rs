//! In which forms the graded program speaks: it is spoken to in the same ones.

use crate::fault::Stop;
use crate::peer::{LIVE, Rank};
use crate::setting::Setting;
use crate::stage::Stage;
use crate::wire::{Dialect, Keyed, Kind, Message, OkForm, Outgoing, ProbeForm};

/// What is chosen by the user; `None`: whatever the program itself speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Keys of lists of members.
    pub keyed: Option<Keyed>,
    /// Form of OK.
    pub ok: Option<OkForm>,
}

/// What was found out before the first check.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) dialect: Dialect,
    /// How that is known, a sentence each.
    pub(crate) how: Vec<String>,
    /// The program has joined at least once.
    pub(crate) joined: bool,
}

impl Choice {
    /// The forms to begin with: those of real programs, which key their lists by process id.
    pub(crate) fn first(self) -> Dialect {
        forms(self.keyed.unwrap_or(Keyed::Pid), self)
    }
}

/// What suits most programs that key their lists like this.
fn forms(keyed: Keyed, choice: Choice) -> Dialect {
    let (ok, probe) = match keyed {
        Keyed::Pid => (OkForm::Members, ProbeForm::Members),
        Keyed::Address => (OkForm::Text, ProbeForm::None),
    };
    Dialect {
        keyed,
        ok: choice.ok.unwrap_or(ok),
        probe,
    }
}

/// Lets the program lead a group of two and asks it, so that it shows its lists and its OK.
pub(crate) fn detect(setting: Setting<'_>, choice: Choice) -> Found {
    let mut found = Found {
        dialect: choice.first(),
        how: Vec::new(),
        joined: false,
    };
    let worlds = match choice.keyed {
        Some(keyed) => vec![keyed],
        None => vec![Keyed::Pid, Keyed::Address],
    };
    for keyed in worlds {
        let mut setting = setting;
        setting.dialect = forms(keyed, choice);
        let Ok(mut stage) = Stage::new(setting) else {
            break;
        };
        let outcome = observe(&mut stage);
        found.joined |= !stage.joined.is_empty();
        if stage.joined.is_empty() {
            break;
        }
        let lists = [Kind::Coordinator, Kind::Election, Kind::Ok];
        let own = lists.iter().find_map(|kind| {
            let mut messages = stage.seen.iter().filter(|seen| seen.kind() == Some(*kind));
            messages.find_map(|seen| seen.message()?.keyed)
        });
        if own.is_none() && outcome.is_err() && keyed == Keyed::Pid && choice.keyed.is_none() {
            // It may be a program to the letter of the assignment, which dies of such a list.
            continue;
        }
        let spoken = choice.keyed.or(own).unwrap_or(keyed);
        found.dialect = forms(spoken, choice);
        let by = match spoken {
            Keyed::Pid => "process id",
            Keyed::Address => "address",
        };
        found.how.push(match (choice.keyed, own) {
            (Some(_), _) => format!("lists keyed by {by}, as chosen"),
            (None, Some(_)) => format!("lists keyed by {by}, as its own"),
            (None, None) => format!("lists keyed by {by}: it sent none"),
        });
        let answer = outcome.ok().flatten();
        let ok = answer.as_ref().map(form_of);
        if let (None, Some(ok)) = (choice.ok, ok) {
            found.dialect.ok = ok;
        }
        let how = match (choice.ok, ok) {
            (Some(_), _) => "as chosen",
            (None, Some(_)) => "as its own",
            (None, None) => "for it answered none",
        };
        found
            .how
            .push(format!("OK sent as {}, {how}", ok_text(found.dialect.ok)));
        break;
    }
    found
}

/// What `ok` looks like.
pub(crate) fn ok_text(ok: OkForm) -> &'static str {
    match ok {
        OkForm::Text => "'OK'",
        OkForm::Pair => "('OK', None)",
        OkForm::Members => "('OK', members)",
    }
}

fn form_of(answer: &Message) -> OkForm {
    match (answer.bare, &answer.members) {
        (true, _) => OkForm::Text,
        (false, Some(_)) => OkForm::Members,
        (false, None) => OkForm::Pair,
    }
}

/// The program's answer to an ELECTION, after it has announced itself.
fn observe(stage: &mut Stage<'_>) -> Result<Option<Message>, Stop> {
    let lower = stage.peer(Rank::Lower, LIVE)?;
    stage.join()?;
    let announced = stage.wait(4.0, |stage| stage.got(lower, Kind::Coordinator))?;
    let link = stage.send(lower, Outgoing::Election);
    stage.wait(2.5, |stage| stage.answer(link).is_some())?;
    let answer = stage.answer(link).and_then(|seen| seen.message()).cloned();
    if !announced && answer.is_none() {
        return Err(Stop::Undecided(
            "it neither announced itself nor answered".into(),
        ));
    }
    Ok(answer)
}
