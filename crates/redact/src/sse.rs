//! Server-sent events that come in pieces: the data of each event is JSON or text of its own,
//! everything else is text line by line.

use serde::{Deserialize, Serialize};

use crate::json::JsonStream;
use crate::limits::HOLD_MAX_BYTES;
use crate::redacted::{Out, Redacted};
use crate::redactor::Redactor;
use crate::shape::looks_like_json;
use crate::text::TextStream;

/// The state of an event stream between two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SseStream {
    /// The beginning of a line whose field is not known yet, or of a line that is no data.
    raw: String,
    /// The data of the event at hand.
    inner: Inner,
    /// Within a line of data.
    in_data: bool,
    /// The end of the last line of data, and how the next one begins if there is one.
    line_end: String,
    prefix: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Inner {
    #[default]
    None,
    Json(JsonStream),
    Text(TextStream),
}

impl SseStream {
    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        self.raw.push_str(piece);
        let mut raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_str();
        while !rest.is_empty() {
            let taken = if self.in_data {
                self.data(redactor, rest, done, out)
            } else {
                self.line(redactor, rest, done, out)
            };
            if taken == 0 {
                break;
            }
            rest = &rest[taken..];
        }
        // Its memory is for the next piece.
        let taken = raw.len() - rest.len();
        raw.drain(..taken);
        self.raw = raw;
        if done {
            self.end_data(redactor, out);
            *self = Self::default();
        }
    }

    /// Lets everything out, since nothing more came for long.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        if !self.in_data {
            self.end_data(redactor, out);
            let raw = std::mem::take(&mut self.raw);
            if !raw.is_empty() {
                // The rest of a line that came out by half is treated as data.
                self.in_data = true;
                self.inner = Inner::Text(TextStream::default());
                self.feed(redactor, &raw, false, out);
            }
        }
        let mut inner = Out::default();
        match &mut self.inner {
            Inner::None => {}
            Inner::Json(json) => json.flush(redactor, &mut inner),
            Inner::Text(text) => text.flush(redactor, &mut inner),
        }
        self.append(inner, out);
    }

    pub(crate) fn has_tail(&self) -> bool {
        let inner = match &self.inner {
            Inner::None => false,
            Inner::Json(json) => json.has_tail(),
            Inner::Text(text) => text.has_tail(),
        };
        inner || !self.raw.is_empty() || !self.line_end.is_empty()
    }

    pub(crate) fn is_new(&self) -> bool {
        let is_none = matches!(self.inner, Inner::None);
        is_none && self.raw.is_empty() && self.line_end.is_empty() && !self.in_data
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let inner = match &self.inner {
            Inner::None => 0,
            Inner::Json(json) => json.held_bytes(),
            Inner::Text(text) => text.held_bytes(),
        };
        inner + self.raw.len()
    }

    /// Takes the beginning of a line of data, or a whole other line; returns how much it took.
    fn line(&mut self, redactor: &Redactor, rest: &str, done: bool, out: &mut Out) -> usize {
        if let Some(prefix) = data_prefix(rest) {
            if prefix.len() == rest.len() && !done && prefix.len() < DATA.len() + 1 {
                return 0;
            }
            if matches!(self.inner, Inner::None) {
                out.text.push_str(prefix);
            }
            prefix.clone_into(&mut self.prefix);
            if !matches!(self.inner, Inner::None) {
                self.feed(redactor, "\n", false, out);
            }
            self.in_data = true;
            return prefix.len();
        }
        if DATA.starts_with(rest) && !done {
            return 0;
        }
        let Some(end) = rest.find('\n').map(|end| end + 1).or(done.then_some(rest.len())) else {
            if rest.len() > HOLD_MAX_BYTES {
                self.end_data(redactor, out);
                self.in_data = true;
                self.inner = Inner::Text(TextStream::default());
            }
            return 0;
        };
        self.end_data(redactor, out);
        out.append(&redactor.text(&rest[..end]));
        end
    }

    /// Takes data up to the end of its line; returns how much it took.
    fn data(&mut self, redactor: &Redactor, rest: &str, done: bool, out: &mut Out) -> usize {
        let end = rest.find('\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        // A carriage return at the end belongs to the line's end.
        let content = line.strip_suffix('\r').unwrap_or(line);
        if matches!(self.inner, Inner::None) {
            self.inner = match () {
                () if looks_like_json(content) => Inner::Json(JsonStream::default()),
                () if content.trim_start().is_empty() && end.is_none() && !done => return 0,
                () => Inner::Text(TextStream::default()),
            };
        }
        self.feed(redactor, content, false, out);
        match end {
            Some(end) => {
                rest[content.len()..=end].clone_into(&mut self.line_end);
                self.in_data = false;
                end + 1
            }
            None if done => {
                rest[content.len()..].clone_into(&mut self.line_end);
                rest.len()
            }
            None => content.len(),
        }
    }

    /// The event's data has come to its end, and so has the text within.
    fn end_data(&mut self, redactor: &Redactor, out: &mut Out) {
        self.feed(redactor, "", true, out);
        self.inner = Inner::None;
        self.in_data = false;
        out.text.push_str(&std::mem::take(&mut self.line_end));
    }

    fn feed(&mut self, redactor: &Redactor, text: &str, done: bool, out: &mut Out) {
        if matches!(self.inner, Inner::None) {
            return;
        }
        let mut inner = Out::default();
        inner.text.reserve(text.len());
        match &mut self.inner {
            Inner::None => {}
            Inner::Json(json) => json.push(redactor, text, done, &mut inner),
            Inner::Text(stream) => stream.push(redactor, text, done, &mut inner),
        }
        self.append(inner, out);
    }

    /// A line break within data is a new line of data outside.
    fn append(&self, inner: Out, out: &mut Out) {
        let end = if self.line_end.is_empty() { "\n" } else { self.line_end.as_str() };
        let redacted = Redacted { text: inner.text.into(), findings: inner.findings };
        out.append_as(&redacted, |text, out| {
            for part in text.split_inclusive('\n') {
                match part.strip_suffix('\n') {
                    Some(line) => {
                        out.push_str(line);
                        out.push_str(end);
                        out.push_str(&self.prefix);
                    }
                    None => out.push_str(part),
                }
            }
        });
    }
}

/// `data:` and the one blank that may follow it.
fn data_prefix(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(DATA)?;
    Some(&line[..DATA.len() + usize::from(rest.starts_with(' '))])
}

const DATA: &str = "data:";
