//! One value that comes in pieces, in one event each.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::delta::event::{Masked, Token};
use crate::delta::fields::Delta;
use crate::limits::{SEEN_BYTES, VALUE_STEP_BYTES, VALUE_TAIL_BYTES};
use crate::redacted::Out;
use crate::redactor::{HELD, Redactor};
use crate::scan::{Hit, HitName, resolve};
use crate::table::Table;

/// Which piece: the event's number, and which of those in it.
pub(super) type Place = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    /// What tells it from others.
    name: String,
    /// What it says, as far as it is not certain, behind the end of what came out.
    text: String,
    /// How much of that came out.
    seen: usize,
    /// The first word that did not come out belongs to one that came out masked.
    is_open: bool,
    pieces: Vec<Piece>,
    /// Below this length of the text another look would let out little more than the last.
    look_at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    place: Place,
    /// Where it begins in the text. It ends where the next one begins.
    start: usize,
}

/// How far a value comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// To where a secret may have begun.
    Open,
    /// To its end: nothing more comes.
    End,
    /// To its end, though more may come.
    Forced,
    /// To the end of what stands in events before this one, though more may come.
    Until(usize),
}

impl Value {
    pub(super) fn of(delta: &Delta) -> Self {
        let name = delta.name.clone();
        Self { name, text: String::new(), seen: 0, is_open: false, pieces: Vec::new(), look_at: 0 }
    }

    pub(super) fn is_of(&self, delta: &Delta) -> bool {
        self.name == delta.name
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.name.len() + self.text.len() + self.pieces.len() * size_of::<Piece>()
    }

    pub(super) fn add(&mut self, place: Place, text: &str) {
        self.pieces.push(Piece { place, start: self.text.len() });
        self.text.push_str(text);
    }

    /// The first event in which something is not certain.
    pub(super) fn first_event(&self) -> Option<usize> {
        self.pieces.first().map(|piece| piece.place.0)
    }

    /// Whether the next piece would be treated as the first.
    pub(super) const fn is_done(&self) -> bool {
        self.pieces.is_empty() && self.text.is_empty()
    }

