//! An Arrow IPC stream, whose end marker says that all rows came.

use std::mem::take;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

pub(crate) struct ArrowIpc(StreamWriter<Vec<u8>>);

impl ArrowIpc {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        StreamWriter::try_new(Vec::new(), schema).map(Self)
    }

    /// The schema, which the writer wrote when it was made.
    pub(crate) fn begin(&mut self) -> Bytes {
        take(self.0.get_mut()).into()
    }

    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        self.0.write(batch)?;
        Ok(take(self.0.get_mut()).into())
    }

    pub(crate) fn end(mut self) -> Result<Bytes, ArrowError> {
        self.0.finish()?;
        Ok(take(self.0.get_mut()).into())
    }
}
