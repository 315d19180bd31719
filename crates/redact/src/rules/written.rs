//! Rules as people write them: TOML files, told with the line of whatever is wrong in them.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Back, RulesError};
use crate::check::Check;
use crate::key_name::KeyNames;

/// What a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What opens a door: a key, a token, a password.
    Credential,
    /// Whose door it is: a host, an account, a user's name.
    Account,
    /// Cards, bank accounts and wallets.
    Financial,
    /// Numbers by which a state knows a person.
    National,
    /// Numbers of patients, insured persons and their doctors.
    Health,
    /// How to reach a person.
    Contact,
    /// Where a person's machine is.
    Network,
    /// Cars.
    Vehicle,
    /// Numbers of companies, which may be one person's.
    Company,
}

impl Class {
    /// Its word in rule files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Account => "account",
            Self::Financial => "financial",
            Self::National => "national",
            Self::Health => "health",
            Self::Contact => "contact",
            Self::Network => "network",
            Self::Vehicle => "vehicle",
            Self::Company => "company",
        }
    }

    /// Whether it tells about a person, and opens no door.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::Credential)
    }
}

/// How bad it is if it gets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It helps an attacker who has more.
    Low,
    /// It harms, but not alone or not for long.
    Medium,
    /// It opens something, or identifies somebody.
    High,
    /// It opens everything of its owner's.
    Critical,
}

impl Severity {
    /// Its word in rule files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A text of rules, and what to call it where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
    /// Tests have shown that its rules compile.
    pub(crate) is_builtin: bool,
}

/// A file of rules.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    rule: Vec<Spanned<WrittenRule>>,
    key_names: KeyNames,
}

/// One rule; `rules/README.md` says what each field is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    pub(super) id: String,
    pub(super) class: Class,
    pub(super) severity: Severity,
    #[serde(default)]
    pub(super) anchors: Vec<String>,
    #[serde(default)]
    pub(super) back: Back,
    /// The value stands within so many bytes behind an anchor, which is a word about it.
    #[serde(default)]
    pub(super) within: Option<u16>,
    pub(super) shape: String,
    /// Whether a text that is nothing else needs no word about it.
    #[serde(default)]
    pub(super) alone: bool,
    #[serde(default)]
    pub(super) validators: Vec<Check>,
    /// Values that are public, by a part of them.
    #[serde(default)]
    pub(super) public: Vec<String>,
    /// A text with fewer digits holds no such value; for rules without anchors.
    #[serde(default)]
    pub(super) digits: usize,
    #[serde(default)]
    pub(super) examples: Vec<String>,
    #[serde(default)]
    pub(super) counter_examples: Vec<String>,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "where the format is told is for readers"))]
    pub(super) source: String,
}

impl Source {
    /// The rules of it, each with its line, and its names of fields.
    pub(super) fn parse(&self) -> Result<(Vec<(usize, WrittenRule)>, KeyNames), RulesError> {
        let line_at = |at: usize| self.text[..at].matches('\n').count() + 1;
        let written: Written = toml::from_str(&self.text).map_err(|error| RulesError::Form {
            file: self.file.clone(),
            line: error.span().map_or(1, |span| line_at(span.start)),
            why: error.message().lines().next().unwrap_or_default().to_owned(),
        })?;
        let with_line =
            |rule: Spanned<WrittenRule>| (line_at(rule.span().start), rule.into_inner());
        Ok((written.rule.into_iter().map(with_line).collect(), written.key_names))
    }
}

impl WrittenRule {
    /// The pattern tried where an anchor stands; the last group that took part is the value.
    pub(super) fn pattern(&self) -> String {
        let Some(within) = self.within else { return self.shape.clone() };
        let words: Vec<String> = self.anchors.iter().map(|word| as_word(word)).collect();
        format!("(?i:{})(?s-u:.{{0,{within}}}?)({})", words.join("|"), self.shape)
    }
}

/// A word about a value, as a pattern: not the end of a longer word, and, where it is short, not
/// the beginning of one either.
fn as_word(word: &str) -> String {
    let escaped: String = word
        .chars()
        .map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() })
        .collect();
    let is_ascii = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    match word.len() {
        _ if !is_ascii => escaped,
        0..=4 => format!(r"\b{escaped}s?(?:\b|_)"),
        _ => format!(r"\b{escaped}"),
    }
}
