//! One program with a quirk among ours, in the worlds of both coordinators, as the greatest and as
//! a middle member: it does not die of us, and all agree that can.

use crate::party::{Member, Party, at_once};

/// What is odd about a program.
struct Quirk {
    switches: &'static [&'static str],
    /// How the coordinator keys members; `None`: the quirk is at home in both worlds.
    keyed: Option<&'static str>,
    /// Whether others understand what it sends.
    understood: bool,
}

const LESSER: u32 = 100;
const MIDDLE: u32 = 200;
const GREATER: u32 = 300;
const GREATEST: u32 = 350;

const fn quirk(switches: &'static [&'static str]) -> Quirk {
    Quirk {
        switches,
        keyed: None,
        understood: true,
    }
}

const fn keyed(keyed: &'static str, switches: &'static [&'static str]) -> Quirk {
    Quirk {
        keyed: Some(keyed),
        ..quirk(switches)
    }
}

/// Messages, section 2 of the assignment's wire, and the forms of OK.
const FORMS: [Quirk; 13] = [
    quirk(&["--ok", "lower"]),
    quirk(&["--ok", "okay"]),
    quirk(&["--ok", "alive"]),
    quirk(&["--ok", "pair"]),
    quirk(&["--ok", "members"]),
    quirk(&["--two-pickles"]),
    keyed("address", &["--needs-ok", "text"]),
    keyed("pid", &["--needs-ok", "members"]),
    quirk(&["--bare"]),
    quirk(&["--probe-form", "bare"]),
    quirk(&["--probe-form", "members"]),
    quirk(&["--only-leader"]),
    quirk(&["--leader-first"]),
];

/// Pickles.
const PICKLES: [Quirk; 9] = [
    quirk(&["--protocol", "0"]),
    quirk(&["--protocol", "2"]),
    quirk(&["--protocol", "5"]),
    quirk(&["--shared"]),
    quirk(&["--lists"]),
    quirk(&["--exact"]),
    quirk(&["--trailing"]),
    quirk(&["--bad-members"]),
    Quirk {
        understood: false,
        ..quirk(&["--enum"])
    },
];

/// Manners.
const MANNERS: [Quirk; 11] = [
    quirk(&["--recv-once"]),
    quirk(&["--close-early"]),
    quirk(&["--half-close"]),
    quirk(&["--never-close"]),
    quirk(&["--log-after", "0.02"]),
    quirk(&["--split", "3"]),
    quirk(&["--idle-before", "1"]),
    quirk(&["--probe", "silent"]),
    quirk(&["--probe", "close"]),
    quirk(&["--probe", "none"]),
    quirk(&["--no-send-probe"]),
];

/// How many groups at once: each is four or five programs.
const AT_ONCE: usize = 8;

fn hold(quirks: &[Quirk]) {
    let mut cases = Vec::new();
    for quirk in quirks {
        for world in ["pid", "address"] {
            if quirk.keyed.is_none_or(|keyed| keyed == world) {
                cases.extend([MIDDLE, GREATEST].map(|days| (quirk, world, days)));
            }
        }
    }
    for cases in cases.chunks(AT_ONCE) {
        at_once(cases, |(quirk, world, days)| {
            lives_among_ours(quirk, world, *days);
        });
    }
}

fn lives_among_ours(quirk: &Quirk, world: &str, days: u32) {
    let party = Party::theirs(&["--keyed-by", world]);
    let greater = party.node(GREATER, &[]).joined();
    let odd = party.peer(days, quirk.switches).joined();
    let lesser = party.node(LESSER, &[]);
    // Nobody learns that it leads if nobody understands its COORDINATOR.
    let leads = if quirk.understood {
        GREATER.max(days)
    } else {
        GREATER
    };
    let mut all = vec![&greater, &lesser];
    if days == MIDDLE || quirk.understood {
        all.push(&odd);
    }
    party.agree(&all, leads);
    assert_unharmed(quirk, &odd, &[&greater, &lesser]);

    greater.process.kill();
    let leads = if quirk.understood { days } else { LESSER };
    let mut all = vec![&lesser];
    all.extend(quirk.understood.then_some(&odd));
    party.agree(&all, leads);
    assert_unharmed(quirk, &odd, &[&lesser]);
}

fn assert_unharmed(quirk: &Quirk, odd: &Member, nodes: &[&Member]) {
    odd.assert_alive();
    let crashes = odd.process.count_since(0, "crashed_by");
    assert_eq!(crashes, 0, "{}", odd.process.name());
    for node in nodes {
        node.assert_answers();
        if quirk.understood {
            assert_eq!(node.rejected(), Vec::<String>::new());
        }
    }
}

#[test]
fn of_messages() {
    hold(&FORMS);
}

#[test]
fn of_pickles() {
    hold(&PICKLES);
}

#[test]
fn of_manners() {
    hold(&MANNERS);
}
