//! Records of `audit.events` become rows: straight from Confluent-framed Avro to Arrow, by the
//! schema that wrote them, so that no row is ever a struct on the way.
//!
//! Promises: each record becomes exactly one row. One that does not decode becomes a row of kind
//! `undecodable` and never eats its neighbour: each must be consumed exactly, and once one is not,
//! its whole chunk is decoded again record by record, each from a fresh state.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch,
    StringArray, new_null_array,
};
use arrow::datatypes::{Field, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, EventWriter, Micros, SchemaId, SessionId, unframe};

use crate::avro::{NotASchema, Writer};
use crate::columns::{DAY, LOG_INDEX, LOG_PARTITION, RETENTION, RETENTION_STANDARD, default_of};
use crate::fit::{fit, misfit};
use crate::ids::LogPartition;
use crate::limits::DECODE_ROWS;
use crate::undecodable::{Fault, undecodable};

/// A record of `audit.events` and the row number it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its partition.
    pub partition: LogPartition,
    /// Its place in the partition.
    pub offset: i64,
    /// Its dense number in the partition: what the row has in `log_index`.
    pub log_index: i64,
    /// When the backbone appended it to `audit.events`.
    pub appended_at: Micros,
    /// Its key, if that is a session's id; only a record that does not decode needs it.
    pub session: Option<SessionId>,
    /// The framed datum.
    pub value: Bytes,
}

/// Why a schema can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnowError {
    /// The text is no Avro schema of a record that can be read here.
    #[error("schema id {} is not a readable Avro schema", .0.0)]
    Schema(SchemaId),
    /// Its records have a field that the table has no column for, or one of another type.
    #[error("schema id {} has field {field}, which the table lacks; upgrade the archiver", .id.0)]
    Lacks {
        /// The schema.
        id: SchemaId,
        /// The field.
        field: String,
    },
}

/// Why nothing of a batch was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The batch holds a record of a schema that was not told of: [`Decoder::know`] it, or, if the
    /// registry has no such schema, [`Decoder::give_up_on`] it, and decode again.
    #[error("schema id {} is not known here", .0.0)]
    UnknownSchema(SchemaId),
    /// A mistake of this program.
    #[error("decoded rows do not fit the table: {code}")]
    Broken {
        /// A stable word.
        code: &'static str,
    },
}

/// Makes rows of records. CPU work: call it off the runtime.
pub struct Decoder {
    wanted: SchemaRef,
    writers: BTreeMap<SchemaId, Known>,
    own: Own,
}

enum Known {
    Writer(Box<Writer>),
    /// The registry has no such schema.
    Nothing,
}

/// This version's own schema: what rows of kind `undecodable` are made by.
struct Own {
    encode: EventWriter,
    decode: Writer,
}

impl Decoder {
    /// A decoder of rows with the columns `schema`: [`crate::Snapshot::stored_schema`] to write
    /// them, [`crate::Snapshot::schema`] to read them beside the table's.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the embedded schema is valid Avro, which a test shows")]
    pub fn new(schema: SchemaRef) -> Self {
        let decode = Writer::new(OWN, AUDIT_EVENT_SCHEMA).expect("a valid schema");
        let own = Own { encode: EventWriter::new(OWN), decode };
        Self { wanted: schema, writers: BTreeMap::new(), own }
    }

    /// Whether records of `id` can be decoded.
    #[must_use]
    pub fn knows(&self, id: SchemaId) -> bool {
        self.writers.contains_key(&id)
    }

    /// Lets it decode records that `schema`, registered as `id`, wrote.
    ///
    /// # Errors
    /// [`KnowError::Lacks`] if the table has no place for one of its fields.
    pub fn know(&mut self, id: SchemaId, schema: &str) -> Result<(), KnowError> {
        let writer = Writer::new(id, schema).map_err(|NotASchema| KnowError::Schema(id))?;
        if let Some(field) = misfit(&writer.schema(), &self.wanted) {
            return Err(KnowError::Lacks { id, field });
        }
        self.writers.insert(id, Known::Writer(Box::new(writer)));
        Ok(())
    }

    /// The registry has no schema `id`: its records become rows of kind `undecodable`.
    pub fn give_up_on(&mut self, id: SchemaId) {
        self.writers.insert(id, Known::Nothing);
    }

    /// A row for each record, in batches; rows are ordered within a schema, not across schemas.
    ///
    /// # Errors
    /// [`DecodeError::UnknownSchema`] before anything is decoded.
    pub fn decode(&mut self, records: &[LogRecord]) -> Result<Vec<RecordBatch>, DecodeError> {
        let mut batches = Vec::new();
        let mut bad = Vec::new();
        for (id, group) in self.by_schema(records)? {
            let Some(id) = id else {
                bad.extend(group.into_iter().map(|record| (record, Fault::Frame)));
                continue;
            };
            for chunk in group.chunks(DECODE_ROWS) {
                let undecoded = self.decode_chunk(id, chunk, &mut batches)?;
                bad.extend(undecoded);
            }
        }
        for chunk in bad.chunks(DECODE_ROWS) {
            batches.push(self.undecodable(chunk)?);
        }
        Ok(batches)
    }

