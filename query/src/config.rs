//! The configuration file of query.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use trailgate_identity::{Identity, IdentityConfig, TlsConfig};
use trailgate_service::{AdminConfig, LogConfig, StageConfig};
use trailgate_table::TableConfig;
use trailgate_topics::BackboneConfig;

use crate::engine::EngineLimits;
use crate::hot_tail::TailLimits;
use crate::limits::{
    ROWS_MAX, STATEMENT_TIME_MAX, STATEMENTS_MAX, STATEMENTS_MEMORY_MAX_BYTES,
    STATEMENTS_SPILL_MAX_BYTES, TAIL_DISK_MAX_BYTES, TAIL_MEMORY_MAX_BYTES,
};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[backbone]`.
    pub backbone: BackboneConfig,
    /// `[table]`.
    pub table: TableConfig,
    /// `[keys]`.
    pub keys: KeysConfig,
    /// `[identity]`.
    pub identity: IdentityConfig,
    /// `[query]`.
    pub query: QueryConfig,
    /// `[log]`.
    #[serde(default)]
    pub log: LogConfig,
    /// `[admin]`.
    #[serde(default)]
    pub admin: AdminConfig,
}

/// The `[keys]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// The folder that `trailgate keys new` made; query needs its own sender key, the public
    /// opening key and the session key.
    pub folder: PathBuf,
}

/// The `[query]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryConfig {
    /// Where statements are taken.
    pub listen: SocketAddr,
    /// TLS of that listener; without it the listener speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// The groups whose members may read the trail: all of it.
    #[serde(default)]
    pub allow_groups: BTreeSet<String>,
    /// Whether every verified caller may read it. One of the two must be said.
    #[serde(default)]
    pub allow_any_verified: bool,
    /// A folder of its own for what does not fit in memory; it is emptied at the start.
    pub scratch: PathBuf,
    /// Rows of an answer.
    #[serde(default = "rows_default")]
    pub max_rows: usize,
    /// Time of a statement, in seconds.
    #[serde(default = "time_default")]
    pub max_time_s: u64,
    /// Statements that run at once.
    #[serde(default = "statements_default")]
    pub max_statements: usize,
    /// Memory of all statements together.
    #[serde(default = "memory_default")]
    pub max_memory_bytes: usize,
    /// Disk that statements may spill to, all together, under `scratch`.
    #[serde(default = "spill_default")]
    pub max_spill_bytes: u64,
    /// Memory of the hot tail.
    #[serde(default = "tail_memory_default")]
    pub tail_memory_bytes: usize,
    /// Disk of the hot tail, under `scratch`.
    #[serde(default = "tail_disk_default")]
    pub tail_disk_bytes: u64,
}

/// What is wrong with the section: the key, and never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query.{key}: {problem}")]
pub struct QueryConfigError {
    /// The key.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Who may read the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    AnyVerified,
    Groups(BTreeSet<String>),
}

/// Proof that a caller may read the trail.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Access {
    /// Whether `identity` may: proof if so.
    pub(crate) fn permit(&self, identity: &Identity) -> Option<Permit> {
        let may = match self {
            Self::AnyVerified => true,
            Self::Groups(groups) => identity.groups.iter().any(|group| groups.contains(group)),
        };
        may.then_some(Permit(()))
    }
}

impl QueryConfig {
    /// The usual bounds, for readers of `groups`.
    #[must_use]
    pub fn new(listen: SocketAddr, groups: BTreeSet<String>, scratch: PathBuf) -> Self {
        Self {
            listen,
            tls: None,
            allow_groups: groups,
            allow_any_verified: false,
            scratch,
            max_rows: ROWS_MAX,
            max_time_s: time_default(),
            max_statements: STATEMENTS_MAX,
            max_memory_bytes: STATEMENTS_MEMORY_MAX_BYTES,
            max_spill_bytes: STATEMENTS_SPILL_MAX_BYTES,
            tail_memory_bytes: TAIL_MEMORY_MAX_BYTES,
            tail_disk_bytes: TAIL_DISK_MAX_BYTES,
        }
    }

    pub(crate) fn access(&self) -> Result<Access, QueryConfigError> {
        let wrong = |problem| Err(QueryConfigError { key: "allow_groups", problem });
        match (self.allow_any_verified, self.allow_groups.is_empty()) {
            (true, true) => Ok(Access::AnyVerified),
            (false, false) => Ok(Access::Groups(self.allow_groups.clone())),
            (false, true) => wrong("name a group, or set allow_any_verified = true"),
            (true, false) => wrong("allow_any_verified = true allows all; name no groups"),
        }
    }

    pub(crate) fn engine_limits(&self) -> Result<EngineLimits, QueryConfigError> {
        let none = [
            ("max_rows", self.max_rows == 0),
            ("max_time_s", self.max_time_s == 0),
            ("max_statements", self.max_statements == 0),
            ("max_memory_bytes", self.max_memory_bytes == 0),
        ];
        if let Some((key, _)) = none.into_iter().find(|(_, is_none)| *is_none) {
            return Err(QueryConfigError { key, problem: "must be more than 0" });
        }
        Ok(EngineLimits {
            rows: self.max_rows,
            time: Duration::from_secs(self.max_time_s),
            statements: self.max_statements,
            memory_bytes: self.max_memory_bytes,
            spill_bytes: self.max_spill_bytes,
            scratch: self.scratch.join("statements"),
        })
    }

    pub(crate) fn tail_limits(&self) -> TailLimits {
        TailLimits {
            memory_bytes: self.tail_memory_bytes,
            disk_bytes: self.tail_disk_bytes,
            scratch: self.scratch.join("tail"),
        }
    }
}

impl StageConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

const fn rows_default() -> usize {
    ROWS_MAX
}

const fn time_default() -> u64 {
    STATEMENT_TIME_MAX.as_secs()
}

const fn statements_default() -> usize {
    STATEMENTS_MAX
}

const fn memory_default() -> usize {
    STATEMENTS_MEMORY_MAX_BYTES
}

const fn spill_default() -> u64 {
    STATEMENTS_SPILL_MAX_BYTES
}

const fn tail_memory_default() -> usize {
    TAIL_MEMORY_MAX_BYTES
}

const fn tail_disk_default() -> u64 {
    TAIL_DISK_MAX_BYTES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parse(text: &str) -> Result<QueryConfig, String> {
        let none = BTreeMap::new();
        trailgate_service::parse(std::path::Path::new("t.toml"), text, &none)
            .map_err(|e| e.to_string())
    }

    const BASE: &str = "listen = \"127.0.0.1:8444\"\nscratch = \"scratch\"\n";

    #[test]
    fn who_may_read_must_be_said() {
        let access = |more: &str| parse(&format!("{BASE}{more}")).unwrap().access();
        assert!(access("").is_err());
        assert!(access("allow_groups = [\"auditors\"]\nallow_any_verified = true\n").is_err());
        assert_eq!(access("allow_any_verified = true\n"), Ok(Access::AnyVerified));
        assert!(access("allow_groups = [\"auditors\"]\n").is_ok());
    }

    #[test]
    fn a_typo_is_told_by_line_and_key() {
        let said = parse(&format!("{BASE}max_row = 1\n")).unwrap_err();
        assert!(said.starts_with("t.toml:3: max_row: unknown key"), "{said}");
    }

    #[test]
    fn a_bound_of_nothing_is_refused() {
        let config = parse(&format!("{BASE}max_rows = 0\n")).unwrap();
        assert_eq!(config.engine_limits().unwrap_err().key, "max_rows");
    }
}
