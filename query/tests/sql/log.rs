//! What the masker and the archiver do, as far as query sees it: events on `audit.events`, and some
//! of them in the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, AuditEvent, EventWriter, SchemaId};
use trailgate_service::{Clock, Ids as _, RandomIds, SystemClock};
use trailgate_table::{
    CommitOutcome, Decoder, Ids, LogPartition, LogRecord, PartitionIds, PendingCommit, Table,
    encode,
};
use trailgate_topics::{Appender, Backbone, NewRecord, Partition, Topic};

pub(crate) struct Log {
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) table: Table,
    appender: Arc<dyn Appender>,
    schema: SchemaId,
    waiting: Mutex<BTreeMap<u32, Vec<LogRecord>>>,
    next_index: Mutex<BTreeMap<u32, i64>>,
}

impl Log {
    pub(crate) async fn new(backbone: Arc<dyn Backbone>, table: Table) -> Self {
        let topics = [Topic::Raw, Topic::Events];
        backbone.ensure(&topics).await.unwrap();
        let registry = backbone.registry();
        let schema = registry.register("audit.events-value", AUDIT_EVENT_SCHEMA).await.unwrap();
        let appender = backbone.appender().unwrap();
        let (waiting, next_index) = Default::default();
        Self { backbone, table, appender, schema, waiting, next_index }
    }

    /// Appends masked events and waits until they are durable.
    pub(crate) async fn append(&self, events: &[AuditEvent]) {
        let writer = EventWriter::new(self.schema);
        let mut acks = Vec::new();
        for event in events {
            let partition = Partition::of_session(event.session_id, self.backbone.partitions());
            let key = Bytes::from(event.session_id.to_string());
            let value = Bytes::from(writer.write(event).unwrap());
            let record =
                NewRecord { topic: Topic::Events, partition, key, value: Some(value.clone()) };
            acks.push((partition.0, event.session_id, value, self.appender.append(record)));
        }
        for (partition, session, value, ack) in acks {
            let offset = ack.await.unwrap().0;
            let mut next = self.next_index.lock().unwrap();
            let index = next.entry(partition).or_default();
            self.waiting.lock().unwrap().entry(partition).or_default().push(LogRecord {
                partition: LogPartition(partition),
                offset,
                log_index: *index,
                appended_at: SystemClock.now(),
                session: Some(session),
                value,
            });
            *index += 1;
        }
    }

    /// Moves up to `most` records of each partition into the table. Gives how many.
    pub(crate) async fn archive(&self, most: usize) -> usize {
        let mut taken = Vec::new();
        let mut after = Ids::new();
        for (partition, records) in self.waiting.lock().unwrap().iter_mut() {
            let many = most.min(records.len());
            let records: Vec<_> = records.drain(..many).collect();
            let Some(last) = records.last() else { continue };
            let ids = PartitionIds { next_offset: last.offset + 1, tree_size: last.log_index + 1 };
            after.insert(LogPartition(*partition), ids);
            taken.extend(records);
        }
        if taken.is_empty() {
            return 0;
        }
        let base = self.table.snapshot().await.unwrap();
        let mut decoder = Decoder::new(base.stored_schema());
        decoder.know(self.schema, AUDIT_EVENT_SCHEMA).unwrap();
        let rows = decoder.decode(&taken).unwrap();
        let files = encode(&rows, SystemClock.now(), || RandomIds.next()).unwrap();
        let committed = self.table.commit(PendingCommit::new(base, files, after)).await;
        assert!(matches!(committed, CommitOutcome::Committed(_)), "{committed:?}");
        taken.len()
    }
}
