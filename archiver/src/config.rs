//! The archiver's configuration.

use std::time::Duration;

use serde::Deserialize;
use trailgate_service::{AdminConfig, LogConfig, StageConfig};
use trailgate_table::TableConfig;
use trailgate_topics::BackboneConfig;

use crate::limits::{FLUSH_AFTER, FLUSH_BYTES, FLUSH_BYTES_MAX, KEEP};

/// The archiver's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiverConfig {
    /// This instance's stable name: the same after a restart, different from its siblings'. Without
    /// it the host's name is taken, as each container has its own.
    #[serde(default)]
    pub instance: Option<String>,
    /// `[backbone]`.
    pub backbone: BackboneConfig,
    /// `[table]`.
    pub table: TableConfig,
    /// `[archive]`.
    #[serde(default)]
    pub archive: ArchiveConfig,
    /// `[log]`.
    #[serde(default)]
    pub log: LogConfig,
    /// `[admin]`.
    #[serde(default)]
    pub admin: AdminConfig,
}

/// The `[archive]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// A batch goes to the table when its records have this many bytes.
    #[serde(deserialize_with = "flush_bytes")]
    pub flush_bytes: usize,
    /// A batch goes to the table when its first record is this old.
    pub flush_after_ms: u64,
    /// How long archived records stay on `audit.events`.
    pub keep_hours: u64,
    /// Missing ranges that a person has accepted.
    pub accept_gap: Vec<AcceptedGap>,
}

/// A missing range that a person accepts: exactly this one, and no later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedGap {
    /// The partition of `audit.events`.
    pub partition: u32,
    /// The place that the table wants next, as the archiver told.
    pub wanted: i64,
    /// The place where the topic begins, as the archiver told.
    pub low: i64,
}

impl ArchiveConfig {
    /// How old a batch's first record may become.
    #[must_use]
    pub const fn flush_after(&self) -> Duration {
        Duration::from_millis(self.flush_after_ms)
    }

    /// How long archived records stay on `audit.events`.
    #[must_use]
    pub const fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_hours.saturating_mul(3600))
    }
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            flush_bytes: FLUSH_BYTES,
            flush_after_ms: FLUSH_AFTER.as_secs() * 1000,
            keep_hours: KEEP.as_secs() / 3600,
            accept_gap: Vec::new(),
        }
    }
}

impl StageConfig for ArchiverConfig {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

fn flush_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(deserializer)?;
    if (1..=FLUSH_BYTES_MAX).contains(&bytes) {
        return Ok(bytes);
    }
    let expected = "a size from 1 byte to 512 MiB";
    Err(serde::de::Error::invalid_value(serde::de::Unexpected::Other("size"), &expected))
}
