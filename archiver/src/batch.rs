//! Records on their way into the table, in custody until they are in it.

use std::collections::BTreeMap;

use tokio::time::Instant;
use trailgate_schemas::SessionId;
use trailgate_table::{Ids, LogPartition, LogRecord, PartitionIds, Snapshot};
use trailgate_topics::{Custody, Partition, Record};

use crate::limits::RECORD_OVERHEAD_BYTES;

/// Records and where their partitions stand before and after them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    held: Vec<Custody>,
    records: Vec<LogRecord>,
    before: Ids,
    after: Ids,
    bytes: usize,
    since: Option<Instant>,
}

impl Batch {
    /// Takes a record that is row `ids.tree_size` of its partition, which stood at `ids` before it.
    pub(crate) fn take(&mut self, custody: Custody, ids: PartitionIds) {
        let record = custody.record();
        let partition = LogPartition(record.partition.0);
        self.before.entry(partition).or_insert(ids);
        let after =
            PartitionIds { next_offset: record.offset.next().0, tree_size: ids.tree_size + 1 };
        self.after.insert(partition, after);
        let numbered = log_record(record, ids.tree_size);
        self.bytes += numbered.value.len() + RECORD_OVERHEAD_BYTES;
        self.since.get_or_insert_with(Instant::now);
        self.records.push(numbered);
        self.held.push(custody);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// What it holds in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When its first record came.
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(crate) fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Where its partitions stand after it.
    pub(crate) const fn after(&self) -> &Ids {
        &self.after
    }

    pub(crate) fn has(&self, partition: Partition) -> bool {
        self.after.contains_key(&LogPartition(partition.0))
    }

    /// Whether it follows what `snapshot` has in each of its partitions.
    pub(crate) fn follows(&self, snapshot: &Snapshot) -> bool {
        self.before.iter().all(|(partition, ids)| snapshot.ids_of(*partition) == *ids)
    }

    /// Lets go of a partition's records undelivered: they are another's now.
    pub(crate) fn drop_partition(&mut self, partition: Partition) {
        let partition = LogPartition(partition.0);
        self.before.remove(&partition);
        self.after.remove(&partition);
        self.records.retain(|record| record.partition != partition);
        self.held.retain(|custody| custody.record().partition.0 != partition.0);
        let bytes = self.records.iter().map(|r| r.value.len() + RECORD_OVERHEAD_BYTES);
        self.bytes = bytes.sum();
        if self.records.is_empty() {
            self.since = None;
        }
    }

    /// Delivers what `table` says is archived; the rest is let go undelivered and comes again.
    pub(crate) fn settle(self, table: &Snapshot) {
        let ids: BTreeMap<u32, i64> =
            self.after.keys().map(|p| (p.0, table.ids_of(*p).next_offset)).collect();
        for custody in self.held {
            let record = custody.record();
            if ids.get(&record.partition.0).is_some_and(|next| record.offset.0 < *next) {
                custody.delivered();
            }
        }
    }
}

fn log_record(record: &Record, log_index: i64) -> LogRecord {
    LogRecord {
        partition: LogPartition(record.partition.0),
        offset: record.offset.0,
        log_index,
        appended_at: record.appended_at,
        session: session(&record.key),
        value: record.value.clone().unwrap_or_default(),
    }
}

fn session(key: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(key).ok()?.parse().ok()
}
