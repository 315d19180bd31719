//! JSON lines: each row an object with every column, null or not, and a last line that says how
//! complete the answer is. A reader that finds no such last line has not got all.

use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::summary::Summary;

pub(crate) fn rows(batch: &RecordBatch) -> Result<Bytes, ArrowError> {
    let mut out = Vec::new();
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut out);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(out.into())
}

pub(crate) fn end(summary: &Summary) -> Bytes {
    format!("{}\n", summary.json()).into()
}
