//! Following `audit.events` and the table, into the hot tail.

use std::collections::BTreeMap;
use std::sync::Arc;

use trailgate_schemas::{Micros, SchemaId};
use trailgate_service::{Part, Stop};
use trailgate_table::{
    DecodeError, Decoder, KnowError, LogPartition, LogRecord, Snapshot, Table, TableError,
};
use trailgate_topics::{
    Backbone, BackboneError, Offset, Partition, Record, RegistryError, Tail, TailBatch, Topic,
};

use crate::hot_tail::{HotTail, NewRows, TailLimits};
use crate::limits::{RETRY_AFTER, SNAPSHOT_EVERY, TAIL_CHUNK_RECORDS, TAIL_WAIT};

/// Why the tail can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A newer Trailgate writes what this one has no column for.
    #[error(transparent)]
    Schema(#[from] KnowError),
    /// Rows could not be made.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The scratch folder refuses.
    #[error(transparent)]
    Spill(#[from] crate::spill::SpillError),
    /// The decoding task ended: the process is stopping.
    #[error("decoding ended")]
    Ended,
}

impl FollowError {
    /// Whether to try again after a while; else a person must act.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Backbone(error) => error.is_transient(),
            Self::Table(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Schema(_) | Self::Decode(_) | Self::Spill(_) | Self::Ended => false,
        }
    }

    /// What is waited for, in one word.
    #[must_use]
    pub const fn awaited(&self) -> &'static str {
        match self {
            Self::Backbone(_) => "backbone_unreachable",
            Self::Table(TableError::Absent) => "table_absent",
            Self::Table(_) => "store",
            Self::Registry(_) => "registry_unreachable",
            Self::Schema(_) | Self::Decode(_) | Self::Spill(_) | Self::Ended => "tail",
        }
    }
}

/// Follows until `stop`; its parts say whether it can, and whether the table is there.
pub struct Follower {
    backbone: Arc<dyn Backbone>,
    table: Table,
    tail: HotTail,
    part: Part,
    store: Part,
}

impl Follower {
    /// An empty tail behind the table's newest version, to be followed by [`Self::run`].
    ///
    /// # Errors
    /// If the table can't be read or the scratch folder not be emptied.
    pub async fn open(
        backbone: Arc<dyn Backbone>,
        table: Table,
        limits: TailLimits,
        (part, store): (Part, Part),
    ) -> Result<(Self, HotTail), FollowError> {
        let disk = |e: std::io::Error| crate::spill::SpillError::Disk(e.kind());
        if limits.scratch.exists() {
            std::fs::remove_dir_all(&limits.scratch).map_err(disk)?;
        }
        std::fs::create_dir_all(&limits.scratch).map_err(disk)?;
        let snapshot = table.snapshot().await?;
        let schema = snapshot.schema()?;
        let tail = HotTail::behind(snapshot, schema, backbone.partitions(), limits);
        store.ready();
        Ok((Self { backbone, table, tail: tail.clone(), part, store }, tail))
    }

    /// Follows until `stop`. What fails is tried again; the tail's state says how it stands.
    ///
    /// # Errors
    /// If the backbone refuses: a person must act.
    pub async fn run(self, stop: Stop) -> Result<(), FollowError> {
        tokio::select! {
            () = stop.asked() => Ok(()),
            () = self.follow_table() => Ok(()),
            refused = self.follow_topic() => Err(refused),
        }
    }

    async fn follow_table(&self) {
        loop {
            tokio::time::sleep(SNAPSHOT_EVERY).await;
            let newest = self.table.snapshot().await;
            let newest = newest.and_then(|snapshot| Ok((snapshot.schema()?, snapshot)));
            match newest {
                Ok((schema, snapshot)) => {
                    self.tail.archived(snapshot, &schema);
                    self.store.ready();
                }
                Err(error) => self.store.waits("store", &error),
            }
        }
    }

