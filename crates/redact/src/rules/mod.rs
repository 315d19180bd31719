//! The detectors: data, compiled once into one prefilter over all anchors and one automaton for
//! each pattern.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use serde::Deserialize;

use crate::check::Check;
use crate::key_name::{KeyNames, NameTable};
use crate::limits::BACK_BYTES;
use crate::prefilter::{Anchors, Need};

mod alone;
mod begin;
mod builtin;
mod everywhere;
mod example;
mod files;
mod group;
mod own;
mod pattern;
mod written;

pub(crate) use alone::Alone;
pub(crate) use everywhere::Everywhere;
pub use files::RuleFiles;
pub use own::OwnRules;
use pattern::Pattern;
pub(crate) use written::Source;
use written::WrittenRule;
pub use written::{Class, Severity};

/// Why rules are no rules: who wrote them has to mend the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A file or folder can't be read.
    #[error("{file}: rules can't be read: {why}")]
    Read {
        /// Which.
        file: String,
        /// What the system says.
        why: String,
    },
    /// The text is not of the form that rules have.
    #[error("{file}:{line}: {why}")]
    Form {
        /// Where.
        file: String,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A rule is of the form, but no rule.
    #[error("{file}:{line}: rule {rule:?} {fault}")]
    Rule {
        /// Where.
        file: String,
        /// Where in it, from 1.
        line: usize,
        /// The rule's id.
        rule: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A rule to be switched off is not there.
    #[error("there is no rule {rule:?} to switch off")]
    Unknown {
        /// The rule's id.
        rule: String,
    },
    /// The anchors don't compile.
    #[error("anchors do not compile")]
    Anchors,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its id is not made of lower-case letters, digits and `_`.
    #[error("has an id with more than lower-case letters, digits and _ in it")]
    Id,
    /// Another rule has its id.
    #[error("has the id of another rule")]
    Twice,
    /// Its shape does not compile within its bound.
    #[error("has a shape that does not compile")]
    Shape,
    /// Its shape also matches where nothing is.
    #[error("has a shape that matches nothing at all")]
    Empty,
    /// It would be looked for by words that are not there.
    #[error("has no anchors to stand within reach of")]
    Anchors,
    /// It does not find one of its examples, counted from 1.
    #[error("does not find its example {0}")]
    Example(usize),
    /// It finds one of its counter-examples, counted from 1.
    #[error("finds its counter-example {0}")]
    CounterExample(usize),
}

/// A set of detectors.
pub struct Rules {
    version: String,
    /// Another for each set that was compiled.
    pub(crate) number: u64,
    pub(crate) rules: Vec<Rule>,
    /// Those that are tried everywhere.
    pub(crate) everywhere: Everywhere,
    pub(crate) names: NameTable,
    pub(crate) anchors: Anchors,
    /// For each anchor the rules that it wakes.
    pub(crate) wakes: Vec<Vec<usize>>,
    /// What the rules of each need, at least.
    needs: Vec<OnceLock<NeedOfAll>>,
    /// The first of the anchors that are no rule's, but those of private keys and of bytes in hex.
    loud: usize,
    pub(crate) alone: Alone,
}

/// One detector.
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) pattern: Pattern,
    pub(crate) back: Back,
    pub(crate) class: Class,
    pub(crate) severity: Severity,
    /// A text with fewer is not looked at.
    digits: usize,
    /// Whether nothing but its shape says where to look.
    is_everywhere: bool,
    /// Whether what has no digit can't hold.
    pub(crate) wants_digits: bool,
    checks: Vec<Check>,
    public: Vec<String>,
}

impl Rule {
    /// The part of `text[range]` that passes all the rule's validators, if any does.
    pub(crate) fn hold(&self, text: &str, range: Range<usize>) -> Option<Range<usize>> {
        let held = self.checks.iter().try_fold(range, |range, check| check.hold(text, range))?;
        let is_public = |part: &String| text[held.clone()].contains(part.as_str());
        (!self.public.iter().any(is_public)).then_some(held)
    }

    /// What must stand where it matches.
    pub(crate) fn need(&self) -> &Need {
        self.pattern.need()
    }

