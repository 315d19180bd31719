//! What is cheap to know of a text, and spares most of it every pattern: where anchors stand, which
//! kinds of bytes are where, and whether near an anchor is what the patterns behind it need.

use std::cell::RefCell;
use std::ops::Range;

mod anchors;
mod census;
mod need;
mod rarity;
mod sieve;

pub(crate) use anchors::{Anchors, Found};
pub(crate) use need::Need;

use census::Census;
use need::RUN_MIN_BYTES;

/// A text, and what was looked up of it.
pub(crate) struct Block<'a> {
    anchors: &'a Anchors,
    text: &'a [u8],
    looked: Looked,
    /// How far anchors were looked for.
    sifted: usize,
    /// The first anchor that does not begin before the last part that was asked about.
    next: usize,
    /// The part whose runs are looked up once one is asked for.
    turned_to: Range<usize>,
    has_runs: bool,
}

#[derive(Default)]
struct Looked {
    census: Census,
    anchors: Vec<Found>,
    /// The runs of token bytes that are long enough to be asked for, in order.
    runs: Vec<Range<usize>>,
}

thread_local! {
    /// The memory of the last blocks: most texts are short, and to ask for it costs more than to look.
    static SPARE: RefCell<Vec<Looked>> = RefCell::default();
}

impl<'a> Block<'a> {
    pub(crate) fn new(anchors: &'a Anchors, text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut looked = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        looked.census.take(text);
        looked.anchors.clear();
        let turned_to = 0..text.len();
        Self { anchors, text, looked, sifted: 0, next: 0, turned_to, has_runs: false }
    }

    /// Whatever is asked from now on is about a part.
    pub(crate) fn turn_to(&mut self, part: Range<usize>) {
        if part != self.turned_to {
            (self.turned_to, self.has_runs) = (part, false);
        }
    }

    /// An anchor, by its place among those that were found.
    pub(crate) fn anchor(&self, at: usize) -> Found {
        self.looked.anchors[at]
    }

    /// The places of the anchors that stand in a part of the text, in the order of where they begin;
    /// and perhaps of some that go on behind it. The part does not begin before the last one that was
    /// asked about.
    pub(crate) fn next_anchors(&mut self, part: &Range<usize>) -> Range<usize> {
        if self.sifted < part.end {
            self.sift(part);
        }
        let anchors = &self.looked.anchors;
        while anchors.get(self.next).is_some_and(|found| found.start < part.start) {
            self.next += 1;
        }
        let count = anchors[self.next..].iter().take_while(|found| found.start < part.end).count();
        self.next..self.next + count
    }

    /// Looks for anchors up to the end of a part, and on, since a short part costs nearly as much as a
    /// longer one. Numbers and what else is no text are not looked at.
    fn sift(&mut self, part: &Range<usize>) {
        let from = self.sifted.max(part.start);
        let end = part.end.max(from + SIFTED_BYTES).min(self.text.len());
        self.anchors.find(self.text, from..end, &mut self.looked.anchors);
        self.looked.anchors[self.next..].sort_unstable();
        self.sifted = end;
    }

    /// The first `"` or `\` at a place or behind it.
    pub(crate) fn next_edge(&self, from: usize) -> Option<usize> {
        self.looked.census.edges.next(from)
    }

    /// The first byte at a place or behind it that something encoded may begin with.
    pub(crate) fn next_odd(&self, from: usize) -> Option<usize> {
        self.looked.census.odd.next(from)
    }

    pub(crate) fn digits(&self, part: &Range<usize>) -> usize {
        self.looked.census.digits.count(part)
    }

    /// Where in a part there are digits, and what is so near to one of them; in order, from the part's
    /// beginning on.
    pub(crate) fn digit_areas(&self, part: &Range<usize>, reach: usize) -> Vec<Range<usize>> {
        let mut areas: Vec<Range<usize>> = Vec::new();
        let mut from = part.start;
        while let Some(digits) = self.looked.census.digits.next_few(from, part.end) {
            let start = digits.start.saturating_sub(reach).max(part.start) - part.start;
            let end = (digits.end + reach).min(part.end) - part.start;
            match areas.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => areas.push(start..end),
            }
            from = digits.end;
        }
        areas
    }

    /// Whether a run of token bytes so long stands in a part of the text.
    pub(crate) fn has_run(&mut self, part: &Range<usize>, length: usize) -> bool {
        if part.len() < length {
            return false;
        }
        if !self.has_runs {
            let Looked { census, runs, .. } = &mut self.looked;
            runs.clear();
            census.tokens.add_runs(&self.turned_to, RUN_MIN_BYTES, runs);
            self.has_runs = true;
        }
        let runs = &self.looked.runs;
        let first = runs.partition_point(|run| run.end < part.start + length);
        let within = runs[first..].iter().take_while(|run| run.start + length <= part.end);
        within.into_iter().any(|run| run.end.min(part.end) >= run.start.max(part.start) + length)
    }

    /// Whether any run of token bytes stands in a part that is long enough to be asked for.
    pub(crate) fn has_any_run(&mut self, part: &Range<usize>) -> bool {
        self.has_run(part, RUN_MIN_BYTES)
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let looked = std::mem::take(&mut self.looked);
        if looked.anchors.capacity().max(looked.runs.capacity()) <= SPARE_MAX {
            // A thread that ends has no use for it.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARE_BLOCKS {
                    spare.push(looked);
                }
            });
        }
    }
}

/// Fewest bytes that are sifted together.
const SIFTED_BYTES: usize = 256;
/// Anchors or runs whose memory is kept for the next block.
const SPARE_MAX: usize = 4096;
/// Texts within texts that are looked at at once.
const SPARE_BLOCKS: usize = 4;
