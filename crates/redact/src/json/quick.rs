//! What most of a document is: well-formed JSON in which nothing is to be masked. It passes without
//! being copied string by string. Whatever is not certain ends the quick way, and is looked at
//! closely.

use crate::json::escape::unescape;
use crate::json::{NAME_KEYS, Place};
use crate::key_name::NameClass;
use crate::limits::{HOLD_MAX_BYTES, NAME_MAX_BYTES};
use crate::prefilter::Block;
use crate::redactor::Redactor;
use crate::table::{Marks, begins_table};

/// A way through a document from where its place is known.
pub(super) struct Quick<'b> {
    redactor: &'b Redactor,
    raw: &'b str,
    block: Block<'b>,
    marks: Marks,
}

/// How far it went.
struct Way<'a> {
    at: usize,
    /// The key that was passed last, if its value was not.
    key: Option<Key<'a>>,
}

/// A key whose value comes.
struct Key<'a> {
    name: &'a str,
    class: Option<NameClass>,
}

/// What stands between a string's quotes.
struct Content<'a> {
    raw: &'a str,
    is_escaped: bool,
}

impl<'a> Way<'a> {
    /// The key, and what it says.
    fn said(&self) -> Option<(&'a str, Option<NameClass>)> {
        self.key.as_ref().map(|key| (key.name, key.class))
    }
}

impl<'b> Quick<'b> {
    pub(super) fn new(redactor: &'b Redactor, raw: &'b str) -> Self {
        Self { redactor, raw, block: redactor.block(raw), marks: Marks::new(raw) }
    }