    /// Whether the names of fields decide.
    pub(crate) fn is_assignment(&self) -> bool {
        self.checks.iter().any(|check| check.is_assignment())
    }
}

/// From an anchor back to where its pattern begins.
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
    /// A value that may hold what base64 and passwords do.
    Secret,
    /// A number as people write it.
    Phone,
    /// Letters and digits, and what stands between them in prose.
    Code,
    /// All of the line.
    Line,
    /// What stands before a host.
    Url,
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
            Self::Secret => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'_' | b'~' | b'.' | b'-' | b'+' | b'/')
            }
            Self::Phone => {
                byte.is_ascii_digit() || matches!(byte, b' ' | b'(' | b')' | b'-' | b'.' | b'x')
            }
            Self::Code => byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-'),
            Self::Line => byte != b'\n',
            Self::Url => !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<'),
        }
    }
}

impl Rules {
    /// The rules that Trailgate brings; compiled once for each process.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the built-in rules compile, which a test shows")]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Rules>> = OnceLock::new();
        let compile = || Self::of(&builtin::sources(), &[]).expect("built-in rules compile");
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(compile())))
    }

    /// The built-in rules but those `off`, by id, and the rules in `paths` beside them: files, or
    /// folders with files that end in `.toml`.
    ///
    /// # Errors
    /// [`RulesError`] says which file, which line and why.
    pub fn load(paths: &[PathBuf], off: &[String]) -> Result<Self, RulesError> {
        Self::with(&RuleFiles::read(paths)?, off)
    }

    /// The same of files that were read.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn with(files: &RuleFiles, off: &[String]) -> Result<Self, RulesError> {
        let mut sources = builtin::sources();
        sources.extend_from_slice(files.sources());
        let rules = Self::of(&sources, off)?;
        for source in files.sources() {
            rules.check(source)?;
        }
        Ok(rules)
    }

    /// Holds the rules of a file to their examples. Those of the built-in ones are tested.
    fn check(&self, source: &Source) -> Result<(), RulesError> {
        for (line, written) in source.parse()?.0 {
            let index = self.rules.iter().position(|rule| *rule.id == written.id);
            let Some(index) = index else { continue };
            example::check(self, index, &written).map_err(|fault| RulesError::Rule {
                file: source.file.clone(),
                line,
                rule: written.id.clone(),
                fault,
            })?;
        }
        Ok(())
    }

    pub(crate) fn of(sources: &[Source], off: &[String]) -> Result<Self, RulesError> {
        let mut anchors = Words::default();
        let mut rules: Vec<Rule> = Vec::new();
        let mut alone = Vec::new();
        let mut names = KeyNames::default();
        let mut left: Vec<&String> = off.iter().collect();
        let mut ids = HashSet::new();
        for source in sources {
            let (written, more) = source.parse()?;
            names.extend(more);
            for (line, rule) in written {
                let wrong = |fault| RulesError::Rule {
                    file: source.file.clone(),
                    line,
                    rule: rule.id.clone(),
                    fault,
                };
                check_form(&rule).map_err(wrong)?;
                if !ids.insert(rule.id.clone()) {
                    return Err(wrong(Fault::Twice));
                }
                if off.contains(&rule.id) {
                    left.retain(|id| **id != rule.id);
                    continue;
                }
                let compiled = compile(&rule, source.is_builtin).map_err(wrong)?;
                anchors.add(&rule.anchors, rules.len());
                if rule.alone {
                    alone.push((rules.len(), rule.shape));
                }
                rules.push(compiled);
            }
        }
        if let Some(rule) = left.first() {
            return Err(RulesError::Unknown { rule: (*rule).clone() });
        }
        let alone = Alone::new(&alone).ok_or(RulesError::Anchors)?;
        let loud = anchors.words.len();
        for word in LOUD {
            anchors.words.push((*word).to_owned());
            anchors.wakes.push(Vec::new());
        }
        let (anchors, wakes) = anchors.build()?;
        let needs = wakes.iter().map(|_| OnceLock::new()).collect();
        let names = names.compile().ok_or(RulesError::Anchors)?;
        let everywhere = Everywhere::new(&rules).ok_or(RulesError::Anchors)?;
        let version = version(sources, off);
        let number = COMPILED.fetch_add(1, Ordering::Relaxed);
        Ok(Self { version, number, rules, everywhere, names, anchors, wakes, needs, loud, alone })
    }

    /// What must stand where any of the rules matches that an anchor wakes.
    pub(crate) fn need(&self, anchor: usize) -> &NeedOfAll {
        self.needs[anchor].get_or_init(|| {
            let rules = || self.wakes[anchor].iter().map(|rule| &self.rules[*rule]);
            let is_back = rules().any(|rule| rule.back != Back::None);
            let need = rules().map(Rule::need).copied().reduce(Need::or).unwrap_or(Need::NOTHING);
            NeedOfAll { need, back: if is_back { BACK_BYTES } else { 0 } }
        })
    }

    /// Whether an anchor says by itself that a text is to be looked at.
    pub(crate) const fn is_loud(&self, anchor: usize) -> bool {
        anchor >= self.loud
    }

    /// What a match of a rule has to pass beside its shape, by the words of rule files; nothing of what
    /// is found without a rule.
    pub fn validators(&self, rule: &str) -> impl Iterator<Item = &'static str> {
        let rule = self.rules.iter().find(|known| *known.id == *rule);
        rule.into_iter().flat_map(|rule| rule.checks.iter().map(|check| check.word()))
    }

    /// What is written beside each event that these rules masked: a hash of all their texts.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

