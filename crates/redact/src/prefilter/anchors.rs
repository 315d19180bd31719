//! Where anchors stand: thousands of words at once, in either case.
//!
//! Each is known by four bytes in a row, those in it that are the rarest in texts, or by fewer where
//! it has no more. One pass over a text looks each three bytes up in a bitmap that stays in the
//! nearest cache; of what passes the four are looked up in another, and what is left is compared with
//! the few anchors that are known by them. There is no automaton: one over so many words has megabytes
//! of states, and takes a hundred times as long to build.

use super::rarity::rarity;

/// The anchors of all rules.
pub(crate) struct Anchors {
    /// In lower case.
    words: Vec<Box<[u8]>>,
    maps: Box<Maps>,
    /// By the hash of the three bytes.
    known: Vec<Known>,
    /// For the upper bits of a hash where those begin in `known`.
    begins: Vec<u16>,
    /// Those of two bytes.
    short: Vec<Known>,
    /// Of each byte that is an anchor.
    ones: Vec<(u8, u16)>,
}

/// What stands where some anchor may, by a bit for each hash.
struct Maps {
    /// Of three bytes.
    threes: Bitmap,
    /// Of three that are all that an anchor is known by, or that begin with two that are.
    last_threes: Bitmap,
    /// Of four bytes.
    fours: Bitmap,
    /// Of two bytes that are an anchor, by these.
    twos: Bitmap,
}

type Bitmap = [u64; 1 << (HASH_BITS - 6)];

/// By what an anchor is known.
#[derive(Clone, Copy)]
struct Known {
    hash: u32,
    anchor: u16,
    /// Where in it the three bytes stand.
    offset: u16,
    /// What stands there and behind them, and which of these four bytes are the anchor's.
    four: u32,
    mask: u32,
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
        let empty = [0; 1 << (HASH_BITS - 6)];
        let mut maps =
            Box::new(Maps { threes: empty, last_threes: empty, fours: empty, twos: empty });
        for (place, word) in words.iter().enumerate() {
            let anchor = u16::try_from(place).ok()?;
            match word.as_ref() {
                [one] => ones.push((*one, anchor)),
                [one, two] => {
                    for third in 0..=u8::MAX {
                        let hash = hash_three(fold([*one, *two, third, 0]));
                        set(&mut maps.threes, hash);
                        set(&mut maps.last_threes, hash);
                    }
                    let all = Known::at(word, 0, anchor)?;
                    set(&mut maps.twos, all.four);
                    short.push(all);
                }
                _ => {
                    let length = word.len().min(4);
                    let rarity = |at: &usize| rarity(&word[*at..at + length]);
                    let at = (0..=word.len() - length).max_by_key(rarity)?;
                    let all = Known::at(word, at, anchor)?;
                    set(&mut maps.threes, all.hash);
                    if length < 4 {
                        set(&mut maps.last_threes, all.hash);
                    } else {
                        set(&mut maps.fours, hash_four(all.four));
                    }
                    known.push(all);
                }
            }
        }
        known.sort_by_key(|known| known.hash);
        let begin = |upper: u32| known.partition_point(|known| known.hash >> NEAR_BITS < upper);
        let begins: Option<Vec<u16>> = (0..=1 << (HASH_BITS - NEAR_BITS))
            .map(|upper| u16::try_from(begin(upper)).ok())
            .collect();
        Some(Self { words, maps, known, begins: begins?, short, ones })
    }

    /// Adds each anchor that stands in a text, in the order of where they begin.
    pub(crate) fn find(&self, text: &[u8], found: &mut Vec<Found>) {
        let begun = found.len();
        for (one, anchor) in &self.ones {
            let (anchor, other) = (usize::from(*anchor), one.to_ascii_uppercase());
            let places = memchr::memchr2_iter(*one, other, text);
            found.extend(places.map(|start| Found { start, anchor }));
        }
        let mut passed = [0; BLOCK_BYTES];
        let mut from = 0;
        while from + 4 <= text.len() {
            let end = text.len().min(from + BLOCK_BYTES + 3);
            let count = sift(&self.maps, &text[from..end], &mut passed);
            for at in &passed[..count] {
                self.compare(text, from + usize::from(*at), found);
            }
            from = end - 3;
        }
        for at in from..text.len() {
            self.compare(text, at, found);
        }
        if found.len() > begun + 1 {
            found[begun..].sort_unstable();
        }
    }

    /// Adds the anchors that are known by what stands at a place.
    fn compare(&self, text: &[u8], at: usize, found: &mut Vec<Found>) {
        // What is not there is no byte of an anchor.
        let four = match text[at..].first_chunk() {
            Some(four) => fold(*four),
            None => fold(at_most_four(&text[at..])),
        };
        let upper = (hash_three(four) >> NEAR_BITS) as usize;
        let near = usize::from(self.begins[upper])..usize::from(self.begins[upper + 1]);
        let two = four & 0xffff;
        let is_short = bit(&self.maps.twos, two) & 1 == 1;
        let short = if is_short { self.short.as_slice() } else { &[] };
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
        let (four, mask) = (fold(at_most_four(here)), u32::MAX >> (32 - 8 * here.len().min(4)));
        let offset = u16::try_from(at).ok()?;
        Some(Self { hash: hash_three(four), anchor, offset, four: four & mask, mask })
    }
}

