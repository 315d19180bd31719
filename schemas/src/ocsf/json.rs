//! A JSON object, written field by field into bytes. An absent value leaves its field out. A text is
//! cut at its bound, on a character's edge, and the object remembers that one was.

use std::io::Write as _;

use uuid::Uuid;

use super::limits::{LIST_MAX, NAME_MAX_BYTES};

/// An object that is being written.
pub(super) struct Object<'a> {
    to: &'a mut Written,
    is_empty: bool,
}

struct Written {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// The object that `fields` writes; `usual` is how long it is likely to be.
pub(super) fn written(usual: usize, fields: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut to = Written { bytes: Vec::with_capacity(usual), is_cut: false };
    to.object(fields);
    to.bytes
}

impl Object<'_> {
    /// Whether a text or list was cut, anywhere in the whole so far.
    pub(super) const fn is_cut(&self) -> bool {
        self.to.is_cut
    }

    /// A word of ours, which has nothing to escape.
    pub(super) fn word(&mut self, name: &'static str, word: impl Into<Option<&'static str>>) {
        let Some(word) = word.into() else { return };
        self.name(name);
        self.to.word(word);
    }

    pub(super) fn number(&mut self, name: &'static str, number: impl Into<Option<i64>>) {
        let Some(number) = number.into() else { return };
        self.name(name);
        self.to.number(number);
    }

    /// A number as a text, where OCSF wants one.
    pub(super) fn digits(&mut self, name: &'static str, number: impl Into<Option<i64>>) {
        let Some(number) = number.into() else { return };
        self.name(name);
        self.to.bytes.push(b'"');
        self.to.number(number);
        self.to.bytes.push(b'"');
    }

    pub(super) fn flag(&mut self, name: &'static str, flag: bool) {
        self.name(name);
        self.to.bytes.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    pub(super) fn id(&mut self, name: &'static str, id: impl Into<Option<Uuid>>) {
        let Some(id) = id.into() else { return };
        self.name(name);
        self.to.id(id);
    }

    /// A text, cut where it has `max` bytes of JSON.
    pub(super) fn text<'t>(
        &mut self,
        name: &'static str,
        text: impl Into<Option<&'t str>>,
        max: usize,
    ) {
        let Some(text) = text.into() else { return };
        self.name(name);
        self.to.text(text, max);
    }

    /// An object within.
    pub(super) fn object(&mut self, name: &'static str, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        self.to.object(fields);
    }

    /// A list of words of ours; left out if there are none.
    pub(super) fn words(
        &mut self,
        name: &'static str,
        words: impl IntoIterator<Item = &'static str>,
    ) {
        self.list(name, words, |to, word| to.word(word));
    }

    /// A list of names; left out if there are none.
    pub(super) fn texts(&mut self, name: &'static str, texts: &[String]) {
        self.list(name, texts, |to, text| to.text(text, NAME_MAX_BYTES));
    }

    /// A list of objects; left out if there are none.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(name, items, |to, item| to.object(|o| fields(o, item)));
    }

    /// A number under a name that is not ours.
    pub(super) fn number_of(&mut self, name: &str, number: i64) {
        self.comma();
        self.to.text(name, NAME_MAX_BYTES);
        self.to.bytes.push(b':');
        self.to.number(number);
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Written, T),
    ) {
        let mut items = items.into_iter().enumerate().peekable();
        if items.peek().is_none() {
            return;
        }
        self.name(name);
        self.to.bytes.push(b'[');
        for (place, one) in items {
            if place == LIST_MAX {
                self.to.is_cut = true;
                break;
            }
            if place > 0 {
                self.to.bytes.push(b',');
            }
            item(self.to, one);
        }
        self.to.bytes.push(b']');
    }

    fn name(&mut self, name: &'static str) {
        self.comma();
        self.to.word(name);
        self.to.bytes.push(b':');
    }

    fn comma(&mut self) {
        if !self.is_empty {
            self.to.bytes.push(b',');
        }
        self.is_empty = false;
    }
}

