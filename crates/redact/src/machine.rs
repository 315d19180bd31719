//! What walks a body: one state between two pieces for each shape.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::delta::DeltaStream;
use crate::form::FormStream;
use crate::json::JsonStream;
use crate::multipart::MultipartStream;
use crate::open::OpenedStream;
use crate::redacted::{Finding, Out};
use crate::redactor::Redactor;
use crate::shape::Shape;
use crate::text::TextStream;

/// The state of a body between two pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Machine {
    /// Its shape can't be told from what came so far.
    Unknown(String),
    Text(TextStream),
    Json(Box<JsonStream>),
    Sse(Box<DeltaStream>),
    Form(FormStream),
    Multipart(Box<MultipartStream>),
    /// Each piece is base64 of its own; masked as text of one character for each byte.
    Bytes(TextStream),
    Opened(Box<OpenedStream>),
}

impl Machine {
    pub(crate) fn new(shape: Shape) -> Self {
        match shape {
            Shape::Unknown => Self::Unknown(String::new()),
            Shape::Text => Self::Text(TextStream::default()),
            Shape::Json => Self::Json(Box::default()),
            Shape::Sse => Self::Sse(Box::default()),
            Shape::Form => Self::Form(FormStream::default()),
            Shape::Multipart(boundary) => {
                Self::Multipart(Box::new(MultipartStream::new(boundary.as_deref())))
            }
            Shape::Bytes => Self::Bytes(TextStream::default()),
            Shape::Wrapped(wrapping, shape) => {
                Self::Opened(Box::new(OpenedStream::new(wrapping, *shape)))
            }
        }
    }

    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        match self {
            Self::Unknown(held) => {
                held.push_str(piece);
                let shape = Shape::of_beginning(held);
                let is_long = held.len() > BEGINNING_BYTES && !held.trim_start().starts_with('"');
                let shape = shape.or((done || is_long).then(|| Shape::of_all(held)));
                let Some(shape) = shape else { return };
                let held = std::mem::take(held);
                *self = Self::new(shape);
                self.push(redactor, &held, done, out);
            }
            Self::Text(text) => text.push(redactor, piece, done, out),
            Self::Json(json) => json.push(redactor, piece, done, out),
            Self::Sse(sse) => sse.push(redactor, piece, done, out),
            Self::Form(form) => form.push(redactor, piece, done, out),
            Self::Multipart(parts) => parts.push(redactor, piece.as_bytes(), done, out),
            Self::Opened(opened) => opened.push(redactor, piece.as_bytes(), done, out),
            Self::Bytes(text) => {
                // What is no base64 after all is masked as the text that it is.
                let decoded = STANDARD.decode(piece).ok().map(|bytes| one_char_each(&bytes));
                let mut inner = Out::default();
                text.push(redactor, decoded.as_deref().unwrap_or(piece), done, &mut inner);
                append_bytes(inner, out);
            }
        }
    }

    /// Lets everything out, since nothing more came for long.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        match self {
            Self::Unknown(held) => {
                let mut text = TextStream::default();
                text.push(redactor, held, false, out);
                text.flush(redactor, out);
                *self = Self::Text(text);
            }
            Self::Text(text) => text.flush(redactor, out),
            Self::Json(json) => json.flush(redactor, out),
            Self::Sse(sse) => sse.flush(redactor, out),
            Self::Form(form) => form.flush(redactor, out),
            Self::Multipart(parts) => parts.flush(redactor, out),
            Self::Opened(opened) => opened.flush(redactor, out),
            Self::Bytes(text) => {
                let mut inner = Out::default();
                text.flush(redactor, &mut inner);
                append_bytes(inner, out);
            }
        }
    }

    /// Whether something is held back.
    pub(crate) fn has_tail(&self) -> bool {
        match self {
            Self::Unknown(held) => !held.is_empty(),
            Self::Text(text) | Self::Bytes(text) => text.has_tail(),
            Self::Json(json) => json.has_tail(),
            Self::Sse(sse) => sse.has_tail(),
            Self::Form(form) => form.has_tail(),
            Self::Multipart(parts) => parts.has_tail(),
            Self::Opened(opened) => opened.has_tail(),
        }
    }

    /// Whether the next piece would be treated as the first.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Unknown(held) => held.is_empty(),
            Self::Text(text) | Self::Bytes(text) => text.is_new(),
            Self::Json(json) => json.is_new(),
            Self::Sse(sse) => sse.is_new(),
            Self::Form(form) => form.is_new(),
            Self::Multipart(parts) => parts.is_new(),
            Self::Opened(opened) => opened.is_new(),
        }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Unknown(held) => held.len(),
            Self::Text(text) | Self::Bytes(text) => text.held_bytes(),
            Self::Json(json) => json.held_bytes(),
            Self::Sse(sse) => sse.held_bytes(),
            Self::Form(form) => form.held_bytes(),
            Self::Multipart(parts) => parts.held_bytes(),
            Self::Opened(opened) => opened.held_bytes(),
        }
    }
}

fn one_char_each(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Back to base64; where something was replaced can't be said within it.
fn append_bytes(inner: Out, out: &mut Out) {
    let as_byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
    let bytes: Vec<u8> = inner.text.chars().map(as_byte).collect();
    let start = out.text.len();
    out.text.push_str(&STANDARD.encode(bytes));
    out.findings.extend(inner.findings.into_iter().map(|finding| Finding { start, ..finding }));
}

/// A body that begins with more white space than this is text.
const BEGINNING_BYTES: usize = 1024;
