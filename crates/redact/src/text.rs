//! Text that comes in pieces. What is certain comes out; what may still be the beginning of a
//! secret is held back, so that a secret is masked wherever the pieces meet.
//!
//! It rests on one property of the rules: white space occurs in a match only within its first
//! [`WINDOW_BYTES`]. So a place behind white space, with that many bytes behind it, is crossed by
//! no match but those that the text at hand already shows.

use serde::{Deserialize, Serialize};

use crate::limits::{HOLD_MAX_BYTES, PEM_MAX_BYTES, SEEN_BYTES, WINDOW_BYTES};
use crate::pem::{Ends, body_end};
use crate::redacted::Out;
use crate::redactor::{HELD, Redactor};
use crate::scan::{Hit, HitName, resolve};
use crate::table::Table;

/// The state of a text between two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextStream {
    /// Text that did not come out yet, behind the end of what did.
    held: String,
    /// How much of `held` came out already.
    seen: usize,
    /// Below this length another look would find no more than the last.
    look_at: usize,
    /// Something of it came out, so that what follows is not all of it.
    is_begun: bool,
    /// The beginning of a secret came out masked; its rest is to be dropped.
    open: Option<Open>,
    /// In which column of a table `held` begins.
    #[serde(default)]
    table: Table,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Open {
    /// A private key block, for at most so many bytes more.
    Pem(usize),
    /// A run without white space.
    Run,
}

impl TextStream {
    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        self.held.push_str(piece);
        if !self.drop_open(redactor, done)
            || (!done && self.held.len() < self.look_at.max(WINDOW_BYTES))
        {
            return;
        }
        let hits = self.scan(redactor);
        let cut = if done { self.held.len() } else { self.cut(&hits) };
        if cut <= self.seen {
            self.look_at = self.held.len() + self.held.len() / 8 + 1;
            return;
        }
        let mut spans = resolve(&hits);
        if done && spans.is_empty() && !self.is_begun {
            spans = redactor.alone(&self.held);
        }
        redactor.spans_into(&self.held, self.seen..cut, &spans, out);
        self.drain(redactor, cut);
        (self.seen, self.look_at, self.is_begun) = (0, 0, true);
        if done {
            *self = Self::default();
        }
    }

    /// Lets everything out, since nothing more came for long. A secret's first part is masked, and
    /// so is its rest when it comes.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        if !self.has_tail() {
            return;
        }
        self.is_begun = true;
        let hits = self.scan(redactor);
        let mut spans = resolve(&hits);
        let length = self.held.len();
        let begun = hits.iter().find(|hit| hit.name == HitName::Pem && hit.whole.end == length);
        let run = self
            .held
            .rfind(char::is_whitespace)
            .map_or(0, |at| self.held.ceil_char_boundary(at + 1));
        if begun.is_some() {
            self.open = Some(Open::Pem(PEM_MAX_BYTES));
        } else if run < length {
            self.open = Some(Open::Run);
            if spans.last().is_none_or(|(span, _)| span.end <= run) {
                spans.push((run..length, HitName::Named(HELD)));
            } else if let Some((span, _)) = spans.last_mut() {
                span.end = length;
            }
        }
        redactor.spans_into(&self.held, self.seen..length, &spans, out);
        self.keep_end(redactor);
        (self.seen, self.look_at) = (self.held.len(), 0);
    }

    /// Keeps of what came out what the rest belongs to: which column it is in, or else the end.
    fn keep_end(&mut self, redactor: &Redactor) {
        let length = self.held.len();
        let mut table = self.table.clone();
        table.advance(redactor, &self.held, length);
        let is_none = table == Table::Outside && self.open.is_none();
        let keep = if is_none { SEEN_BYTES } else { 0 };
        let kept = self.held.ceil_char_boundary(length.saturating_sub(keep));
        self.held.drain(..kept);
        self.table = table;
    }

    fn scan(&self, redactor: &Redactor) -> Vec<Hit> {
        let mut hits = redactor.scan(&self.held);
        self.table.scan(redactor, &self.held, &mut hits);
        hits
    }

    /// Forgets what came out.
    fn drain(&mut self, redactor: &Redactor, to: usize) {
        self.table.advance(redactor, &self.held, to);
        self.held.drain(..to);
    }

    /// Drops what belongs to a secret that came out masked: what follows it says nothing of it.
    fn drop(&mut self, redactor: &Redactor, to: usize) {
        self.table.advance(redactor, &self.held[..to], to);
        self.held.drain(..to);
    }

    /// Whether something waits to come out.
    pub(crate) fn has_tail(&self) -> bool {
        self.held.len() > self.seen && self.open.is_none()
    }

    /// Whether the next piece would be treated as the first.
    pub(crate) fn is_new(&self) -> bool {
        self.held.is_empty() && self.open.is_none() && !self.is_begun
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// How far text may come out.
    fn cut(&mut self, hits: &[Hit]) -> usize {
        let length = self.held.len();
        let crossing = |cut: usize| {
            let crosses = |hit: &&Hit| hit.whole.start < cut && cut < hit.whole.end;
            hits.iter().filter(crosses).map(|hit| hit.whole.start).min()
        };
        let mut cut = self.behind_white_space(length.saturating_sub(WINDOW_BYTES));
        while let Some(start) = crossing(cut) {
            cut = self.behind_white_space(start);
        }
        if cut > self.seen || length <= HOLD_MAX_BYTES {
            return cut;
        }
        // 64 KiB without a place to cut: a blob, or a run that is masked as a whole.
        let mut cut = self.held.floor_char_boundary(length - WINDOW_BYTES);
        while let Some(start) = crossing(cut) {
            if start <= self.seen {
                self.open = Some(Open::Run);
                return length;
            }
            cut = start;
        }
        cut
    }

    fn behind_white_space(&self, limit: usize) -> usize {
        let before = &self.held.as_bytes()[..limit];
        before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1)
    }

    /// Drops what belongs to an open secret; false if that is all there is.
    fn drop_open(&mut self, redactor: &Redactor, done: bool) -> bool {
        let end = match self.open {
            None => return true,
            Some(Open::Run) => {
                self.held.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            }
            Some(Open::Pem(left)) => match body_end(&self.held, 0, left) {
                Ends::At(end) => Some(end),
                Ends::Later(_) => {
                    self.drop_body(left);
                    None
                }
            },
        };
        match end {
            Some(end) => {
                self.drop(redactor, end);
                self.open = None;
            }
            None if self.open == Some(Open::Run) => self.drop(redactor, self.held.len()),
            None => {}
        }
        if done && end.is_none() {
            *self = Self::default();
        }
        end.is_some()
    }

    /// Drops a block's body, but for what may be the beginning of its end mark.
    fn drop_body(&mut self, left: usize) {
        let drop = self.held.floor_char_boundary(self.held.len().saturating_sub(MARK_BYTES));
        self.held.drain(..drop);
        self.open = Some(Open::Pem(left.saturating_sub(drop)));
    }
}

/// Longest end mark of a private key block.
const MARK_BYTES: usize = 72;
