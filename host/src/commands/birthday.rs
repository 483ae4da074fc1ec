//! Calendar days to the next birthday.

use jiff::civil::{Date, date};

/// The longest anyone may have to wait: the coordinator takes no more, so a birthday today counts
/// as next year's, and as no more than this when a leap day lies in between.
pub(crate) const DAYS_MAX: u32 = 365;

/// A day of the year on which somebody has their birthday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birthday {
    month: i8,
    day: i8,
}

impl Birthday {
    /// Reads `YYYY-MM-DD` or `MM-DD`. The year is only used for 29 February, which not every
    /// year has.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let whole = match text.len() {
            // Any leap year: without a year every day that exists at all is meant.
            5 => format!("2000-{text}"),
            _ => text.to_owned(),
        };
        let has_form = whole.len() == 10
            && whole.bytes().enumerate().all(|(at, letter)| match at {
                4 | 7 => letter == b'-',
                _ => letter.is_ascii_digit(),
            });
        if !has_form {
            return Err("a birthday is written YYYY-MM-DD or MM-DD, 04-01 for instance".to_owned());
        }
        let born: Date = whole
            .parse()
            .map_err(|_| "there is no such day in the calendar".to_owned())?;
        Ok(Self {
            month: born.month(),
            day: born.day(),
        })
    }

    /// Calendar days from `today` to the next birthday after it, 1 to [`DAYS_MAX`].
    ///
    /// Who was born on 29 February has their birthday on 1 March of a year that has none.
    pub(crate) fn days_after(self, today: Date) -> u32 {
        let next = [today.year(), today.year() + 1]
            .into_iter()
            .map(|year| self.in_year(year))
            .find(|birthday| *birthday > today);
        let days = next.map_or(0, |next| (next - today).get_days());
        u32::try_from(days).unwrap_or(0).clamp(1, DAYS_MAX)
    }

    fn in_year(self, year: i16) -> Date {
        // Only 29 February can fail; whatever else is in here was a day once.
        Date::new(year, self.month, self.day).unwrap_or_else(|_| date(year, 3, 1))
    }
}

/// Today, as the clock on this machine's wall has it.
pub(crate) fn today() -> Date {
    jiff::Zoned::now().date()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn birthdays_are_read_and_nothing_else() {
        assert_eq!(Birthday::parse("04-01"), Birthday::parse("1999-04-01"));
        assert_eq!(Birthday::parse("02-29"), Birthday::parse("2004-02-29"));
        for text in [
            "",
            "4-1",
            "04/01",
            "0401",
            "13-01",
            "00-10",
            "04-31",
            "2003-02-29",
            "99-04-01",
            "1999-04-01T00",
            "+999-04-01",
            "-1-04-01",
            "１-04",
        ] {
            assert!(Birthday::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_birthday_today_is_a_year_away() {
        let april = Birthday::parse("04-01").expect("a day");
        assert_eq!(april.days_after(date(2026, 4, 1)), 365);
        assert_eq!(
            april.days_after(date(2027, 4, 1)),
            365,
            "366, but nobody takes that"
        );
        assert_eq!(april.days_after(date(2026, 3, 31)), 1);
        assert_eq!(april.days_after(date(2026, 4, 2)), 364);
    }

    /// Python counts by walking from day to day; three years, every day with every birthday.
    #[test]
    fn the_calendar_is_pythons() {
        const WALK: &str = "
import datetime as dt
day, one = dt.date(2023, 1, 1), dt.timedelta(days=1)
births = [dt.date(2024, 1, 1) + n * one for n in range(366)]
def has_birthday(on, born):
    leap_day_moved = (born.month, born.day) == (2, 29) and (on.month, on.day) == (3, 1) \\
        and (on - one).day == 28
    return leap_day_moved or (on.month, on.day) == (born.month, born.day)
ahead = {}
def wait(day, born):
    count, on = 1, day + one
    while not has_birthday(on, born):
        count, on = count + 1, on + one
    return count
last = {}
while day < dt.date(2026, 1, 1):
    row = []
    for born in births:
        left = last.get(born, 1) - 1
        if left < 1 or has_birthday(day, born):
            left = wait(day, born)
        last[born] = left
        row.append(min(left, 365))
    print(day.isoformat(), *row)
    day += one
";
        let python = Command::new("python3").args(["-c", WALK]).output();
        let python = python.expect("python3 is needed as the oracle of this test");
        assert!(python.status.success(), "{python:?}");
        let births: Vec<_> = (0..366)
            .map(|n| date(2024, 1, 1).saturating_add(jiff::Span::new().days(n)))
            .map(|born| Birthday::parse(&born.to_string()).expect("a day"))
            .collect();
        let walked = String::from_utf8(python.stdout).expect("text");
        assert_eq!(walked.lines().count(), 2 * 365 + 366);
        for line in walked.lines() {
            let mut words = line.split(' ');
            let day: Date = words.next().expect("a day").parse().expect("a day");
            for born in &births {
                let expected: u32 = words.next().expect("a count").parse().expect("a count");
                assert_eq!(born.days_after(day), expected, "{born:?} from {day}");
            }
        }
    }
}
