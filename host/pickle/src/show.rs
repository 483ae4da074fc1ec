//! What came, and why it is not served, as text for people and peers. Nothing is allocated: each
//! text is written where it is shown.

use core::fmt::{self, Display, Formatter, Write};

use bully::Refusal;

use crate::data::Data;
use crate::storage::sealed::Storage;
use crate::value::{Value, Word};

/// Why a message is not served, as the answer to whoever sent it and the log have it.
///
/// The published coordinator's own words where it has some, since programs and people know them.
/// `detail` is what [`detail`](crate::message::detail) returns; for [`Refusal::Other`] it is the whole
/// text.
pub fn refusal_text(refusal: Refusal, detail: Option<&dyn Display>) -> impl Display {
    RefusalText { refusal, detail }
}

struct RefusalText<'d> {
    refusal: Refusal,
    detail: Option<&'d dyn Display>,
}

impl Display for RefusalText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (text, unknown) = match self.refusal {
            Refusal::NotAMessage => ("Expected a pickled message, got ", "?"),
            Refusal::Unexpected => ("Unexpected message: ", "?"),
            Refusal::Malformed => ("Malformed message: ", "?"),
            Refusal::Pid => {
                return f.write_str(
                    "Malformed process id, expected (days_to_next_birthday, student_id)",
                );
            }
            Refusal::Port => return f.write_str("Invalid port number"),
            Refusal::NotLocal => return f.write_str("Only local group members currently allowed"),
            Refusal::Full => {
                return f.write_str("The group is full, there is no room for another member");
            }
            _ => ("", "Refused"),
        };
        f.write_str(text)?;
        match self.detail {
            Some(detail) => detail.fmt(f),
            None => f.write_str(unknown),
        }
    }
}

/// What came instead of a pickle, for people to read: one line, printable, at most 500 characters.
pub fn raw_text(bytes: &[u8]) -> impl Display {
    RawText(bytes.trim_ascii())
}

struct RawText<'b>(&'b [u8]);

/// How many characters of it are shown.
const RAW_CHARACTERS_MAX: usize = 500;

impl Display for RawText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letters = self.0.utf8_chunks().flat_map(|chunk| {
            let invalid = !chunk.invalid().is_empty();
            chunk
                .valid()
                .chars()
                .chain(invalid.then_some(char::REPLACEMENT_CHARACTER))
        });
        for (at, letter) in letters.enumerate() {
            match letter {
                _ if at == RAW_CHARACTERS_MAX => return f.write_char('…'),
                _ if letter.is_control() => letter.escape_default().fmt(f)?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Bytes as Python shows them, `b'...'`, at most 100 characters: the `detail` for
/// [`Refusal::NotAMessage`].
pub fn bytes_repr(bytes: &[u8]) -> impl Display {
    BytesRepr(bytes)
}

struct BytesRepr<'b>(&'b [u8]);

const REPR_CHARACTERS_MAX: usize = 100;

impl Display for BytesRepr<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("b'")?;
        let mut shown = 2;
        for byte in self.0 {
            let letter = match *byte {
                b'\t' => b't',
                b'\n' => b'n',
                b'\r' => b'r',
                quoted @ (b'\'' | b'"' | b'\\') => quoted,
                b' '..=b'~' => 0,
                _ => b'x',
            };
            let escaped = [
                b'\\',
                letter,
                hexadecimal(byte >> 4),
                hexadecimal(byte & 15),
            ];
            let escaped = match letter {
                0 => core::slice::from_ref(byte),
                b'x' => &escaped,
                _ => escaped.get(..2).unwrap_or(&[]),
            };
            shown += escaped.len();
            if shown > REPR_CHARACTERS_MAX - 1 {
                break;
            }
            for character in escaped {
                f.write_char(char::from(*character))?;
            }
        }
        f.write_str("'")
    }
}

/// A digit of 0 to 15.
const fn hexadecimal(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        _ => b'a' + digit - 10,
    }
}

/// A value as Python would show it, until it gets long or deep; so what contains itself ends too.
pub(crate) struct Repr<'d, S: Storage>(pub(crate) &'d Data<S>, pub(crate) Word);

impl<S: Storage> Display for Repr<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(data, value) = *self;
        show(&mut Counted { out: f, len: 0 }, data, value, 0)
    }
}

/// A writer that knows how much was written.
struct Counted<'w> {
    out: &'w mut dyn Write,
    len: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len += text.len();
        self.out.write_str(text)
    }
}

const BYTES_MAX: usize = 200;
const DEPTH_MAX: usize = 6;
const LETTERS_MAX: usize = 60;

fn show<S: Storage>(
    out: &mut Counted<'_>,
    data: &Data<S>,
    word: Word,
    depth: usize,
) -> fmt::Result {
    if depth > DEPTH_MAX || out.len > BYTES_MAX {
        return out.write_str("…");
    }
    match word.into() {
        Value::Unset | Value::None => out.write_str("None"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Huge => out.write_str("<a huge number>"),
        Value::Text(text) => {
            let mut letters = data.text(text).chars();
            out.write_str("'")?;
            for letter in letters.by_ref().take(LETTERS_MAX) {
                write!(out, "{}", letter.escape_debug())?;
            }
            out.write_str(if letters.next().is_some() {
                "…'"
            } else {
                "'"
            })
        }
        Value::Dict(dict) => {
            out.write_str("{")?;
            for (at, (key, value)) in data.entries(dict).enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                if out.len > BYTES_MAX {
                    out.write_str("…")?;
                    break;
                }
                show(out, data, key, depth + 1)?;
                out.write_str(": ")?;
                show(out, data, value, depth + 1)?;
            }
            out.write_str("}")
        }
        Value::Ints(..) | Value::Address(..) | Value::Tuple(_) | Value::List(_) => {
            let mut left = data.len(word);
            let (open, close) = match left {
                _ if word.as_list().is_some() => ("[", "]"),
                1 => ("(", ",)"),
                _ => ("(", ")"),
            };
            out.write_str(open)?;
            for item in data.items(word) {
                if out.len > BYTES_MAX {
                    break;
                }
                show(out, data, item, depth + 1)?;
                left -= 1;
                out.write_str(if left > 0 { ", " } else { "" })?;
            }
            out.write_str(if left > 0 { "…" } else { "" })?;
            out.write_str(close)
        }
    }
}
