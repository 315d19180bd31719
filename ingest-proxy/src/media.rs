//! What a body says it is.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// A body's media type, as far as recording needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Type and subtype, without parameters.
    essence: Option<String>,
    textual: bool,
}

impl Media {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let essence = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(|text| {
            let essence = text.split(';').next().unwrap_or_default().trim();
            essence.chars().take(ESSENCE_MAX).collect::<String>().to_ascii_lowercase()
        });
        let plain = !headers.contains_key(CONTENT_ENCODING);
        let textual = plain && essence.as_deref().is_some_and(is_textual);
        Self { essence, textual }
    }

    /// What is not HTTP: the frames of an upgraded connection.
    pub(crate) fn named(essence: &str) -> Self {
        Self { essence: Some(essence.to_owned()), textual: false }
    }

    pub(crate) const fn is_textual(&self) -> bool {
        self.textual
    }

    pub(crate) fn is(&self, essence: &str) -> bool {
        self.essence.as_deref() == Some(essence)
    }

    /// How a record names it.
    pub(crate) fn recorded(&self, base64: bool) -> Option<String> {
        match (&self.essence, base64) {
            (Some(essence), false) => Some(essence.clone()),
            (Some(essence), true) => Some(format!("{essence};base64")),
            (None, false) => None,
            (None, true) => Some("application/octet-stream;base64".to_owned()),
        }
    }
}

fn is_textual(essence: &str) -> bool {
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || [
            "application/json",
            "application/x-ndjson",
            "application/xml",
            "application/javascript",
            "application/x-www-form-urlencoded",
            "application/graphql",
        ]
        .contains(&essence)
}

const ESSENCE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn media(content_type: &'static str) -> Media {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Media::of(&headers)
    }

    #[test]
    fn text_is_known_by_its_type_and_a_compressed_body_is_none() {
        assert!(media("Text/Event-Stream; charset=utf-8").is_textual());
        assert!(media("application/problem+json").is_textual());
        assert!(!media("application/octet-stream").is_textual());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!Media::of(&headers).is_textual());
    }

    #[test]
    fn base64_is_told_in_the_type() {
        assert_eq!(media("image/png").recorded(true).unwrap(), "image/png;base64");
        assert_eq!(media("application/json;q=1").recorded(false).unwrap(), "application/json");
    }
}
