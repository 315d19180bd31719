//! The places in a text at which anchors may stand, by the first bytes by which each is known: four,
//! or fewer where it has no more. Eight places at a time where the processor can, one otherwise; both
//! ways let the same through. What comes through is one place in twenty of prose (2026-11-28).

/// What lets through where some anchor may stand.
pub(super) struct Sieve {
    /// For the hash of three bytes the fourth ones that may follow, a bit for each.
    fourths: Box<[u32; 1 << HASH_BITS]>,
    /// What two bytes may be that are an anchor by themselves.
    pairs: Pairs,
}

/// Pairs of bytes, told by the halves of both: each half of a byte says in which of eight groups it
/// may stand, and a pair is in all groups that its four halves are in. What that lets through is looked
/// up.
struct Pairs {
    /// Of the first byte the lower and the upper half, and of the second.
    halves: [[u8; 16]; 4],
    /// A bit for each pair.
    all: Box<[u64; 1 << 10]>,
}

impl Sieve {
    /// Lets through wherever some of these bytes stand, of which the first four count, in lower case.
    /// One byte alone is too few.
    pub(super) fn new<'a>(known: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut fourths = Box::new([0; 1 << HASH_BITS]);
        let mut pairs = Vec::new();
        for bytes in known {
            match bytes {
                [] | [_] => {}
                [first, second] => pairs.push([*first, *second]),
                [a, b, c] => fourths[hash(fold([*a, *b, *c, 0]))] = u32::MAX,
                [a, b, c, d, ..] => {
                    let four = fold([*a, *b, *c, *d]);
                    fourths[hash(four)] |= 1 << (four >> 24 & 31);
                }
            }
        }
        Self { fourths, pairs: Pairs::new(&pairs) }
    }

    /// The places in a text at which an anchor may stand, in order: how many, and which, written over
    /// what is in `passed`. The text is no longer than [`BLOCK_BYTES`], and what stands behind it is
    /// looked at, too.
    pub(super) fn sift(&self, text: &[u8], length: usize, passed: &mut Passed) -> usize {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return avx2::sift(self, text, length, passed);
        }
        self.sift_portably(text, length, passed)
    }

    fn sift_portably(&self, text: &[u8], length: usize, passed: &mut Passed) -> usize {
        let mut count = 0;
        for at in 0..length.min(BLOCK_BYTES) {
            // Written in any case, and kept where it counts.
            passed[count] = at as u16;
            count += usize::from(self.may_stand(first_four(&text[at..])));
        }
        count
    }

    fn may_stand(&self, four: [u8; 4]) -> bool {
        let folded = fold(four);
        let is_known = self.fourths[hash(folded)] >> (folded >> 24 & 31) & 1 == 1;
        is_known || self.has_pair(four)
    }

    /// Whether the first two of these bytes may be an anchor by themselves.
    pub(super) fn has_pair(&self, four: [u8; 4]) -> bool {
        self.pairs.has(four[0], four[1])
    }
}

impl Pairs {
    fn new(pairs: &[[u8; 2]]) -> Self {
        let mut all = Box::new([0; 1 << 10]);
        let mut groups: Vec<Group> = Vec::new();
        for [first, second] in pairs {
            let mut group = Group::default();
            for first in [*first, first.to_ascii_uppercase()] {
                for second in [*second, second.to_ascii_uppercase()] {
                    let (word, bit) = place(first, second);
                    all[word] |= bit;
                    group = group.with(halves(first, second).map(|half| 1 << half));
                }
            }
            groups.push(group);
        }
        while groups.len() > 8 {
            join_two(&mut groups);
        }
        let mut table = [[0; 16]; 4];
        for (number, group) in groups.iter().enumerate() {
            for (halves, here) in table.iter_mut().zip(group.0) {
                for half in (0..16).filter(|half| here >> half & 1 == 1) {
                    halves[half] |= 1 << number;
                }
            }
        }
        Self { halves: table, all }
    }

    fn has(&self, first: u8, second: u8) -> bool {
        let (word, bit) = place(first, second);
        self.all[word] & bit != 0
    }
}

