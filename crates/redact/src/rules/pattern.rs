//! The pattern of one rule. Those that Trailgate brings are compiled when they are first tried: all
//! 693 take 120 ms of a start (2026-11-28, 2 shared cores), and a process needs some tens of them.

use std::sync::OnceLock;

use regex_automata::meta::{Builder, Config, Regex};
use regex_automata::util::syntax::{Config as Syntax, parse_with};
use regex_automata::{Input, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::Fault;
use super::begin::Begin;
use super::group::Group;
use crate::limits::PATTERN_MAX_BYTES;
use crate::prefilter::Need;

/// A pattern over bytes.
pub(crate) struct Pattern {
    text: String,
    regex: OnceLock<Regex>,
    told: OnceLock<Told>,
}

/// What is known of a pattern without trying it.
struct Told {
    need: Need,
    begin: Begin,
    group: Group,
    /// Fewest and most bytes, if any will do.
    any: Option<(usize, usize)>,
}

impl Pattern {
    /// One that may be wrong: compiled at once.
    pub(super) fn written(text: String) -> Result<Self, Fault> {
        let regex = compiled(&text).ok_or(Fault::Shape)?;
        let shape = parse_with(&text, &syntax()).map_err(|_| Fault::Shape)?;
        if shape.properties().minimum_len().is_none_or(|least| least == 0) {
            return Err(Fault::Empty);
        }
        Ok(Self { text, regex: regex.into(), told: OnceLock::new() })
    }

    /// One of those that Trailgate brings.
    pub(super) const fn builtin(text: String) -> Self {
        Self { text, regex: OnceLock::new(), told: OnceLock::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    #[expect(clippy::expect_used, reason = "every built-in pattern compiles, which a test shows")]
    pub(crate) fn regex(&self) -> &Regex {
        self.regex.get_or_init(|| compiled(&self.text).expect("a built-in pattern compiles"))
    }

    /// Where the match ends that begins where an input does, if one does.
    pub(crate) fn end(&self, input: &Input<'_>) -> Option<usize> {
        // What is checked in another way would be walked over byte by byte.
        if let Some((least, most)) = self.told().any {
            let left = input.end() - input.start();
            return (left >= least).then_some(input.start() + left.min(most));
        }
        Some(self.regex().search_half(input)?.offset())
    }

    /// What all its matches have in them.
    pub(crate) fn need(&self) -> &Need {
        &self.told().need
    }

    /// What they begin with.
    pub(crate) fn begin(&self) -> &Begin {
        &self.told().begin
    }

    /// Where its group is.
    pub(crate) fn group(&self) -> Group {
        self.told().group
    }

    #[expect(clippy::expect_used, reason = "what has compiled, or will, can be parsed")]
    fn told(&self) -> &Told {
        self.told.get_or_init(|| {
            let parsed = parsed(&self.text).expect("a pattern that compiles");
            let (begin, group) = (Begin::of(&parsed), Group::of(&parsed));
            Told { need: Need::of(&parsed), begin, group, any: any(&parsed) }
        })
    }
}

pub(super) fn parsed(text: &str) -> Option<Hir> {
    parse_with(text, &syntax()).ok()
}

/// One automaton over several patterns, which says of each whether it matches.
pub(super) fn any_of<P: AsRef<str>>(patterns: &[P], config: Config) -> Option<Regex> {
    let config = config.match_kind(MatchKind::All);
    builder(config).build_many(patterns).ok()
}

/// How many bytes a pattern takes at least and at most, if it takes any, and as many as there are.
fn any(pattern: &Hir) -> Option<(usize, usize)> {
    match pattern.kind() {
        HirKind::Capture(capture) => any(&capture.sub),
        HirKind::Repetition(Repetition { min, max: Some(max), greedy: true, sub }) => {
            let HirKind::Class(Class::Bytes(class)) = sub.kind() else { return None };
            let [all] = class.ranges() else { return None };
            let is_any = (all.start(), all.end()) == (0, u8::MAX);
            is_any.then_some((*min as usize, *max as usize))
        }
        _ => None,
    }
}

/// What is the least of a match, and the most.
pub(super) struct Bounds {
    pub(super) digits: usize,
    pub(super) shortest: usize,
    /// None if there is no bound.
    pub(super) longest: Option<usize>,
}

/// Those of each match of a pattern; none if it is no pattern.
pub(super) fn bounds(pattern: &str) -> Option<Bounds> {
    let parsed = parsed(pattern)?;
    let properties = parsed.properties();
    Some(Bounds {
        digits: Need::of(&parsed).digits(),
        shortest: properties.minimum_len()?,
        longest: properties.maximum_len(),
    })
}

fn compiled(text: &str) -> Option<Regex> {
    let config = Regex::config()
        .nfa_size_limit(Some(PATTERN_MAX_BYTES))
        .hybrid_cache_capacity(PATTERN_MAX_BYTES);
    builder(config).build(text).ok()
}

/// Every pattern is one over bytes.
fn builder(config: Config) -> Builder {
    let mut builder = Regex::builder();
    builder.configure(config.utf8_empty(false)).syntax(syntax());
    builder
}

fn syntax() -> Syntax {
    Syntax::new().unicode(false).utf8(false)
}

#[cfg(test)]
mod tests {
    use regex_automata::Anchored;

    use super::*;

    #[test]
    fn any_bytes_end_where_the_automaton_says() {
        for shape in ["((?s-u:.{2,5}))", "(?s-u:.{3})", "(?-u:.{2,5})", "(?s-u:.{2,5}?)"] {
            let pattern = Pattern::written(shape.to_owned()).unwrap();
            for text in ["", "a", "ab", "a\nc", "abcdefgh"] {
                let input = Input::new(text).anchored(Anchored::Yes);
                let end = pattern.regex().search_half(&input).map(|end| end.offset());
                assert_eq!(pattern.end(&input), end, "{shape} in {text:?}");
            }
        }
        assert_eq!(any(&parsed("((?s-u:.{2,5}))").unwrap()), Some((2, 5)));
    }
}
