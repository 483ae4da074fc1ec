//! A chip behind `bully gateway`, among ordinary nodes of both kinds.

use bully::Pid;
use bully_tests::chip::{ChipThread, Plug};
use bully_tests::process::{LIMIT, Process};

use crate::party::{Member, Party, at_once, bully, pid};

/// The greatest of its group.
const CHIP: u32 = 360;

fn chip(plug: &Plug) -> ChipThread {
    let (days, id) = pid(CHIP);
    ChipThread::start(plug, Pid { days, id })
}

/// A gateway to the chip behind `plug`.
fn gateway(party: &Party, plug: &Plug) -> Process {
    let port = party.gcd_port.to_string();
    let link = plug.link();
    let args = ["gateway", "--link", &link, "--gcd", "localhost", &port];
    let args = [&args[..], &["--log", "json", "--for", "150s"]].concat();
    party.processes.spawn("gateway", &mut bully(&args))
}

fn leads(party: &Party, chip: &ChipThread, others: &[&Member]) {
    party.agree(others, CHIP);
    let leader = || chip.seen().leader.map(|leader| leader.days);
    party
        .processes
        .wait_until("the chip leads", LIMIT, || leader() == Some(CHIP));
}

/// The chip leads, is missed when it dies, leads again when it is back, and again when its gateway
/// was started anew; nobody is told more than that a member failed.
#[test]
fn a_chip_leads_is_missed_and_leads_again() {
    at_once([Plug::tcp(), Plug::unix("bully-chip")], |plug| {
        let party = Party::theirs(&[]);
        let gateway_ = gateway(&party, &plug);
        let first = chip(&plug);
        gateway_.wait_for_event("chip_ready");
        let ours = party.node(200, &[]).joined();
        let ours_too = party.node(40, &[]).joined();
        let theirs = party.peer(120, &[]).joined();
        let others = [&ours, &ours_too, &theirs];
        leads(&party, &first, &others);

        let mark = gateway_.mark();
        drop(first);
        party.agree(&others, 200);
        let lost = gateway_.wait_since(mark, "the chip is lost", |line| {
            line["event"] == "chip_lost"
        });
        assert_eq!(lost["why"], "silent");

        let again = chip(&plug);
        leads(&party, &again, &others);
        assert_eq!(again.seen().members, 4);

        let instance = again.seen().gateway.map(|gateway| gateway.instance);
        gateway_.terminate();
        assert_eq!(gateway_.wait().code(), Some(0));
        party.agree(&others, 200);
        let gateway_ = gateway(&party, &plug);
        leads(&party, &again, &others);
        assert_ne!(
            again.seen().gateway.map(|gateway| gateway.instance),
            instance
        );
        assert_eq!(gateway_.count_since(0, "rejected"), 0);
    });
}