    async fn follow_topic(&self) -> FollowError {
        loop {
            if let Err(error) = self.follow_once().await {
                self.tail.unreachable();
                if matches!(&error, FollowError::Backbone(refused) if refused.is_refusal()) {
                    return error;
                }
                self.part.waits(error.awaited(), &error);
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// From where the table ends, for as long as nothing fails.
    async fn follow_once(&self) -> Result<(), FollowError> {
        let snapshot = self.table.snapshot().await?;
        let mut reader = self.open_tail(&snapshot).await?;
        let schema = snapshot.schema()?;
        self.tail.restart(snapshot, Arc::clone(&schema), self.backbone.partitions());
        let mut decoder = Decoder::new(schema);
        while !self.tail.is_outdated() {
            if !self.tail.has_room() {
                self.part.ready();
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            let batch = match reader.next(TAIL_WAIT).await {
                Err(error) if error.is_transient() => {
                    self.tail.unreachable();
                    self.part.waits("backbone_unreachable", &error);
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
                other => other?,
            };
            decoder = self.take(decoder, batch).await?;
            self.part.ready();
        }
        Ok(())
    }

    async fn open_tail(&self, snapshot: &Snapshot) -> Result<Box<dyn Tail>, BackboneError> {
        let from = (0..self.backbone.partitions()).filter_map(|p| {
            let next = snapshot.ids().get(&LogPartition(p))?.next_offset;
            Some((Partition(p), Offset(next)))
        });
        self.backbone.tail(Topic::Events, &from.collect::<Vec<_>>()).await
    }

    /// Decodes off the runtime and takes the rows in.
    async fn take(&self, mut decoder: Decoder, batch: TailBatch) -> Result<Decoder, FollowError> {
        let numbered = self.number(batch.records);
        let mut rows = Vec::new();
        for chunk in numbered {
            loop {
                let (back, chunk, made) = decode(decoder, Arc::clone(&chunk)).await?;
                decoder = back;
                match made {
                    Ok(batches) => {
                        rows.extend(new_rows(&chunk, batches));
                        break;
                    }
                    Err(DecodeError::UnknownSchema(id)) => self.learn(&mut decoder, id).await?,
                    Err(other) => return Err(other.into()),
                }
            }
        }
        let (tail, ends) = (self.tail.clone(), batch.ends);
        let taken = tokio::task::spawn_blocking(move || tail.take(rows, &ends)).await;
        taken.map_err(|_| FollowError::Ended)?;
        Ok(decoder)
    }

    async fn learn(&self, decoder: &mut Decoder, id: SchemaId) -> Result<(), FollowError> {
        match self.backbone.registry().schema(id).await {
            Ok(text) => Ok(decoder.know(id, &text)?),
            Err(RegistryError::Unknown(_)) => {
                decoder.give_up_on(id);
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Gives each record its row number, in chunks of one partition.
    fn number(&self, records: Vec<Record>) -> Vec<Arc<Vec<LogRecord>>> {
        let mut next: BTreeMap<u32, i64> = BTreeMap::new();
        let mut open: BTreeMap<u32, Vec<LogRecord>> = BTreeMap::new();
        let mut done = Vec::new();
        for record in records {
            let Partition(p) = record.partition;
            let index = next.entry(p).or_insert_with(|| self.tail.next_index(LogPartition(p)));
            let chunk = open.entry(p).or_default();
            chunk.push(log_record(record, *index));
            *index += 1;
            if chunk.len() >= TAIL_CHUNK_RECORDS {
                done.push(Arc::new(std::mem::take(chunk)));
            }
        }
        done.extend(open.into_values().filter(|chunk| !chunk.is_empty()).map(Arc::new));
        done
    }
}

fn log_record(record: Record, log_index: i64) -> LogRecord {
    let session = std::str::from_utf8(&record.key).ok().and_then(|key| key.parse().ok());
    LogRecord {
        partition: LogPartition(record.partition.0),
        offset: record.offset.0,
        log_index,
        appended_at: record.appended_at,
        session,
        value: record.value.unwrap_or_default(),
    }
}

fn new_rows(
    chunk: &[LogRecord],
    batches: Vec<arrow::record_batch::RecordBatch>,
) -> Option<NewRows> {
    let (first, last) = (chunk.first()?, chunk.last()?);
    Some(NewRows {
        partition: first.partition,
        first_index: first.log_index,
        count: last.log_index + 1 - first.log_index,
        last_at: chunk.iter().map(|record| record.appended_at).max().unwrap_or(Micros(0)),
        batches,
    })
}

type Decoded = Result<Vec<arrow::record_batch::RecordBatch>, DecodeError>;

async fn decode(
    mut decoder: Decoder,
    chunk: Arc<Vec<LogRecord>>,
) -> Result<(Decoder, Arc<Vec<LogRecord>>, Decoded), FollowError> {
    let decoding = tokio::task::spawn_blocking(move || {
        let made = decoder.decode(&chunk);
        (decoder, chunk, made)
    });
    decoding.await.map_err(|_| FollowError::Ended)
}
