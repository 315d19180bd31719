//! Bodies of forms in parts (`multipart/form-data`) that come in pieces: each part is masked by its
//! field's name, else by what it is. Only readable text comes out; a part that is none is withheld,
//! and so is all from where the body does not read as one for sure: what another reader could take
//! for the beginning of a part must not pass as the inside of one.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::limits::{PADDING_MAX_BYTES, PART_HEAD_MAX_BYTES};
use crate::multipart::head::opened;
use crate::multipart::part::Part;
use crate::redacted::{Out, Withheld};
use crate::redactor::Redactor;

mod head;
mod part;

pub(crate) use head::boundary_of;

/// The state of such a body between two pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MultipartStream {
    /// `--` and the boundary; none where the media type names none.
    delimiter: Option<String>,
    place: Place,
    /// What did not come out yet: a line of the body's structure, or the beginning of one.
    raw: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Start,
    Head,
    Content(Part),
    /// Behind the last delimiter.
    End,
    Broken,
}

/// What a step came to.
enum Step {
    /// It took so many bytes.
    Took(usize),
    /// It needs more.
    Waits,
    /// The body can't be read any further.
    Breaks,
}

/// What follows a delimiter.
enum Behind {
    /// A part, after so many bytes.
    Part(usize),
    /// Nothing more, after so many bytes.
    Nothing(usize),
    Unknown,
    /// Neither.
    Wrong,
}

