//! What every match of a pattern has in it: so many digits, a run of so many bytes of the kind that
//! tokens are made of. Most places where an anchor stands have neither near them, which costs far
//! less to see than that the pattern does not match.

use std::ops::Range;

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::limits::WINDOW_BYTES;
use crate::prefilter::Block;

/// What must stand where a match does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    digits: usize,
    run: usize,
    /// Longest match, in bytes.
    longest: usize,
}

impl Need {
    pub(crate) fn of(pattern: &Hir) -> Self {
        let must = Must::of(pattern);
        let longest = pattern.properties().maximum_len().unwrap_or(WINDOW_BYTES);
        Self { digits: must.digits, run: must.best, longest: longest.min(WINDOW_BYTES) }
    }

    /// What a pattern needs that matches nothing but the empty text.
    pub(crate) const NOTHING: Self = Self { digits: 0, run: 0, longest: 0 };

    /// What is needed for one of two.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            digits: self.digits.min(other.digits),
            run: self.run.min(other.run),
            longest: self.longest.max(other.longest),
        }
    }

    /// Whether a match may stand in a part of a text that begins where the match would, or before,
    /// by its first bytes: as many as the longest match has, and as stand before it.
    pub(crate) fn is_met(&self, block: &mut Block<'_>, part: Range<usize>) -> bool {
        (self.run < RUN_MIN_BYTES || block.has_run(&part, self.run))
            && (self.digits == 0 || block.digits(&part) >= self.digits)
    }

    /// Fewest digits.
    pub(crate) const fn digits(&self) -> usize {
        self.digits
    }

    /// Longest match, in bytes.
    pub(crate) const fn longest(&self) -> usize {
        self.longest
    }
}

/// What all that an expression matches has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Must {
    digits: usize,
    shortest: usize,
    /// Whether all of it are bytes of tokens.
    is_run: bool,
    /// How long the runs are that it begins and ends with, and its longest.
    first: usize,
    last: usize,
    best: usize,
}

impl Must {
    const NOTHING: Self = Self { digits: 0, shortest: 0, is_run: true, first: 0, last: 0, best: 0 };

    fn of(pattern: &Hir) -> Self {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::NOTHING,
            HirKind::Literal(literal) => {
                let bytes = literal.0.iter().map(|byte| Self::byte(|set| set(*byte)));
                bytes.fold(Self::NOTHING, Self::then)
            }
            HirKind::Class(class) => Self::byte(|is_in| is_all_of(class, is_in)),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => parts.iter().map(Self::of).fold(Self::NOTHING, Self::then),
            HirKind::Alternation(parts) => {
                parts.iter().map(Self::of).reduce(Self::or).unwrap_or(Self::NOTHING)
            }
            HirKind::Repetition(repetition) => {
                Self::of(&repetition.sub).times(repetition.min as usize)
            }
        }
    }

    /// One byte, of which is asked whether it is always in a set.
    fn byte(is_always: impl Fn(&dyn Fn(u8) -> bool) -> bool) -> Self {
        let is_run = is_always(&is_token_byte);
        let digits = usize::from(is_always(&|byte| byte.is_ascii_digit()));
        let run = usize::from(is_run);
        Self { digits, shortest: 1, is_run, first: run, last: run, best: run }
    }

    fn then(self, next: Self) -> Self {
        Self {
            digits: self.digits.saturating_add(next.digits),
            shortest: self.shortest.saturating_add(next.shortest),
            is_run: self.is_run && next.is_run,
            first: if self.is_run { self.shortest.saturating_add(next.first) } else { self.first },
            last: if next.is_run { next.shortest.saturating_add(self.last) } else { next.last },
            best: self.best.max(next.best).max(self.last.saturating_add(next.first)),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            digits: self.digits.min(other.digits),
            shortest: self.shortest.min(other.shortest),
            is_run: self.is_run && other.is_run,
            first: self.first.min(other.first),
            last: self.last.min(other.last),
            best: self.best.min(other.best),
        }
    }

    fn times(self, count: usize) -> Self {
        if count == 0 {
            return Self { is_run: self.is_run, ..Self::NOTHING };
        }
        let (digits, shortest) =
            (self.digits.saturating_mul(count), self.shortest.saturating_mul(count));
        if self.is_run {
            return Self {
                digits,
                shortest,
                first: shortest,
                last: shortest,
                best: shortest,
                ..self
            };
        }
        let joined = if count > 1 { self.last.saturating_add(self.first) } else { 0 };
        Self { digits, shortest, best: self.best.max(joined), ..self }
    }
}

fn is_all_of(class: &Class, is_in: &dyn Fn(u8) -> bool) -> bool {
    match class {
        Class::Bytes(bytes) => bytes.iter().all(|range| (range.start()..=range.end()).all(is_in)),
        Class::Unicode(characters) => characters.iter().all(|range| {
            range.end().is_ascii() && (range.start()..=range.end()).all(|c| is_in(c as u8))
        }),
    }
}

/// What tokens, keys and numbers are made of.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'~')
}

/// Shorter runs are in any text.
pub(super) const RUN_MIN_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use regex_automata::util::syntax;

    use super::*;

    fn need(pattern: &str) -> (usize, usize, usize) {
        let config = syntax::Config::new().unicode(false).utf8(false);
        let need = Need::of(&syntax::parse_with(pattern, &config).unwrap());
        (need.digits, need.run, need.longest)
    }

    #[test]
    fn what_each_match_has_is_read_from_its_pattern() {
        assert_eq!(need(r"\bghp_[A-Za-z0-9]{36}\b"), (0, 40, 40));
        assert_eq!(need(r"\d{3}-\d{2}-\d{4}"), (9, 11, 11));
        assert_eq!(need(r"(?i:key|secret)(?s-u:.{0,20}?)([a-f0-9]{32})"), (0, 32, 58));
        assert_eq!(need(r"a\d{2}b*|\d{3}"), (2, 3, WINDOW_BYTES));
        assert_eq!(need(r"(?:ab ){3}"), (0, 2, 9));
        assert_eq!(need(r"(?:b c){3}d{0,4}"), (0, 2, 13));
        assert_eq!(need(r"\S{6,}"), (0, 0, WINDOW_BYTES));
        assert_eq!(need(""), (0, 0, 0));
    }
}
