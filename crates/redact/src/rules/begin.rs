//! What every match of a pattern begins with: of each of its first bytes, which it may be. Most places
//! where a pattern is tried differ from that within a few bytes, which costs a tenth of what it costs
//! to set an automaton going.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Which bytes may stand at each of the first places of a match.
pub(crate) struct Begin {
    /// For each byte the places at which it may stand, a bit for each.
    places: Box<[u32; 256]>,
    /// So many places are told, since no match is shorter.
    told: usize,
    /// Whether it begins where a word of ASCII begins or ends.
    is_at_word: bool,
}

impl Begin {
    pub(super) fn of(pattern: &Hir) -> Self {
        let mut places = Box::new([0; 256]);
        let ends = add(pattern, 1, &mut places);
        let shortest = pattern.properties().minimum_len().unwrap_or(0);
        // Behind the last place nothing is told.
        let told = shortest.min(ends.trailing_zeros() as usize).min(PLACES);
        Self { places, told, is_at_word: is_at_word(pattern) }
    }

    /// Whether a match may begin at a place.
    #[inline]
    pub(crate) fn may_be(&self, text: &[u8], at: usize) -> bool {
        let Some(first) = text.get(at..at + self.told) else { return false };
        if self.is_at_word {
            let is_word = |at: usize| text.get(at).is_some_and(|byte| is_word(*byte));
            if at.checked_sub(1).is_some_and(is_word) == is_word(at) {
                return false;
            }
        }
        let mut place = 1;
        for byte in first {
            if self.places[usize::from(*byte)] & place == 0 {
                return false;
            }
            place <<= 1;
        }
        true
    }
}

/// Adds what an expression may have at which places if it begins at some of these; gives the places
/// behind it. Places from [`PLACES`] on are left out.
fn add(pattern: &Hir, begins: u32, places: &mut [u32; 256]) -> u32 {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => begins,
        HirKind::Literal(literal) => literal.0.iter().fold(begins, |begins, byte| {
            places[usize::from(*byte)] |= begins;
            begins << 1
        }),
        HirKind::Class(Class::Bytes(class)) => {
            for byte in class.iter().flat_map(|range| range.start()..=range.end()) {
                places[usize::from(byte)] |= begins;
            }
            begins << 1
        }
        // As many bytes as a character may have, whichever they are.
        HirKind::Class(Class::Unicode(_)) => {
            let all = begins | begins << 1 | begins << 2 | begins << 3;
            places.iter_mut().for_each(|here| *here |= all);
            all << 1
        }
        HirKind::Capture(capture) => add(&capture.sub, begins, places),
        HirKind::Concat(parts) => {
            parts.iter().fold(begins, |begins, part| add(part, begins, places))
        }
        HirKind::Alternation(parts) => {
            parts.iter().fold(0, |ends, part| ends | add(part, begins, places))
        }
        HirKind::Repetition(repetition) => {
            let mut ends = begins;
            for _ in 0..repetition.min {
                let next = add(&repetition.sub, ends, places);
                if next == ends {
                    break;
                }
                ends = next;
            }
            let mut last = ends;
            for _ in repetition.min..repetition.max.unwrap_or(u32::MAX) {
                last = add(&repetition.sub, last, places);
                if ends | last == ends {
                    break;
                }
                ends |= last;
            }
            ends
        }
    }
}

fn is_at_word(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Look(look) => *look == Look::WordAscii,
        HirKind::Concat(parts) => parts.first().is_some_and(is_at_word),
        HirKind::Capture(capture) => is_at_word(&capture.sub),
        HirKind::Alternation(parts) => parts.iter().all(is_at_word),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Repetition(_) => false,
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// As many as a table has bits for.
const PLACES: usize = u32::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;
    use crate::rules::pattern::parsed;
    use crate::rules::tests::examples;

    fn may_be(pattern: &str, text: &str) -> bool {
        Begin::of(&parsed(pattern).unwrap()).may_be(text.as_bytes(), 0)
    }

    #[test]
    fn what_differs_within_its_first_bytes_does_not_begin_a_match() {
        assert!(may_be("(?i)sk-[a-f]{4}", "SK-abcd"));
        assert!(!may_be("sk-[a-f]{4}", "sk-abcx"));
        assert!(!may_be("sk-[a-f]{4}", "sk-abc"));
        assert!(may_be("a?b{0,2}c", "c"));
        assert!(may_be("(?:ab|c)d", "cd") && !may_be("(?:ab|c)d", "xd"));
        assert!(may_be(r"\bab", "ab") && !Begin::of(&parsed(r"\bab").unwrap()).may_be(b"xab", 1));
        assert!(may_be("(?:a*)*b", "b") && may_be("(?:){9}a", "a"));
        assert!(may_be("(?u:é)x", "éx") && may_be("", ""));
    }

    #[test]
    fn no_rule_is_left_untried_where_it_matches() {
        let rules = Rules::builtin();
        for text in examples() {
            for rule in &rules.rules {
                for found in rule.pattern.regex().find_iter(&text) {
                    let begins = rule.pattern.begin().may_be(text.as_bytes(), found.start());
                    assert!(begins, "{} in {text}", rule.id);
                }
            }
        }
    }
}
