//! One rule: what it holds, who may decide, and for how long it waits. Each condition that it has
//! must be met; one that it has not is met by all.

use std::time::Duration;

use serde::Deserialize;

use crate::asked::Asked;
use crate::pattern::PathPattern;
use crate::words::{ExpiresAfter, Names, RuleName};

/// A rule that holds operations for a person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    name: RuleName,
    pub(crate) connection: Option<String>,
    methods: Option<Names>,
    path: Option<PathPattern>,
    pub(crate) operations: Option<Names>,
    groups: Option<Names>,
    min_body_bytes: Option<u64>,
    max_body_bytes: Option<u64>,
    reviewers: Names,
    #[serde(default)]
    expires_after_s: ExpiresAfter,
}

impl HoldRule {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The groups whose members may decide.
    #[must_use]
    pub fn reviewers(&self) -> &[String] {
        self.reviewers.as_slice()
    }

    /// How long a hold waits.
    #[must_use]
    pub const fn expires_after(&self) -> Duration {
        Duration::from_secs(self.expires_after_s.seconds())
    }

    /// Whether it looks at what the path says.
    pub(crate) const fn reads_path(&self) -> bool {
        self.path.is_some()
    }

    /// Whether all methods that it names are some: of a typo nothing would be held.
    pub(crate) fn has_known_methods(&self) -> bool {
        let is_known = |name: &String| METHODS.iter().any(|known| name.eq_ignore_ascii_case(known));
        self.methods.as_ref().is_none_or(|names| names.as_slice().iter().all(is_known))
    }

    /// Whether its bounds of a body's length leave any.
    pub(crate) fn has_lengths(&self) -> bool {
        self.min_body_bytes.unwrap_or(0) <= self.max_body_bytes.unwrap_or(u64::MAX)
    }

    pub(crate) fn may_be_on(&self, connection: &str) -> bool {
        self.connection.as_deref().is_none_or(|name| name == connection)
    }

    /// Whether it holds this.
    pub(crate) fn holds(&self, asked: &Asked<'_>) -> bool {
        let any = |names: &Option<Names>, is_one: &dyn Fn(&str) -> bool| {
            names.as_ref().is_none_or(|names| names.as_slice().iter().any(|name| is_one(name)))
        };
        self.may_be_on(asked.connection)
            && any(&self.methods, &|name| asked.methods.iter().any(|asked| is_method(name, asked)))
            && any(&self.operations, &|name| asked.operations.contains(&name))
            && any(&self.groups, &|name| asked.groups.iter().any(|group| group == name))
            && self.path.as_ref().is_none_or(|pattern| pattern.matches(asked.path))
            && self.takes_length(asked.body_bytes)
    }

    /// A length that nobody knows yet meets every bound: else who sends in chunks would be let off.
    fn takes_length(&self, bytes: Option<u64>) -> bool {
        let range = self.min_body_bytes.unwrap_or(0)..=self.max_body_bytes.unwrap_or(u64::MAX);
        bytes.is_none_or(|bytes| range.contains(&bytes))
    }
}

/// The methods that are registered (<https://www.iana.org/assignments/http-methods>).
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Servers answer HEAD where they answer GET, and some take methods in any case.
fn is_method(named: &str, asked: &str) -> bool {
    named.eq_ignore_ascii_case(asked)
        || (named.eq_ignore_ascii_case("GET") && asked.eq_ignore_ascii_case("HEAD"))
}
