//! Where anchors stand: thousands of words at once, in either case.
//!
//! Each is known by four bytes in a row, those in it that are the rarest in texts, or by fewer where
//! it has no more. One pass over a text lets through where such bytes may stand ([`Sieve`]), and what
//! is left is compared with the few anchors that are known by them. There is no automaton: one over so
//! many words has megabytes of states, and takes a hundred times as long to build.

use std::ops::Range;

use super::rarity::rarity;
use super::sieve::{BLOCK_BYTES, HASH_BITS, Sieve, first_four, fold, hash};

/// The anchors of all rules.
pub(crate) struct Anchors {
    /// In lower case.
    words: Vec<Box<[u8]>>,
    sieve: Sieve,
    /// By the hash of three bytes.
    known: Vec<Known>,
    /// For each hash where those begin in `known`.
    begins: Vec<u16>,
    /// Those of two bytes.
    short: Vec<Known>,
    /// Of each byte that is an anchor.
    ones: Vec<(u8, u16)>,
}

/// By what an anchor is known.
#[derive(Clone, Copy)]
struct Known {
    /// What stands at a place in it, and which of these four bytes are the anchor's.
    four: u32,
    mask: u32,
    anchor: u16,
    /// Where in it that place is.
    offset: u16,
}

/// An anchor that stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) anchor: usize,
}

impl Anchors {
    /// None if there are too many, or one of them is empty or far too long.
    pub(crate) fn new(words: &[String]) -> Option<Self> {
        let words: Vec<Box<[u8]>> =
            words.iter().map(|word| word.to_ascii_lowercase().into_bytes().into()).collect();
        let fits = |word: &[u8]| (1..usize::from(u16::MAX)).contains(&word.len());
        if words.len() >= usize::from(u16::MAX) || !words.iter().all(|word| fits(word)) {
            return None;
        }
        let (mut known, mut short, mut ones) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes: Vec<&[u8]> = Vec::new();
        for (place, word) in words.iter().enumerate() {
            let anchor = u16::try_from(place).ok()?;
            match word.as_ref() {
                [one] => ones.push((*one, anchor)),
                [_, _] => {
                    bytes.push(word);
                    short.push(Known::at(word, 0, anchor)?);
                }
                _ => {
                    let length = word.len().min(4);
                    let rarity = |at: &usize| rarity(&word[*at..at + length]);
                    let at = (0..=word.len() - length).max_by_key(rarity)?;
                    bytes.push(&word[at..at + length]);
                    known.push(Known::at(word, at, anchor)?);
                }
            }
        }
        let sieve = Sieve::new(bytes.into_iter());
        known.sort_by_key(|known| hash(known.four));
        let begin = |from: usize| known.partition_point(|known| hash(known.four) < from);
        let begins: Option<Vec<u16>> =
            (0..=1 << HASH_BITS).map(|hash| u16::try_from(begin(hash)).ok()).collect();
        Some(Self { words, sieve, known, begins: begins?, short, ones })
    }

    /// How long an anchor is.
    pub(crate) fn length(&self, anchor: usize) -> usize {
        self.words[anchor].len()
    }

    /// Adds each anchor that is known by what stands in a part of a text, in no order. That may begin
    /// before the part, and go on behind it.
    pub(crate) fn find(&self, text: &[u8], part: Range<usize>, found: &mut Vec<Found>) {
        for (one, anchor) in &self.ones {
            let (anchor, other) = (usize::from(*anchor), one.to_ascii_uppercase());
            let places = memchr::memchr2_iter(*one, other, &text[part.clone()]);
            found.extend(places.map(|at| Found { start: part.start + at, anchor }));
        }
        let mut passed = [0; BLOCK_BYTES];
        for from in part.clone().step_by(BLOCK_BYTES) {
            let length = (part.end - from).min(BLOCK_BYTES);
            let count = self.sieve.sift(&text[from..], length, &mut passed);
            for at in &passed[..count] {
                self.compare(text, from + usize::from(*at), found);
            }
        }
    }

    /// Adds the anchors that are known by what stands at a place.
    fn compare(&self, text: &[u8], at: usize, found: &mut Vec<Found>) {
        // What is not there is no byte of an anchor.
        let here = first_four(&text[at..]);
        let four = fold(here);
        let hash = hash(four);
        let near = usize::from(self.begins[hash])..usize::from(self.begins[hash + 1]);
        let short = if self.sieve.has_pair(here) { self.short.as_slice() } else { &[] };
        for known in self.known[near].iter().chain(short) {
            if four & known.mask != known.four {
                continue;
            }
            let Some(start) = at.checked_sub(usize::from(known.offset)) else { continue };
            let anchor = usize::from(known.anchor);
            let word = &self.words[anchor];
            let here = text.get(start..start + word.len());
            if here.is_some_and(|here| here.eq_ignore_ascii_case(word)) {
                found.push(Found { start, anchor });
            }
        }
    }
}

impl Known {
    /// An anchor that is known by what stands at a place in it.
    fn at(word: &[u8], at: usize, anchor: u16) -> Option<Self> {
        let here = &word[at..];
        let (four, mask) = (fold(first_four(here)), u32::MAX >> (32 - 8 * here.len().min(4)));
        let offset = u16::try_from(at).ok()?;
        Some(Self { four: four & mask, mask, anchor, offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow(words: &[String], text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for (anchor, word) in words.iter().enumerate() {
            let stands = text.windows(word.len()).enumerate();
            let stands = stands.filter(|(_, here)| here.eq_ignore_ascii_case(word.as_bytes()));
            found.extend(stands.map(|(start, _)| Found { start, anchor }));
        }
        found.sort_unstable();
        found
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::btree_set("[a-cé@_.$-]{1,6}", 1..40)
            .prop_map(|words| words.into_iter().collect())
    }

    /// Which words follow each other, what is between them, and whether they are in capitals.
    fn parts() -> impl Strategy<Value = Vec<(prop::sample::Index, String, bool)>> {
        prop::collection::vec((any::<prop::sample::Index>(), "[ -~é]{0,4}", any::<bool>()), 0..600)
    }

    proptest! {
        #[test]
        fn each_is_found_wherever_it_stands(words in words(), parts in parts()) {
            let mut text = String::new();
            for (word, between, is_capital) in parts {
                let word = word.get(&words);
                text += &if is_capital { word.to_ascii_uppercase() } else { word.clone() };
                text += &between;
            }
            let mut found = Vec::new();
            let anchors = Anchors::new(&words).unwrap();
            let middle = text.len() / 2;
            anchors.find(text.as_bytes(), 0..middle, &mut found);
            anchors.find(text.as_bytes(), middle..text.len(), &mut found);
            found.sort_unstable();
            prop_assert_eq!(found, slow(&words, text.as_bytes()));
        }
    }
}
