//! Making columns that one schema wrote fit those that another wants: the table's for writing, the
//! reader's for reading. By name; what the writer did not know is absent.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;

/// The first field of `written` that `wanted` has no column for, or one of a type that does not
/// fit. Its name is of the schema, never of a record.
pub(crate) fn misfit(written: &Schema, wanted: &Schema) -> Option<String> {
    misfit_among(written.fields(), wanted.fields())
}

/// `column` as `wanted`; the types fit, as [`misfit`] found.
pub(crate) fn fit(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match (column.data_type(), wanted) {
        (from, to) if from == to => Ok(Arc::clone(column)),
        (DataType::List(_), DataType::List(item)) => {
            let list = column.as_list::<i32>();
            let values = fit(list.values(), item.data_type())?;
            let nulls = list.nulls().cloned();
            let list = ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, nulls)?;
            Ok(Arc::new(list))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let record = column.as_struct();
            let columns = fields.iter().map(|field| match record.column_by_name(field.name()) {
                Some(column) => fit(column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), record.len())),
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = record.nulls().cloned();
            let rows = record.len();
            let record = StructArray::try_new_with_length(fields.clone(), columns, nulls, rows)?;
            Ok(Arc::new(record))
        }
        (_, to) => cast(column, to),
    }
}

fn misfit_among(written: &Fields, wanted: &Fields) -> Option<String> {
    written.iter().find_map(|field| match wanted.find(field.name()) {
        None => Some(field.name().clone()),
        Some((_, wanted)) => misfit_of(field, wanted.data_type()),
    })
}

fn misfit_of(field: &Field, wanted: &DataType) -> Option<String> {
    let name = field.name();
    match (field.data_type(), wanted) {
        (DataType::List(item), DataType::List(wanted)) => {
            misfit_of(item, wanted.data_type()).map(|inner| format!("{name}.{inner}"))
        }
        (DataType::Struct(fields), DataType::Struct(wanted)) => misfit_among(fields, wanted),
        (from, to) => (!same_kind(from, to)).then(|| name.clone()),
    }
}

/// Whether values of one type are values of the other, however they are laid out.
fn same_kind(from: &DataType, to: &DataType) -> bool {
    match (plain(from), plain(to)) {
        (DataType::Utf8 | DataType::Utf8View, DataType::Utf8 | DataType::Utf8View) => true,
        (DataType::Timestamp(unit, one), DataType::Timestamp(other_unit, other)) => {
            unit == other_unit && one.is_some() == other.is_some()
        }
        (from, to) => from == to,
    }
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}