impl Written {
    fn object(&mut self, fields: impl FnOnce(&mut Object<'_>)) {
        self.bytes.push(b'{');
        fields(&mut Object { to: self, is_empty: true });
        self.bytes.push(b'}');
    }

    fn word(&mut self, word: &'static str) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(word.as_bytes());
        self.bytes.push(b'"');
    }

    fn number(&mut self, number: i64) {
        put(write!(self.bytes, "{number}"));
    }

    fn id(&mut self, id: Uuid) {
        self.bytes.push(b'"');
        let mut place = Uuid::encode_buffer();
        self.bytes.extend_from_slice(id.hyphenated().encode_lower(&mut place).as_bytes());
        self.bytes.push(b'"');
    }

    fn text(&mut self, text: &str, max: usize) {
        let fit = fitting(text, max);
        self.is_cut |= fit.len() < text.len();
        put(serde_json::to_writer(&mut self.bytes, fit));
    }
}

/// As much of `text` as takes at most `max` bytes of JSON between its quotes.
fn fitting(text: &str, max: usize) -> &str {
    let longest = &text[..text.floor_char_boundary(max)];
    // Most texts are short and plain: one pass without branches, instead of one that stops.
    let escaped: usize = longest.bytes().map(length).sum();
    if escaped <= max {
        return longest;
    }
    let mut room = max;
    for (place, byte) in longest.bytes().enumerate() {
        match room.checked_sub(length(byte)) {
            Some(left) => room = left,
            None => return &longest[..longest.floor_char_boundary(place)],
        }
    }
    longest
}

/// How long a byte of a text is in JSON, at most.
const fn length(byte: u8) -> usize {
    let is_control = byte < 0x20;
    let is_escaped = byte == b'"' || byte == b'\\';
    1 + 5 * is_control as usize + is_escaped as usize
}

fn put<E>(outcome: Result<(), E>) {
    debug_assert!(outcome.is_ok(), "a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(fields: impl FnOnce(&mut Object<'_>)) -> serde_json::Value {
        serde_json::from_slice(&written(16, fields)).unwrap()
    }

    #[test]
    fn an_absent_value_leaves_its_field_out() {
        let json = json(|o| {
            o.word("a", None);
            o.number("b", None);
            o.text("c", None, 9);
            o.texts("d", &[]);
            o.digits("e", 7);
        });
        assert_eq!(json, serde_json::json!({"e": "7"}));
    }

    #[test]
    fn a_list_that_is_too_long_is_cut_and_said_to_be() {
        let many: Vec<String> = (0..=LIST_MAX).map(|n| n.to_string()).collect();
        let json = json(|o| {
            o.texts("all", &many[1..]);
            o.flag("before", o.is_cut());
            o.texts("cut", &many);
            o.flag("behind", o.is_cut());
        });
        assert_eq!(json["cut"].as_array().unwrap().len(), LIST_MAX);
        assert_eq!((&json["before"], &json["behind"]), (&false.into(), &true.into()));
    }

    #[test]
    fn a_text_is_cut_on_the_edge_of_a_character_and_by_its_length_in_json() {
        assert_eq!(fitting("aé", 2), "a");
        assert_eq!(fitting("aé", 3), "aé");
        assert_eq!(fitting("\"\"\"", 5), "\"\"");
        assert_eq!(fitting("a\u{1}b", 7), "a\u{1}");
        assert_eq!(fitting("a\u{1}b", 6), "a");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_is_no_longer_than_its_bound(
            text in "(?s).{0,80}", max in 0usize..120
        ) {
            let bytes = written(16, |o| o.text("t", text.as_str(), max));
            let around = r#"{"t":""}"#.len();
            prop_assert!(bytes.len() <= max + around);
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(text.starts_with(json["t"].as_str().unwrap()));
        }
    }
}
