//! Scenarios as text, both ways, and what a run says.
//!
//! A line says one thing; [`read`] and [`write`] are the whole format. `#` opens a line of the
//! story. After a line of dashes comes the trace: the time in milliseconds, the member, and what
//! it does: `→` sends, a name in capitals is the state it is in from now on. PROBE and its OK are
//! left out unless the scenario says `show probes`, and all before a time given by `show from`.

use core::fmt::Write as _;
use core::time::Duration;

use bully::{FeignMode, Member};
use bully_sim::{
    Attack, BackAs, Breach, Crash, Cut, Delay, Failure, ForgedAt, Hold, Kind, Outcome, Partition,
    Pause, Scenario, Slow, Start, TraceEvent, Who, run,
};

/// A scenario and what is to be shown of it.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) scenario: Scenario,
    pub(crate) probes: bool,
    /// What comes before is known from elsewhere.
    pub(crate) from: Duration,
}

const STARTS: [(&str, Start); 6] = [
    ("together", Start::Together),
    ("ascending", Start::Ascending),
    ("descending", Start::Descending),
    ("shuffled", Start::Shuffled),
    ("lowest-joins", Start::LowestJoins),
    ("highest-joins", Start::HighestJoins),
];

const FORGED_AT: [(&str, ForgedAt); 4] = [
    ("refusing", ForgedAt::Refusing),
    ("silent", ForgedAt::Silent),
    ("answering", ForgedAt::Answering),
    ("real", ForgedAt::Real),
];

/// Reads a scenario, up to a line of dashes; the error names the line.
pub(crate) fn read(text: &str) -> Result<Story, String> {
    let mut story = Story {
        scenario: Scenario {
            capacities: vec![16],
            ..Scenario::default()
        },
        probes: false,
        from: Duration::ZERO,
    };
    for line in text.lines().take_while(|line| !line.starts_with("---")) {
        if !line.is_empty() && !line.starts_with('#') {
            let words: Vec<&str> = line.split_whitespace().collect();
            line_of(&mut story, &words).ok_or_else(|| format!("cannot read: {line}"))?;
        }
    }
    Ok(story)
}