impl MultipartStream {
    pub(crate) fn new(boundary: Option<&str>) -> Self {
        let delimiter = boundary.map(|boundary| format!("--{boundary}"));
        Self { delimiter, place: Place::Start, raw: Vec::new() }
    }

    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &[u8], done: bool, out: &mut Out) {
        if self.place == Place::Broken {
            self.break_off(redactor, out);
        } else {
            self.raw.extend_from_slice(piece);
            let raw = std::mem::take(&mut self.raw);
            let mut at = 0;
            while at < raw.len() && self.place != Place::Broken {
                match self.step(redactor, &raw[at..], out) {
                    Step::Took(taken) => at += taken,
                    Step::Waits => break,
                    Step::Breaks => self.break_off(redactor, out),
                }
            }
            if self.place != Place::Broken {
                self.raw.extend_from_slice(&raw[at..]);
            }
        }
        if done {
            self.end(redactor, out);
        }
    }

    /// A piece of it can't be read, so nothing behind it can be either.
    pub(crate) fn break_off(&mut self, redactor: &Redactor, out: &mut Out) {
        out.withheld = Some(Withheld::NotMultipart);
        if self.place == Place::Broken {
            return;
        }
        if let Place::Content(part) = &mut self.place {
            part.break_off(redactor, out);
        }
        redactor.withhold(Withheld::NotMultipart, out);
        self.place = Place::Broken;
        self.raw.clear();
    }

    /// Lets out what is held of a part, since nothing more came for long. What may be a line of the
    /// body's structure stays.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        if let Place::Content(part) = &mut self.place {
            part.flush(redactor, out);
        }
    }

    pub(crate) fn has_tail(&self) -> bool {
        matches!(&self.place, Place::Content(part) if part.has_tail())
    }

    /// Never where it knows its boundary: the next piece does not tell it.
    pub(crate) fn is_new(&self) -> bool {
        self.delimiter.is_none() && self.place == Place::Start && self.raw.is_empty()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let part = if let Place::Content(part) = &self.place { part.held_bytes() } else { 0 };
        self.raw.len() + part
    }

    fn step(&mut self, redactor: &Redactor, raw: &[u8], out: &mut Out) -> Step {
        let Some(delimiter) = self.delimiter.clone() else { return Step::Breaks };
        match &mut self.place {
            Place::Start => self.start(redactor, &delimiter, raw, out),
            Place::Head => self.head(redactor, &delimiter, raw, out),
            Place::Content(_) => self.content(redactor, &delimiter, raw, out),
            Place::End => {
                let blank = raw.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                push_ascii(&raw[..blank], out);
                if blank > 0 { Step::Took(blank) } else { Step::Breaks }
            }
            Place::Broken => Step::Breaks,
        }
    }

    /// Nothing may stand before the first delimiter but ends of lines.
    fn start(&mut self, redactor: &Redactor, delimiter: &str, raw: &[u8], out: &mut Out) -> Step {
        let lines = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if lines > 0 {
            push_ascii(&raw[..lines], out);
            return Step::Took(lines);
        }
        match raw.strip_prefix(delimiter.as_bytes()) {
            Some(behind) => self.delimit(redactor, delimiter, behind, out),
            None if delimiter.as_bytes().starts_with(raw) => Step::Waits,
            None => Step::Breaks,
        }
    }

    fn head(&mut self, redactor: &Redactor, delimiter: &str, raw: &[u8], out: &mut Out) -> Step {
        let Some((head, blank)) = head_end(raw).filter(|(a, b)| a + b <= PART_HEAD_MAX_BYTES)
        else {
            let is_long = raw.len() >= PART_HEAD_MAX_BYTES;
            return if is_long { Step::Breaks } else { Step::Waits };
        };
        let text = std::str::from_utf8(&raw[..head]).ok().filter(|head| !head.contains(delimiter));
        let Some((text, part)) = text.and_then(|text| Some((text, opened(redactor, text)?))) else {
            return Step::Breaks;
        };
        out.append(&redactor.text(text));
        push_ascii(&raw[head..head + blank], out);
        self.place = Place::Content(part);
        Step::Took(head + blank)
    }

    fn content(&mut self, redactor: &Redactor, delimiter: &str, raw: &[u8], out: &mut Out) -> Step {
        let Place::Content(part) = &mut self.place else { return Step::Breaks };
        let Some(at) = memmem::find(raw, delimiter.as_bytes()) else {
            // What may be the beginning of a delimiter, with the end of the line before it.
            let certain = raw.len().saturating_sub(delimiter.len() + 1);
            if certain == 0 {
                return Step::Waits;
            }
            part.push(redactor, &raw[..certain], out);
            return Step::Took(certain);
        };
        let line_end = match &raw[..at] {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            [] if part.is_empty() => 0,
            content => {
                part.push(redactor, content, out);
                return Step::Breaks;
            }
        };
        let behind = &raw[at + delimiter.len()..];
        if matches!(is_behind(behind), Behind::Unknown) {
            return Step::Waits;
        }
        part.push(redactor, &raw[..at - line_end], out);
        part.finish(redactor, out);
        push_ascii(&raw[at - line_end..at], out);
        match self.delimit(redactor, delimiter, behind, out) {
            Step::Took(taken) => Step::Took(at + taken),
            other => other,
        }
    }

    /// Takes a delimiter with what stands behind it, and goes on there.
    fn delimit(
        &mut self,
        redactor: &Redactor,
        delimiter: &str,
        behind: &[u8],
        out: &mut Out,
    ) -> Step {
        let (place, length) = match is_behind(behind) {
            Behind::Part(length) => (Place::Head, length),
            Behind::Nothing(length) => (Place::End, length),
            Behind::Unknown => return Step::Waits,
            Behind::Wrong => {
                // Whatever part it ended has come out.
                self.place = Place::Head;
                return Step::Breaks;
            }
        };
        self.place = place;
        let (dashes, boundary) = delimiter.split_at(2);
        out.text.push_str(dashes);
        out.append(&redactor.text(boundary));
        push_ascii(&behind[..length], out);
        Step::Took(delimiter.len() + length)
    }

    /// A body that ends before its last delimiter is none.
    fn end(&mut self, redactor: &Redactor, out: &mut Out) {
        if let Place::Content(part) = &mut self.place {
            let rest = std::mem::take(&mut self.raw);
            part.push(redactor, &rest, out);
        }
        let is_nothing = self.place == Place::Start && self.raw.is_empty();
        if !is_nothing && !matches!(self.place, Place::End | Place::Broken) {
            self.break_off(redactor, out);
        }
        self.place = Place::Start;
        self.raw.clear();
    }
}

fn is_behind(behind: &[u8]) -> Behind {
    if behind.starts_with(b"--") {
        return Behind::Nothing(2);
    }
    let padding = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &behind[padding..] {
        _ if padding > PADDING_MAX_BYTES => Behind::Wrong,
        [b'\n', ..] => Behind::Part(padding + 1),
        [b'\r', b'\n', ..] => Behind::Part(padding + 2),
        [] | [b'\r'] => Behind::Unknown,
        [b'-'] if padding == 0 => Behind::Unknown,
        _ => Behind::Wrong,
    }
}

/// How long a part's head is, and the empty line behind it.
fn head_end(raw: &[u8]) -> Option<(usize, usize)> {
    let mut line = 0;
    loop {
        match &raw[line..] {
            [b'\n', ..] => return Some((line, 1)),
            [b'\r', b'\n', ..] => return Some((line, 2)),
            rest => line += memchr::memchr(b'\n', rest)? + 1,
        }
    }
}

fn push_ascii(bytes: &[u8], out: &mut Out) {
    out.text.extend(bytes.iter().map(|byte| char::from(*byte)));
}

#[cfg(test)]
mod tests;
