//! Every interleaving of small groups of the shipped core.
#![expect(missing_docs, reason = "draft")]

mod port; // the network as one node sees it, and its laws
mod print; // fingerprints of states
mod search; // through all the states
mod told; // steps in words
mod world; // a group as one value

use crate::world::*;
use core::time::Duration;
use std::time::Instant;

fn budget(text: &str) -> Budget {
    let n: Vec<u8> = text.split(',').map(|x| x.parse().unwrap()).collect();
    Budget {
        crashes: n[0],
        starts: n[1],
        losses: n[2],
        late: n[3],
    }
}

#[test]
fn probe() {
    let var = |n: &str, d: &str| std::env::var(n).unwrap_or(d.into());
    let rules = Rules {
        members: var("N", "2").parse().unwrap(),
        grain: if var("G", "w") == "w" {
            Grain::Whole
        } else {
            Grain::Parts
        },
        flaw: match var("F", "").as_str() {
            "a" => Flaw::Astray,
            "t" => Flaw::Timerless,
            "u" => Flaw::Unanswered,
            _ => Flaw::None,
        },
    };
    let b = budget(&var("B", "0,2,0,0"));
    let start = if var("S", "c") == "c" {
        World::asleep(rules, b)
    } else {
        World::settled(rules, b)
    };
    let within = Duration::from_millis(var("W", "20000").parse().unwrap());
    let t = Instant::now();
    match search::exhaust(start.clone(), within) {
        Ok(seen) => println!("{seen:?} {:?}", t.elapsed()),
        Err(b) => {
            println!("{b:?} {:?}", t.elapsed());
            match search::shortest(start, within, 3_000_000) {
                Some(t) => println!("{t}"),
                None => println!("not found in BFS"),
            }
        }
    }
}
