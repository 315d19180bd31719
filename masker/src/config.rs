//! The masker's configuration file.

use std::path::PathBuf;

use serde::Deserialize;
use trailgate_service::{AdminConfig, LogConfig, StageConfig};
use trailgate_topics::BackboneConfig;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The backbone.
    pub backbone: BackboneConfig,
    /// The keys folder.
    pub keys: KeysConfig,
    /// The masker's own section.
    #[serde(default)]
    pub masker: MaskerConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Health and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
}

/// The `[keys]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// The folder that `trailgate keys new` made; the masker needs its opening keys.
    pub folder: PathBuf,
}

/// The `[masker]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskerConfig {
    /// This instance's name: the same after a restart, different from its siblings'. Without it the
    /// host's name is taken, as each container has its own.
    pub instance: Option<String>,
    /// How long masked sealed originals stay on `audit.raw` after the masker has taken them.
    pub keep_raw_s: u64,
    /// Files with rules beside the built-in ones, or folders with such files that end in `.toml`. They
    /// are taken anew when they change.
    pub rules: Vec<PathBuf>,
    /// Built-in rules that don't count, by id.
    pub rules_off: Vec<String>,
}

impl Default for MaskerConfig {
    fn default() -> Self {
        Self { instance: None, keep_raw_s: 3600, rules: Vec::new(), rules_off: Vec::new() }
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
