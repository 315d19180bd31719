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
                trimmed = self.trim() => match trimmed {
                    Ok(()) => {}
                    // Who reads and writes says so; a new topic is without a leader for a moment.
                    Err(error @ BackboneError::Unreachable { .. }) => {
                        tracing::debug!(%error, "audit.events was not trimmed");
                    }
                    Err(error) => tracing::warn!(%error, "audit.events was not trimmed"),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trailgate_schemas::{AUDIT_EVENT_SCHEMA, SchemaId};
    use trailgate_service::{Context, ManualClock, Metrics};
    use trailgate_table::TableLocation;
    use trailgate_testkit::until;
    use trailgate_topics::{
        BackboneConfig, EmbeddedConfig, NewRecord, Offset, Partition, open_backbone,
    };

    use super::*;
    use crate::config::ArchiveConfig;
    use crate::run::archive;
    use crate::samples::framed;

    const HOUR: Duration = Duration::from_secs(3600);

    /// An embedded log with one partition, and a table.
    struct World {
        folder: tempfile::TempDir,
        backbone: Arc<dyn Backbone>,
        clock: ManualClock,
        schema: SchemaId,
        next: i64,
    }

    impl World {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = ManualClock::at(Micros(1_795_435_200_000_000));
            let config = EmbeddedConfig { folder: folder.path().join("log"), partitions: 1 };
            let config = BackboneConfig::Embedded(config);
            let backbone = open_backbone(&config, Arc::new(clock.clone())).unwrap();
            backbone.ensure(&[Topic::Events]).await.unwrap();
            let registry = backbone.registry();
            let schema = registry.register("audit.events-value", AUDIT_EVENT_SCHEMA).await.unwrap();
            Self { folder, backbone, clock, schema, next: 0 }
        }

        fn location(&self) -> TableLocation {
            TableLocation::Folder(self.folder.path().join("table"))
        }

        async fn append(&mut self, count: i64) {
            let appender = self.backbone.appender().unwrap();
            for _ in 0..count {
                let value = Some(framed(self.schema, self.next));
                let (topic, partition) = (Topic::Events, Partition(0));
                let record = NewRecord { topic, partition, key: Bytes::new(), value };
                appender.append(record).await.unwrap();
                self.next += 1;
            }
        }

        /// Archives everything there is, and ends.
        async fn archive(&self) -> Table {
            let context = Context::system();
            let config = ArchiveConfig { flush_after_ms: 20, ..ArchiveConfig::default() };
            let (backbone, location) = (Arc::clone(&self.backbone), self.location());
            let archived = context.clone();
            let running = tokio::spawn(async move {
                archive(backbone, &location, &config, "archiver-0", &archived).await
            });
            let table = until("the table", async || Table::open(&self.location()).await.ok()).await;
            until("rows in the table", async || {
                let newest = table.snapshot().await.unwrap();
                (newest.ids_of(LogPartition(0)).tree_size == self.next).then_some(())
            })
            .await;
            context.stop.ask();
            running.await.unwrap().unwrap();
            table
        }

        fn trimmer(&self, table: Table) -> Trimmer {
            Trimmer {
                backbone: Arc::clone(&self.backbone),
                table,
                clock: Arc::new(self.clock.clone()),
                keep: HOUR,
                metrics: ArchiverMetrics::new(&Metrics::default()),
            }
        }

        async fn low(&self) -> Offset {
            self.backbone.watermarks(Topic::Events).await.unwrap()[0].1.low
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_what_is_archived_and_old_is_trimmed() {
        let mut world = World::new().await;
        world.append(10).await;
        world.clock.advance(HOUR / 2);
        world.append(10).await;
        let trimmer = world.trimmer(world.archive().await);
        trimmer.trim().await.unwrap();
        assert_eq!(world.low().await, Offset(0), "archived, but not old");
        world.clock.advance(HOUR * 3 / 4);
        trimmer.trim().await.unwrap();
        assert_eq!(world.low().await, Offset(10), "half of it is old");
        world.append(5).await;
        world.clock.advance(HOUR * 10);
        trimmer.trim().await.unwrap();
        assert_eq!(world.low().await, Offset(20), "old, but not all archived");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_archiver_goes_on_where_the_table_ends_also_after_trimming() {
        let mut world = World::new().await;
        world.append(10).await;
        let trimmer = world.trimmer(world.archive().await);
        world.clock.advance(HOUR * 2);
        trimmer.trim().await.unwrap();
        assert_eq!(world.low().await, Offset(10));
        world.append(7).await;
        world.archive().await;
    }
}
