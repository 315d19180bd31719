//! Where in a match its group stands. To look for groups takes a slower way than to look for a match;
//! of most patterns they can be told from where that begins and ends, since what stands before or
//! behind the only group is always as long.

use std::ops::Range;

use regex_syntax::hir::{Hir, HirKind};

/// How the last group that took part is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// There is none.
    None,
    /// So many bytes stand before it and behind it.
    Between(usize, usize),
    /// So many bytes stand before it, and it is as long.
    Behind(usize, usize),
    /// So many bytes it has, and stand behind it.
    Before(usize, usize),
    /// It has to be looked for.
    Unknown,
}

impl Group {
    pub(super) fn of(pattern: &Hir) -> Self {
        match pattern.properties().explicit_captures_len() {
            0 => return Self::None,
            1 => {}
            _ => return Self::Unknown,
        }
        let parts = match pattern.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(pattern),
        };
        let is_group = |part: &Hir| matches!(part.kind(), HirKind::Capture(_));
        let Some(at) = parts.iter().position(is_group) else { return Self::Unknown };
        let (before, behind) = (length(&parts[..at]), length(&parts[at + 1..]));
        let own = length(&parts[at..=at]);
        match (before, own, behind) {
            (Some(before), _, Some(behind)) => Self::Between(before, behind),
            (Some(before), Some(own), None) => Self::Behind(before, own),
            (None, Some(own), Some(behind)) => Self::Before(own, behind),
            _ => Self::Unknown,
        }
    }

    /// Where it stands in a match; none if that has to be looked for.
    pub(crate) const fn within(self, whole: &Range<usize>) -> Option<Range<usize>> {
        match self {
            Self::None => Some(whole.start..whole.end),
            Self::Between(before, behind) => Some(whole.start + before..whole.end - behind),
            Self::Behind(before, own) => {
                let start = whole.start + before;
                Some(start..start + own)
            }
            Self::Before(own, behind) => {
                let end = whole.end - behind;
                Some(end - own..end)
            }
            Self::Unknown => None,
        }
    }
}

/// How long what these parts match is, if it is always as long.
fn length(parts: &[Hir]) -> Option<usize> {
    parts.iter().try_fold(0usize, |sum, part| {
        let of = part.properties();
        let shortest = of.minimum_len()?;
        (of.maximum_len() == Some(shortest)).then(|| sum.checked_add(shortest))?
    })
}

#[cfg(test)]
mod tests {
    use regex_automata::meta::Regex;
    use regex_automata::{Anchored, Input};

    use super::*;
    use crate::rules::Rules;
    use crate::rules::pattern::parsed;
    use crate::rules::tests::examples;

    fn group(pattern: &str) -> Group {
        Group::of(&parsed(pattern).unwrap())
    }

    #[test]
    fn a_group_is_told_by_what_is_always_as_long() {
        assert_eq!(group(r"\bab+"), Group::None);
        assert_eq!(group(r"ab(c+)\b"), Group::Between(2, 0));
        assert_eq!(group(r"(c+)"), Group::Between(0, 0));
        assert_eq!(group(r"ab(c{4})(?:d|$)"), Group::Behind(2, 4));
        assert_eq!(group(r"a+([bc]{4})d"), Group::Before(4, 1));
        assert_eq!(group(r"a+(b+)c"), Group::Unknown);
        assert_eq!(group(r"a(b)?c"), Group::Unknown);
        assert_eq!(group(r"a(b)|(c)"), Group::Unknown);
    }

    #[test]
    fn a_group_that_is_told_is_the_one_that_is_found() {
        let rules = Rules::builtin();
        for (text, rule) in
            examples().iter().flat_map(|text| rules.rules.iter().map(move |rule| (text, rule)))
        {
            for found in rule.pattern.regex().find_iter(text) {
                if let Some(told) = rule.pattern.group().within(&found.range()) {
                    let last = last(rule.pattern.regex(), text, found.start());
                    assert_eq!(Some(told), last, "{} in {text}", rule.id);
                }
            }
        }
    }

    fn last(regex: &Regex, text: &str, start: usize) -> Option<Range<usize>> {
        let mut captures = regex.create_captures();
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        regex.search_captures(&input, &mut captures);
        let span = |group: usize| captures.get_group(group).map(|span| span.range());
        (0..captures.group_len()).rev().find_map(span)
    }
}
