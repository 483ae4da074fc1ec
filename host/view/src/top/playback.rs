//! A run that is over, moment by moment.

use super::board::{Board, Row, Standing};
use crate::diagram::sentence_of;
use crate::line::What;
use crate::run::{Phase, PointWhat, Run, Span, Who, seconds_text};

/// A run and a moment in it.
#[derive(Debug)]
pub struct Playback<'a> {
    run: &'a Run,
    name: String,
    spans: Vec<Vec<Span>>,
    /// The place, among the points, of what happened last.
    place: usize,
}

/// How far back what is sent is counted, in microseconds.
const RATE_OVER: i64 = 1_000_000;

/// How many events are looked up at most.
const EVENTS_MAX: usize = 20;

/// The kinds that are counted, by name.
const KINDS: [&str; 5] = ["ELECTION", "OK", "COORDINATOR", "PROBE", "JOIN"];

impl<'a> Playback<'a> {
    /// The end of `run`, whose logs are called `name`.
    pub fn new(run: &'a Run, name: impl Into<String>) -> Self {
        Self {
            run,
            name: name.into(),
            spans: run.phases(),
            place: run.points.len().saturating_sub(1),
        }
    }

    /// Moves by so many events, to earlier ones if `by` is negative.
    pub fn step(&mut self, by: isize) {
        let last = self.run.points.len().saturating_sub(1);
        self.place = self.place.saturating_add_signed(by).min(last);
    }

    /// Moves by so many microseconds.
    pub fn skip(&mut self, by: i64) {
        let to = self.run.at(self.place).saturating_add(by);
        let count = self.run.points.partition_point(|point| point.at <= to);
        let before = self.place;
        self.place = count.saturating_sub(1);
        // A pause longer than that is left by a step.
        if self.place == before {
            self.step(if by < 0 { -1 } else { 1 });
        }
    }

    /// Moves to the beginning.
    pub fn home(&mut self) {
        self.place = 0;
    }

    /// Moves to the end.
    pub fn end(&mut self) {
        self.place = self.run.points.len().saturating_sub(1);
    }

    /// Returns how things stand there.
    pub fn board(&self) -> Board {
        let now = self.run.at(self.place);
        let mut rows = Vec::new();
        for (lane, spans) in self.spans.iter().enumerate().rev() {
            let who = self.run.who(lane);
            if who == Who::Coordinator {
                continue;
            }
            let span = spans.iter().rev().find(|span| span.from <= self.place);
            rows.push(Row {
                who: who.to_string(),
                standing: span.map_or(Standing::Gone, |span| standing(span.phase)),
                age_s: span.map(|span| now.saturating_sub(self.run.at(span.from)) as f64 / 1e6),
            });
        }
        Board {
            title: format!(
                "{}: {} of {}",
                self.name,
                seconds_text(now),
                seconds_text(self.run.end())
            ),
            leader: self.leader(),
            rows,
            rates: self.rates(now),
            events: self.events(),
            keys: "←→ event  PgUp PgDn 1 s  Home End  ↑↓ members  q quit",
        }
    }

    /// Says who leads, by who said so last and has not been lost since.
    fn leader(&self) -> String {
        let leads = self
            .spans
            .iter()
            .enumerate()
            .rev()
            .find_map(|(lane, spans)| {
                let span = spans.iter().rev().find(|span| span.from <= self.place)?;
                (span.phase == Phase::Leading).then_some((lane, span.from))
            });
        let Some((lane, since)) = leads else {
            return "nobody leads".to_owned();
        };
        let why = match self.run.points.get(since).map(|point| &point.what) {
            Some(PointWhat::Event(What::Leader { reason, .. })) if !reason.is_empty() => {
                format!(": {reason}")
            }
            _ => String::new(),
        };
        format!("{} leads{why}", self.run.who(lane))
    }