    /// Records by registry id, in order; under none those that have no frame.
    fn by_schema<'a>(
        &self,
        records: &'a [LogRecord],
    ) -> Result<BTreeMap<Option<SchemaId>, Vec<&'a LogRecord>>, DecodeError> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for record in records {
            let id = unframe(&record.value).ok().map(|(id, _)| id);
            if let Some(id) = id.filter(|id| !self.knows(*id)) {
                return Err(DecodeError::UnknownSchema(id));
            }
            groups.entry(id).or_default().push(record);
        }
        Ok(groups)
    }

    /// Decodes records of one schema and gives back those that don't.
    fn decode_chunk<'a>(
        &mut self,
        id: SchemaId,
        records: &[&'a LogRecord],
        batches: &mut Vec<RecordBatch>,
    ) -> Result<Vec<(&'a LogRecord, Fault)>, DecodeError> {
        let writer = match self.writers.get_mut(&id) {
            Some(Known::Writer(writer)) => writer,
            Some(Known::Nothing) => {
                return Ok(records.iter().map(|record| (*record, Fault::Schema)).collect());
            }
            None => return Err(DecodeError::UnknownSchema(id)),
        };
        let framed: Vec<&[u8]> = records.iter().map(|record| record.value.as_ref()).collect();
        let decoded = writer.decode(&framed).map_err(|NotASchema| broken("schema"))?;
        let mut bad = decoded.bad.into_iter().peekable();
        let (mut good, mut undecoded) = (Vec::with_capacity(records.len()), Vec::new());
        for (at, record) in records.iter().enumerate() {
            match bad.next_if_eq(&at) {
                Some(_) => undecoded.push((*record, Fault::Datum)),
                None => good.push(*record),
            }
        }
        if let Some(rows) = decoded.rows {
            batches.push(with_log_columns(&rows, &good, &self.wanted)?);
        }
        Ok(undecoded)
    }

    fn undecodable(&mut self, bad: &[(&LogRecord, Fault)]) -> Result<RecordBatch, DecodeError> {
        let mut framed = Vec::with_capacity(bad.len());
        for (record, fault) in bad {
            let event = undecodable(record, *fault);
            framed.push(self.own.encode.write(&event).map_err(|_| broken("undecodable"))?);
        }
        let framed: Vec<&[u8]> = framed.iter().map(Vec::as_slice).collect();
        let decoded =
            self.own.decode.decode(&framed).map_err(|NotASchema| broken("undecodable"))?;
        let rows = decoded.rows.filter(|_| decoded.bad.is_empty()).ok_or(broken("undecodable"))?;
        let records: Vec<&LogRecord> = bad.iter().map(|(record, _)| *record).collect();
        with_log_columns(&rows, &records, &self.wanted)
    }
}

/// The rows of `records` with the columns `wanted`: those that were decoded, and the table's own.
fn with_log_columns(
    rows: &RecordBatch,
    records: &[&LogRecord],
    wanted: &SchemaRef,
) -> Result<RecordBatch, DecodeError> {
    let columns = wanted.fields().iter().map(|field| {
        let column: ArrayRef = match field.name().as_str() {
            DAY => Arc::new(days(rows, records)),
            RETENTION => Arc::new(StringArray::from(vec![RETENTION_STANDARD; records.len()])),
            LOG_PARTITION => {
                let partition = |r: &&LogRecord| r.partition.0.cast_signed();
                Arc::new(records.iter().map(partition).collect::<Int32Array>())
            }
            LOG_INDEX => Arc::new(records.iter().map(|r| r.log_index).collect::<Int64Array>()),
            name => match rows.column_by_name(name) {
                Some(column) => Arc::clone(column),
                None => absent(field, records.len())?,
            },
        };
        fit(&column, field.data_type()).map_err(|_| broken("type"))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(wanted), columns).map_err(|_| broken("null"))
}

/// A column that the writer did not know: its default, else nothing.
fn absent(field: &Field, rows: usize) -> Result<ArrayRef, DecodeError> {
    let column: ArrayRef = match default_of(field.name()) {
        None | Some(serde_json::Value::Array(_)) => new_null_array(field.data_type(), rows),
        Some(serde_json::Value::String(text)) => Arc::new(StringArray::from(vec![text; rows])),
        Some(serde_json::Value::Bool(yes)) => Arc::new(BooleanArray::from(vec![yes; rows])),
        Some(serde_json::Value::Number(number)) => {
            Arc::new(Int64Array::from(vec![number.as_i64(); rows]))
        }
        Some(_) => return Err(broken("default")),
    };
    Ok(column)
}

/// The day on which the backbone appended the sealed event; of a record that does not say, the day
/// on which it was appended to `audit.events`.
fn days(rows: &RecordBatch, records: &[&LogRecord]) -> Date32Array {
    let broker = rows
        .column_by_name("broker_time")
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let broker_time = |row: usize| broker.filter(|b| b.is_valid(row)).map(|b| b.value(row));
    let days = records.iter().enumerate().map(|(row, record)| {
        let time = broker_time(row).filter(|time| TIMES.contains(time));
        let day = time.unwrap_or(record.appended_at.0).div_euclid(DAY_MICROS);
        i32::try_from(day).unwrap_or(0)
    });
    Date32Array::from_iter_values(days)
}

const fn broken(code: &'static str) -> DecodeError {
    DecodeError::Broken { code }
}

const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// Times that have a day which every engine can write: 1970 to 9999. What lies outside is a
/// damaged record's.
const TIMES: std::ops::Range<i64> = 0..253_402_300_800_000_000;

/// An id for this version's own schema inside the decoder; no registry gives it out.
const OWN: SchemaId = SchemaId(u32::MAX);

#[cfg(test)]
mod tests;