/// The places in a text at which bytes stand by which some anchor may be known. Those in the last
/// three bytes are left out.
fn sift(maps: &Maps, text: &[u8], passed: &mut [u16; BLOCK_BYTES]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the processor has what is asked for.
        #[expect(unsafe_code, reason = "the only way to call what needs BMI2")]
        return unsafe { sift_with_bmi2(maps, text, passed) };
    }
    sift_with(maps, text, passed)
}

/// The same, where a shift by any number is one step.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2")]
fn sift_with_bmi2(maps: &Maps, text: &[u8], passed: &mut [u16; BLOCK_BYTES]) -> usize {
    sift_with(maps, text, passed)
}

#[inline(always)]
fn sift_with(maps: &Maps, text: &[u8], passed: &mut [u16; BLOCK_BYTES]) -> usize {
    let text = &text[..text.len().min(BLOCK_BYTES + 3)];
    let mut count = 0;
    for (at, four) in text.windows(4).enumerate() {
        // Written in any case, and kept where it counts.
        passed[count] = at as u16;
        let four = fold(*four.first_chunk().unwrap_or(&[0; 4]));
        count += (bit(&maps.threes, hash_three(four)) & 1) as usize;
    }
    let mut kept = 0;
    for place in 0..count {
        let at = usize::from(passed[place]);
        let four = text.get(at..).and_then(<[u8]>::first_chunk);
        let four = fold(*four.unwrap_or(&[0; 4]));
        passed[kept] = at as u16;
        let bits = bit(&maps.fours, hash_four(four)) | bit(&maps.last_threes, hash_three(four));
        kept += (bits & 1) as usize;
    }
    kept
}

/// The bit, lowest; what else is in it means nothing.
#[inline(always)]
fn bit(bitmap: &Bitmap, bit: u32) -> u64 {
    bitmap[(bit >> 6) as usize] >> (bit & 63)
}

fn set(bitmap: &mut Bitmap, bit: u32) {
    bitmap[(bit >> 6) as usize] |= 1 << (bit & 63);
}

/// Letters in lower case; a few other bytes become one another.
#[inline(always)]
const fn fold(four: [u8; 4]) -> u32 {
    u32::from_le_bytes(four) | 0x2020_2020
}

/// A hash of the lowest three bytes.
#[inline(always)]
const fn hash_three(four: u32) -> u32 {
    hash_four(four << 8)
}

/// A hash of all four.
#[inline(always)]
const fn hash_four(four: u32) -> u32 {
    four.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)
}

fn at_most_four(bytes: &[u8]) -> [u8; 4] {
    match bytes {
        [a, b, c, d, ..] => [*a, *b, *c, *d],
        [a, b, c] => [*a, *b, *c, 0],
        [a, b] => [*a, *b, 0, 0],
        [a] => [*a, 0, 0, 0],
        [] => [0; 4],
    }
}

/// A bitmap has 16 KiB.
const HASH_BITS: u32 = 17;
/// Anchors whose hashes differ in these bits only are compared together.
const NEAR_BITS: u32 = 4;

/// Bytes that are looked at before what passed is compared.
const BLOCK_BYTES: usize = 1024;

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
            Anchors::new(&words).unwrap().find(text.as_bytes(), &mut found);
            prop_assert_eq!(found, slow(&words, text.as_bytes()));
        }
    }
}
