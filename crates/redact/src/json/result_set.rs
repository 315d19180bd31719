//! Result sets: `{"columns": ["id", "password"], "rows": [[1, "x"]]}`. The names stand apart from the
//! values, which are masked because of them all the same.
//!
//! Names count for rows that stand behind them, in the same object or in one within it, and also where
//! they are held by an object of their own: `{"schema": {"fields": [{"name": "id"}]}, "rows": […]}`.

use serde::{Deserialize, Serialize};

use crate::json::{Level, Place};
use crate::key_name::NameClass;
use crate::limits::{SECRET_COLUMNS_MAX, TABLES_MAX};
use crate::redactor::Redactor;

/// What a container is of a result set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    #[default]
    Other,
    /// An object that tells of the rows beside it.
    Holder,
    /// The array of the columns' names, or of objects that say them.
    Names,
    /// One of those objects.
    Name,
    /// The array of rows.
    Rows,
    /// A row that is an object, in which the values are an array.
    Record,
    /// The values of a row.
    Row,
}

/// The columns whose names say that they are secret, by their places. Others are most.
pub(super) type Columns = Vec<(usize, NameClass)>;

impl Role {
    /// Whether it matters which of its elements is which.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Names | Self::Row)
    }
}

impl Place {
    /// What a container is that opens behind a key, or as an element.
    pub(super) fn role(&self, key: Option<&str>, is_array: bool) -> Role {
        let outer = self.levels.last().map_or(Role::Other, |level| level.role);
        let is_among = |keys: &[&str]| key.is_some_and(|key| keys.contains(&key));
        match (outer, is_array) {
            (Role::Names, false) => Role::Name,
            (Role::Rows, true) if key.is_none() => Role::Row,
            (Role::Rows, false) => Role::Record,
            (Role::Record, true) if is_among(RECORD_KEYS) => Role::Row,
            (_, true) if is_among(NAMES_KEYS) => Role::Names,
            (_, true) if is_among(ROWS_KEYS) && self.columns().is_some() => Role::Rows,
            (_, false) if is_among(HOLDER_KEYS) => Role::Holder,
            _ => Role::Other,
        }
    }

    /// What the name of its column says of a value that stands in a row.
    pub(super) fn column(&self) -> Option<NameClass> {
        let row = self.levels.last().filter(|level| level.role == Role::Row && self.deeper == 0)?;
        let mut columns = self.columns()?.iter();
        columns.find(|(place, _)| *place == row.index).map(|(_, class)| *class)
    }

    /// Whether a string behind this key is the name of a column.
    pub(super) fn names_column(&self, key: Option<&str>) -> bool {
        self.deeper == 0
            && match (self.levels.last().map(|level| level.role), key) {
                (Some(Role::Names), None) => true,
                (Some(Role::Name), Some(key)) => NAME_KEYS.contains(&key),
                _ => false,
            }
    }

    /// Takes the name of a column.
    pub(super) fn learn_column(&mut self, redactor: &Redactor, name: &str) {
        let Some(names) = self.levels.iter_mut().rev().find(|level| level.role == Role::Names)
        else {
            return;
        };
        let index = names.index;
        let columns = names.columns.get_or_insert_default();
        let is_known = columns.last().is_some_and(|(place, _)| *place == index);
        if !is_known
            && columns.len() < SECRET_COLUMNS_MAX
            && let Some(class) = redactor.classify(name)
        {
            columns.push((index, class));
        }
    }

    /// Takes what a container says of those beside it when it ends.
    pub(super) fn take_columns(&mut self, closed: Level) {
        let tables = self.levels.iter().filter(|level| level.columns.is_some()).count();
        let Some(outer) = self.levels.last_mut() else { return };
        match (closed.role, closed.columns) {
            // Those that came last count, also where they say nothing.
            (Role::Names, columns) => outer.columns = columns.filter(|all| !all.is_empty()),
            (Role::Holder, Some(columns)) => outer.columns = Some(columns),
            _ => {}
        }
        if tables >= TABLES_MAX {
            outer.columns = None;
        }
    }

    /// The columns that count here.
    fn columns(&self) -> Option<&Columns> {
        self.levels.iter().rev().find_map(|level| level.columns.as_ref())
    }
}

/// Fields that hold columns' names.
const NAMES_KEYS: &[&str] = &[
    "columns",
    "Columns",
    "column_names",
    "columnNames",
    "columnMetadata",
    "column_metadata",
    "ColumnInfo",
    "cols",
    "fields",
    "field_names",
    "fieldNames",
    "schema",
    "header",
    "headers",
    "meta",
    "rowType",
    "names",
];
/// Objects that hold such a field.
const HOLDER_KEYS: &[&str] = &[
    "schema",
    "tableSchema",
    "meta",
    "metadata",
    "manifest",
    "resultSetMetaData",
    "ResultSetMetadata",
    "description",
];
/// What says a column's name where it is an object.
const NAME_KEYS: &[&str] =
    &["name", "Name", "column_name", "columnName", "COLUMN_NAME", "label", "field", "key"];
/// Fields that hold rows.
const ROWS_KEYS: &[&str] = &[
    "rows",
    "Rows",
    "data",
    "data_array",
    "dataArray",
    "values",
    "results",
    "result",
    "records",
    "tuples",
    "rowset",
];
/// What holds the values where a row is an object.
const RECORD_KEYS: &[&str] = &["f", "c", "cells", "values", "row", "data", "Data"];
