//! BIRTHDAY: today is what this machine's clock on the wall says, and the days are Python's.

use std::process::Command;

use crate::program::{BULLY, Program, free_port};
use crate::python::python;

/// Days from today to the next of this day of the year, and today itself.
const DAYS: &str = "
import datetime as dt, sys
today, one = dt.date.today(), dt.timedelta(days=1)
born = today + int(sys.stdin.read()) * one
day, days = today + one, 1
while (day.month, day.day) != (born.month, born.day):
    day, days = day + one, days + 1
print(today, born.strftime('%m-%d'), min(days, 365))
";

#[test]
fn days_are_counted_from_the_local_date() {
    let port = free_port().to_string();
    // Between the first and the last of these zones the date always differs.
    for zone in ["Etc/GMT-14", "America/Los_Angeles", "Etc/GMT+12"] {
        for ahead in [0, 1, 2, 100, 364] {
            let ask = || python(DAYS, Some(zone), ahead.to_string().as_bytes());
            let mut before = ask();
            loop {
                let mut words = before.split(' ').skip(1);
                let (born, days) = (words.next().expect("a day"), words.next().expect("days"));
                let counted = counted(&port, zone, born);
                let after = ask();
                // Unless it has just struck midnight there.
                if after == before {
                    assert_eq!(counted.to_string(), days, "{born} in {zone}, {before}");
                    break;
                }
                before = after;
            }
        }
    }
}

fn counted(port: &str, zone: &str, birthday: &str) -> u64 {
    let args = [
        "node",
        "localhost",
        port,
        "1234567",
        birthday,
        "--log",
        "json",
    ];
    let mut command = Command::new(BULLY);
    command.args(args).args(["--for", "10ms"]).env("TZ", zone);
    let listening = Program::start_command(&mut command).await_event("listening");
    listening["node"][0].as_u64().expect("days")
}

#[test]
fn days_can_be_given_instead() {
    let port = free_port().to_string();
    for days in [1, 365] {
        let node = Program::start_line(&format!(
            "node localhost {port} 7654321 --for 10ms --log json --days {days}"
        ));
        let listening = node.await_event("listening");
        assert_eq!(listening["node"], serde_json::json!([days, 7_654_321]));
    }
}
