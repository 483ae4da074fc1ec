//! The figures as a file, and what has moved between two of them.

use core::fmt;
use core::str::FromStr;

/// By how much a figure may move, in percent. The same code gives the same figure to the
/// instruction, and what is worth doing is seldom less.
const MOVED: u64 = 5;

const WITH: &str = "# made with ";

/// Figures, and the compiler and C library that they hold for.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) with: String,
    pub(crate) figures: Vec<Figure>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// Instructions.
    pub(crate) count: u64,
}

impl Record {
    /// What of this is no longer so in `made`, a line each.
    ///
    /// Another compiler, or the same for another processor, makes other code of the same source. What
    /// is found then is what no compiler comes to: a case that takes twice as much, or half.
    pub(crate) fn compare(&self, made: &Self) -> Vec<String> {
        let same = self.with == made.with;
        let mut moved = Vec::new();
        for kept in &self.figures {
            let name = &kept.name;
            let Some(now) = made.figures.iter().find(|now| now.name == *name) else {
                moved.push(format!("{name}: in counts.txt, and no longer a case"));
                continue;
            };
            let apart = now.count.abs_diff(kept.count);
            let within = if same {
                apart * 100 <= kept.count * MOVED
            } else {
                now.count <= kept.count * 2 && kept.count <= now.count * 2
            };
            if !within {
                let sign = if now.count > kept.count { '+' } else { '-' };
                moved.push(format!(
                    "{name}: {} instructions, and {} in counts.txt: {sign}{:.1} %",
                    grouped(now.count),
                    grouped(kept.count),
                    apart as f64 * 100.0 / kept.count as f64
                ));
            }
        }
        let new = made.figures.iter();
        let new = new.filter(|now| self.figures.iter().all(|kept| kept.name != now.name));
        moved.extend(new.map(|now| format!("{}: not in counts.txt yet", now.name)));
        moved
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Instructions under callgrind, profile release")?;
        writeln!(f, "{WITH}{}", self.with)?;
        self.figures
            .iter()
            .try_for_each(|figure| writeln!(f, "{figure}"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<40} {:>10}", self.name, grouped(self.count))
    }
}

impl FromStr for Record {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let with = text.lines().find_map(|line| line.strip_prefix(WITH));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figures = lines.map(|line| {
            let (name, count) = line.rsplit_once(' ').ok_or(line)?;
            let count = count.replace(',', "").parse().map_err(|_| line)?;
            let name = name.trim_end().to_owned();
            Ok(Figure { name, count })
        });
        let figures: Result<_, &str> = figures.collect();
        Ok(Self {
            with: with
                .ok_or("counts.txt does not say what it was made with")?
                .to_owned(),
            figures: figures.map_err(|line| format!("counts.txt: {line:?} is no figure"))?,
        })
    }
}

/// With commas between the thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
