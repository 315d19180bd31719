//! The seam: what the stages need of a backbone. Apache Kafka and the embedded log stand behind it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::append::Appender;
use crate::processor::{Processor, ProcessorHandle, ProcessorSpec};
use crate::record::{Offset, Partition, Watermarks};
use crate::registry::SchemaRegistry;
use crate::subscription::Subscription;
use crate::tail::Tail;
use crate::topic::Topic;

/// Why a backbone could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackboneError {
    /// Not now: it can't be reached. Try again.
    #[error("backbone can't be reached: {code}")]
    Unreachable {
        /// A stable word or the client library's error code.
        code: String,
    },
    /// A topic is not as it must be; a person must act.
    #[error("topic {topic} has {setting} = {found}, but {wanted} is needed")]
    Misconfigured {
        /// The topic.
        topic: &'static str,
        /// What of it.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
    /// Another process holds the embedded log's folder.
    #[error("{folder} is held by process {pid}, which began {since}")]
    Held {
        /// The folder.
        folder: String,
        /// The process that holds it.
        pid: u32,
        /// When that began, RFC 3339.
        since: String,
    },
    /// Records that should be there are gone; stop and let a person decide.
    #[error("{topic} partition {} begins at {}, behind the wanted {}", .partition.0, .low.0, .wanted.0)]
    Missing {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: Partition,
        /// Where it begins now.
        low: Offset,
        /// The place that was wanted.
        wanted: Offset,
    },
    /// The backbone refuses for good.
    #[error("backbone refused: {code}")]
    Refused {
        /// A stable word or the client library's error code.
        code: String,
    },
    /// The embedded log's storage failed.
    #[error("embedded log storage failed: {code}")]
    Storage {
        /// SQLite's extended code or the operating system's error kind.
        code: String,
    },
}

impl BackboneError {
    /// Whether this process lacks a right or asks for what can't be: it is of no use to go on.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether to try again after a while; else a person must act.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Misconfigured { .. }
            | Self::Held { .. }
            | Self::Missing { .. }
            | Self::Refused { .. }
            | Self::Storage { .. } => false,
        }
    }
}

/// A group of consumers that share a topic's partitions, and this process's stable name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's name: `archiver`.
    pub name: String,
    /// This instance's stable name: the same after a restart, different from its siblings'.
    pub instance: String,
}

/// A backbone.
#[async_trait]
pub trait Backbone: Send + Sync + 'static {
    /// Creates each topic that is missing, with its partitions, replication and settings; checks
    /// each that is there.
    ///
    /// # Errors
    /// [`BackboneError::Misconfigured`] if one differs.
    async fn ensure(&self, topics: &[Topic]) -> Result<(), BackboneError>;

    /// How many partitions each topic has.
    fn partitions(&self) -> u32;

    /// Whether records leave this process: the development issuer must not stand beside it.
    fn is_shared(&self) -> bool;

    /// A durable, idempotent appender: acknowledged means it survives a crash.
    ///
    /// # Errors
    /// If it can't be set up.
    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError>;

    /// Joins `group` on `topic`; what happens comes as messages.
    ///
    /// # Errors
    /// If it can't be set up.
    fn subscribe(&self, topic: Topic, group: &Group) -> Result<Subscription, BackboneError>;

    /// Reads every partition of `topic` without a group, each from its given place; partitions not
    /// named begin at their low watermark.
    ///
    /// # Errors
    /// [`BackboneError::Missing`] if a wanted place is no longer kept.
    async fn tail(
        &self,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Box<dyn Tail>, BackboneError>;

    /// Runs `processor` on a thread of its own: consume, transform, produce; outputs, state and
    /// offsets are one atomic step.
    ///
    /// # Errors
    /// If it can't be set up.
    fn process(
        &self,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
    ) -> Result<ProcessorHandle, BackboneError>;

    /// What each partition of `topic` holds.
    ///
    /// # Errors
    /// If it can't be asked.
    async fn watermarks(&self, topic: Topic)
    -> Result<Vec<(Partition, Watermarks)>, BackboneError>;

    /// The first record of a partition that was appended at or after `time`, else the high
    /// watermark: what trimming by age needs.
    ///
    /// # Errors
    /// If it can't be asked.
    async fn offset_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: trailgate_schemas::Micros,
    ) -> Result<Offset, BackboneError>;

    /// How far `group` has committed in each partition of `topic`; partitions without a commit are
    /// left out.
    ///
    /// # Errors
    /// If it can't be asked.
    async fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<Vec<(Partition, Offset)>, BackboneError>;

    /// Deletes what lies before `before`.
    ///
    /// # Errors
    /// If it can't be done.
    async fn trim(
        &self,
        topic: Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<(), BackboneError>;

    /// Where schemas are registered.
    fn registry(&self) -> Arc<dyn SchemaRegistry>;

    /// Whether it answers, within `wait`.
    async fn ping(&self, wait: Duration) -> Result<(), BackboneError>;
}
