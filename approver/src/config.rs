//! The configuration file of the approver.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use trailgate_identity::{IdentityConfig, TlsConfig};
use trailgate_service::{AdminConfig, LogConfig, StageConfig};
use trailgate_topics::BackboneConfig;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[backbone]`.
    pub backbone: BackboneConfig,
    /// `[keys]`.
    pub keys: KeysConfig,
    /// `[identity]`.
    pub identity: IdentityConfig,
    /// `[approver]`.
    pub approver: ApproverConfig,
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
    /// The folder that `trailgate keys new` made; the approver needs its own sender key, the public
    /// opening key, the decision key and the public ones, and the session and token keys.
    pub folder: PathBuf,
}

/// The `[approver]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproverConfig {
    /// This instance's name: the same after a restart, different from its siblings'. Without it the
    /// host's.
    #[serde(default)]
    pub instance: Option<String>,
    /// Where reviewers look and vote.
    pub listen: SocketAddr,
    /// TLS of that listener; without it the listener speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Files with masking rules beside the built-in ones: the masker's. Who votes and why is masked by
    /// them.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// Built-in rules that don't count, by id: the masker's.
    #[serde(default)]
    pub rules_off: Vec<String>,
}

impl ApproverConfig {
    /// The usual settings.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self { instance: None, listen, tls: None, rules: Vec::new(), rules_off: Vec::new() }
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
