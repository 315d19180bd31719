//! A body that comes in pieces of at most 64 KiB: pieces in, masked text out, what may go on in
//! the next piece held back. Its state is bytes that can be kept and gone on with elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::form::FormStream;
use crate::json::JsonStream;
use crate::redacted::{Out, Redacted};
use crate::redactor::Redactor;
use crate::shape::Shape;
use crate::sse::SseStream;
use crate::text::TextStream;

/// The bytes are no state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a masked stream")]
pub struct StreamError;

/// Masks one body.
#[derive(Clone, Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    machine: Machine,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Machine {
    /// Its shape can't be told from what came so far.
    Unknown(String),
    Text(TextStream),
    Json(Box<JsonStream>),
    Sse(Box<SseStream>),
    Form(FormStream),
    /// Each piece is base64 of its own; masked as text of one character for each byte.
    Bytes(TextStream),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    machine: Machine,
}

impl StreamRedactor {
    pub(crate) fn new(redactor: Redactor, shape: Shape) -> Self {
        Self { redactor, machine: Machine::new(shape) }
    }

    pub(crate) fn from_bytes(redactor: Redactor, state: &[u8]) -> Result<Self, StreamError> {
        let kept: Kept = serde_json::from_slice(state).map_err(|_| StreamError)?;
        if kept.form != FORM {
            return Err(StreamError);
        }
        Ok(Self { redactor, machine: kept.machine })
    }

    /// The state, to go on from with [`Redactor::resume`]. It holds clear text: seal it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let kept = Kept { form: FORM, machine: self.machine.clone() };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Takes a piece and lets out what is certain.
    #[must_use]
    pub fn push(&mut self, piece: &str) -> Out {
        self.run(piece, false)
    }

    /// Takes the last piece, lets out everything, and begins anew.
    #[must_use]
    pub fn push_last(&mut self, piece: &str) -> Out {
        self.run(piece, true)
    }

    /// The body has ended: lets out the rest, and begins anew.
    #[must_use]
    pub fn finish(&mut self) -> Out {
        self.run("", true)
    }

    /// Nothing came for long: lets out what is held back, the beginning of a possible secret
    /// masked. When its rest comes after all, it is dropped.
    #[must_use]
    pub fn flush_after_timeout(&mut self) -> Out {
        let mut out = Out::default();
        let redactor = &self.redactor;
        match &mut self.machine {
            Machine::Unknown(held) => {
                let mut text = TextStream::default();
                text.push(redactor, held, false, &mut out);
                text.flush(redactor, &mut out);
                self.machine = Machine::Text(text);
            }
            Machine::Text(text) => text.flush(redactor, &mut out),
            Machine::Json(json) => json.flush(redactor, &mut out),
            Machine::Sse(sse) => sse.flush(redactor, &mut out),
            Machine::Form(form) => form.flush(redactor, &mut out),
            Machine::Bytes(text) => {
                text.flush(redactor, &mut out);
                out = encode_bytes(out);
            }
        }
        out
    }

    /// Whether something is held back.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        match &self.machine {
            Machine::Unknown(held) => !held.is_empty(),
            Machine::Text(text) | Machine::Bytes(text) => text.has_tail(),
            Machine::Json(json) => json.has_tail(),
            Machine::Sse(sse) => sse.has_tail(),
            Machine::Form(form) => form.has_tail(),
        }
    }

    /// Whether the next piece would be treated as a body's first: there is no state to keep.
    #[must_use]
    pub fn is_new(&self) -> bool {
        match &self.machine {
            Machine::Unknown(held) => held.is_empty(),
            Machine::Text(text) | Machine::Bytes(text) => text.is_new(),
            Machine::Json(json) => json.is_new(),
            Machine::Sse(sse) => sse.is_new(),
            Machine::Form(form) => form.is_new(),
        }
    }

    /// How much it holds, in bytes, about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.machine {
            Machine::Unknown(held) => held.len(),
            Machine::Text(text) | Machine::Bytes(text) => text.held_bytes(),
            Machine::Json(json) => json.held_bytes(),
            Machine::Sse(sse) => sse.held_bytes(),
            Machine::Form(form) => form.held_bytes(),
        }
    }

    fn run(&mut self, piece: &str, done: bool) -> Out {
        let mut out = Out::default();
        let redactor = &self.redactor;
        if let Machine::Unknown(held) = &mut self.machine {
            held.push_str(piece);
            let shape = Shape::of_beginning(held);
            let shape = shape.or((done || held.len() > BEGINNING_BYTES).then_some(Shape::Text));
            let Some(shape) = shape else { return out };
            let held = std::mem::take(held);
            self.machine = Machine::new(shape);
            return self.run(&held, done);
        }
        match &mut self.machine {
            Machine::Unknown(_) => {}
            Machine::Text(text) => text.push(redactor, piece, done, &mut out),
            Machine::Json(json) => json.push(redactor, piece, done, &mut out),
            Machine::Sse(sse) => sse.push(redactor, piece, done, &mut out),
            Machine::Form(form) => form.push(redactor, piece, done, &mut out),
            Machine::Bytes(text) => {
                // What is no base64 after all is masked as the text that it is.
                let decoded = STANDARD.decode(piece).ok().map(|bytes| one_char_each(&bytes));
                text.push(redactor, decoded.as_deref().unwrap_or(piece), done, &mut out);
                out = encode_bytes(out);
            }
        }
        out
    }
}

impl Machine {
    fn new(shape: Shape) -> Self {
        match shape {
            Shape::Unknown => Self::Unknown(String::new()),
            Shape::Text => Self::Text(TextStream::default()),
            Shape::Json => Self::Json(Box::default()),
            Shape::Sse => Self::Sse(Box::default()),
            Shape::Form => Self::Form(FormStream::default()),
            Shape::Bytes => Self::Bytes(TextStream::default()),
        }
    }
}

fn one_char_each(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Back to base64; where something was replaced can't be said within it.
fn encode_bytes(out: Out) -> Out {
    let as_byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
    let bytes: Vec<u8> = out.text.chars().map(as_byte).collect();
    let mut findings = out.findings;
    findings.iter_mut().for_each(|finding| finding.start = 0);
    let redacted = Redacted { text: STANDARD.encode(bytes).into(), findings };
    Out { text: redacted.text.into_owned(), findings: redacted.findings }
}

/// A body that begins with more white space than this is text.
const BEGINNING_BYTES: usize = 1024;
const FORM: u32 = 1;

#[cfg(test)]
mod tests;
