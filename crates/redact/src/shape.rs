//! What a body is made of, by its media type, else by how it begins.

use serde::{Deserialize, Serialize};

use crate::multipart::boundary_of;
use crate::open::Wrapping;

/// How a body is walked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// Nothing said: by how it begins.
    Unknown,
    /// Text.
    Text,
    /// JSON documents, one or more.
    Json,
    /// Server-sent events, whose data is JSON or text.
    Sse,
    /// `name=value&…`.
    Form,
    /// Parts of a form with this boundary between them. Without one it can't be read.
    Multipart(Option<String>),
    /// Bytes that are no text, in base64.
    Bytes,
    /// A body of a shape that has to be opened first.
    Wrapped(Wrapping, Box<Shape>),
}

impl Shape {
    /// The shape of a body whose head names this media type and these codings.
    #[must_use]
    pub fn of_head(media_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        let shape = media_type.map_or(Self::Unknown, Self::of_media_type);
        match Wrapping::of_head(content_encoding, media_type) {
            Some(wrapping) => Self::Wrapped(wrapping, Box::new(shape)),
            None => shape,
        }
    }

    /// The shape of a payload of this media type, as `payload_type` has it.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Self {
        let lower = media_type.to_ascii_lowercase();
        let essence = lower.split(';').next().unwrap_or_default().trim();
        if essence.starts_with("multipart/") {
            return Self::Multipart(boundary_of(media_type));
        }
        if lower.ends_with(";base64") {
            return Self::Bytes;
        }
        match essence {
            "text/event-stream" => Self::Sse,
            "application/x-www-form-urlencoded" => Self::Form,
            _ if essence.contains("json") => Self::Json,
            _ => Self::Unknown,
        }
    }

    /// The shape of a body that begins so; none while that can't be said.
    pub(crate) fn of_beginning(text: &str) -> Option<Self> {
        let begun = text.trim_start();
        let could_be_field = |field: &str| field.starts_with(begun) && begun.len() < field.len();
        if ["event:", "data:"].iter().any(|field| begun.starts_with(field)) {
            return Some(Self::Sse);
        }
        if begun.is_empty() || ["event:", "data:"].into_iter().any(could_be_field) {
            return None;
        }
        if begun.starts_with('"') {
            return of_quoted(begun);
        }
        Some(if looks_like_json(begun) { Self::Json } else { Self::Text })
    }
}

impl Shape {
    /// The shape of a body that is no more than its beginning, which says nothing.
    pub(crate) fn of_all(text: &str) -> Self {
        if looks_like_json(text) { Self::Json } else { Self::Text }
    }
}

/// Whether a text begins as a JSON object, array or string does; `[2026-11-24 …` does not.
pub(crate) fn looks_like_json(text: &str) -> bool {
    let begun = text.trim_start();
    let mut rest = begun.chars();
    match rest.next() {
        Some('{' | '"') => true,
        Some('[') => {
            let inner = rest.as_str().trim_start();
            let word =
                inner.split([',', ']', ' ', '\n', '\r', '\t', '}']).next().unwrap_or_default();
            inner.starts_with(['{', '[', '"', ']'])
                || word.is_empty()
                || matches!(word, "true" | "false" | "null")
                || word.parse::<f64>().is_ok()
        }
        _ => false,
    }
}

/// What begins with a string in quotes is JSON or a part of it, unless something stands behind the
/// string that never does in JSON: `"token" => "…"`.
fn of_quoted(text: &str) -> Option<Shape> {
    let is_long = text.len() > QUOTED_MAX_BYTES;
    // No more than that, so that it does not matter in which pieces it comes.
    let text = &text[..text.floor_char_boundary(QUOTED_MAX_BYTES)];
    let mut inner = text.bytes().enumerate().skip(1);
    let mut is_escaped = false;
    let end = inner.find(|(_, byte)| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    let behind = end.map(|(at, _)| text[at + 1..].trim_start());
    match behind.and_then(|behind| behind.bytes().next()) {
        None if is_long => Some(Shape::Json),
        None => None,
        Some(b'=' | b'-' | b'.' | b'+' | b'|' | b';' | b'a'..=b'z' | b'A'..=b'Z') => {
            Some(Shape::Text)
        }
        Some(_) => Some(Shape::Json),
    }
}

/// Longer strings are no names.
const QUOTED_MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_decides_and_else_the_beginning() {
        assert_eq!(Shape::of_media_type("application/problem+json; charset=utf-8"), Shape::Json);
        assert_eq!(Shape::of_media_type("text/event-stream"), Shape::Sse);
        assert_eq!(Shape::of_media_type("image/png;base64"), Shape::Bytes);
        assert_eq!(Shape::of_media_type("text/plain"), Shape::Unknown);
        assert_eq!(Shape::of_beginning(" \n{\"a\""), Some(Shape::Json));
        assert_eq!(Shape::of_beginning("[1, 2"), Some(Shape::Json));
        assert_eq!(Shape::of_beginning("[2026-11-24 10:00] x"), Some(Shape::Text));
        assert_eq!(Shape::of_beginning("eve"), None);
        assert_eq!(Shape::of_beginning("\"a\\\"b\" "), None);
        assert_eq!(Shape::of_beginning("\"a\\\"b\": "), Some(Shape::Json));
        assert_eq!(Shape::of_beginning("\"a\" => \"b\""), Some(Shape::Text));
        assert_eq!(Shape::of_beginning("event: x"), Some(Shape::Sse));
    }
}
