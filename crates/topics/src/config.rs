//! The `[backbone]` section, the same in every stage's file.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use trailgate_service::Clock;

use crate::backbone::{Backbone, BackboneError};
use crate::embedded::EmbeddedLog;
use crate::kafka::KafkaBackbone;

/// Which backbone, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BackboneConfig {
    /// The embedded log: one folder, one process.
    Embedded(EmbeddedConfig),
    /// Apache Kafka.
    Kafka(KafkaConfig),
}

/// The embedded log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// Its folder.
    pub folder: PathBuf,
    /// Partitions of each session-keyed topic; fixed once the folder is made.
    #[serde(default = "default_embedded_partitions")]
    pub partitions: u32,
}

/// Apache Kafka and a Confluent-compatible schema registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port,host:port`.
    pub bootstrap: String,
    /// The registry's Confluent API: `http://registry:8080/apis/ccompat/v7`.
    pub registry: String,
    /// Partitions of each session-keyed topic; fixed once the topics are made.
    #[serde(default = "default_kafka_partitions")]
    pub partitions: u32,
    /// How a record is made durable.
    #[serde(default)]
    pub durability: Durability,
    /// Further librdkafka properties, as `security.protocol` and `sasl.*`. Those that the
    /// guarantees rest on can't be set.
    #[serde(default)]
    pub properties: std::collections::BTreeMap<String, String>,
}

/// How a record is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Three replicas, of which two must have it.
    #[default]
    Replicated,
    /// One broker that flushes each record: must be asked for by name.
    OneBroker,
}

const fn default_embedded_partitions() -> u32 {
    4
}

const fn default_kafka_partitions() -> u32 {
    8
}

/// Opens the backbone that `config` names.
///
/// # Errors
/// If it can't be opened; a Kafka that can't be reached yet is no error.
pub fn open_backbone(
    config: &BackboneConfig,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Backbone>, BackboneError> {
    match config {
        BackboneConfig::Embedded(config) => Ok(Arc::new(EmbeddedLog::open(config, clock)?)),
        BackboneConfig::Kafka(config) => Ok(Arc::new(KafkaBackbone::open(config, clock)?)),
    }
}
