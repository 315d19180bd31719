//! Records of `audit.events` become rows: straight from Confluent-framed Avro to Arrow, by the
//! schema that wrote them, so that no row is ever a struct on the way.
//!
//! Promises: each record becomes exactly one row. One that does not decode becomes a row of kind
//! `undecodable` and never eats its neighbour: each must be consumed exactly, and once one is not,
//! its whole chunk is decoded again record by record, each from a fresh state.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use trailgate_schemas::{Micros, SchemaId, SessionId};

use crate::ids::LogPartition;

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

/// Makes rows of records.
pub struct Decoder {}

impl Decoder {
    /// A decoder of rows with the columns `schema`: [`crate::Snapshot::stored_schema`] to write
    /// them, [`crate::Snapshot::schema`] to read them beside the table's.
    #[must_use]
    pub fn new(schema: SchemaRef) -> Self {
        todo!("{schema}")
    }

    /// Whether records of `id` can be decoded.
    #[must_use]
    pub fn knows(&self, id: SchemaId) -> bool {
        todo!("{id:?}")
    }

    /// Lets it decode records that `schema`, registered as `id`, wrote.
    ///
    /// # Errors
    /// [`KnowError::Lacks`] if the table has no place for one of its fields.
    pub fn know(&mut self, id: SchemaId, schema: &str) -> Result<(), KnowError> {
        todo!("{id:?}{schema}")
    }

    /// The registry has no schema `id`: its records become rows of kind `undecodable`.
    pub fn give_up_on(&mut self, id: SchemaId) {
        todo!("{id:?}")
    }

    /// A row for each record, in batches; rows are ordered within a schema, not across schemas.
    ///
    /// # Errors
    /// [`DecodeError::UnknownSchema`] before anything is decoded.
    pub fn decode(&mut self, records: &[LogRecord]) -> Result<Vec<RecordBatch>, DecodeError> {
        todo!("{}", records.len())
    }
}