    /// Masks what comes out, and tells what those pieces become in which something was replaced.
    pub(super) fn mask(
        &mut self,
        redactor: &Redactor,
        cut: Cut,
        mut set: impl FnMut(Place, Masked),
    ) {
        if self.pieces.is_empty() {
            if cut == Cut::End {
                self.text.clear();
            }
            return;
        }
        if cut == Cut::Open && self.text.len() < self.look_at {
            return;
        }
        self.look_at = self.text.len() + VALUE_STEP_BYTES;
        let mut hits = redactor.scan(&self.text);
        Table::Outside.scan(redactor, &self.text, &mut hits);
        let count = match cut {
            Cut::End | Cut::Forced => self.pieces.len(),
            Cut::Open => self.certain(&hits),
            Cut::Until(event) => {
                self.pieces.iter().take_while(|piece| piece.place.0 < event).count()
            }
        };
        let Some(last) = count.checked_sub(1) else { return };
        let end = self.end(last);
        let mut spans = resolve(&hits);
        let open_end = self.add_rest_of_open(&mut spans);
        let goes_on = open_end > end || open_end == self.text.len();
        let word = self.word(self.text.len());
        let is_cut = matches!(cut, Cut::Forced | Cut::Until(_)) && word < end;
        if is_cut {
            // It may be the beginning of a secret.
            add_to(&mut spans, word.max(self.seen)..self.text.len());
        }
        self.is_open = is_cut || (self.is_open && goes_on);
        let pieces: Vec<Piece> = self.pieces.drain(..count).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let piece_end = pieces.get(at + 1).map_or(end, |next| next.start);
            if let Some(masked) = self.masked(redactor, (piece.start, piece_end), &spans) {
                set(piece.place, masked);
            }
        }
        if cut == Cut::End {
            self.text.clear();
        } else {
            self.let_go(end, &hits);
        }
    }

    /// Forgets what came out, but for what its continuation belongs to: of a secret that goes on
    /// behind the end how it began, and else what stands before.
    fn let_go(&mut self, end: usize, hits: &[Hit]) {
        let crosses = |hit: &&Hit| hit.holds && hit.whole.start < end && end <= hit.whole.end;
        let begun = hits.iter().filter(crosses).map(|hit| hit.whole.start).min();
        let from = begun.filter(|begun| *begun + SEEN_BYTES < end);
        let from = from.unwrap_or(end.saturating_sub(SEEN_BYTES));
        let from = self.text.floor_char_boundary(from);
        let to = self.text.floor_char_boundary(end.min(from + SEEN_BYTES));
        self.text.replace_range(to..end, "");
        self.text.replace_range(..from, "");
        self.seen = to - from;
        let moved = end - self.seen;
        self.pieces.iter_mut().for_each(|piece| piece.start -= moved);
        self.look_at -= moved;
    }

    /// What came out masked, though it was not all there, goes on to the end of its word. Says where
    /// that is.
    fn add_rest_of_open(&self, spans: &mut Vec<Span>) -> usize {
        if !self.is_open {
            return 0;
        }
        let behind = &self.text[self.seen..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        let end = self.seen + behind.find(is_end).unwrap_or(behind.len());
        if end > self.seen {
            add_to(spans, self.seen.saturating_sub(1)..end);
        }
        end
    }

    /// What a piece becomes, if anything in it is replaced.
    fn masked(
        &self,
        redactor: &Redactor,
        (start, end): (usize, usize),
        spans: &[Span],
    ) -> Option<Masked> {
        let here: Vec<_> =
            spans.iter().filter(|(span, _)| span.start < end && start < span.end).collect();
        if here.is_empty() {
            return None;
        }
        let mut masked = Masked::default();
        let mut done = start;
        for (span, name) in here {
            masked.text.push_str(&self.text[done..span.start.max(done)]);
            // In other pieces nothing stands in its place.
            if span.start >= start && span.start >= self.seen {
                let mut out = Out::default();
                redactor.replace(*name, &self.text[span.clone()], &mut out);
                let at = masked.text.len();
                masked.text.push_str(&out.text);
                let token = |finding| Token::new(finding, at..masked.text.len());
                masked.tokens.extend(out.findings.iter().map(token));
            }
            done = span.end.min(end).max(done);
        }
        masked.text.push_str(&self.text[done..end]);
        Some(masked)
    }

    /// How many pieces end before a secret may have begun that goes on in the next.
    fn certain(&self, hits: &[Hit]) -> usize {
        let crossing = |cut: usize| {
            let crosses = |hit: &&Hit| hit.whole.start < cut && cut < hit.whole.end;
            hits.iter().filter(crosses).map(|hit| hit.whole.start).min()
        };
        let mut limit = self.word(self.text.len().saturating_sub(VALUE_TAIL_BYTES));
        let touches = |hit: &&Hit| hit.whole.end == self.text.len();
        let open = hits.iter().filter(touches).map(|hit| hit.whole.start).min();
        limit = limit.min(open.unwrap_or(limit));
        let mut count = self.pieces.len();
        while count > 0 && (self.end(count - 1) > limit || crossing(self.end(count - 1)).is_some())
        {
            count -= 1;
        }
        count
    }

    /// Where the word begins that goes on at a place.
    fn word(&self, place: usize) -> usize {
        let before = &self.text.as_bytes()[..place];
        before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1)
    }

    fn end(&self, at: usize) -> usize {
        self.pieces.get(at + 1).map_or(self.text.len(), |next| next.start)
    }
}

type Span = (Range<usize>, HitName);

/// Adds what may be part of a secret, made one with what it overlaps.
fn add_to(spans: &mut Vec<Span>, held: Range<usize>) {
    let overlaps = |span: &Range<usize>| span.start < held.end && held.start < span.end;
    let mut joined = (held.clone(), HitName::Named(HELD));
    for (span, name) in spans.iter().filter(|(span, _)| overlaps(span)) {
        joined.0 = joined.0.start.min(span.start)..joined.0.end.max(span.end);
        joined.1 = *name;
    }
    spans.retain(|(span, _)| !overlaps(span));
    spans.push(joined);
    spans.sort_by_key(|(span, _)| span.start);
}
