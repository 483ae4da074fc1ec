//! What a program did in a run, in a line: what a report says was seen where something is missing.

use crate::seen::{Party, What};
use crate::stage::Stage;
use crate::wire::Kind;

impl Stage<'_> {
    /// What the program did, in a line.
    pub(crate) fn summary(&self) -> String {
        let mut said: Vec<(Kind, Party, u32)> = Vec::new();
        for seen in &self.seen {
            let Some(kind) = seen.kind() else { continue };
            match said
                .iter_mut()
                .find(|(of, to, _)| (*of, *to) == (kind, seen.to))
            {
                Some((.., count)) => *count += 1,
                None => said.push((kind, seen.to, 1)),
            }
        }
        let said: Vec<String> = said
            .iter()
            .map(|(kind, to, count)| {
                let times = if *count > 1 {
                    format!(" {count} times")
                } else {
                    String::new()
                };
                format!("{} to {}{times}", kind.name(), self.name(*to))
            })
            .collect();
        let unreadable = self
            .seen
            .iter()
            .rev()
            .find(|seen| matches!(seen.what, What::Unreadable(..)));
        let connected = self
            .seen
            .iter()
            .find(|seen| matches!(seen.what, What::Connected));
        match (said.is_empty(), unreadable) {
            (true, None) => match connected {
                Some(seen) => format!(
                    "a connection to {}, and no whole message on it",
                    self.name(seen.to)
                ),
                None => "nothing from the program".to_owned(),
            },
            (true, Some(odd)) => odd.text(),
            (false, None) => format!("only {}", said.join(", ")),
            (false, Some(odd)) => format!("{}, and {}", said.join(", "), odd.text()),
        }
    }
}
