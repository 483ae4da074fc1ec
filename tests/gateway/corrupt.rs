//! A thousand faults of the line, and a group that recovers from each.

use core::time::Duration;

use bully::wire::Counts;
use bully_host::gateway::GatewayEvent;
use bully_tests::group::Dice;

use crate::line::Fault;
use crate::stage::Stage;
use crate::watch::Way;

/// How long after a fault is over all agree again, at most. Almost always it is less than a second.
/// But a PROBE in doubt looks like a leader that broke off, and a chip may be left that believes it
/// leads. It looks for each of the four greater ones every other time, 0.5 to 3 s apart: eight
/// times 3 s, and an election.
const WITHIN_MS: u64 = 30_000;

/// How long they have to agree without a break for that.
const STABLE_MS: u64 = 1_000;

const OTHERS: [u32; 4] = [2, 4, 6, 8];

/// One fault, and how long the line was bad.
fn spoil(stage: &mut Stage, dice: &mut Dice) {
    let mut wires = stage.remote.borrow_mut();
    let mut wires = wires.wires();
    let way = [Way::ToChip, Way::ToGateway][dice.below(2) as usize];
    let byte = |dice: &mut Dice| dice.any() as u8;
    let bytes = |dice: &mut Dice| 1 + dice.below(300) as u16;
    let fault = match dice.below(9) {
        0 => Fault::Flip(1 << dice.below(8)),
        1 => Fault::Flip(1 + dice.below(255) as u8),
        2 => Fault::Drop,
        3 => Fault::Repeat(dice.below(4) as u8),
        4 => Fault::Insert(byte(dice)),
        5 => Fault::Lose(bytes(dice)),
        6 => Fault::Echo(bytes(dice)),
        7 => Fault::Noise(bytes(dice), dice.any()),
        _ => {
            let span = Duration::from_millis(100 + dice.below(5_000));
            wires.cut(way, span);
            if dice.below(2) == 0 {
                wires.cut(Way::ToChip, span);
                wires.cut(Way::ToGateway, span);
            }
            return;
        }
    };
    // It strikes anywhere in what passes next.
    wires.spoil_after(way, dice.below(60) as u16, fault);
}

/// Runs until the fault is over and all have agreed again; how long that took from its end.
fn recover(stage: &mut Stage, what: &str) -> u64 {
    let (mut since_fault, mut since_trouble) = (0, 0);
    let sound = |stage: &Stage| {
        let remote = stage.remote.borrow();
        let chip = remote.link().expect("it is on").counts().sound;
        (chip, remote.bridge().counts().sound)
    };
    let mut before = sound(stage);
    while since_trouble < STABLE_MS {
        stage.run(20);
        if !stage.remote.borrow_mut().wires().is_sound() {
            (since_fault, before) = (0, sound(stage));
            continue;
        }
        since_fault += 20;
        since_trouble += 20;
        let now = sound(stage);
        // Both ends receive each other, and everybody names the greatest.
        let passes = now.0 > before.0 && now.1 > before.1;
        if !(passes && stage.agreed() && stage.remote.borrow().is_listening()) {
            since_trouble = 0;
        }
        let leaders = stage.leaders();
        assert!(
            since_fault <= WITHIN_MS + STABLE_MS,
            "{what}: {leaders:?}, frames {before:?} {now:?}"
        );
    }
    since_fault - STABLE_MS
}

fn add(sum: &mut Counts, more: Counts) {
    sum.sound += more.sound;
    sum.corrupt += more.corrupt;
    sum.stale += more.stale;
    sum.gaps += more.gaps;
}

/// Bytes flipped, dropped, repeated, inserted, whole stretches lost, repeated or turned to noise, and
/// the line cut for up to 5 s. Of all that is taken for sound, each frame was sent, in that session,
/// and counts once: `watch.rs` looks at every one.
#[test]
fn a_thousand_faults_are_recovered_from_and_no_frame_is_misread() {
    let (mut faults, mut checked, mut sessions) = (0, 0, 0);
    let (mut chip, mut gateway) = (Counts::default(), Counts::default());
    let mut times = Vec::new();
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        // It leads and it follows.
        let mut stage = Stage::on(seed, if seed % 2 == 0 { 9 } else { 1 });
        let mut slots = OTHERS.map(|days| Some(stage.start(days)));
        stage.run(8_000);
        stage.until_agreed(5_000);
        for _ in 0..100 {
            spoil(&mut stage, &mut dice);
            // Lists and elections are to pass while the line is bad.
            if dice.below(3) == 0 {
                let at = dice.below(4) as usize;
                slots[at] = match slots[at] {
                    Some(slot) => {
                        stage.group.crash(slot);
                        None
                    }
                    None => Some(stage.start(OTHERS[at])),
                };
            }
            faults += 1;
            times.push(recover(&mut stage, &format!("seed {seed}, fault {faults}")));
            stage.run(dice.below(1_500));
        }
        let remote = stage.remote.borrow();
        let ready = |event: &&GatewayEvent| matches!(event, GatewayEvent::ChipReady { .. });
        sessions += remote.gateway_events.iter().filter(ready).count();
        let ends = (
            remote.link().expect("it is on").counts(),
            remote.bridge().counts(),
        );
        add(&mut chip, ends.0);
        add(&mut gateway, ends.1);
        let mut wires = remote.wires.borrow_mut();
        // What the ends took for sound is what was looked at.
        let looked_at = wires.watch(Way::ToChip).checked;
        assert_eq!(looked_at, ends.0.sound);
        checked += looked_at;
        let looked_at = wires.watch(Way::ToGateway).checked;
        assert!(looked_at >= ends.1.sound);
        checked += looked_at;
    }
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{faults} faults, {sessions} sessions, {checked} frames checked\n\
         chip:    {chip:?}\ngateway: {gateway:?}\n\
         recovered after {median} ms in the median, {worst} ms at worst"
    );
    assert_eq!(faults, 1_000);
    // The faults were felt, and each kind of defence was needed.
    for counts in [chip, gateway] {
        assert!(
            counts.corrupt > 100 && counts.gaps > 50 && counts.stale > 10,
            "{counts:?}"
        );
    }
}