/// What halves the bytes of some pairs have, a bit for each.
#[derive(Clone, Copy, Default)]
struct Group([u16; 4]);

impl Group {
    fn with(mut self, other: [u16; 4]) -> Self {
        self.0.iter_mut().zip(other).for_each(|(here, other)| *here |= other);
        self
    }

    /// How many pairs it lets through.
    fn size(&self) -> u32 {
        self.0.iter().map(|halves| halves.count_ones()).product()
    }
}

/// Makes those two groups one that let the fewest others through together.
fn join_two(groups: &mut Vec<Group>) {
    let more = |a: &Group, b: &Group| a.with(b.0).size().saturating_sub(a.size() + b.size());
    let pairs = (1..groups.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    if let Some((a, b)) = pairs.min_by_key(|(a, b)| more(&groups[*a], &groups[*b])) {
        let other = groups.swap_remove(b);
        groups[a] = groups[a].with(other.0);
    }
}

/// Where in a table of all pairs one stands.
const fn place(first: u8, second: u8) -> (usize, u64) {
    let pair = (first as usize) << 8 | second as usize;
    (pair / 64, 1 << (pair % 64))
}

const fn halves(first: u8, second: u8) -> [u8; 4] {
    [first & 15, first >> 4, second & 15, second >> 4]
}

/// The first four bytes, and zeros where there are no more.
pub(super) fn first_four(bytes: &[u8]) -> [u8; 4] {
    match bytes {
        [a, b, c, d, ..] => [*a, *b, *c, *d],
        [a, b, c] => [*a, *b, *c, 0],
        [a, b] => [*a, *b, 0, 0],
        [a] => [*a, 0, 0, 0],
        [] => [0; 4],
    }
}

/// Letters in lower case; a few other bytes become one another.
#[inline(always)]
pub(super) const fn fold(four: [u8; 4]) -> u32 {
    u32::from_le_bytes(four) | FOLD
}

/// A hash of the lowest three bytes.
#[inline(always)]
pub(super) const fn hash(four: u32) -> usize {
    ((four << 8).wrapping_mul(SPREAD) >> (32 - HASH_BITS)) as usize
}

const FOLD: u32 = 0x2020_2020;
const SPREAD: u32 = 0x9e37_79b1;
/// The table has 32 KiB, which the nearest cache holds.
pub(super) const HASH_BITS: u32 = 13;

/// Bytes that are sifted before what passed is compared.
pub(super) const BLOCK_BYTES: usize = 1024;
/// Places in a block.
pub(super) type Passed = [u16; BLOCK_BYTES];

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BLOCK_BYTES, FOLD, HASH_BITS, Passed, SPREAD, Sieve, first_four};

    pub(super) fn sift(sieve: &Sieve, text: &[u8], length: usize, passed: &mut Passed) -> usize {
        // SAFETY: the caller has seen that the processor has AVX2.
        #[expect(unsafe_code, reason = "the only way to call what needs AVX2")]
        unsafe {
            sift_with(sieve, text, length.min(BLOCK_BYTES), passed)
        }
    }

    #[target_feature(enable = "avx2")]
    fn sift_with(sieve: &Sieve, text: &[u8], length: usize, passed: &mut Passed) -> usize {
        let mut count = 0;
        let mut at = 0;
        while at < length {
            let (known, pairs) = match text[at..].first_chunk() {
                Some(here) => may_stand(sieve, here),
                None => {
                    // Behind the text stands nothing that counts.
                    let mut here = [0; STEP_BYTES + BEYOND_BYTES];
                    let rest = &text[at..];
                    here[..rest.len()].copy_from_slice(rest);
                    may_stand(sieve, &here)
                }
            };
            let mut bits = known | pairs;
            if length - at < STEP_BYTES {
                bits &= (1 << (length - at)) - 1;
            }
            while bits != 0 {
                let place = at + bits.trailing_zeros() as usize;
                passed[count] = place as u16;
                let is_known = known & bits & bits.wrapping_neg() != 0;
                count += usize::from(is_known || sieve.has_pair(first_four(&text[place..])));
                bits &= bits - 1;
            }
            at += STEP_BYTES;
        }
        count
    }

    /// A bit for each of 32 places: where bytes stand by which an anchor is known, and where two may.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn may_stand(sieve: &Sieve, text: &[u8; STEP_BYTES + BEYOND_BYTES]) -> (u32, u32) {
        let mut bits = 0;
        for eight in 0..4 {
            // SAFETY: 16 bytes behind the last eighth are within the array.
            #[expect(unsafe_code, reason = "loads take pointers")]
            let bytes = unsafe { _mm_loadu_si128(text.as_ptr().add(8 * eight).cast()) };
            bits |= known(sieve, bytes) << (8 * eight);
        }
        (bits, pairs(sieve, text))
    }

    /// A bit for each of eight places at which four bytes stand by which an anchor is known.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn known(sieve: &Sieve, bytes: __m128i) -> u32 {
        #[rustfmt::skip]
        let windows = _mm256_setr_epi8(
            0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6,
            4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10,
        );
        let windows = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), windows);
        let four = _mm256_or_si256(windows, _mm256_set1_epi32(FOLD as i32));
        let spread =
            _mm256_mullo_epi32(_mm256_slli_epi32::<8>(four), _mm256_set1_epi32(SPREAD as i32));
        let hashes = _mm256_srli_epi32::<{ 32 - HASH_BITS as i32 }>(spread);
        // SAFETY: a hash has as many bits as the table's length.
        #[expect(unsafe_code, reason = "loads take pointers")]
        let fourths = unsafe { _mm256_i32gather_epi32::<4>(sieve.fourths.as_ptr().cast(), hashes) };
        let fourth = _mm256_and_si256(_mm256_srli_epi32::<24>(four), _mm256_set1_epi32(31));
        let bit = _mm256_slli_epi32::<31>(_mm256_srlv_epi32(fourths, fourth));
        _mm256_movemask_ps(_mm256_castsi256_ps(bit)) as u32
    }

    /// A bit for each of 32 places at which two bytes stand that may be an anchor.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn pairs(sieve: &Sieve, text: &[u8; STEP_BYTES + BEYOND_BYTES]) -> u32 {
        let [a, b, c, d] = &sieve.pairs.halves;
        // SAFETY: 32 bytes from the first and the second are within the array, and 16 in each table.
        #[expect(unsafe_code, reason = "loads take pointers")]
        let (first, second, tables) = unsafe {
            let table = |halves: &[u8; 16]| {
                _mm256_broadcastsi128_si256(_mm_loadu_si128(halves.as_ptr().cast()))
            };
            (
                _mm256_loadu_si256(text.as_ptr().cast()),
                _mm256_loadu_si256(text.as_ptr().add(1).cast()),
                [table(a), table(b), table(c), table(d)],
            )
        };
        let first = groups(first, tables[0], tables[1]);
        let second = groups(second, tables[2], tables[3]);
        let none = _mm256_cmpeq_epi8(_mm256_and_si256(first, second), _mm256_setzero_si256());
        !(_mm256_movemask_epi8(none) as u32)
    }

    /// The groups that each byte may be in.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn groups(bytes: __m256i, lower: __m256i, upper: __m256i) -> __m256i {
        let half = _mm256_set1_epi8(0x0f);
        let low = _mm256_and_si256(bytes, half);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        _mm256_and_si256(_mm256_shuffle_epi8(lower, low), _mm256_shuffle_epi8(upper, high))
    }

    /// Places that are looked at together.
    const STEP_BYTES: usize = 32;
    /// What stands behind those is looked at, too.
    const BEYOND_BYTES: usize = 8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_and_the_portable_way_let_the_same_through(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..5), 0..60),
            text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
            let sieve = Sieve::new(lower.iter().map(Vec::as_slice));
            let text: Vec<u8> = words.concat().into_iter().chain(text).take(BLOCK_BYTES).collect();
            let (mut fast, mut slow) = ([0; BLOCK_BYTES], [0; BLOCK_BYTES]);
            for length in [text.len(), text.len() / 2] {
                let count = sieve.sift(&text, length, &mut fast);
                prop_assert_eq!(count, sieve.sift_portably(&text, length, &mut slow));
                prop_assert_eq!(&fast[..count], &slow[..count]);
            }
        }
    }
}
