//! Reading a partition on a connection of its own, a bounded piece at a time: a write-ahead log is
//! reused only when no reader's snapshot needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, Row};
use trailgate_schemas::{Micros, SchemaId};

use super::heads::Heads;
use super::{limits, schemas, storage};
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Record};
use crate::topic::Topic;

/// A connection that reads.
pub(super) struct Reader {
    db: Connection,
    heads: Arc<Heads>,
}

/// A piece of a partition.
pub(super) struct Piece {
    /// In order.
    pub(super) records: Vec<Record>,
    /// The place behind them, or, if nothing was left unread, the high watermark.
    pub(super) next: Offset,
}

impl Reader {
    pub(super) fn open(path: &Path, heads: &Arc<Heads>) -> Result<Self, BackboneError> {
        Ok(Self { db: storage::open_reader(path)?, heads: Arc::clone(heads) })
    }

    /// What lies at and behind `from`, up to the bounds of a read.
    ///
    /// # Errors
    /// [`BackboneError::Missing`] if `from` is no longer kept or never was; storage's.
    pub(super) fn read(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
    ) -> Result<Piece, BackboneError> {
        let high = self.heads.one(topic, partition)?.high;
        let snapshot = || {
            // One snapshot for both, else a trim between them would look like a hole.
            let snapshot = self.db.unchecked_transaction()?;
            let low = storage::low(&snapshot, topic, partition)?;
            Ok((low, self.rows(topic, partition, from, high)?))
        };
        let (low, piece) = snapshot().map_err(storage::storage)?;
        if from < low || from > high {
            let topic = topic.name();
            return Err(BackboneError::Missing { topic, partition, low, wanted: from });
        }
        Ok(piece)
    }

    fn rows(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        high: Offset,
    ) -> rusqlite::Result<Piece> {
        let table = storage::table(topic, partition);
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT \"offset\", appended_at, key, value FROM {table} \
             WHERE \"offset\" >= ?1 AND \"offset\" < ?2 ORDER BY \"offset\" LIMIT ?3"
        ))?;
        let mut rows = statement.query((from.0, high.0, limits::READ_RECORDS as i64))?;
        let (mut records, mut read) = (Vec::new(), 0);
        while read < limits::READ_BYTES
            && let Some(row) = rows.next()?
        {
            let record = record(topic, partition, row)?;
            read += bytes(&record);
            records.push(record);
        }
        let is_full = records.len() >= limits::READ_RECORDS || read >= limits::READ_BYTES;
        let last = records.last().filter(|_| is_full);
        let next = last.map_or(high, |last: &Record| last.offset.next());
        Ok(Piece { records, next })
    }

    /// What a group has committed of a topic.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<BTreeMap<Partition, Offset>, BackboneError> {
        let committed = || {
            let mut statement = self.db.prepare_cached(
                "SELECT number, next FROM offsets WHERE \"group\" = ?1 AND topic = ?2",
            )?;
            let rows = statement.query_map((group, topic.name()), |row| {
                Ok((Partition(row.get(0)?), Offset(row.get(1)?)))
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        committed().map_err(storage::storage)
    }

    /// The first place at or after `time`.
    ///
    /// # Errors
    /// Storage's, or that there is no such partition.
    pub(super) fn first_at_or_after(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        let head = self.heads.one(topic, partition)?;
        storage::first_at_or_after(&self.db, (topic, partition), head, time)
            .map_err(storage::storage)
    }

    /// The schema of an id.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn schema(&self, id: SchemaId) -> Result<Option<String>, BackboneError> {
        schemas::find(&self.db, id).map_err(storage::storage)
    }
}

/// What a record takes of a read's bound.
pub(super) fn bytes(record: &Record) -> usize {
    record.key.len() + record.value.as_ref().map_or(0, Bytes::len)
}

fn record(topic: Topic, partition: Partition, row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        topic,
        partition,
        offset: Offset(row.get(0)?),
        appended_at: Micros(row.get(1)?),
        key: Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?),
        value: row.get_ref(3)?.as_blob_or_null()?.map(Bytes::copy_from_slice),
    })
}
