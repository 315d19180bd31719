//! The forms of an answer: JSON lines, CSV, an Arrow IPC stream. Rows go in, bytes come out, in
//! pieces of about a MiB.

mod arrow_ipc;
mod csv;
mod json_lines;
mod plain;

use std::str::FromStr;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::limits::PIECE_BYTES;
use crate::summary::Summary;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line, and a last one that says how complete the answer is.
    JsonLines,
    /// CSV with a line of names.
    Csv,
    /// An Arrow IPC stream.
    ArrowIpc,
}

/// There is no such format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format")]
pub struct UnknownFormat;

impl Format {
    /// The words that name each in a request.
    pub const NAMES: [&'static str; 3] = ["jsonl", "csv", "arrow"];

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::ArrowIpc => "application/vnd.apache.arrow.stream",
        }
    }

    /// The first that an `Accept` header names; JSON lines if it takes anything.
    ///
    /// # Errors
    /// If it names none of them.
    pub fn accepted(accept: &str) -> Result<Self, UnknownFormat> {
        let ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or("").trim());
        let known = |range: &str| match range.to_ascii_lowercase().as_str() {
            "application/x-ndjson"
            | "application/jsonl"
            | "application/json-lines"
            | "application/json"
            | "application/*"
            | "*/*"
            | "" => Some(Self::JsonLines),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/vnd.apache.arrow.stream" => Some(Self::ArrowIpc),
            _ => None,
        };
        ranges.into_iter().find_map(known).ok_or(UnknownFormat)
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "jsonl" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::ArrowIpc),
            _ => Err(UnknownFormat),
        }
    }
}

/// Writes an answer in one of the forms.
pub(crate) struct Encoder {
    form: Form,
    plain: plain::Plain,
}

enum Form {
    JsonLines,
    Csv(csv::Csv),
    ArrowIpc(Box<arrow_ipc::ArrowIpc>),
}

impl Encoder {
    pub(crate) fn new(format: Format, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let plain = plain::Plain::of(schema);
        let form = match format {
            Format::JsonLines => Form::JsonLines,
            Format::Csv => Form::Csv(csv::Csv::new(plain.schema())),
            Format::ArrowIpc => Form::ArrowIpc(Box::new(arrow_ipc::ArrowIpc::new(plain.schema())?)),
        };
        Ok(Self { form, plain })
    }

    /// What stands before the first row.
    pub(crate) fn begin(&mut self) -> Result<Bytes, ArrowError> {
        match &mut self.form {
            Form::JsonLines => Ok(Bytes::new()),
            Form::Csv(csv) => csv.begin(),
            Form::ArrowIpc(ipc) => Ok(ipc.begin()),
        }
    }

    /// Rows.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        let batch = self.plain.batch(batch)?;
        match &mut self.form {
            Form::JsonLines => json_lines::rows(&batch),
            Form::Csv(csv) => csv.rows(&batch),
            Form::ArrowIpc(ipc) => ipc.rows(&batch),
        }
    }

    /// What stands behind the last row of a whole answer.
    pub(crate) fn end(self, summary: &Summary) -> Result<Bytes, ArrowError> {
        match self.form {
            Form::JsonLines => Ok(json_lines::end(summary)),
            Form::Csv(_) => Ok(Bytes::new()),
            Form::ArrowIpc(ipc) => ipc.end(),
        }
    }
}

/// Cuts a batch so that each part becomes about [`PIECE_BYTES`].
pub(crate) fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let bytes = batch.get_array_memory_size().max(1);
    let each = (rows * PIECE_BYTES / bytes).clamp(1, rows.max(1));
    (0..rows).step_by(each).map(move |from| batch.slice(from, each.min(rows - from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_range_decides() {
        assert_eq!(Format::accepted("text/html, text/csv;q=0.5"), Ok(Format::Csv));
        assert_eq!(Format::accepted("*/*"), Ok(Format::JsonLines));
        assert_eq!(Format::accepted("application/vnd.apache.arrow.stream"), Ok(Format::ArrowIpc));
        assert_eq!(Format::accepted("text/html"), Err(UnknownFormat));
    }

    #[test]
    fn every_name_is_a_format() {
        assert!(Format::NAMES.iter().all(|name| name.parse::<Format>().is_ok()));
    }
}
