//! One writer's schema and the state that decodes its records into Arrow.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow_avro::codec::Tz;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use trailgate_schemas::SchemaId;

use crate::limits::DECODE_ROWS;

/// Decodes records of one registry id.
#[derive(Debug)]
pub(crate) struct Writer {
    id: SchemaId,
    text: String,
    state: arrow_avro::reader::Decoder,
}

/// The text is no Avro schema of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotASchema;

/// What became of records: rows of those that decode, in order, and which do not.
pub(crate) struct Decoded {
    /// A row for each record that is not in `bad`; none if all are.
    pub(crate) rows: Option<RecordBatch>,
    /// Places among the records.
    pub(crate) bad: Vec<usize>,
}

impl Writer {
    pub(crate) fn new(id: SchemaId, text: &str) -> Result<Self, NotASchema> {
        Ok(Self { id, text: text.to_owned(), state: state(id, text)? })
    }

    /// The columns of its rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.state.schema()
    }

    /// Decodes framed records of this id, at most [`DECODE_ROWS`].
    pub(crate) fn decode(&mut self, framed: &[&[u8]]) -> Result<Decoded, NotASchema> {
        if let Some(rows) = self.all(framed) {
            return Ok(Decoded { rows: Some(rows), bad: Vec::new() });
        }
        // What a bad record left in the state must not meet another record.
        self.renew()?;
        self.one_by_one(framed)
    }

    fn one_by_one(&mut self, framed: &[&[u8]]) -> Result<Decoded, NotASchema> {
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        for (at, record) in framed.iter().enumerate() {
            match self.all(&[record]) {
                Some(row) => rows.push(row),
                None => {
                    bad.push(at);
                    self.renew()?;
                }
            }
        }
        let rows = match rows.first() {
            None => None,
            Some(first) => Some(concat_batches(&first.schema(), &rows).map_err(|_| NotASchema)?),
        };
        Ok(Decoded { rows, bad })
    }

    /// All of the records as rows, or none of them. Each must be consumed to its last byte and make
    /// one row: bytes behind a datum could otherwise pass for a record of their own, and a datum cut
    /// short take its rest from the next.
    fn all(&mut self, framed: &[&[u8]]) -> Option<RecordBatch> {
        for record in framed {
            let free = self.state.capacity();
            let consumed = self.state.decode(record).ok()?;
            if consumed != record.len() || self.state.capacity() + 1 != free {
                return None;
            }
        }
        let batch = self.state.flush().ok()??;
        (batch.num_rows() == framed.len()).then_some(batch)
    }

    fn renew(&mut self) -> Result<(), NotASchema> {
        self.state = state(self.id, &self.text)?;
        Ok(())
    }
}

fn state(id: SchemaId, text: &str) -> Result<arrow_avro::reader::Decoder, NotASchema> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id.0), AvroSchema::new(text.to_owned())).map_err(|_| NotASchema)?;
    ReaderBuilder::new()
        .with_writer_schema_store(store)
        .with_tz(Tz::Utc)
        .with_batch_size(DECODE_ROWS)
        .build_decoder()
        .map_err(|_| NotASchema)
}
