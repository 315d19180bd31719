//! Which bytes of a text are of which kinds: a bit for each byte. One pass, with vectors where the
//! processor has them; both ways give the same bits.

use std::ops::Range;

use super::need::is_token_byte;

/// The kinds that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// `"` and `\`, which a JSON string ends with or is escaped by.
    pub(crate) edges: Bits,
    pub(crate) digits: Bits,
    /// What some encoding begins with: [`is_odd`].
    pub(crate) odd: Bits,
    /// What tokens are made of: [`is_token_byte`].
    pub(crate) tokens: Bits,
}

/// A bit for each byte of a text, 64 to a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Census {
    pub(crate) fn take(&mut self, text: &[u8]) {
        let words = text.len().div_ceil(64);
        for bits in [&mut self.edges, &mut self.digits, &mut self.odd, &mut self.tokens] {
            bits.0.clear();
            bits.0.reserve(words);
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return avx2::take(self, text);
        }
        self.take_portably(text);
    }

    fn take_portably(&mut self, text: &[u8]) {
        for chunk in text.chunks(64) {
            let mut bits = [0; 4];
            for (at, byte) in chunk.iter().enumerate() {
                let kinds = u64::from(KINDS[usize::from(*byte)]);
                for (kind, bits) in bits.iter_mut().enumerate() {
                    *bits |= (kinds >> kind & 1) << at;
                }
            }
            self.push(bits);
        }
    }

    fn push(&mut self, [edges, digits, odd, tokens]: [u64; 4]) {
        self.edges.0.push(edges);
        self.digits.0.push(digits);
        self.odd.0.push(odd);
        self.tokens.0.push(tokens);
    }
}

impl Bits {
    /// The first at a place or behind it.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = self.0.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *self.0.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// From the first at a place or behind it to behind the last that stands near it, before an end.
    pub(crate) fn next_few(&self, from: usize, end: usize) -> Option<Range<usize>> {
        let first = self.next(from).filter(|first| *first < end)?;
        let word = first / 64;
        let before = if end / 64 > word { u64::MAX } else { !(u64::MAX << (end % 64)) };
        let near = self.0.get(word)? & before;
        Some(first..word * 64 + 64 - near.leading_zeros() as usize)
    }

    /// Adds where in a part so many or more stand in a row, in order. So many are at most 64.
    pub(crate) fn add_runs(&self, part: &Range<usize>, least: usize, runs: &mut Vec<Range<usize>>) {
        let mut from = part.start;
        while from + least <= part.end {
            let Some(word) = self.0.get(from / 64) else { return };
            let next = self.0.get(from / 64 + 1).copied().unwrap_or_default();
            let here = (u128::from(*word) | u128::from(next) << 64) >> (from % 64);
            // A bit for each place at which a run begins that is so long.
            let (mut begins, mut length) = (here, 1);
            while length < least {
                let step = length.min(least - length);
                begins &= begins >> step;
                length += step;
            }
            let left = 64 - from % 64;
            let begun = begins.trailing_zeros() as usize;
            if begun >= left {
                from += left;
                continue;
            }
            let start = from + begun;
            let end = self.end_of_run(start + least).min(part.end);
            if start + least <= end {
                runs.push(start..end);
            }
            from = end + 1;
        }
    }

    /// The first place at one or behind it that has none.
    fn end_of_run(&self, from: usize) -> usize {
        let mut word = from / 64;
        let mut others = !self.0.get(word).copied().unwrap_or_default() & (u64::MAX << (from % 64));
        while others == 0 {
            word += 1;
            others = !self.0.get(word).copied().unwrap_or_default();
        }
        word * 64 + others.trailing_zeros() as usize
    }

    /// How many there are in a part of the text.
    pub(crate) fn count(&self, span: &Range<usize>) -> usize {
        if span.is_empty() {
            return 0;
        }
        let (first, last) = (span.start / 64, (span.end - 1) / 64);
        let (from, to) = (u64::MAX << (span.start % 64), u64::MAX >> (63 - (span.end - 1) % 64));
        let words = self.0.get(first..=last).unwrap_or_default();
        match words {
            [] => 0,
            [one] => (one & from & to).count_ones() as usize,
            [begin, within @ .., end] => {
                let within: u32 = within.iter().map(|word| word.count_ones()).sum();
                ((begin & from).count_ones() + within + (end & to).count_ones()) as usize
            }
        }
    }
}

/// Whether a byte begins something encoded, or what nobody sees: `%73`, `&#115;`, `''`, `?a+b`, and
/// characters beyond ASCII that have no width.
pub(super) const fn is_odd(byte: u8) -> bool {
    matches!(byte, b'%' | b'&' | b'\'' | b'?' | b'\\' | 0xc2 | 0xe2 | 0xef)
}

