//! The rule file: read once, checked whole, and known by a version that every hold names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use trailgate_service::ConfigError;

use crate::asked::Asked;
use crate::limits::RULES_MAX;
use crate::rule::HoldRule;

/// Why a rule file can't be taken: file, line or rule, and key, never what stands there.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It can't be read, or a key of it is unknown, missing or unfit.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A rule does not fit with the others or with the gateway's configuration.
    #[error("{}: hold[{rule}].{key}: {problem}", .file.display())]
    Rule {
        /// The file.
        file: PathBuf,
        /// Which rule, from 0.
        rule: usize,
        /// Which key of it.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// There are more rules than a request may be held against.
    #[error("{}: more than {RULES_MAX} rules", .file.display())]
    TooMany {
        /// The file.
        file: PathBuf,
    },
}

/// What rules may name.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The gateway's connections, and whether an Agent Server stands behind each.
    pub connections: BTreeMap<&'a str, bool>,
    /// The operations of an Agent Server.
    pub operations: BTreeSet<&'a str>,
}

/// The rules of one file, in its order.
#[derive(Clone, Debug)]
pub struct Rules {
    file: PathBuf,
    holds: Vec<HoldRule>,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    hold: Vec<HoldRule>,
}

impl Rules {
    /// Reads a rule file.
    ///
    /// # Errors
    /// [`RulesError`]: a mistake in it must stop the start, for a rule that is not read holds
    /// nothing.
    pub fn load(file: &Path) -> Result<Self, RulesError> {
        Self::parse(file, &trailgate_service::config_text(file)?)
    }

    /// Like [`Self::load`], of a text that is already read; `file` is only named in errors.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, RulesError> {
        // The environment says nothing about rules: they stand in one file, which has a version.
        let File { hold: holds } = trailgate_service::parse(file, text, &BTreeMap::new())?;
        if holds.len() > RULES_MAX {
            return Err(RulesError::TooMany { file: file.to_owned() });
        }
        // Not keyed: it is of the operator's own words, which are no secret, and whoever has the
        // file must be able to tell which version decided.
        let hash = digest(&SHA256, text.as_bytes());
        let rules =
            Self { file: file.to_owned(), holds, version: hex::encode(&hash.as_ref()[..8]) };
        rules.fit_together()?;
        Ok(rules)
    }

    /// What the file was: the first 16 hex digits of its SHA-256.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The first rule that holds this.
    #[must_use]
    pub fn first(&self, asked: &Asked<'_>) -> Option<&HoldRule> {
        self.holds.iter().find(|rule| rule.holds(asked))
    }

    /// Whether a rule looks at paths on this connection: then none may mean two things there.
    #[must_use]
    pub fn reads_paths_of(&self, connection: &str) -> bool {
        self.holds.iter().any(|rule| rule.reads_path() && rule.may_be_on(connection))
    }

    /// Checks that what the rules name is there: a name with a typo would hold nothing.
    ///
    /// # Errors
    /// [`RulesError::Rule`] for the first that is not.
    pub fn check(&self, known: &Known<'_>) -> Result<(), RulesError> {
        for (at, rule) in self.holds.iter().enumerate() {
            let kind = rule.connection.as_deref().map(|name| known.connections.get(name));
            if kind == Some(None) {
                return Err(self.wrong(at, "connection", "the gateway has no such connection"));
            }
            let Some(operations) = &rule.operations else { continue };
            if operations.as_slice().iter().any(|name| !known.operations.contains(name.as_str())) {
                return Err(self.wrong(at, "operations", "names what is no operation"));
            }
            if kind == Some(Some(&false)) {
                let problem = "its connection is not of kind \"langgraph\"";
                return Err(self.wrong(at, "operations", problem));
            }
        }
        Ok(())
    }

    fn fit_together(&self) -> Result<(), RulesError> {
        let mut names = BTreeSet::new();
        for (at, rule) in self.holds.iter().enumerate() {
            if !names.insert(rule.name()) {
                return Err(self.wrong(at, "name", "another rule has this name"));
            }
            if !rule.has_known_methods() {
                return Err(self.wrong(at, "methods", "names what is no method"));
            }
            if !rule.has_lengths() {
                return Err(self.wrong(at, "max_body_bytes", "is below min_body_bytes"));
            }
        }
        Ok(())
    }

    fn wrong(&self, rule: usize, key: &'static str, problem: &'static str) -> RulesError {
        RulesError::Rule { file: self.file.clone(), rule, key, problem }
    }
}

#[cfg(test)]
mod tests;