fn line_of(story: &mut Story, words: &[&str]) -> Option<()> {
    let to = &mut story.scenario;
    match *words {
        ["members", n] => to.members = n.parse().ok()?,
        ["capacity", sizes] => {
            let sizes = sizes.split(',').map(str::parse).collect::<Result<_, _>>();
            to.capacities = sizes.ok()?;
        }
        ["start", how] => to.start = STARTS.iter().find(|(name, _)| *name == how)?.1,
        ["delay", "const", delay] => to.delay = Delay::Const(span(delay)?),
        ["delay", "uniform", low, high] => to.delay = Delay::Uniform(span(low)?, span(high)?),
        ["delay", "exp", mean] => to.delay = Delay::Exp(span(mean)?),
        ["late", number, "at", at] => to.late.push((number.parse().ok()?, span(at)?)),
        [how @ ("crash" | "vanish"), who, "at", at, ref rest @ ..] => to.crashes.push(Crash {
            who: whom(who)?,
            at: span(at)?,
            until: match *rest {
                [] => None,
                ["until", until, ..] => Some(span(until)?),
                _ => return None,
            },
            how: match how {
                "crash" => Failure::Ends,
                _ => Failure::Vanishes,
            },
            back_as: match *rest.get(2..).unwrap_or_default() {
                [] => BackAs::Before,
                ["next-day"] => BackAs::NextDay,
                ["moved"] => BackAs::Moved,
                _ => return None,
            },
        }),
        ["pause", who, "from", from, "to", end] => to.pauses.push(Pause {
            who: whom(who)?,
            from: span(from)?,
            to: span(end)?,
        }),
        ["slow", who, delay] => to.slow.push(Slow {
            who: whom(who)?,
            delay: span(delay)?,
        }),
        ["plain", who] => to.plain.push(whom(who)?),
        [
            "partition",
            "below",
            below,
            "from",
            from,
            "to",
            end,
            ref rest @ ..,
        ] => {
            to.partitions.push(Partition {
                below: below.parse().ok()?,
                coordinator_above: match *rest {
                    [] => false,
                    ["gcd", "above"] => true,
                    _ => return None,
                },
                from: span(from)?,
                to: span(end)?,
            });
        }
        [
            "cut",
            from,
            way @ ("-" | ">"),
            end,
            "from",
            since,
            "to",
            until,
        ] => to.cuts.push(Cut {
            from: anyone(from)??,
            to_whom: anyone(end)??,
            one_way: way == ">",
            since: span(since)?,
            to: span(until)?,
        }),
        ["forge", forged, at, "from", from, "to", end] => to.attacks.push(Attack {
            forged: forged.parse().ok()?,
            at: FORGED_AT.iter().find(|(name, _)| *name == at)?.1,
            from: span(from)?,
            to: span(end)?,
        }),
        [
            "hold",
            kind,
            from,
            "→",
            end,
            "from",
            since,
            "to",
            until,
            extra,
        ] => to.holds.push(Hold {
            kind: match kind {
                "any" => None,
                kind => Some(Kind::ALL.into_iter().find(|known| known.name() == kind)?),
            },
            from: anyone(from)?,
            to: anyone(end)?,
            since: span(since)?,
            until: span(until)?,
            extra: match extra {
                "lost" => None,
                extra => Some(span(extra)?),
            },
        }),
        ["packet-loss", share] => to.packet_loss = share.parse().ok()?,
        ["loss", share] => to.loss = share.parse().ok()?,
        ["loss", share, "until", until] => {
            to.loss = share.parse().ok()?;
            to.loss_until = Some(span(until)?);
        }
        ["feign", mode, ref rest @ ..] => {
            to.feign = Some(match mode {
                "close" => FeignMode::Close,
                "ignore" => FeignMode::Ignore,
                _ => return None,
            });
            to.feign_gap = match *rest {
                [] => None,
                ["within", gap] => Some(span(gap)?),
                _ => return None,
            };
        }
        ["prober", number] => to.prober = Some(number.parse().ok()?),
        ["mute", number] => to.mute.push(number.parse().ok()?),
        ["strict"] => to.strict = true,
        ["for", duration] => to.duration = span(duration)?,
        ["messages", "at", "most", count] => to.messages_max = count.parse().ok()?,
        ["seed", seed] => to.seed = seed.parse().ok()?,
        ["show", "probes"] => story.probes = true,
        ["show", "from", from] => story.from = span(from)?,
        _ => return None,
    }
    Some(())
}

fn whom(word: &str) -> Option<Who> {
    Some(match word {
        "leader" => Who::Leader,
        "gcd" => Who::Number(0),
        word => match word.strip_suffix('%') {
            Some(share) => Who::Percent(share.parse().ok()?),
            None => Who::Number(word.parse().ok()?),
        },
    })
}

fn who_is(who: Who) -> String {
    match who {
        Who::Leader => "leader".to_owned(),
        Who::Number(0) => "gcd".to_owned(),
        Who::Number(number) => number.to_string(),
        Who::Percent(share) => format!("{share}%"),
    }
}

fn anyone(word: &str) -> Option<Option<usize>> {
    match word {
        "any" => Some(None),
        "gcd" => Some(Some(0)),
        number => Some(Some(number.parse().ok()?)),
    }
}

/// A time: a whole number and its unit.
fn span(word: &str) -> Option<Duration> {
    let unit = word.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(unit);
    let number = number.parse().ok()?;
    Some(match unit {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return None,
    })
}

