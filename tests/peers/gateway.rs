//! A chip behind `bully gateway`, among ordinary nodes of both kinds.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use bully::{Line as _, Pid};
use bully_host::net::{LineEvent, LineTo, Poll, Serial};
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
/// was started anew; the others see only that a member failed.
#[test]
fn a_chip_leads_is_missed_and_leads_again() {
    let plugs = [Plug::tcp(), Plug::unix("bully-chip"), Plug::device()];
    at_once(plugs, |plug| {
        let party = Party::theirs(&[]);
        let gateway_ = gateway(&party, &plug);
        let first = chip(&plug);
        gateway_.wait_for_event("chip_ready");
        gateway_.wait_for_event("line_open");
        let received = || first.seen().counts;
        let processes = &party.processes;
        processes.wait_until("the chip receives", LIMIT, || received().sound > 2);
        // A device is a terminal until it is opened, and echoes.
        let corrupt = received().corrupt;
        let ours = party.node(200, &[]).joined();
        let ours_too = party.node(40, &[]).joined();
        let theirs = party.peer(120, &[]).joined();
        let others = [&ours, &ours_too, &theirs];
        leads(&party, &first, &others);

        let counts = received();
        assert!(counts.corrupt == corrupt && counts.sound > 10, "{counts:?}");

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

/// Its last minutes come over the line, and the same core repeats them.
#[test]
fn the_recording_of_a_chip_comes_over_its_line_and_is_repeated() {
    let party = Party::ours(&[]);
    let plug = Plug::unix("bully-chip-recorded");
    let name = |kind: &str| {
        let name = format!("bully-chip-{}.{kind}", std::process::id());
        let path = std::env::temp_dir().join(name);
        path.to_str().expect("its name is text").to_owned()
    };
    let (file, control) = (name("byr"), format!("unix:{}", name("control")));
    let (port, link) = (party.gcd_port.to_string(), plug.link());
    let args = ["gateway", "--link", &link, "--gcd", "localhost", &port];
    let more = [
        "--log",
        "json",
        "--for",
        "150s",
        "--record",
        &file,
        "--control",
        &control,
    ];
    let gateway = party
        .processes
        .spawn("gateway", &mut bully(&[&args[..], &more].concat()));
    let run = |args: &[&str]| bully(args).output().expect("it is there");

    gateway.wait_for_event("line_open");
    let status = run(&["status", "--control", &control]);
    assert_eq!(
        status.status.code(),
        Some(3),
        "no chip, no leader: {status:?}"
    );
    let chip = chip(&plug);
    let other = party.node(200, &[]).joined();
    leads(&party, &chip, &[&other]);
    let (days, id) = pid(CHIP);
    party
        .processes
        .wait_until("the chip is seen to lead", LIMIT, || {
            let status = run(&["status", "--control", &control, "--format", "json"]);
            let said = String::from_utf8_lossy(&status.stdout).into_owned();
            said.contains("\"leading\"") && said.contains(&format!("\"leader\":[{days},{id}]"))
        });
    let members = run(&["members", "--control", &control]);
    let said = String::from_utf8_lossy(&members.stdout).into_owned();
    assert!(
        members.status.success() && said.contains(&id.to_string()),
        "{said}"
    );

    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.count_since(0, "chip_recorded"), 1);
    let replay = run(&["replay", "--verify", &file]);
    let said = String::from_utf8_lossy(&replay.stdout).into_owned();
    assert!(
        replay.status.success() && said.contains("does as recorded"),
        "{replay:?}"
    );
    assert!(said.contains(&format!("({days}, {id})")), "{said}");
    let events = run(&["replay", &file]);
    let said = String::from_utf8_lossy(&events.stdout).into_owned();
    assert!(said.contains("leads"), "{said}");
    std::fs::remove_file(&file).expect("it was written");
}

/// No file is left empty without a word.
#[test]
fn a_gateway_without_a_chip_says_that_it_has_no_recording() {
    let party = Party::ours(&[]);
    let plug = Plug::unix("bully-chip-missing");
    let path = std::env::temp_dir().join(format!("bully-none-{}.byr", std::process::id()));
    let file = path.to_str().expect("its name is text");
    let (port, link) = (party.gcd_port.to_string(), plug.link());
    let args = ["gateway", "--link", &link, "--gcd", "localhost", &port];
    let more = ["--for", "1s", "--record", file];
    let output = bully(&[&args[..], &more].concat())
        .output()
        .expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no chip has handed out a recording"),
        "{said}"
    );
    std::fs::remove_file(&path).expect("it was made");
}

/// Neither an echo nor an end of line, an interrupt or a stop: a device is not treated as a terminal.
#[test]
fn a_device_passes_every_byte_both_ways() {
    let plug = Plug::device();
    let Plug::Device(mut chip) = plug.again() else {
        panic!("it is one");
    };
    let poll = Poll::new().expect("the system has one");
    let to = LineTo::Device {
        path: plug.link().into(),
        baud: 115_200,
    };
    let mut line = Serial::new(&poll, 0, to);
    assert_eq!(line.turn(poll.clock().now()), Some(LineEvent::Open));
    let all: Vec<u8> = (0..=255).rev().collect();
    let mut received = [0; 1_024];
    let until = Instant::now() + LIMIT;

    assert_eq!(line.write(&all), all.len());
    let mut count = 0;
    while count < all.len() && Instant::now() < until {
        count += chip.read(&mut received[count..]).unwrap_or(0);
    }
    assert_eq!(received[..count], all);

    chip.write_all(&all).expect("there is room");
    let mut count = 0;
    while count < all.len() && Instant::now() < until {
        count += line.read(&mut received[count..]);
    }
    assert_eq!(received[..count], all);
    assert!(chip.read(&mut received).is_err(), "nothing is echoed");
}

/// A device that is not there is waited for; one that is none is refused in `cli`.
#[test]
fn a_line_that_is_not_there_is_waited_for() {
    let party = Party::ours(&[]);
    let plug = Plug::unix("bully-chip-later");
    let gateway_ = gateway(&party, &plug);
    gateway_.wait_for_event("line_open");
    drop(plug);
    let again = Plug::unix("bully-chip-later");
    let mark = gateway_.mark();
    let lost = gateway_.wait_for_event("line_lost");
    assert!(
        lost["line"]
            .as_str()
            .is_some_and(|line| line.starts_with("unix:"))
    );
    gateway_.wait_since(mark, "it is there again", |line| {
        line["event"] == "line_open"
    });
    let chip = chip(&again);
    gateway_.wait_for_event("chip_ready");
    drop(chip);
    gateway_.wait_for_event("chip_lost");
    assert_eq!(gateway_.ended(), None);
}