static COMPILED: AtomicU64 = AtomicU64::new(0);

/// What begins a private key block, and a row of bytes in hex.
const LOUD: &[&str] = &["-----begin ", "0x"];

/// What several rules need.
pub(crate) struct NeedOfAll {
    need: Need,
    /// How far before their anchor they may begin.
    pub(crate) back: usize,
}

impl std::ops::Deref for NeedOfAll {
    type Target = Need;

    fn deref(&self) -> &Need {
        &self.need
    }
}

/// The anchors of all rules, each once.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    places: HashMap<String, usize>,
    wakes: Vec<Vec<usize>>,
}

impl Words {
    fn add(&mut self, anchors: &[String], rule: usize) {
        for anchor in anchors {
            let anchor = anchor.to_ascii_lowercase();
            let place = *self.places.entry(anchor.clone()).or_insert(self.words.len());
            if place == self.words.len() {
                self.words.push(anchor);
                self.wakes.push(Vec::new());
            }
            if !self.wakes[place].contains(&rule) {
                self.wakes[place].push(rule);
            }
        }
    }

    fn build(self) -> Result<(Anchors, Vec<Vec<usize>>), RulesError> {
        Ok((Anchors::new(&self.words).ok_or(RulesError::Anchors)?, self.wakes))
    }
}

fn check_form(rule: &WrittenRule) -> Result<(), Fault> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if rule.id.is_empty() || !rule.id.bytes().all(is_name) {
        return Err(Fault::Id);
    }
    if rule.within.is_some() && rule.anchors.is_empty() {
        return Err(Fault::Anchors);
    }
    Ok(())
}

fn compile(rule: &WrittenRule, is_builtin: bool) -> Result<Rule, Fault> {
    let pattern = if is_builtin {
        Pattern::builtin(rule.pattern())
    } else {
        Pattern::written(rule.pattern())?
    };
    Ok(Rule {
        id: rule.id.as_str().into(),
        pattern,
        back: rule.back,
        class: rule.class,
        severity: rule.severity,
        digits: rule.digits,
        is_everywhere: rule.anchors.is_empty() && !rule.alone,
        wants_digits: rule.validators.iter().any(|check| check.wants_digits()),
        checks: rule.validators.clone(),
        public: rule.public.clone(),
    })
}

/// The first 16 hex digits of a hash over every rule there is and what is switched off.
fn version(sources: &[Source], off: &[String]) -> String {
    let mut all = digest::Context::new(&digest::SHA256);
    for part in sources.iter().map(|source| &source.text).chain(off) {
        all.update(&(part.len() as u64).to_be_bytes());
        all.update(part.as_bytes());
    }
    all.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({}, {} rules)", self.version, self.rules.len())
    }
}

#[cfg(test)]
pub(crate) mod tests;
