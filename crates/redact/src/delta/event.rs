//! One event: its text, the pieces of values in it, and what they become.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::delta::fields::{Delta, deltas};
use crate::json::escape::{escape_into, unescape};
use crate::redacted::{Finding, Length, Out};
use crate::redactor::Redactor;
use crate::rules::{Class, Severity};
use crate::sse::SseStream;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    text: String,
    /// Where pieces of values stand.
    deltas: Vec<Delta>,
    /// Those of them that were masked.
    masked: Vec<Option<Masked>>,
}

/// What a piece of a value becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Masked {
    pub(super) text: String,
    /// The replacements in it, in order.
    pub(super) tokens: Vec<Token>,
}

/// A replacement in a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    rule: String,
    class: Class,
    severity: Severity,
    /// What an older version kept does not say it.
    #[serde(default)]
    length: Length,
    /// Where it stands in what a piece becomes.
    at: Range<usize>,
}

/// Where the first event ends: behind an empty line. Looks for it from `looked` on.
pub(super) fn event_end(text: &str, looked: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = looked;
    while let Some(line) = memchr::memchr(b'\n', &bytes[at..]) {
        at += line + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

impl Event {
    pub(super) fn new(text: &str) -> Self {
        let deltas = deltas(text);
        Self { text: text.to_owned(), masked: vec![None; deltas.len()], deltas }
    }

    pub(super) fn deltas(&self) -> &[Delta] {
        &self.deltas
    }

    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn set(&mut self, place: usize, masked: Masked) {
        if let Some(at) = self.masked.get_mut(place) {
            *at = Some(masked);
        }
    }

    /// Masks what else is in it, and lets it out.
    pub(super) fn let_out(self, redactor: &Redactor, each: &mut SseStream, out: &mut Out) {
        if self.masked.iter().all(Option::is_none) {
            each.push(redactor, &self.text, false, out);
            return;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut tokens = Vec::new();
        let mut done = 0;
        for (delta, masked) in self.deltas.iter().zip(self.masked) {
            let Some(masked) = masked else { continue };
            text.push_str(&self.text[done..delta.range.start]);
            escape_into(&masked.text, &mut text);
            let of = |token: Token| {
                let text = masked.text[token.at.clone()].to_owned();
                (token, text)
            };
            tokens.extend(masked.tokens.into_iter().map(of));
            done = delta.range.end;
        }
        text.push_str(&self.text[done..]);
        let mut inner = Out::default();
        each.push(redactor, &text, false, &mut inner);
        told(tokens, inner, out);
    }
}

/// Appends an event with all that was replaced in it: in whole values, and in itself.
fn told(tokens: Vec<(Token, String)>, inner: Out, out: &mut Out) {
    let begun = out.text.len();
    let mut findings: Vec<Finding> = inner.findings;
    let mut from = 0;
    for (token, text) in tokens {
        let found = inner.text[from..].find(&text).map(|at| from + at);
        let start = found.unwrap_or(from);
        from = found.map_or(from, |at| at + text.len());
        if !findings.iter().any(|finding| finding.start == start) {
            let Token { rule, class, severity, length, .. } = token;
            findings.push(Finding { rule: rule.into(), class, severity, start, length });
        }
    }
    findings.sort_by_key(|finding| finding.start);
    let moved = |finding: Finding| Finding { start: finding.start + begun, ..finding };
    out.findings.extend(findings.into_iter().map(moved));
    out.text.push_str(&inner.text);
}

impl Token {
    /// What was found, replaced here.
    pub(super) fn new(finding: &Finding, at: Range<usize>) -> Self {
        let Finding { rule, class, severity, length, .. } = finding;
        Self { rule: rule.to_string(), class: *class, severity: *severity, length: *length, at }
    }
}

impl Delta {
    /// What it says.
    pub(super) fn text<'a>(&self, event: &'a str) -> std::borrow::Cow<'a, str> {
        unescape(event.get(self.range.clone()).unwrap_or_default())
    }
}