fn spelled(span: Duration) -> String {
    match span.as_micros() {
        micros if micros % 1_000_000 == 0 => format!("{}s", micros / 1_000_000),
        micros if micros % 1_000 == 0 => format!("{}ms", micros / 1_000),
        micros => format!("{micros}us"),
    }
}

/// A scenario as [`read`] reads it.
pub(crate) fn write(scenario: &Scenario) -> String {
    let mut lines = vec![
        format!("members {}", scenario.members),
        format!(
            "capacity {}",
            scenario
                .capacities
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(",")
        ),
    ];
    let start = STARTS.iter().find(|(_, start)| *start == scenario.start);
    lines.extend(start.map(|(name, _)| format!("start {name}")));
    lines.push(match scenario.delay {
        Delay::Const(delay) => format!("delay const {}", spelled(delay)),
        Delay::Uniform(low, high) => format!("delay uniform {} {}", spelled(low), spelled(high)),
        Delay::Exp(mean) => format!("delay exp {}", spelled(mean)),
    });
    for (number, at) in &scenario.late {
        lines.push(format!("late {number} at {}", spelled(*at)));
    }
    for crash in &scenario.crashes {
        let how = match crash.how {
            Failure::Ends => "crash",
            Failure::Vanishes => "vanish",
        };
        let back_as = match crash.back_as {
            BackAs::Before => "",
            BackAs::NextDay => " next-day",
            BackAs::Moved => " moved",
        };
        let until = crash.until.map_or(String::new(), |until| {
            format!(" until {}{back_as}", spelled(until))
        });
        let (who, at) = (who_is(crash.who), spelled(crash.at));
        lines.push(format!("{how} {who} at {at}{until}"));
    }
    for Pause { who, from, to } in &scenario.pauses {
        let (who, from, to) = (who_is(*who), spelled(*from), spelled(*to));
        lines.push(format!("pause {who} from {from} to {to}"));
    }
    for Slow { who, delay } in &scenario.slow {
        lines.push(format!("slow {} {}", who_is(*who), spelled(*delay)));
    }
    for who in &scenario.plain {
        lines.push(format!("plain {}", who_is(*who)));
    }
    for partition in &scenario.partitions {
        let (below, from, to) = (partition.below, partition.from, partition.to);
        let (from, to) = (spelled(from), spelled(to));
        let gcd = if partition.coordinator_above {
            " gcd above"
        } else {
            ""
        };
        lines.push(format!("partition below {below} from {from} to {to}{gcd}"));
    }
    for cut in &scenario.cuts {
        let end = |number: usize| match number {
            0 => "gcd".to_owned(),
            number => number.to_string(),
        };
        let way = if cut.one_way { ">" } else { "-" };
        let (from, to) = (end(cut.from), end(cut.to_whom));
        let (since, until) = (spelled(cut.since), spelled(cut.to));
        lines.push(format!("cut {from} {way} {to} from {since} to {until}"));
    }
    for attack in &scenario.attacks {
        let at = FORGED_AT.iter().find(|(_, at)| *at == attack.at);
        let at = at.map_or("", |(name, _)| name);
        let (from, to) = (spelled(attack.from), spelled(attack.to));
        lines.push(format!("forge {} {at} from {from} to {to}", attack.forged));
    }
    for hold in &scenario.holds {
        let who = |who: Option<usize>| match who {
            None => "any".to_owned(),
            Some(0) => "gcd".to_owned(),
            Some(number) => number.to_string(),
        };
        lines.push(format!(
            "hold {} {} → {} from {} to {} {}",
            hold.kind.map_or("any", Kind::name),
            who(hold.from),
            who(hold.to),
            spelled(hold.since),
            spelled(hold.until),
            hold.extra.map_or("lost".to_owned(), spelled),
        ));
    }
    if scenario.loss > 0.0 {
        let until = scenario.loss_until.map(spelled);
        let until = until.map_or(String::new(), |until| format!(" until {until}"));
        lines.push(format!("loss {}{until}", scenario.loss));
    }
    if scenario.packet_loss > 0.0 {
        lines.push(format!("packet-loss {}", scenario.packet_loss));
    }
    if let Some(mode) = scenario.feign {
        let mode = match mode {
            FeignMode::Close => "close",
            FeignMode::Ignore => "ignore",
        };
        let gap = scenario.feign_gap.map(spelled);
        let gap = gap.map_or(String::new(), |gap| format!(" within {gap}"));
        lines.push(format!("feign {mode}{gap}"));
    }
    lines.extend(scenario.prober.map(|prober| format!("prober {prober}")));
    lines.extend(scenario.mute.iter().map(|mute| format!("mute {mute}")));
    lines.extend(scenario.strict.then(|| "strict".to_owned()));
    if scenario.messages_max != Scenario::default().messages_max {
        lines.push(format!("messages at most {}", scenario.messages_max));
    }
    lines.push(format!("for {}", spelled(scenario.duration)));
    lines.push(format!("seed {}", scenario.seed));
    lines.join("\n") + "\n"
}

