//! An attacker that forges members.

use core::time::Duration;
use std::rc::Rc;

use bully::{Gone, Instant, Member};

use crate::identity::{addr, forged_pid, refusing_addr, silent_addr};
use crate::message::{Input, Message};
use crate::network::{ConnId, Side};
use crate::process::Process;
use crate::scenario::{Attack, Failure, ForgedAt, Kind};
use crate::simulation::{SimEvent, Simulation};

/// How long an attacker waits before it sends its lists again.
const AGAIN: Duration = Duration::from_secs(5);

impl Simulation<'_> {
    /// An attack begins or goes on: every member is sent the forged list in ELECTION and COORDINATOR.
    pub(crate) fn attack(&mut self, which: usize) {
        let Some(attack) = self.scenario.attacks.get(which).copied() else {
            return;
        };
        let attacker = self.scenario.members + 1;
        self.fault(self.now);
        let ends = Instant::ZERO + attack.to;
        if self.now >= ends {
            self.slots[attacker].process = Process::Nobody;
            self.break_all(attacker, Failure::Ends);
            self.record.planned_fault(None);
            return;
        }
        self.slots[attacker].process = Process::Attacker;
        let list = self.forged(&attack, attacker);
        for number in 1..=self.scenario.members {
            let to = addr(number, self.slots[number].moves);
            for message in [
                Message::Election(Rc::clone(&list), None),
                Message::Coordinator(Rc::clone(&list), None),
            ] {
                self.fault(self.now);
                let bytes = self.bytes(&message);
                self.record.outcome.attack.messages += 1;
                self.record.outcome.attack.bytes += bytes;
                self.open(attacker, None, to, message);
            }
        }
        self.queue
            .push((self.now + AGAIN).min(ends), SimEvent::Attack(which));
    }

    fn forged(&self, attack: &Attack, attacker: usize) -> Rc<[Member]> {
        let forge = |number: u32| Member {
            pid: forged_pid(number),
            addr: match attack.at {
                ForgedAt::Refusing => refusing_addr(number),
                ForgedAt::Silent => silent_addr(number),
                ForgedAt::Answering => addr(attacker, 0),
                ForgedAt::Real => addr(1 + number as usize % self.scenario.members, 0),
            },
        };
        (0..attack.forged).map(forge).collect()
    }

    /// Whatever it is asked, it is there.
    pub(crate) fn attacker_answers(&mut self, id: ConnId, asks: Kind) {
        let at = self.now + self.fault_model.delay(&mut self.rng);
        let answer = match asks {
            Kind::Election | Kind::Probe => Input::Reply(Message::Ok(None)),
            _ => Input::Gone(Gone::Malformed),
        };
        self.send(id, Side::Opener, answer, at);
        self.send(id, Side::Opener, Input::Done, at);
    }
}
