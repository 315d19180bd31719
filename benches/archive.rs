//! `archive`: framed Avro events to a committed Delta table, beside a way through JSON rows.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

use arrow::json::ReaderBuilder;
use bytes::Bytes;
use trailgate_benches::{Cpu, Figures, event};
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, EventReader, EventWriter, Micros, SchemaId};
use trailgate_table::{
    CommitOutcome, Decoder, LogPartition, LogRecord, PartitionIds, PendingCommit, Table,
    TableLocation, encode,
};

const EVENTS: u64 = 100_000;
const PAYLOAD_BYTES: usize = 700;
const BATCH: usize = 8192;
const ID: SchemaId = SchemaId(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let figures = Figures::of("archive");
    let folder = tempfile::tempdir()?;
    let table = Table::open_or_create(&TableLocation::Folder(folder.path().join("table"))).await?;
    let records = records()?;
    let avro_bytes: usize = records.iter().map(|record| record.value.len()).sum();

    let (cpu, wall) = (Cpu::of_thread(), Instant::now());
    let stored = archive(&table, &records).await?;
    let (cpu, wall) = (cpu.spent().as_secs_f64(), wall.elapsed().as_secs_f64());
    figures.print("throughput", avro_bytes as f64 / 1e6 / cpu, "MB/s/core");
    figures.print("events", EVENTS as f64 / cpu, "1/s/core");
    figures.print("bytes_per_event", stored as f64 / EVENTS as f64, "B");
    figures.print("wall", EVENTS as f64 / wall, "1/s");

    let snapshot = table.snapshot().await?;
    let cpu = Cpu::of_thread();
    through_json(&records, snapshot.stored_schema())?;
    figures.print("events@json_rows", EVENTS as f64 / cpu.spent().as_secs_f64(), "1/s/core");
    Ok(())
}

fn records() -> anyhow::Result<Vec<LogRecord>> {
    let writer = EventWriter::new(ID);
    let record = |n: u64| {
        let event = event(n, PAYLOAD_BYTES);
        Ok(LogRecord {
            partition: LogPartition(0),
            offset: n as i64,
            log_index: n as i64,
            appended_at: event.gateway_time,
            session: Some(event.session_id),
            value: Bytes::from(writer.write(&event)?),
        })
    };
    (0..EVENTS).map(record).collect()
}

async fn archive(table: &Table, records: &[LogRecord]) -> anyhow::Result<usize> {
    let snapshot = table.snapshot().await?;
    let mut decoder = Decoder::new(snapshot.stored_schema());
    decoder.know(ID, AUDIT_EVENT_SCHEMA)?;
    let mut batches = Vec::new();
    for chunk in records.chunks(BATCH) {
        batches.extend(decoder.decode(chunk)?);
    }
    let mut next = 0;
    let name = || {
        next += 1;
        uuid::Uuid::from_u128(next)
    };
    let files = encode(&batches, Micros(1_795_000_000_000_000), name)?;
    let bytes = files.iter().map(trailgate_table::EncodedFile::size).sum();
    let ids = PartitionIds { next_offset: EVENTS as i64, tree_size: EVENTS as i64 };
    let after = [(LogPartition(0), ids)].into_iter().collect();
    match table.commit(PendingCommit::new(snapshot, files, after)).await {
        CommitOutcome::Committed(_) => Ok(bytes),
        other => anyhow::bail!("not committed: {other:?}"),
    }
}

/// The way that many take: a struct for each row, JSON of it, columns of that, files.
fn through_json(records: &[LogRecord], schema: arrow::datatypes::SchemaRef) -> anyhow::Result<()> {
    let mut reader = EventReader::default();
    reader.know(ID, AUDIT_EVENT_SCHEMA)?;
    let mut batches = Vec::new();
    for chunk in records.chunks(BATCH) {
        let mut lines = Vec::new();
        for record in chunk {
            let mut row = serde_json::to_value(reader.read(&record.value)?)?;
            row["day"] = "2026-11-18".into();
            row["retention"] = "standard".into();
            row["log_partition"] = 0.into();
            row["log_index"] = record.log_index.into();
            serde_json::to_writer(&mut lines, &row)?;
            lines.push(b'\n');
        }
        let json = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(BATCH);
        for batch in json.build(Cursor::new(lines))? {
            batches.push(batch?);
        }
    }
    let mut next = 0;
    let name = || {
        next += 1;
        uuid::Uuid::from_u128(next)
    };
    encode(&batches, Micros(1_795_000_000_000_000), name)?;
    Ok(())
}
