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
        Some(if looks_like_json(begun) { Self::Json } else { Self::Text })
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
        assert_eq!(Shape::of_beginning("event: x"), Some(Shape::Sse));
    }
}
