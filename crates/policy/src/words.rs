//! The words of a rule, each checked where it stands, so that an error names its line and key.

use serde::Deserialize;

use crate::limits::{EXPIRES_DEFAULT_S, EXPIRES_MAX_S, LIST_MAX, NAME_MAX_BYTES};

/// A list that says something: an empty one could mean all or none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct Names(Vec<String>);

/// Not such a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value: expected 1 to {LIST_MAX} names, none of them empty")]
pub(crate) struct BadNames;

impl TryFrom<Vec<String>> for Names {
    type Error = BadNames;

    fn try_from(names: Vec<String>) -> Result<Self, BadNames> {
        let fits = |name: &String| (1..=NAME_MAX_BYTES).contains(&name.len());
        let is_list = (1..=LIST_MAX).contains(&names.len()) && names.iter().all(fits);
        if is_list { Ok(Self(names)) } else { Err(BadNames) }
    }
}

impl Names {
    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// A rule's name, as events have it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RuleName(String);

/// Not a rule's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value: expected 1 to 64 of a-z, 0-9, - and _")]
pub(crate) struct BadRuleName;

impl TryFrom<String> for RuleName {
    type Error = BadRuleName;

    fn try_from(text: String) -> Result<Self, BadRuleName> {
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(fits);
        if is_name { Ok(Self(text)) } else { Err(BadRuleName) }
    }
}

impl RuleName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long a hold waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct ExpiresAfter(u64);

/// Not such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value: expected 1 to {EXPIRES_MAX_S} seconds")]
pub(crate) struct BadExpiresAfter;

impl TryFrom<u64> for ExpiresAfter {
    type Error = BadExpiresAfter;

    fn try_from(seconds: u64) -> Result<Self, BadExpiresAfter> {
        if (1..=EXPIRES_MAX_S).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(BadExpiresAfter)
        }
    }
}

impl Default for ExpiresAfter {
    fn default() -> Self {
        Self(EXPIRES_DEFAULT_S)
    }
}

impl ExpiresAfter {
    pub(crate) const fn seconds(self) -> u64 {
        self.0
    }
}
