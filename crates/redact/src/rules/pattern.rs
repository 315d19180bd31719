//! The pattern of one rule. Those that Trailgate brings are compiled when they are first tried: all
//! 693 take 120 ms of a start (2026-11-28, 2 shared cores), and a process needs some tens of them.

use std::sync::OnceLock;

use regex_automata::MatchKind;
use regex_automata::meta::{Builder, Config, Regex};
use regex_automata::util::syntax::{Config as Syntax, parse_with};

use super::Fault;
use crate::limits::PATTERN_MAX_BYTES;
use crate::prefilter::Need;

/// A pattern over bytes.
pub(crate) struct Pattern {
    text: String,
    regex: OnceLock<Regex>,
    need: OnceLock<Need>,
}

impl Pattern {
    /// One that may be wrong: compiled at once.
    pub(super) fn written(text: String) -> Result<Self, Fault> {
        let regex = compiled(&text).ok_or(Fault::Shape)?;
        Ok(Self { text, regex: regex.into(), need: OnceLock::new() })
    }

    /// One of those that Trailgate brings.
    pub(super) const fn builtin(text: String) -> Self {
        Self { text, regex: OnceLock::new(), need: OnceLock::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    #[expect(clippy::expect_used, reason = "every built-in pattern compiles, which a test shows")]
    pub(crate) fn regex(&self) -> &Regex {
        self.regex.get_or_init(|| compiled(&self.text).expect("a built-in pattern compiles"))
    }

    /// What all its matches have in them.
    #[expect(clippy::expect_used, reason = "what has compiled, or will, can be parsed")]
    pub(crate) fn need(&self) -> &Need {
        let parsed = || parse_with(&self.text, &syntax()).expect("a pattern that compiles");
        self.need.get_or_init(|| Need::of(&parsed()))
    }
}

/// One automaton over several patterns, which says of each whether it matches.
pub(super) fn any_of<P: AsRef<str>>(patterns: &[P], config: Config) -> Option<Regex> {
    let config = config.match_kind(MatchKind::All);
    builder(config).build_many(patterns).ok()
}

/// How many digits each match of a pattern has at least, and how many bytes.
pub(super) fn least(pattern: &str) -> Option<(usize, usize)> {
    let parsed = parse_with(pattern, &syntax()).ok()?;
    Some((Need::of(&parsed).digits(), parsed.properties().minimum_len()?))
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
