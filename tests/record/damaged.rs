//! Recordings with damage: noticed at every byte, and never a panic.

use bully_record::{Problem, Recording, Replay};
use bully_sim::{Crash, Scenario, Who};
use core::time::Duration;

use crate::groups::recordings;

/// The recording of a member that sees an election.
fn recording() -> Vec<u8> {
    let scenario = Scenario {
        members: 4,
        crashes: vec![Crash::new(Who::Leader, Duration::from_secs(3))],
        duration: Duration::from_secs(8),
        seed: 5,
        ..Scenario::default()
    };
    recordings(&scenario).swap_remove(1)
}

/// How far the member of `bytes` is repeated, if it is all the way.
fn repeated(bytes: &[u8]) -> Result<(), Option<Problem>> {
    let recording = Recording::read(bytes).map_err(|_| None)?;
    let mut replay = Replay::new(recording).map_err(Some)?;
    while replay.step(&mut ()).map_err(Some)?.is_some() {}
    Ok(())
}

#[test]
fn no_byte_can_be_flipped_unnoticed() {
    let sound = recording();
    assert_eq!(repeated(&sound), Ok(()));
    for at in 0..sound.len() {
        for flipped in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= flipped;
            let outcome = repeated(&bytes);
            // The checksums find all of it: the node never has wrong input.
            let diverged = matches!(outcome, Err(Some(Problem::Diverged(_))));
            assert!(outcome.is_err() && !diverged, "byte {at}: {outcome:?}");
        }
    }
}

#[test]
fn a_recording_that_is_cut_short_is_repeated_as_far_as_it_goes_and_said_to_be_short() {
    let sound = recording();
    for length in 0..sound.len() {
        let outcome = repeated(&sound[..length]);
        let reported = matches!(
            outcome,
            Err(None | Some(Problem::CutShort(_) | Problem::Damaged(..)))
        );
        assert!(reported, "{length} of {}: {outcome:?}", sound.len());
    }
}

#[test]
fn bytes_after_the_end_are_damage() {
    let mut bytes = recording();
    bytes.extend([7; 40]);
    let outcome = repeated(&bytes);
    assert!(
        matches!(outcome, Err(Some(Problem::Damaged(_, 40)))),
        "{outcome:?}"
    );
}
