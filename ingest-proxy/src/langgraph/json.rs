//! Reading JSON without touching it: each value stays the text that it was, so numbers, key order
//! and spelling survive a rewrite. Nesting costs no stack, for values are skipped, not built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Where a text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Broken {
    fn at(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

/// One member of an object, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member<'t> {
    /// The key with its escapes undone.
    pub(super) key: Cow<'t, str>,
    /// The key as it stands there, with its quotes.
    pub(super) raw_key: &'t str,
    /// The value as it stands there.
    pub(super) value: &'t str,
}

/// Whether the text begins like an object.
pub(super) fn is_object(text: &str) -> bool {
    first_byte(text) == Some(b'{')
}

/// Whether the text begins like an array.
pub(super) fn is_array(text: &str) -> bool {
    first_byte(text) == Some(b'[')
}

/// Whether the text is JSON, whatever value it is.
pub(super) fn check(text: &str) -> Result<(), Broken> {
    let read = serde_json::from_str::<&RawValue>(text);
    read.map(|_| ()).map_err(|error| Broken::at(&error))
}

/// Hands every member of the object `text` to `visit`, in order, duplicates included.
pub(super) fn members<'t>(text: &'t str, visit: impl FnMut(Member<'t>)) -> Result<(), Broken> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let walked = reader.deserialize_map(Members(visit)).and_then(|()| reader.end());
    walked.map_err(|error| Broken::at(&error))
}

/// Hands the members of an object that may be cut off to `visit`; the value is absent where it is
/// not whole. Tells whether the object was.
pub(super) fn members_of_cut<'t>(
    text: &'t str,
    visit: impl FnMut(Cow<'t, str>, Option<&'t str>),
) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(CutMembers(visit)).and_then(|()| reader.end()).is_ok()
}

/// Hands every element of the array `text` to `visit`, in order.
pub(super) fn elements<'t>(text: &'t str, visit: impl FnMut(&'t str)) -> Result<(), Broken> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let walked = reader.deserialize_seq(Elements(visit)).and_then(|()| reader.end());
    walked.map_err(|error| Broken::at(&error))
}

/// The string that `text` is, if it is one.
pub(super) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(text).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Writes an object member by member.
pub(super) struct ObjectWriter {
    text: String,
    empty: bool,
}

impl ObjectWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text, empty: true }
    }

    /// Adds a member; both are JSON text already.
    pub(super) fn member(&mut self, raw_key: &str, value: &str) {
        if !self.empty {
            self.text.push(',');
        }
        self.empty = false;
        self.text.push_str(raw_key);
        self.text.push(':');
        self.text.push_str(value);
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(Member<'de>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let raw_key = key.get();
            // A key that is no text (a lone surrogate) keeps its quotes, so it equals no name.
            let key = string(raw_key).unwrap_or(Cow::Borrowed(raw_key));
            (self.0)(Member { key, raw_key, value: value.get() });
        }
        Ok(())
    }
}

struct CutMembers<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, Option<&'de str>)> Visitor<'de> for CutMembers<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            let key = string(key.get()).unwrap_or(Cow::Borrowed(key.get()));
            match map.next_value::<&'de RawValue>() {
                Ok(value) => (self.0)(key, Some(value.get())),
                Err(error) => {
                    (self.0)(key, None);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<&'de RawValue>()? {
            (self.0)(value.get());
        }
        Ok(())
    }
}

fn first_byte(text: &str) -> Option<u8> {
    text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Broken> {
        let mut found = Vec::new();
        members(text, |m| found.push((m.key.into_owned(), m.value.to_owned())))?;
        Ok(found)
    }

    #[test]
    fn values_stay_the_text_they_were_and_duplicates_are_seen() {
        let found = read(" {\"a\" : 1.50e+3 , \"a\":[1, 2] ,\"\\u0061\":\"\\u00e9\"} ").unwrap();
        let expected = [("a", "1.50e+3"), ("a", "[1, 2]"), ("a", "\"\\u00e9\"")];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_key_that_is_no_text_equals_no_name() {
        assert_eq!(read(r#"{"\ud800":1}"#).unwrap()[0].0, r#""\ud800""#);
    }

    #[test]
    fn what_is_no_json_is_told_by_position() {
        assert_eq!(read("{\"a\":1,\n\"b\":nope}"), Err(Broken { line: 2, column: 6 }));
        assert!(read("{} {}").is_err());
        assert!(read("{").is_err());
        assert!(read("[]").is_err());
    }

    #[test]
    fn a_million_brackets_cost_no_stack() {
        let depth = 1_000_000;
        let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&text).unwrap().len(), 1);
    }
}