/// What a run says, line by line, and what it comes to.
pub(crate) fn run_story(story: &Story) -> (String, Result<Outcome, Breach>) {
    let mut said: Vec<(u64, usize, String)> = Vec::new();
    let mut observe = |at: bully::Instant, who: usize, event: &TraceEvent| {
        if matches!(event, TraceEvent::Arrived(_) | TraceEvent::Refused(_)) {
            return;
        }
        let what = event.to_string();
        let probe = what.contains("  PROBE") || what.contains("OK to PROBE");
        let early = at < bully::Instant::ZERO + story.from;
        if !early && (story.probes || !probe) {
            said.push((at.as_micros(), who, what));
        }
    };
    let result = run(&story.scenario, &unmeasured, Some(&mut observe));
    let mut trace = String::new();
    let mut said = said.into_iter().peekable();
    while let Some((at, who, mut what)) = said.next() {
        // The same to several at once stands in one line.
        if let Some((mut receivers, message)) = sent(&what) {
            while let Some((receiver, _)) = said
                .peek()
                .filter(|(next_at, next_who, _)| (*next_at, *next_who) == (at, who))
                .and_then(|(_, _, next)| sent(next))
                .filter(|(_, next)| *next == message)
            {
                write!(receivers, ", {receiver}").expect("a String takes it");
                said.next();
            }
            what = format!("→ {receivers}  {message}");
        }
        let who = match who {
            0 => "gcd".to_owned(),
            who => who.to_string(),
        };
        let at = at as f64 / 1e3;
        writeln!(trace, "{at:>10.3}  {who:>3} {what}").expect("a String takes it");
    }
    let end = match &result {
        Err(breach) => format!("breach: {breach}"),
        Ok(outcome) => match (outcome.leader, outcome.settled) {
            (Some(leader), Some(settled)) => format!(
                "all agree on {} from {:.3} ms on",
                leader.id - 1_000_000,
                settled.as_micros() as f64 / 1e3
            ),
            _ => "they do not agree".to_owned(),
        },
    };
    trace.push_str(&end);
    trace.push('\n');
    (trace, result)
}

/// To whom, and what.
fn sent(what: &str) -> Option<(String, String)> {
    let (receiver, message) = what.strip_prefix("→ ")?.split_once("  ")?;
    Some((receiver.to_owned(), message.to_owned()))
}

/// For runs in which bytes do not matter.
pub(crate) fn unmeasured(_: &str, _: &[Member]) -> usize {
    0
}

/// What `each` makes of all these seeds, on all cores.
pub(crate) fn everywhere<T: Send>(
    seeds: core::ops::Range<u64>,
    each: impl Fn(u64) -> T + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = &each;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone().skip(first).step_by(threads);
                scope.spawn(move || seeds.map(each).collect::<Vec<T>>())
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|made| made.expect("a seed failed, see above"))
            .collect()
    })
}
