//! What most of a document is: well-formed JSON in which nothing is to be masked. It passes without
//! being copied string by string. Whatever is not certain ends the quick way, and is looked at
//! closely.

use crate::json::{NAME_KEYS, Place};
use crate::key_name::NameClass;
use crate::limits::{HOLD_MAX_BYTES, NAME_MAX_BYTES};
use crate::prefilter::Block;
use crate::redactor::Redactor;

/// A way through a document from where its place is known.
pub(super) struct Quick<'a, 'b> {
    redactor: &'a Redactor,
    raw: &'b str,
    block: Block<'b>,
}

/// A key whose value comes.
struct Key<'a> {
    name: &'a str,
    class: Option<NameClass>,
}

/// What stands between a string's quotes.
struct Content<'a> {
    text: &'a str,
    is_escaped: bool,
}

impl<'a, 'b> Quick<'a, 'b> {
    pub(super) fn new(redactor: &'a Redactor, raw: &'b str) -> Self {
        Self { redactor, raw, block: redactor.block(raw) }
    }

    /// Passes as much from `from` on as is certain to stay as it is; says up to where.
    pub(super) fn pass(&mut self, place: &mut Place, from: usize) -> usize {
        let bytes = self.raw.as_bytes();
        let mut at = from;
        // What was passed up to here, when a key stands there whose value is not passed.
        let mut key: Option<Key<'b>> = None;
        if place.key.is_some() || place.last.is_some() {
            return from;
        }
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let Some(content) = self.content(at) else { break };
                    let end = at + content.text.len() + 2;
                    let next = self.behind_blanks(end);
                    let Some(following) = bytes.get(next) else { break };
                    let is_key = *following == b':' && key.is_none();
                    if is_key {
                        if content.is_escaped
                            || content.text.len() > NAME_MAX_BYTES
                            || place.class_of(self.redactor, None).is_some()
                            || !self.is_quiet(&content, at + 1)
                        {
                            break;
                        }
                        let class = self.redactor.classify(content.text);
                        key = Some(Key { name: content.text, class });
                        at = next + 1;
                        continue;
                    }
                    let said = key.as_ref().map(|key| (key.name, key.class));
                    let names = key.as_ref().is_some_and(|key| NAME_KEYS.contains(&key.name));
                    if *following == b':'
                        || place.class_of_value(said).is_some()
                        || is_nested(content.text)
                        || (names && content.is_escaped)
                        || !self.is_quiet(&content, at + 1)
                    {
                        break;
                    }
                    if names && let Some(level) = place.levels.last_mut() {
                        level.named = self.redactor.classify(content.text);
                    }
                    key = None;
                    at = end;
                }
                b'{' | b'[' => {
                    let said = key.as_ref().map(|key| (key.name, key.class));
                    let class = place.class_of_value(said);
                    place.open_as(class, *byte == b'[');
                    key = None;
                    at += 1;
                }
                b'}' | b']' if key.is_none() => {
                    place.close();
                    at += 1;
                }
                b',' if key.is_none() => at += 1,
                b' ' | b'\t' | b'\n' | b'\r' => at += 1,
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    let said = key.as_ref().map(|key| (key.name, key.class));
                    let Some(end) = word_end(bytes, at) else { break };
                    let next = self.behind_blanks(end);
                    let is_last = matches!(bytes.get(next), Some(b',' | b'}' | b']'));
                    if !is_last || place.class_of_value(said).is_some() {
                        break;
                    }
                    key = None;
                    at = end;
                }
                _ => break,
            }
        }
        if let Some(key) = key {
            place.key = Some(key.name.to_owned());
        }
        at
    }

    fn is_quiet(&mut self, content: &Content<'_>, from: usize) -> bool {
        self.redactor.is_quiet(&mut self.block, content.text, from, content.is_escaped)
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
                return Some(Content { text: &self.raw[at + 1..edge], is_escaped });
            }
            // Others may be part of what is looked for.
            if !matches!(bytes.get(edge + 1)?, b'n' | b'r' | b't' | b'"') {
                return None;
            }
            is_escaped = true;
            from = edge + 2;
        }
    }

    fn behind_blanks(&self, from: usize) -> usize {
        let behind = &self.raw.as_bytes()[from..];
        from + behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    }
}

/// Whether a string's content may be JSON itself.
fn is_nested(content: &str) -> bool {
    let first = content.bytes().next().unwrap_or(b'.');
    matches!(first, b'{' | b'[' | b'"' | b'\\') || first.is_ascii_whitespace()
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
