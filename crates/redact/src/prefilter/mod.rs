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
use need::{RUN_MIN_BYTES, is_token_byte};

/// A text, and what was looked up of it.
pub(crate) struct Block<'a> {
    text: &'a [u8],
    looked: Looked,
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
    pub(crate) fn new(anchors: &Anchors, text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut looked = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        looked.census.take(text);
        looked.anchors.clear();
        anchors.find(text, &mut looked.anchors);
        Self { text, looked, next: 0, turned_to: 0..text.len(), has_runs: false }
    }

    /// Whatever is asked from now on is about a part.
    pub(crate) fn turn_to(&mut self, part: Range<usize>) {
        if part != self.turned_to {
            (self.turned_to, self.has_runs) = (part, false);
        }
    }

    /// The anchors that stand in the text, in the order of where they begin.
    pub(crate) fn anchors(&self) -> &[Found] {
        &self.looked.anchors
    }

    /// The anchors that begin in a part that does not begin before the last one that was asked for.
    pub(crate) fn next_anchors(&mut self, part: &Range<usize>) -> Range<usize> {
        let anchors = &self.looked.anchors;
        while anchors.get(self.next).is_some_and(|found| found.start < part.start) {
            self.next += 1;
        }
        let count = anchors[self.next..].iter().take_while(|found| found.start < part.end).count();
        self.next..self.next + count
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
            self.looked.runs.clear();
            add_runs(self.text, self.turned_to.clone(), &mut self.looked.runs);
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

/// Adds the runs of token bytes in a part of a text. Looks at as few bytes as it can: behind one that is none
/// no run goes on.
fn add_runs(text: &[u8], part: Range<usize>, runs: &mut Vec<Range<usize>>) {
    let is_token = |byte: &u8| TOKEN_BYTES[usize::from(*byte)];
    let text = &text[..part.end];
    let mut start = part.start;
    while let Some(far) = text.get(start..start + RUN_MIN_BYTES) {
        if let Some(other) = far.iter().rposition(|byte| !is_token(byte)) {
            start += other + 1;
            continue;
        }
        let begun = start + RUN_MIN_BYTES;
        let end = text[begun..].iter().position(|byte| !is_token(byte));
        let end = end.map_or(text.len(), |length| begun + length);
        runs.push(start..end);
        start = end + 1;
    }
}

static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_token_byte(byte as u8);
        byte += 1;
    }
    table
};

/// Anchors or runs whose memory is kept for the next block.
const SPARE_MAX: usize = 4096;
/// Texts within texts that are looked at at once.
const SPARE_BLOCKS: usize = 4;
