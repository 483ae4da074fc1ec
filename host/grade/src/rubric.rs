//! How many points a check gives, and what is said about it: the instructor's choice.

use core::fmt;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::check::Check;
use crate::checks::CHECKS;

/// A rubric: what differs from the built-in one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rubric {
    /// Changes to checks, by id.
    #[serde(default)]
    pub checks: BTreeMap<String, Change>,
    /// Rows that a person judges; they are listed in reports and give no points here.
    #[serde(default = "by_hand")]
    pub by_hand: Vec<ByHand>,
}

/// What is changed about a check.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Change {
    /// Points for passing.
    pub points: Option<f64>,
    /// The row of the rubric it is listed under.
    pub row: Option<String>,
    /// The sentence that is quoted.
    pub sentence: Option<String>,
    /// Gradescope's visibility.
    pub visibility: Option<Visibility>,
}

/// Who sees a check on Gradescope, and when.
#[derive(Clone, Copy, Debug, Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Nobody but instructors.
    Hidden,
    /// Students after the due date.
    AfterDueDate,
    /// Students once grades are published.
    AfterPublished,
    /// Students at once.
    Visible,
}

/// A row that a person judges.
#[derive(Clone, Debug, Deserialize, serde::Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// The row's name.
    pub row: String,
    /// Its points.
    pub points: f64,
}

fn by_hand() -> Vec<ByHand> {
    vec![ByHand {
        row: "Beautiful style and design".to_owned(),
        points: 10.0,
    }]
}

/// Why a text is no rubric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RubricError(String);

impl fmt::Display for RubricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for RubricError {}

impl Rubric {
    /// The built-in rubric: the assignment's rows.
    pub fn built_in() -> Self {
        Self {
            checks: BTreeMap::new(),
            by_hand: by_hand(),
        }
    }

    /// Reads a rubric in TOML.
    ///
    /// # Errors
    ///
    /// [`RubricError`] with the line for what is no TOML or of another form, for an id that no check
    /// has, and for points that are negative or no number.
    pub fn parse(text: &str) -> Result<Self, RubricError> {
        let rubric: Self = toml::from_str(text)
            .map_err(|error| RubricError(error.to_string().trim().to_owned()))?;
        for (id, change) in &rubric.checks {
            if !CHECKS.iter().any(|check| check.id == id) {
                return Err(RubricError(format!("there is no check called {id:?}")));
            }
            if change
                .points
                .is_some_and(|points| !(0.0..=1e6).contains(&points))
            {
                return Err(RubricError(format!("the points of {id} must be 0 or more")));
            }
        }
        Ok(rubric)
    }

    fn change(&self, check: &Check) -> Option<&Change> {
        self.checks.get(check.id)
    }

    pub(crate) fn points(&self, check: &Check) -> f64 {
        let points = self.change(check).and_then(|change| change.points);
        points.unwrap_or(check.points)
    }

    pub(crate) fn row<'a>(&'a self, check: &'a Check) -> &'a str {
        let row = self.change(check).and_then(|change| change.row.as_deref());
        row.unwrap_or(check.row)
    }

    pub(crate) fn sentence<'a>(&'a self, check: &'a Check) -> &'a str {
        let sentence = self
            .change(check)
            .and_then(|change| change.sentence.as_deref());
        sentence.unwrap_or(check.sentence)
    }

    pub(crate) fn visibility(&self, check: &Check) -> Visibility {
        let visibility = self.change(check).and_then(|change| change.visibility);
        visibility.unwrap_or(Visibility::Visible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rubric_changes_what_it_names_and_nothing_else() {
        let rubric = Rubric::parse(
            "[checks.join]\npoints = 4.5\nvisibility = 'after_due_date'\n\
             [[by-hand]]\nrow = 'Style'\npoints = 20",
        )
        .expect("a rubric");
        let [join, port] = [&CHECKS[0], &CHECKS[1]];
        assert!((rubric.points(join) - 4.5).abs() < 1e-9);
        assert_eq!(rubric.visibility(join), Visibility::AfterDueDate);
        assert_eq!(rubric.sentence(join), join.sentence);
        assert!((rubric.points(port) - port.points).abs() < 1e-9);
        assert_eq!(rubric.by_hand.len(), 1);
    }

    #[test]
    fn what_is_no_rubric_says_why() {
        for (text, why) in [
            ("[checks.jion]\npoints = 1", "jion"),
            ("[checks.join]\npoints = -1", "0 or more"),
            ("[checks.join]\npoints = nan", "0 or more"),
            ("[checks.join]\npionts = 1", "line 2"),
            ("[checks", "line 1"),
        ] {
            let error = Rubric::parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn the_required_checks_give_the_points_of_the_assignment() {
        let rubric = Rubric::built_in();
        let sum = |extra| -> f64 {
            let of = CHECKS.iter().filter(|check| check.extra == extra);
            of.map(|check| rubric.points(check)).sum()
        };
        // Thirteen rows of five, and two extra credits of five.
        assert!((sum(None) - 65.0).abs() < 1e-9);
        assert!((sum(Some(crate::Extra::Probe)) - 5.0).abs() < 1e-9);
        assert!((sum(Some(crate::Extra::Feign)) - 5.0).abs() < 1e-9);
    }
}
