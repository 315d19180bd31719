//! Rows become Parquet files in memory, one for each day and retention class, with what a reader
//! skips by: statistics on named columns only, bloom filters on what single things are looked up by.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use bytes::Bytes;
use deltalake::kernel::Add;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};
use trailgate_schemas::Micros;
use uuid::Uuid;

use crate::columns::{BLOOM_COLUMNS, DAY, PARTITION_COLUMNS, RETENTION, STATS_COLUMNS};
use crate::limits::{ROW_GROUP_ROWS, STATS_TEXT_MAX_BYTES};

/// A data file that no commit names yet.
#[derive(Clone, Debug)]
pub struct EncodedFile {
    pub(crate) add: Add,
    pub(crate) bytes: Bytes,
    rows: usize,
}

/// Rows can't be written as a file: a mistake of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rows can't be written as a file: {code}")]
pub struct EncodeError {
    /// A stable word.
    pub code: &'static str,
}

impl EncodedFile {
    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// How long it is.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes `batches`, all with the table's stored columns, as files. CPU work: call it off the
/// runtime. `name` draws a new id for each file; `now` is when the files are made.
///
/// # Errors
/// [`EncodeError`] if rows don't have the table's columns.
pub fn encode(
    batches: &[RecordBatch],
    now: Micros,
    mut name: impl FnMut() -> Uuid,
) -> Result<Vec<EncodedFile>, EncodeError> {
    let mut keys = BTreeSet::new();
    for batch in batches {
        keys.extend(partition_keys(batch)?);
    }
    keys.into_iter().map(|key| encode_partition(batches, &key, now, name())).collect()
}

/// A day and a retention class.
type Key = (i32, String);

fn partition_keys(batch: &RecordBatch) -> Result<BTreeSet<Key>, EncodeError> {
    let (days, classes) = key_columns(batch)?;
    let rows = 0..batch.num_rows();
    Ok(rows.map(|row| (days.value(row), classes.value(row).to_owned())).collect())
}

fn key_columns(batch: &RecordBatch) -> Result<(Date32Array, StringArray), EncodeError> {
    let days = batch.column_by_name(DAY).and_then(|c| c.as_primitive_opt::<Date32Type>().cloned());
    let classes = batch.column_by_name(RETENTION).and_then(|c| c.as_string_opt::<i32>().cloned());
    days.zip(classes).ok_or(EncodeError { code: "partition_columns" })
}

fn encode_partition(
    batches: &[RecordBatch],
    key: &Key,
    now: Micros,
    name: Uuid,
) -> Result<EncodedFile, EncodeError> {
    let mut chosen = Vec::with_capacity(batches.len());
    for batch in batches {
        chosen.push(rows_of(batch, key)?);
    }
    chosen.retain(|batch| batch.num_rows() > 0);
    let schema = chosen.first().ok_or(EncodeError { code: "empty" })?.schema();
    let rows = chosen.iter().map(RecordBatch::num_rows).sum();
    let bytes = parquet(&schema, &chosen, rows)?;
    let day = Date32Type::to_naive_date_opt(key.0).ok_or(EncodeError { code: "day" })?.to_string();
    let add = Add {
        path: format!("{DAY}={day}/{RETENTION}={}/{name}.zstd.parquet", key.1),
        partition_values: HashMap::from([
            (DAY.to_owned(), Some(day)),
            (RETENTION.to_owned(), Some(key.1.clone())),
        ]),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        modification_time: now.0 / 1000,
        data_change: true,
        stats: Some(stats(&schema, &chosen, rows).to_string()),
        ..Default::default()
    };
    Ok(EncodedFile { add, bytes, rows })
}

/// The rows of one partition, without the columns that the table is partitioned by.
fn rows_of(batch: &RecordBatch, key: &Key) -> Result<RecordBatch, EncodeError> {
    let (days, classes) = key_columns(batch)?;
    let here = |row: usize| days.value(row) == key.0 && classes.value(row) == key.1;
    let here: BooleanArray = (0..batch.num_rows()).map(|row| Some(here(row))).collect();
    let schema = batch.schema();
    let kept: Vec<usize> = (0..schema.fields().len())
        .filter(|at| !PARTITION_COLUMNS.contains(&schema.field(*at).name().as_str()))
        .collect();
    let rows = batch.project(&kept).map_err(|_| EncodeError { code: "project" })?;
    if here.true_count() == rows.num_rows() {
        return Ok(rows);
    }
    filter_record_batch(&rows, &here).map_err(|_| EncodeError { code: "filter" })
}

fn parquet(schema: &SchemaRef, batches: &[RecordBatch], rows: usize) -> Result<Bytes, EncodeError> {
    let failed = |_| EncodeError { code: "parquet" };
    // The Arrow schema in the footer would be a tenth of a small file; the types are Parquet's own.
    let options = ArrowWriterOptions::new()
        .with_properties(properties(schema, rows))
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map(Bytes::from).map_err(failed)
}

fn properties(schema: &Schema, rows: usize) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None);
    for name in STATS_COLUMNS {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    // As many distinct values as rows at most: the default of a million would be a megabyte for
    // each of them in every file.
    let distinct = rows.clamp(1, ROW_GROUP_ROWS) as u64;
    for name in BLOOM_COLUMNS {
        builder = builder
            .set_column_bloom_filter_enabled(path(name), true)
            .set_column_bloom_filter_fpp(path(name), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path(name), distinct);
    }
    for name in DISTINCT_COLUMNS {
        builder = builder.set_column_dictionary_enabled(path(name), false);
    }
    for field in schema.fields() {
        let grows = matches!(field.data_type(), DataType::Int64 | DataType::Timestamp(..));
        if grows {
            builder = builder
                .set_column_dictionary_enabled(path(field.name()), false)
                .set_column_encoding(path(field.name()), Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}

fn path(name: &str) -> ColumnPath {
    ColumnPath::from(name)
}

/// What the commit says of a file so that readers can skip it unopened.
fn stats(schema: &SchemaRef, batches: &[RecordBatch], rows: usize) -> Value {
    let (mut smallest, mut largest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in STATS_COLUMNS {
        let Ok(at) = schema.index_of(name) else { continue };
        let columns: Vec<&dyn Array> = batches.iter().map(|b| b.column(at).as_ref()).collect();
        let Ok(column) = arrow::compute::concat(&columns) else { continue };
        nulls.insert(name.to_owned(), json!(column.null_count()));
        if let Some((low, high)) = range(&column) {
            smallest.insert(name.to_owned(), low);
            largest.insert(name.to_owned(), high);
        }
    }
    json!({ "numRecords": rows, "minValues": smallest, "maxValues": largest, "nullCount": nulls })
}

fn range(column: &ArrayRef) -> Option<(Value, Value)> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string_opt::<i32>()?;
            let (low, high) = (min_string(texts)?, max_string(texts)?);
            let short = low.len().max(high.len()) <= STATS_TEXT_MAX_BYTES;
            short.then(|| (json!(low), json!(high)))
        }
        DataType::Int32 => {
            let numbers = column.as_primitive_opt::<Int32Type>()?;
            Some((json!(min(numbers)?), json!(max(numbers)?)))
        }
        DataType::Int64 => {
            let numbers = column.as_primitive_opt::<Int64Type>()?;
            Some((json!(min(numbers)?), json!(max(numbers)?)))
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive_opt::<TimestampMicrosecondType>()?;
            // Statistics have milliseconds: the first is rounded down, the last up.
            let high = max(times)?.checked_add(999)?;
            Some((json!(millis(min(times)?)?), json!(millis(high)?)))
        }
        _ => None,
    }
}

fn millis(micros: i64) -> Option<String> {
    let time = timestamp_us_to_datetime(micros.div_euclid(1000) * 1000)?;
    Some(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// One lookup in a hundred opens a row group in vain: 10 bits a value.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Columns whose values hardly ever repeat: a dictionary would only cost.
const DISTINCT_COLUMNS: [&str; 6] =
    ["event_id", "payload", "payload_digest", "payload_salt", "payload_commitment", "headers"];
