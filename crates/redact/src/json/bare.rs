//! What stands between two JSON strings: punctuation, numbers, words; or, where it is no JSON,
//! anything.

use std::ops::Range;

use crate::json::Place;
use crate::key_name::NameClass;
use crate::limits::{NAME_MAX_BYTES, WINDOW_BYTES};
use crate::redacted::Out;
use crate::redactor::Redactor;
use crate::scan::{Hit, HitName, resolve};

/// A stretch of text without a quote.
pub(super) struct Segment<'a> {
    text: &'a str,
    /// What was found in it, where it is not plain JSON.
    hits: Vec<Hit>,
    is_json: bool,
}

impl<'a> Segment<'a> {
    pub(super) fn new(redactor: &Redactor, text: &'a str) -> Self {
        let is_json = is_plain_json(text);
        let hits = if is_json { Vec::new() } else { redactor.scan(text) };
        Self { text, hits, is_json }
    }

    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// How much of it can't change its meaning by what follows.
    pub(super) fn certain(&self) -> usize {
        let bytes = self.text.as_bytes();
        let word = bytes.iter().rposition(|byte| is_mark(*byte)).map_or(0, |at| at + 1);
        if self.is_json {
            let end = self.text.trim_ascii_end();
            if end.is_empty() || end.ends_with(|c| is_punctuation(c as u8)) {
                // A bracket may be a token's, which is one with it only.
                return bytes.len() - usize::from(bytes.last() == Some(&b'['));
            }
            // A number before a blank could be the first group of a longer one.
            let marks = bytes[..word].iter().rposition(|byte| is_punctuation(*byte));
            return marks.map_or(0, |at| at + 1);
        }
        let limit = bytes.len().saturating_sub(WINDOW_BYTES);
        let behind = |limit: usize| {
            bytes[..limit].iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1)
        };
        let mut cut = behind(limit);
        let crossing = |cut: usize| {
            let crosses = |hit: &&Hit| hit.whole.start < cut && cut < hit.whole.end;
            self.hits.iter().filter(crosses).map(|hit| hit.whole.start).min()
        };
        while let Some(start) = crossing(cut) {
            cut = behind(start);
        }
        if cut == 0 && bytes.len() > crate::limits::HOLD_MAX_BYTES {
            return self.forced(limit);
        }
        cut
    }

    /// Writes the first `taken` bytes, masked, and follows the document's structure through them.
    pub(super) fn emit(&self, redactor: &Redactor, place: &mut Place, taken: usize, out: &mut Out) {
        let mut spans = resolve(&self.hits);
        let was_inside = !place.levels.is_empty();
        for (word, class) in self.walk(redactor, place, taken) {
            spans.push((word, HitName::Named(class.rule())));
        }
        spans.sort_by_key(|(span, _)| span.start);
        let mut done = 0;
        for (span, name) in spans {
            let (start, end) = (span.start.max(done), span.end.min(taken));
            if start >= end {
                continue;
            }
            out.text.push_str(&self.text[done..start]);
            let is_number = is_number(&self.text[start..end]) && (was_inside || self.is_json);
            // A number's replacement is a string, or the document would be none any more.
            let quote = if is_number { "\"" } else { "" };
            out.text.push_str(quote);
            redactor.replace(name, &self.text[start..end], out);
            out.text.push_str(quote);
            done = end;
        }
        out.text.push_str(&self.text[done..taken]);
    }

    /// Follows the structure; returns the numbers whose key says that they are secrets.
    fn walk(
        &self,
        redactor: &Redactor,
        place: &mut Place,
        taken: usize,
    ) -> Vec<(Range<usize>, NameClass)> {
        let bytes = &self.text.as_bytes()[..taken];
        let mut secrets = Vec::new();
        let mut at = 0;
        while at < taken {
            let word = bytes[at..].iter().position(|byte| is_mark(*byte)).unwrap_or(taken - at);
            if word > 0 {
                let span = at..at + word;
                secrets.extend(number(redactor, place, self.text, span.clone()));
                pass_word(place, &self.text[span]);
                at += word;
                continue;
            }
            match bytes[at] {
                b'{' => place.open(redactor, false),
                b'[' => place.open(redactor, true),
                b'}' | b']' => place.close(),
                b':' => place.colon(),
                b',' => place.comma(),
                _ => {}
            }
            at += 1;
        }
        secrets
    }

    fn forced(&self, limit: usize) -> usize {
        let mut cut = self.text.floor_char_boundary(limit);
        let crosses = |cut: usize| {
            let crosses = |hit: &&Hit| hit.whole.start < cut && cut < hit.whole.end;
            self.hits.iter().find(crosses).map(|hit| hit.whole.start)
        };
        while let Some(start) = crosses(cut) {
            if start == 0 {
                return self.text.len();
            }
            cut = start;
        }
        cut
    }
}

fn number(
    redactor: &Redactor,
    place: &Place,
    text: &str,
    word: Range<usize>,
) -> Option<(Range<usize>, NameClass)> {
    let class = place.class(redactor)?;
    let number = Some(&text[word.clone()]).filter(|word| is_number(word))?;
    class.fits_number(number).then_some((word, class))
}

/// A word that is no JSON may be a key: `{password: "x"}`, `password="x"`.
fn pass_word(place: &mut Place, word: &str) {
    let name = word.trim_end_matches('=');
    let short = name[..name.floor_char_boundary(name.len().min(NAME_MAX_BYTES))].to_owned();
    if name.len() < word.len() {
        place.key = Some(short);
    } else {
        place.key = None;
        place.last = Some(short);
    }
}

/// Punctuation, white space, short numbers, `true`, `false`, `null`, and never two words in a row.
fn is_plain_json(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut after_word = false;
    while at < bytes.len() {
        if is_mark(bytes[at]) {
            after_word &= !is_punctuation(bytes[at]);
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().position(|byte| is_mark(*byte)).unwrap_or(bytes.len() - at);
        let word = &text[at..at + length];
        let is_value = matches!(word, "true" | "false" | "null") || is_number(word);
        if after_word || !is_value || word.bytes().filter(u8::is_ascii_digit).count() >= LONG_DIGITS
        {
            return false;
        }
        after_word = true;
        at += length;
    }
    true
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        && word.bytes().any(|b| b.is_ascii_digit())
}

const fn is_punctuation(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',')
}

const fn is_mark(byte: u8) -> bool {
    is_punctuation(byte) || byte.is_ascii_whitespace()
}

/// From here on a number may be a card's.
pub(super) const LONG_DIGITS: usize = 12;
