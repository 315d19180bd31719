//! CSV (RFC 4180) with a line of names. Lists and records, which CSV has no form for, stand as
//! JSON texts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

pub(crate) struct Csv {
    schema: SchemaRef,
}

impl Csv {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        let field = |field: &FieldRef| {
            let data_type = flat_type(field.data_type());
            Arc::new(Field::new(field.name(), data_type, true))
        };
        let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
        Self { schema: Arc::new(Schema::new(fields)) }
    }

    pub(crate) fn begin(&self) -> Result<Bytes, ArrowError> {
        written(true, &RecordBatch::new_empty(Arc::clone(&self.schema)))
    }

    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| flat(column, field));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        written(false, &RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

fn written(header: bool, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
    let mut out = Vec::new();
    let mut writer: Writer<_> = WriterBuilder::new().with_header(header).build(&mut out);
    writer.write(batch)?;
    drop(writer);
    Ok(out.into())
}

fn flat_type(data_type: &DataType) -> DataType {
    if data_type.is_nested() || data_type.is_binary() { DataType::Utf8 } else { data_type.clone() }
}

fn flat(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    if flat_type(field.data_type()) == *field.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(field, column.as_ref(), &options)?;
    let mut json = Vec::new();
    let mut text = |row: usize| {
        if column.is_null(row) {
            return None;
        }
        json.clear();
        encoder.encode(row, &mut json);
        Some(String::from_utf8_lossy(&json).into_owned())
    };
    Ok(Arc::new(StringArray::from_iter((0..column.len()).map(&mut text))))
}
