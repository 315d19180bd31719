//! `name=value&name=value`: bodies of forms, and queries.

use serde::{Deserialize, Serialize};

use crate::limits::HOLD_MAX_BYTES;
use crate::redacted::{Out, Redacted};
use crate::redactor::Redactor;

/// The state of a form between two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormStream {
    /// The pair that did not end yet.
    raw: String,
    /// The pair at hand came out masked; its rest is to be dropped.
    is_dropped: bool,
}

impl FormStream {
    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        self.raw.push_str(piece);
        let raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_str();
        while let Some(end) = rest.find('&') {
            self.pair(redactor, &rest[..end], out);
            out.text.push('&');
            rest = &rest[end + 1..];
        }
        if done {
            self.pair(redactor, rest, out);
        } else if self.is_dropped {
            rest = "";
            self.raw.clear();
        } else if rest.len() > HOLD_MAX_BYTES {
            self.let_out(redactor, rest, out);
            rest = "";
        }
        if !done {
            self.raw.push_str(rest);
        }
    }

    /// Lets everything out, since nothing more came for long.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        let raw = std::mem::take(&mut self.raw);
        if !raw.is_empty() {
            self.let_out(redactor, &raw, out);
        }
    }

    pub(crate) fn has_tail(&self) -> bool {
        !self.raw.is_empty()
    }

    pub(crate) fn is_new(&self) -> bool {
        self.raw.is_empty() && !self.is_dropped
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.raw.len()
    }

    /// A pair whose end is not known comes out as its name, its value masked whole: half a value
    /// can't be judged.
    fn let_out(&mut self, redactor: &Redactor, raw: &str, out: &mut Out) {
        let (name, value) = raw.split_once('=').unwrap_or(("", raw));
        if raw.contains('=') {
            out.append(&redactor.text(name));
            out.text.push('=');
        }
        redactor.replace(crate::scan::HitName::Named(crate::redactor::HELD), value, out);
        self.is_dropped = true;
    }

    fn pair(&mut self, redactor: &Redactor, raw: &str, out: &mut Out) {
        if std::mem::take(&mut self.is_dropped) {
            return;
        }
        let (name, value) = raw.split_once('=').map_or((raw, None), |(n, v)| (n, Some(v)));
        let name_text = decode(name);
        part(name, &redactor.text(&name_text), out);
        let Some(value) = value else { return };
        out.text.push('=');
        let class = redactor.classify_path(&name_text);
        part(value, &redactor.field(&decode(value), class, 0), out);
    }
}

/// Writes a name or value: as it came, unless something in it was replaced.
fn part(raw: &str, redacted: &Redacted<'_>, out: &mut Out) {
    if redacted.findings.is_empty() {
        out.text.push_str(raw);
    } else {
        out.append_as(redacted, encode_into);
    }
}

/// What a form's text stands for; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decode(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |place: usize| bytes.get(place).and_then(|b| (*b as char).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes but leaves what tokens are made of, so that people can read them.
fn encode_into(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' | b'[' | b']' | b':' | b'/' | b',' | b'@' => {
                out.push(byte as char)
            }
            _ if byte.is_ascii_alphanumeric() => out.push(byte as char),
            _ => {
                // Writing to a string can't fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}
