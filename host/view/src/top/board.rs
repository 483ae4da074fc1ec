//! What is shown, wherever it comes from.

/// A group at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Whose view it is, and of when.
    pub title: String,
    /// Who leads and why, in a sentence.
    pub leader: String,
    /// How each member stands; the greatest first.
    pub rows: Vec<Row>,
    /// Messages a second, by kind.
    pub rates: Vec<(&'static str, f64)>,
    /// What happened last, the latest last.
    pub events: Vec<String>,
    /// Which keys there are.
    pub keys: &'static str,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its process id.
    pub who: String,
    /// What it is.
    pub standing: Standing,
    /// For how long, in seconds; `None` if that is not known.
    pub age_s: Option<f64>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It leads.
    Leads,
    /// It follows another.
    Follows,
    /// It is in an election.
    Elects,
    /// It waits for a greater member's COORDINATOR.
    Waits,
    /// It runs, and knows no leader.
    Leaderless,
    /// It feigns failure.
    Failed,
    /// It does not run any more.
    Gone,
}

impl Standing {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 7] = [
        Self::Leads,
        Self::Follows,
        Self::Elects,
        Self::Waits,
        Self::Leaderless,
        Self::Failed,
        Self::Gone,
    ];

    /// Returns its word, of nine letters at most.
    pub fn word(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Follows => "follows",
            Self::Elects => "elects",
            Self::Waits => "waits",
            Self::Leaderless => "no leader",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

impl Board {
    /// Returns how many members stand where, in a line.
    pub fn counts(&self) -> String {
        let counts = Standing::ALL.iter().filter_map(|standing| {
            let rows = self.rows.iter();
            let count = rows.filter(|row| row.standing == *standing).count();
            (count > 0).then(|| format!("{} {count}", standing.word()))
        });
        counts.collect::<Vec<_>>().join(", ")
    }
}