    fn rates(&self, now: i64) -> Vec<(&'static str, f64)> {
        let mut counts = KINDS.map(|kind| (kind, 0.0));
        let until = self.run.points.get(..=self.place).unwrap_or_default();
        for (place, point) in until.iter().enumerate().rev() {
            if now.saturating_sub(point.at) > RATE_OVER {
                break;
            }
            let PointWhat::Message(number) = point.what else {
                continue;
            };
            let message = self.run.messages.get(number);
            let Some(message) = message.filter(|message| message.points().min() == Some(place))
            else {
                continue;
            };
            let name = message.name();
            if let Some((_, count)) = counts.iter_mut().find(|(kind, _)| *kind == name) {
                *count += 1.0;
            }
        }
        counts.into()
    }

    fn events(&self) -> Vec<String> {
        let until = self.run.points.get(..=self.place).unwrap_or_default();
        let events = until.iter().rev().filter_map(|point| {
            let PointWhat::Event(what) = &point.what else {
                return None;
            };
            let who = point.lane.map(|lane| self.run.who(lane));
            let text = sentence_of(who, what)?;
            let who = who.map_or_else(String::new, |who| format!("{who} "));
            Some(format!("{:>10.3} {who}{text}", point.at as f64 / 1e6))
        });
        let mut events: Vec<_> = events.take(EVENTS_MAX).collect();
        events.reverse();
        events
    }
}

fn standing(phase: Phase) -> Standing {
    match phase {
        Phase::Up => Standing::Leaderless,
        Phase::Electing => Standing::Elects,
        Phase::Waiting => Standing::Waits,
        Phase::Following(_) => Standing::Follows,
        Phase::Leading => Standing::Leads,
        Phase::Failed | Phase::Paused => Standing::Failed,
        Phase::Crashed | Phase::Ended => Standing::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Source;

    const LOG: &str = r#"
{"t":0,"time":1,"node":[1,11],"event":"election","cause":"joined"}
{"t":0.1,"time":1.1,"node":[1,11],"event":"leader","leader":[1,11],"reason":"no greater member is known"}
{"t":5,"time":6,"node":[2,12],"event":"election","cause":"joined"}
{"t":5.1,"time":6.1,"node":[2,12],"event":"leader","leader":[2,12],"reason":"no greater member is known"}
{"t":5.2,"time":6.2,"node":[2,12],"event":"message","dir":"send","kind":"COORDINATOR","conn":"a>b","peer":[1,11],"bytes":9}
{"t":5.3,"time":6.3,"node":[1,11],"event":"message","dir":"recv","kind":"COORDINATOR","conn":"a>b","peer":null,"bytes":9}
{"t":5.4,"time":6.4,"node":[1,11],"event":"leader","leader":[2,12],"reason":"it was announced"}
{"t":9,"time":10,"node":[2,12],"event":"failed","for_ms":1000}
"#;

    fn stand(board: &Board) -> Vec<&'static str> {
        board.rows.iter().map(|row| row.standing.word()).collect()
    }

    #[test]
    fn every_moment_of_a_run_can_be_looked_at() {
        let run = Run::new(&[Source::read("x", LOG.as_bytes()).expect("memory")]);
        let mut playback = Playback::new(&run, "x");
        assert_eq!(stand(&playback.board()), ["failed", "follows"]);
        assert_eq!(playback.board().leader, "nobody leads");
        playback.step(-1);
        let board = playback.board();
        assert_eq!(stand(&board), ["leads", "follows"]);
        assert_eq!(board.leader, "(2, 12) leads: no greater member is known");
        assert_eq!(board.title, "x: 5.400000 s of 9.000000 s");
        assert!(
            board.rates.contains(&("COORDINATOR", 1.0)),
            "{:?}",
            board.rates
        );
        assert!(
            board
                .events
                .last()
                .expect("events")
                .ends_with("(1, 11) follows (2, 12): it was announced")
        );
        playback.home();
        assert_eq!(stand(&playback.board()), ["gone", "elects"]);
        playback.step(-5);
        playback.skip(1_000_000);
        assert_eq!(stand(&playback.board()), ["gone", "leads"]);
        playback.skip(1_000_000);
        assert_eq!(
            stand(&playback.board()),
            ["elects", "leads"],
            "a pause is left at once"
        );
        playback.end();
        playback.step(5);
        assert_eq!(stand(&playback.board()), ["failed", "follows"]);
    }
}
