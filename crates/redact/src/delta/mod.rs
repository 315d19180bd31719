//! What a model says word by word, one event for each: `{"delta": {"content": "sk-a"}}`, then
//! `{"delta": {"content": "nt-…"}}`. No event holds the secret, so the pieces of one value are
//! joined, and masked across events: a replacement stands in the first that has some of the secret,
//! and nothing in its place in the others. No event comes, goes, or changes its place.
//!
//! Events are held back only while a secret may have begun in them, up to a bound. What comes out
//! because of that, or because nothing more came for long, comes out masked as far as it may be part
//! of a secret.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::{EVENT_MAX_BYTES, EVENTS_HELD_MAX_BYTES, VALUES_MAX};
use crate::redacted::Out;
use crate::redactor::Redactor;
use crate::sse::SseStream;

mod event;
mod fields;
mod value;

use event::{Event, event_end};
use value::{Cut, Value};

/// The state of an event stream between two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeltaStream {
    /// Masks each event by itself.
    each: SseStream,
    /// An event that is not all there.
    raw: String,
    /// How far its end was looked for.
    looked: usize,
    passing: Passing,
    /// Events that wait, and how long they are.
    events: VecDeque<Event>,
    held: usize,
    /// How many events came out before those.
    gone: usize,
    /// Values whose last piece may hold the beginning of a secret.
    values: Vec<Value>,
}

/// An event longer than what is held passes as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Passing {
    #[default]
    Nothing,
    /// A part of it has passed.
    Event,
    /// So has the end of a line of it: an empty line would be its end.
    Line,
}

impl DeltaStream {
    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        self.raw.push_str(piece);
        let raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_str();
        while let Some(end) = self.event_end(rest) {
            self.looked = 0;
            let (event, behind) = rest.split_at(end);
            rest = behind;
            if std::mem::take(&mut self.passing) != Passing::Nothing {
                self.each.push(redactor, event, false, out);
            } else {
                self.event(redactor, event, out);
            }
        }
        let passes = self.passing != Passing::Nothing && !rest.is_empty() && rest != "\r";
        if rest.len() > EVENT_MAX_BYTES || passes {
            self.pass(redactor, rest, out);
        } else {
            self.looked = rest.len().saturating_sub(3);
            self.raw.push_str(rest);
        }
        if done {
            let raw = std::mem::take(&mut self.raw);
            self.settle(redactor, Cut::End, out);
            self.each.push(redactor, &raw, true, out);
            *self = Self::default();
        }
    }

    /// Lets every event out, since nothing more came for long. Half an event says nothing to anybody,
    /// and its other half could not be joined with what it belongs to: it stays.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        self.settle(redactor, Cut::Forced, out);
        self.each.flush(redactor, out);
    }

    pub(crate) fn has_tail(&self) -> bool {
        !self.events.is_empty() || self.each.has_tail()
    }

    pub(crate) fn is_new(&self) -> bool {
        !self.has_tail()
            && self.raw.is_empty()
            && self.passing == Passing::Nothing
            && self.values.is_empty()
            && self.each.is_new()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let values: usize = self.values.iter().map(Value::held_bytes).sum();
        self.raw.len() + self.held + values + self.each.held_bytes()
    }

    /// Where the event at hand ends.
    fn event_end(&self, text: &str) -> Option<usize> {
        match self.passing {
            Passing::Line if text.starts_with('\n') => Some(1),
            Passing::Line if text.starts_with("\r\n") => Some(2),
            _ => event_end(text, self.looked),
        }
    }

    /// Takes a whole event.
    fn event(&mut self, redactor: &Redactor, text: &str, out: &mut Out) {
        if text.len() > EVENT_MAX_BYTES {
            self.settle(redactor, Cut::Forced, out);
            self.each.push(redactor, text, false, out);
            return;
        }
        let event = Event::new(text);
        let number = self.gone + self.events.len();
        for (place, delta) in event.deltas().iter().enumerate() {
            let at = self.values.iter().position(|value| value.is_of(delta));
            let at = at.unwrap_or_else(|| {
                self.values.push(Value::of(delta));
                self.values.len() - 1
            });
            self.values[at].add((number, place), &delta.text(text));
        }
        self.held += event.len();
        self.events.push_back(event);
        self.mask(redactor, Cut::Open);
        self.let_out(redactor, out);
        while self.held > EVENTS_HELD_MAX_BYTES || self.values.len() > VALUES_MAX {
            self.force_first(redactor, out);
        }
    }

    /// Lets everything out that waits.
    fn settle(&mut self, redactor: &Redactor, cut: Cut, out: &mut Out) {
        self.mask(redactor, cut);
        self.let_out(redactor, out);
    }

    /// Masks what is certain of each value, up to where a secret may have begun.
    fn mask(&mut self, redactor: &Redactor, cut: Cut) {
        let (events, gone) = (&mut self.events, self.gone);
        for value in &mut self.values {
            value.mask(redactor, cut, |(event, place), masked| {
                if let Some(event) = events.get_mut(event - gone) {
                    event.set(place, masked);
                }
            });
        }
    }

    /// Lets out the first events, as far as nothing of them is open.
    fn let_out(&mut self, redactor: &Redactor, out: &mut Out) {
        let open = self.values.iter().filter_map(Value::first_event).min();
        let open = open.unwrap_or(self.gone + self.events.len());
        while self.gone < open
            && let Some(event) = self.events.pop_front()
        {
            self.gone += 1;
            self.held -= event.len();
            event.let_out(redactor, &mut self.each, out);
        }
        self.values.retain(|value| !value.is_done());
        if self.events.is_empty() && self.values.is_empty() {
            self.gone = 0;
        }
    }

    /// Lets out the first event, what is open in it masked.
    fn force_first(&mut self, redactor: &Redactor, out: &mut Out) {
        // What has nothing open is known by its next piece again.
        self.values.retain(|value| value.first_event().is_some());
        let Some(first) = self.values.iter().filter_map(Value::first_event).min() else { return };
        self.mask(redactor, Cut::Until(first + 1));
        self.let_out(redactor, out);
    }

    /// Passes part of an event that is not held.
    fn pass(&mut self, redactor: &Redactor, text: &str, out: &mut Out) {
        self.settle(redactor, Cut::Forced, out);
        self.each.push(redactor, text, false, out);
        self.passing = if text.ends_with('\n') { Passing::Line } else { Passing::Event };
        self.looked = 0;
    }
}

#[cfg(test)]
mod tests;
