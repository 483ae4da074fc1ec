//! Events as JSON, one object a line.

use std::io;

use bully::Pid;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::event::{Event, is_printable, maybe_pair};

/// Every line.
#[derive(Serialize)]
struct Line<'a> {
    t: f64,
    time: f64,
    #[serde(serialize_with = "maybe_pair")]
    node: Option<Pid>,
    #[serde(flatten)]
    event: &'a Event,
}

/// Returns the line for `event` of `node`, `t` seconds after the start and at the Unix time `time`.
pub(super) fn line(t: f64, time: f64, node: Option<Pid>, event: &Event) -> String {
    let line = Line {
        t,
        time,
        node,
        event,
    };
    let mut bytes = Vec::with_capacity(256);
    let mut to = Serializer::with_formatter(&mut bytes, Printable);
    // Numbers and text always have a JSON form.
    let written = line.serialize(&mut to);
    debug_assert!(written.is_ok(), "{event:?}");
    String::from_utf8(bytes).unwrap_or_default()
}

/// Compact, and with escapes for what a terminal would not show as a letter.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, letter) in fragment.char_indices() {
            if letter.is_ascii() && letter != '\x7f' || is_printable(letter) {
                continue;
            }
            writer.write_all(fragment.get(plain..at).unwrap_or("").as_bytes())?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + letter.len_utf8();
        }
        writer.write_all(fragment.get(plain..).unwrap_or("").as_bytes())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::HostPort;
    use super::*;

    #[test]
    fn a_line_is_ascii_where_a_terminal_could_be_misled_and_means_the_same() {
        let why = "a\x1b[2J\u{202e}b\u{9b}\x7f 'c' \"d\" \\ é東 \u{e0041}";
        let peer = HostPort("h\u{2066}".to_owned(), 7);
        let event = Event::Rejected {
            peer,
            why: why.to_owned(),
        };
        let text = line(0.25, 1.5, None, &event);
        assert!(text.chars().all(is_printable), "{text}");
        assert!(text.contains("é東"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["why"], why);
        assert_eq!(value["peer"], serde_json::json!(["h\u{2066}", 7]));
        assert!(text.starts_with(r#"{"t":0.25,"time":1.5,"node":null,"event":"rejected","#));
    }
}