static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let one = byte as u8;
        kinds[byte] = matches!(one, b'"' | b'\\') as u8
            | (one.is_ascii_digit() as u8) << 1
            | (is_odd(one) as u8) << 2
            | (is_token_byte(one) as u8) << 3;
        byte += 1;
    }
    kinds
};

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::Census;

    pub(super) fn take(census: &mut Census, text: &[u8]) {
        // SAFETY: the caller has seen that the processor has AVX2.
        #[expect(unsafe_code, reason = "the only way to call what needs AVX2")]
        unsafe {
            take_with(census, text);
        }
    }

    #[target_feature(enable = "avx2")]
    fn take_with(census: &mut Census, text: &[u8]) {
        let (chunks, rest) = text.as_chunks::<64>();
        for chunk in chunks {
            census.push(kinds_of_64(chunk));
        }
        if !rest.is_empty() {
            // Zeros are of no kind.
            let mut chunk = [0; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            census.push(kinds_of_64(&chunk));
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn kinds_of_64(bytes: &[u8; 64]) -> [u64; 4] {
        let (halves, _) = bytes.as_chunks::<32>();
        let [low, high] = [kinds(&halves[0]), kinds(&halves[1])];
        [0, 1, 2, 3].map(|kind| u64::from(low[kind]) | u64::from(high[kind]) << 32)
    }

    /// The bits of 32 bytes: edges, digits, odd, tokens. Each byte's halves are looked up, and what both have
    /// in common is what it is: comparisons with each would be made into steps byte by byte.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn kinds(bytes: &[u8; 32]) -> [u32; 4] {
        // SAFETY: 32 bytes are there to be read, and any place will do for an unaligned load.
        #[expect(unsafe_code, reason = "loads take pointers")]
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let half = _mm256_set1_epi8(0x0f);
        let low = _mm256_and_si256(bytes, half);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        let groups = |lower: &[u8; 16], upper: &[u8; 16]| {
            _mm256_and_si256(
                _mm256_shuffle_epi8(table(lower), low),
                _mm256_shuffle_epi8(table(upper), high),
            )
        };
        let kinds = groups(&LOWER, &UPPER);
        let tokens = groups(&TOKEN_LOWER, &TOKEN_UPPER);
        [
            of(kinds, QUOTE | SLASH),
            of(kinds, DIGIT),
            of(kinds, SLASH | MARK | QUERY | BEYOND),
            of(tokens, u8::MAX),
        ]
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn table(halves: &[u8; 16]) -> __m256i {
        // SAFETY: 16 bytes are there to be read, and any place will do for an unaligned load.
        #[expect(unsafe_code, reason = "loads take pointers")]
        let halves = unsafe { _mm_loadu_si128(halves.as_ptr().cast()) };
        _mm256_broadcastsi128_si256(halves)
    }

    /// A bit for each byte that is in one of these groups.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn of(groups: __m256i, which: u8) -> u32 {
        let here = _mm256_and_si256(groups, _mm256_set1_epi8(which as i8));
        !(_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, _mm256_setzero_si256())) as u32)
    }

    /// Groups of bytes, each of which is told by its lower and its upper half alone.
    const QUOTE: u8 = 1;
    const SLASH: u8 = 2;
    const DIGIT: u8 = 4;
    /// `%`, `&` and `'`.
    const MARK: u8 = 8;
    const QUERY: u8 = 16;
    /// 0xc2 and 0xe2, and 0xef.
    const BEYOND: u8 = 32 | 64;

    static UPPER: [u8; 16] =
        [0, 0, QUOTE | MARK, DIGIT | QUERY, 0, SLASH, 0, 0, 0, 0, 0, 0, 32, 0, 32 | 64, 0];
    static LOWER: [u8; 16] = [
        DIGIT,
        DIGIT,
        DIGIT | QUOTE | 32,
        DIGIT,
        DIGIT,
        DIGIT | MARK,
        DIGIT | MARK,
        DIGIT | MARK,
        DIGIT,
        DIGIT,
        0,
        0,
        SLASH,
        0,
        0,
        QUERY | 64,
    ];

    /// For each upper half the group of those lower ones with which it is a byte of tokens.
    static TOKEN_UPPER: [u8; 16] = [0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0];
    /// The groups that each lower half is in.
    static TOKEN_LOWER: [u8; 16] = {
        let mut groups = [0; 16];
        let mut byte = 0;
        while byte < 128 {
            if super::is_token_byte(byte) {
                groups[(byte & 15) as usize] |= TOKEN_UPPER[(byte >> 4) as usize];
            }
            byte += 1;
        }
        groups
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_and_the_portable_way_see_the_same(
            parts in prop::collection::vec((any::<u8>(), "[a-z0-9/+]{0,40}"), 0..16),
        ) {
            let text: Vec<u8> = parts
                .iter()
                .flat_map(|(byte, token)| std::iter::once(*byte).chain(token.bytes()))
                .collect();
            let (mut fast, mut slow) = (Census::default(), Census::default());
            fast.take(&text);
            slow.take_portably(&text);
            prop_assert_eq!(&fast, &slow);
            let is_token = |at: &usize| text.get(*at).is_some_and(|byte| is_token_byte(*byte));
            for (start, least) in (0..text.len()).flat_map(|start| [(start, 3), (start, 12)]) {
                let part = start..text.len() - start / 3;
                let mut runs = Vec::new();
                fast.tokens.add_runs(&part, least, &mut runs);
                let mut all = Vec::new();
                let mut at = part.start;
                while at < part.end {
                    let end = at + (at..part.end).take_while(is_token).count();
                    all.extend((end - at >= least).then_some(at..end));
                    at = end + 1;
                }
                prop_assert_eq!(runs, all);
            }
            for start in 0..text.len() {
                let is = |at: &usize| text[*at].is_ascii_digit();
                prop_assert_eq!(fast.digits.next(start), (start..text.len()).find(is));
                let mut few = (start..text.len()).filter(is).peekable();
                let word = few.peek().map(|first| first / 64);
                let last = few.clone().take_while(|at| Some(at / 64) == word).last();
                let span = few.peek().zip(last).map(|(first, last)| *first..last + 1);
                prop_assert_eq!(fast.digits.next_few(start, text.len()), span);
                for end in start..text.len() {
                    let count = (start..end).filter(is).count();
                    prop_assert_eq!(fast.digits.count(&(start..end)), count);
                }
            }
        }
    }
}
