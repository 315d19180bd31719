//! Reading all of a topic, without a group.

use std::time::Duration;

use async_trait::async_trait;
use trailgate_schemas::Micros;

use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Record};

/// What a tail read in one step.
#[derive(Clone, Debug, Default)]
pub struct TailBatch {
    /// Records, in order for each partition.
    pub records: Vec<Record>,
    /// Where each partition stands after them.
    pub ends: Vec<TailEnd>,
}

/// Where a tail stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailEnd {
    /// The partition.
    pub partition: Partition,
    /// The place of the next record to read.
    pub next: Offset,
    /// If everything that was there at this time has been read: that time; else absent.
    pub caught_up_at: Option<Micros>,
}

/// A reader of all partitions of a topic. Not calling it is how it is held back.
#[async_trait]
pub trait Tail: Send {
    /// What came since the last call: at least one record, or, after `wait`, none.
    ///
    /// # Errors
    /// [`BackboneError::Unreachable`]: call again; [`BackboneError::Missing`]: records went away
    /// unread, open a new tail.
    async fn next(&mut self, wait: Duration) -> Result<TailBatch, BackboneError>;
}
