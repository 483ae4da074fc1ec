//! The command that starts the graded program, with placeholders for what differs from run to run.

use core::fmt;

use jiff::civil::Date;

/// What the placeholders stand for in one run.
#[derive(Clone, Debug)]
pub(crate) struct Filling {
    pub(crate) gcd_port: u16,
    pub(crate) su_id: u32,
    pub(crate) days: u32,
    /// The next birthday: `days` from today.
    pub(crate) birthday: Date,
}

/// A command with placeholders, word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<String>);

/// Why a command cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// There is no word in it.
    Empty,
    /// The text between braces is no placeholder.
    Unknown(String),
    /// Nothing in it says where the coordinator listens.
    NoPort,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the command to grade is missing"),
            Self::Unknown(name) => write!(f, "{{{name}}} is no placeholder"),
            Self::NoPort => f.write_str("the command has no {gcd_port}: it would join nobody"),
        }
    }
}

impl core::error::Error for TemplateError {}

/// The placeholders there are.
pub const PLACEHOLDERS: [&str; 12] = [
    "gcd_host",
    "gcd_port",
    "su_id",
    "days",
    "birthday",
    "mm-dd",
    "mm-dd-yyyy",
    "mm/dd/yy",
    "year",
    "month",
    "day",
    "port",
];

/// The orders of arguments that `--detect` tries: those seen among real programs first.
pub(crate) const ORDERS: [&str; 12] = [
    "{gcd_host} {gcd_port} {su_id} {birthday}",
    "{gcd_host} {gcd_port} {birthday} {su_id}",
    "{gcd_host} {gcd_port} {days} {su_id}",
    "{gcd_host} {gcd_port} {mm-dd-yyyy} {su_id}",
    "{gcd_host} {gcd_port} {su_id} {mm-dd-yyyy}",
    "{gcd_host} {gcd_port} {year} {month} {day} {su_id}",
    "{port} {days} {su_id}",
    "{gcd_host} {gcd_port} {su_id}",
    "{gcd_host} {gcd_port} {su_id} {days}",
    "{gcd_host} {gcd_port} {su_id} {mm-dd}",
    "{gcd_host} {gcd_port} {su_id} {year} {month} {day}",
    "{gcd_host} {gcd_port} {su_id} {mm/dd/yy}",
];

impl Template {
    /// A command of these words.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] if there is no word, an unknown placeholder, or no port. Braces around
    /// anything but lower-case letters, `-`, `/` and `_` are text.
    pub fn new(words: impl IntoIterator<Item = String>) -> Result<Self, TemplateError> {
        let template = Self::without_port(words)?;
        if !template.has("gcd_port") && !template.has("port") {
            return Err(TemplateError::NoPort);
        }
        Ok(template)
    }

    /// The beginning of a command, which `--detect` adds arguments to.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), but for the port.
    pub fn without_port(words: impl IntoIterator<Item = String>) -> Result<Self, TemplateError> {
        let words: Vec<String> = words.into_iter().collect();
        if words.is_empty() {
            return Err(TemplateError::Empty);
        }
        for word in &words {
            for name in placeholders(word) {
                if !PLACEHOLDERS.contains(&name) {
                    return Err(TemplateError::Unknown(name.to_owned()));
                }
            }
        }
        Ok(Self(words))
    }

    /// The words as they were given.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The same with more words at its end.
    pub(crate) fn with(&self, words: &[String]) -> Self {
        Self([self.0.as_slice(), words].concat())
    }

    /// Whether the placeholder occurs.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|word| placeholders(word).any(|found| found == name))
    }

    /// Returns `true` if the program gets the days to the birthday at all.
    pub(crate) fn passes_date(&self) -> bool {
        PLACEHOLDERS[3..11].iter().any(|name| self.has(name))
    }

    /// The command to run.
    pub(crate) fn fill(&self, filling: &Filling) -> Vec<String> {
        self.0.iter().map(|word| filled(word, filling)).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            let plain = |letter: char| letter.is_alphanumeric() || "-_./{}=:,+@%".contains(letter);
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

fn placeholders(word: &str) -> impl Iterator<Item = &str> {
    let inside = |piece: &'_ str| piece.find('}').filter(|end| *end > 0);
    word.split('{').skip(1).filter_map(move |piece| {
        let name = &piece[..inside(piece)?];
        let fits = |letter: char| letter.is_ascii_lowercase() || "-/_".contains(letter);
        name.chars().all(fits).then_some(name)
    })
}

fn filled(word: &str, filling: &Filling) -> String {
    let (year, month, day) = (
        filling.birthday.year(),
        filling.birthday.month(),
        filling.birthday.day(),
    );
    let values = [
        "localhost".to_owned(),
        filling.gcd_port.to_string(),
        filling.su_id.to_string(),
        filling.days.to_string(),
        filling.birthday.to_string(),
        format!("{month:02}-{day:02}"),
        format!("{month:02}-{day:02}-{year}"),
        format!("{month:02}/{day:02}/{:02}", year % 100),
        year.to_string(),
        month.to_string(),
        day.to_string(),
        filling.gcd_port.to_string(),
    ];
    let mut text = word.to_owned();
    for (name, value) in PLACEHOLDERS.iter().zip(values) {
        text = text.replace(&format!("{{{name}}}"), &value);
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        let all: Vec<String> = PLACEHOLDERS.map(|name| format!("<{{{name}}}>")).into();
        let template = Template::new(all).expect("they are placeholders");
        let filling = Filling {
            gcd_port: 2360,
            su_id: 1_234_567,
            days: 41,
            birthday: date(2027, 4, 1),
        };
        assert_eq!(
            template.fill(&filling).join(" "),
            "<localhost> <2360> <1234567> <41> <2027-04-01> <04-01> <04-01-2027> <04/01/27> \
             <2027> <4> <1> <2360>"
        );
    }

    #[test]
    fn what_is_no_command_says_why() {
        assert_eq!(Template::new([]), Err(TemplateError::Empty));
        assert_eq!(
            Template::new(words("lab2 {gcd_prot}")),
            Err(TemplateError::Unknown("gcd_prot".into()))
        );
        assert_eq!(
            Template::new(words("lab2 {su_id}")),
            Err(TemplateError::NoPort)
        );
        assert!(Template::new(words("awk {print} {gcd_port}")).is_err());
        assert!(Template::new(words("sh -c {} {A} {gcd_port}")).is_ok());
    }

    #[test]
    fn a_command_is_shown_so_that_a_shell_reads_it_back() {
        let template = Template::without_port(["sh", "-c", "it's {port}"].map(str::to_owned));
        let shown = template.expect("a command").to_string();
        assert_eq!(shown, r"sh -c 'it'\''s {port}'");
    }

    #[test]
    fn every_order_tried_is_a_command() {
        for order in ORDERS {
            assert!(Template::new(words(order)).is_ok(), "{order}");
        }
    }
}