    /// What was looked up of the document.
    pub(super) const fn block(&mut self) -> &mut Block<'b> {
        &mut self.block
    }

    /// Passes as much from `from` on as is certain to stay as it is; says up to where.
    pub(super) fn pass(&mut self, place: &mut Place, from: usize) -> usize {
        if place.key.is_some() || place.last.is_some() {
            return from;
        }
        let mut way = Way { at: from, key: None };
        while self.step(place, &mut way) {}
        place.key = way.key.map(|key| key.name.to_owned());
        way.at
    }

    /// Passes one string, word or sign. False: that is not certain.
    fn step(&mut self, place: &mut Place, way: &mut Way<'b>) -> bool {
        let Some(byte) = self.raw.as_bytes().get(way.at) else { return false };
        match byte {
            b'"' => return self.string(place, way),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => return self.word(place, way),
            b'[' if self.may_begin_token(way.at) => return false,
            b'{' | b'[' => {
                let class = place.class_of_value(way.said());
                place.open_as(way.key.as_ref().map(|key| key.name), class, *byte == b'[');
                way.key = None;
            }
            b'}' | b']' if way.key.is_none() => place.close(),
            b',' if way.key.is_none() => place.next_element(),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
        way.at += 1;
        true
    }

    fn string(&mut self, place: &mut Place, way: &mut Way<'b>) -> bool {
        let Some(content) = self.content(way.at) else { return false };
        let end = way.at + content.raw.len() + 2;
        let next = self.behind_blanks(end);
        match self.raw.as_bytes().get(next) {
            Some(b':') if way.key.is_none() => {
                let is_passed = self.is_plain_key(place, way, &content);
                if is_passed {
                    let class = self.redactor.classify(content.raw);
                    *way = Way { at: next + 1, key: Some(Key { name: content.raw, class }) };
                }
                is_passed
            }
            // Else it is not known yet whether it is a key.
            Some(b':') | None => false,
            Some(_) => {
                let is_passed = self.is_plain_value(place, way, &content);
                if is_passed {
                    *way = Way { at: end, key: None };
                }
                is_passed
            }
        }
    }

    fn is_plain_key(&mut self, place: &Place, way: &Way<'b>, content: &Content<'b>) -> bool {
        !content.is_escaped
            && content.raw.len() <= NAME_MAX_BYTES
            && place.class_of_value(None).is_none()
            && !self.marks.has_any(&(way.at + 1..way.at + 1 + content.raw.len()))
            && self.redactor.is_quiet(&mut self.block, content.raw, way.at + 1)
    }

    fn is_plain_value(&mut self, place: &mut Place, way: &Way<'b>, content: &Content<'b>) -> bool {
        // What it says of a field beside it.
        let is_name = way.key.as_ref().is_some_and(|key| NAME_KEYS.contains(&key.name));
        let is_column = place.names_column(way.key.as_ref().map(|key| key.name));
        let is_plain = place.class_of_value(way.said()).is_none()
            && !((is_name || is_column) && content.is_escaped)
            && self.is_quiet_value(content, way.at + 1);
        if is_plain
            && is_name
            && let Some(level) = place.levels.last_mut()
        {
            level.named = self.redactor.classify(content.raw);
        }
        if is_plain && is_column {
            place.learn_column(self.redactor, content.raw);
        }
        is_plain
    }

    fn word(&self, place: &Place, way: &mut Way<'b>) -> bool {
        let bytes = self.raw.as_bytes();
        let Some(end) = word_end(bytes, way.at) else { return false };
        let is_last = matches!(bytes.get(self.behind_blanks(end)), Some(b',' | b'}' | b']'));
        let is_passed = is_last && place.class_of_value(way.said()).is_none();
        if is_passed {
            *way = Way { at: end, key: None };
        }
        is_passed
    }

    /// Whether nothing is to be masked in a value, whose content begins at `from`.
    fn is_quiet_value(&mut self, content: &Content<'_>, from: usize) -> bool {
        if self.marks.has_any(&(from..from + content.raw.len())) {
            return false;
        }
        if !content.is_escaped {
            return !is_nested(content.raw)
                && self.redactor.is_quiet(&mut self.block, content.raw, from);
        }
        // Where anchors stand is known of what it stands for only.
        let text = unescape(content.raw);
        !is_nested(&text)
            && !begins_table(self.redactor, content.raw)
            && self.redactor.is_quiet(&mut self.redactor.block(&text), &text, 0)
    }

    /// The content of the string that begins with a quote at `at`, if it ends in this text and is no
    /// longer than what is looked at as a whole.
    fn content(&self, at: usize) -> Option<Content<'b>> {
        let bytes = self.raw.as_bytes();
        let mut is_escaped = false;
        let mut from = at + 1;
        loop {
            let edge = self.block.next_edge(from)?;
            if edge - at > HOLD_MAX_BYTES {
                return None;
            }
            if bytes[edge] == b'"' {
                return Some(Content { raw: &self.raw[at + 1..edge], is_escaped });
            }
            is_escaped = true;
            from = edge + 2;
        }
    }

    /// Whether a bracket may be a token's, that stands outside of strings.
    fn may_begin_token(&self, at: usize) -> bool {
        let behind = &self.raw.as_bytes()[at + 1..];
        let is_word =
            || ["true", "false", "null"].iter().any(|word| behind.starts_with(word.as_bytes()));
        behind.first().is_none_or(|byte| byte.is_ascii_lowercase() && !is_word())
    }

    fn behind_blanks(&self, from: usize) -> usize {
        let behind = &self.raw.as_bytes()[from..];
        from + behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    }
}

/// Whether what a string stands for may be JSON itself.
fn is_nested(text: &str) -> bool {
    text.starts_with(|first: char| matches!(first, '{' | '[' | '"') || first.is_whitespace())
}

/// Where the number or word ends that begins at a place; none if it is none of JSON's, or a number
/// that may be a card's.
fn word_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let word: &[u8] = match rest[0] {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return number_end(rest).map(|end| at + end),
    };
    rest.starts_with(word).then_some(at + word.len())
}

fn number_end(rest: &[u8]) -> Option<usize> {
    let count = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(rest[0] == b'-');
    let whole = count(sign);
    if whole == 0 || whole >= super::bare::LONG_DIGITS {
        return None;
    }
    let mut end = sign + whole;
    if rest.get(end) == Some(&b'.') {
        let fraction = count(end + 1);
        if fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        let exponent = count(end + 1 + sign);
        if exponent == 0 {
            return None;
        }
        end += 1 + sign + exponent;
    }
    Some(end)
}
