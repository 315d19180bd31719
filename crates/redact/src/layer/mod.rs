//! Text within text: what stands encoded is scanned as what it stands for, up to four layers deep.
//!
//! Each decoder says where its reading differs from the text, so that a hit in the reading is
//! masked where it stands, widened to whole encoded units: `%73`, four digits of base64. A decoder
//! runs only where a cheap test says that something may be encoded. Readings add to what is found
//! and take nothing away: a text that merely looks encoded is masked as it would be without.

use std::ops::Range;

use crate::limits::{LAYERS_MAX, READINGS_SPARE_BYTES};
use crate::rules::Rules;
use crate::scan::{Hit, HitName, plain};

mod base64;
mod escape;
mod hex;
mod map;
mod pairs;
mod runs;

use map::Map;

/// What a part of a text stands for.
struct Reading {
    text: String,
    map: Map,
}

/// Adds the hits in what stands encoded in a text.
pub(crate) fn scan(rules: &Rules, text: &str, hits: &mut Vec<Hit>) {
    let left = text.len().saturating_mul(2).saturating_add(READINGS_SPARE_BYTES);
    Layers { rules, left }.below(text, 0, hits);
}

/// Whether nothing in a text is read as encoded. `odd` are the places of bytes that escapes begin
/// with; without runs there is neither base64 nor hex.
pub(crate) fn is_quiet(text: &str, odd: impl Iterator<Item = usize>, has_runs: bool) -> bool {
    let bytes = text.as_bytes();
    let mut odd = odd;
    if !odd.all(|at| escape::is_none(bytes, at)) || pairs::has_row(bytes) {
        return false;
    }
    let mut is_read = false;
    let is_open = has_runs && runs::readings(text, &mut |_| is_read = true).is_some();
    !is_open && !is_read
}

/// A walk through the layers of one text.
struct Layers<'a> {
    rules: &'a Rules,
    /// How many bytes may still be read: hostile text could ask for far more than it has.
    left: usize,
}

impl Layers<'_> {
    fn below(&mut self, text: &str, depth: usize, hits: &mut Vec<Hit>) {
        if depth == LAYERS_MAX {
            return;
        }
        escape::readings(text, &mut |reading| self.read(&reading, depth, hits));
        let open = runs::readings(text, &mut |reading| self.read(&reading, depth, hits));
        pairs::readings(text, &mut |reading| self.read(&reading, depth, hits));
        // Lines of base64 that may go on behind the text: a cut between them would hide what they
        // stand for.
        hits.extend(open.map(|whole| Hit {
            secret: whole.start..whole.start,
            whole,
            name: HitName::Named(""),
            holds: false,
        }));
    }

    fn read(&mut self, reading: &Reading, depth: usize, hits: &mut Vec<Hit>) {
        let Some(left) = self.left.checked_sub(reading.text.len()) else { return };
        self.left = left;
        let mut inner = Vec::new();
        plain(self.rules, &reading.text, &mut inner);
        self.below(&reading.text, depth + 1, &mut inner);
        if !inner.iter().any(|hit| hit.holds) {
            let alone = self.rules.alone.find(&self.rules.rules, &reading.text);
            let hit = |(span, name): (Range<usize>, HitName)| Hit {
                whole: span.clone(),
                secret: span,
                name,
                holds: true,
            };
            inner.extend(alone.into_iter().map(hit));
        }
        hits.extend(inner.into_iter().map(|hit| Hit {
            whole: reading.map.outside(&hit.whole),
            secret: reading.map.outside(&hit.secret),
            ..hit
        }));
    }
}

/// Bytes as text of the same length: what is no UTF-8 becomes `?`.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let bytes = error.as_bytes();
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        text
    })
}

#[cfg(test)]
mod tests;
