//! Trimming `audit.events`: never beyond what the table durably has, never younger than it is to be
//! kept. Stateless: it asks the table each time, so any number of archivers may do it.

use std::sync::Arc;
use std::time::Duration;

use trailgate_schemas::Micros;
use trailgate_service::{Clock, Stop};
use trailgate_table::{LogPartition, Table};
use trailgate_topics::{Backbone, BackboneError, Offset, Partition, Topic, Watermarks};

use crate::limits::TRIM_EVERY;
use crate::metrics::ArchiverMetrics;

/// Trims and measures the lag.
pub(crate) struct Trimmer {
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) table: Table,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keep: Duration,
    pub(crate) metrics: ArchiverMetrics,
}

impl Trimmer {
    /// Trims every [`TRIM_EVERY`] until `stop`. What fails is tried again the next time.
    pub(crate) async fn run(self, stop: Stop) {
        let mut due = tokio::time::interval(TRIM_EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.asked() => return,
                _ = due.tick() => {}
            }
            tokio::select! {
                () = stop.asked() => return,
                trimmed = self.trim() => if let Err(error) = trimmed {
                    tracing::warn!(%error, "audit.events was not trimmed");
                },
            }
        }
    }

    pub(crate) async fn trim(&self) -> Result<(), BackboneError> {
        let Ok(table) = self.table.snapshot().await else { return Ok(()) };
        for (partition, held) in self.backbone.watermarks(Topic::Events).await? {
            let archived = Offset(table.ids_of(LogPartition(partition.0)).next_offset);
            self.metrics.lag(partition.0, (held.high.0 - archived.0).max(0));
            self.trim_partition(partition, held, archived).await?;
        }
        Ok(())
    }

    async fn trim_partition(
        &self,
        partition: Partition,
        held: Watermarks,
        archived: Offset,
    ) -> Result<(), BackboneError> {
        if archived <= held.low {
            return Ok(());
        }
        let keep = i64::try_from(self.keep.as_micros()).unwrap_or(i64::MAX);
        let oldest = Micros(self.clock.now().0.saturating_sub(keep));
        let old = self.backbone.offset_at(Topic::Events, partition, oldest).await?;
        let before = archived.min(old);
        if before > held.low {
            self.backbone.trim(Topic::Events, partition, before).await?;
            tracing::debug!(partition = partition.0, before = before.0, "trimmed");
        }
        Ok(())
    }
}
