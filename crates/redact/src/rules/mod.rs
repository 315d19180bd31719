//! The detectors: data, compiled once into one prefilter over all literals and one automaton for
//! each pattern.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aho_corasick::AhoCorasick;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use serde::Deserialize;

use crate::check::Check;
use crate::key_name::KeyNames;
use crate::limits::PATTERN_MAX_BYTES;

/// Why rules are no rules. Names the rule, not what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The text is not of the form that rules have.
    #[error("rules do not parse: line {line}")]
    Form {
        /// Where, from 1; 0 if unknown.
        line: usize,
    },
    /// A rule's pattern does not compile within its bound.
    #[error("rule {rule}: pattern does not compile")]
    Pattern {
        /// The rule.
        rule: String,
    },
    /// A rule's name is not made of lower-case letters, digits and `_`, or is there twice.
    #[error("rule {index} has no name of its own")]
    Name {
        /// Which, from 0.
        index: usize,
    },
    /// The literals don't compile.
    #[error("literals do not compile")]
    Literals,
}

/// A set of detectors.
pub struct Rules {
    version: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) names: KeyNames,
    pub(crate) literals: AhoCorasick,
    /// For each literal the rules that it wakes.
    pub(crate) wakes: Vec<Vec<usize>>,
}

/// One detector.
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) regex: Regex,
    pub(crate) back: Back,
    pub(crate) check: Check,
    pub(crate) needs_digits: bool,
    pub(crate) has_literals: bool,
}

/// From a literal back to where its pattern begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Back {
    #[default]
    None,
    Word,
    Local,
    Scheme,
    Digits,
    Hex,
}

impl Back {
    pub(crate) const fn goes_over(self, byte: u8) -> bool {
        match self {
            Self::None => false,
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'),
            Self::Local => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+' | b'%')
            }
            Self::Scheme => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'),
            Self::Digits => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: String,
    rule: Vec<WrittenRule>,
    key_names: KeyNames,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    id: String,
    #[serde(default)]
    literals: Vec<String>,
    #[serde(default)]
    back: Back,
    pattern: String,
    #[serde(default)]
    check: Check,
    #[serde(default)]
    needs: Option<Needs>,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for tests and readers"))]
    yes: Vec<String>,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for tests and readers"))]
    no: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Needs {
    Digits,
}

impl Rules {
    /// The rules that Trailgate brings; compiled once for each process.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the built-in rules compile, which a test shows")]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Rules>> = OnceLock::new();
        let compile = || Arc::new(Self::parse(BUILTIN_TEXT).expect("built-in rules compile"));
        Arc::clone(BUILTIN.get_or_init(compile))
    }

    /// Compiles rules from a text like `data/rules.toml`.
    ///
    /// # Errors
    /// [`RulesError`] says which rule is wrong.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            RulesError::Form { line }
        })?;
        let mut words: Vec<String> = Vec::new();
        let mut wakes: Vec<Vec<usize>> = Vec::new();
        let mut rules: Vec<Rule> = Vec::with_capacity(written.rule.len());
        for (index, rule) in written.rule.into_iter().enumerate() {
            let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let is_taken = rules.iter().any(|other| *other.id == *rule.id);
            if rule.id.is_empty() || !rule.id.bytes().all(is_name) || is_taken {
                return Err(RulesError::Name { index });
            }
            for literal in &rule.literals {
                let literal = literal.to_ascii_lowercase();
                match words.iter().position(|word| *word == literal) {
                    Some(known) => wakes[known].push(index),
                    None => {
                        words.push(literal);
                        wakes.push(vec![index]);
                    }
                }
            }
            rules.push(compile(rule)?);
        }
        let literals = AhoCorasick::builder().ascii_case_insensitive(true).build(&words);
        let literals = literals.map_err(|_| RulesError::Literals)?;
        Ok(Self { version: written.version, rules, names: written.key_names, literals, wakes })
    }

    /// What is written beside each event that these rules masked.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn compile(rule: WrittenRule) -> Result<Rule, RulesError> {
    let regex = Regex::builder()
        .configure(
            Regex::config()
                .nfa_size_limit(Some(PATTERN_MAX_BYTES))
                .hybrid_cache_capacity(PATTERN_MAX_BYTES)
                .utf8_empty(false),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(&rule.pattern)
        .map_err(|_| RulesError::Pattern { rule: rule.id.clone() })?;
    Ok(Rule {
        id: rule.id.into(),
        regex,
        back: rule.back,
        check: rule.check,
        needs_digits: matches!(rule.needs, Some(Needs::Digits)),
        has_literals: !rule.literals.is_empty(),
    })
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({}, {} rules)", self.version, self.rules.len())
    }
}

const BUILTIN_TEXT: &str = include_str!("../../data/rules.toml");

#[cfg(test)]
pub(crate) mod tests;
