//! The table's columns: the fields of `audit_event` as Arrow types, and four of the table's own.
//!
//! A field is never null in the table if its Avro type is not null and it has no default: those are
//! the fields of the first version, which every later version writes (FULL_TRANSITIVE). All others
//! may be null, so that any version's records fit. What lies inside a list may always be null.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::Value;
use trailgate_schemas::AUDIT_EVENT_SCHEMA;

/// The column with the day of the broker's append time on `audit.raw`; the table is partitioned
/// by it.
pub const DAY: &str = "day";
/// The column with the retention class; the table is partitioned by it.
pub const RETENTION: &str = "retention";
/// The column with the partition of `audit.events`.
pub const LOG_PARTITION: &str = "log_partition";
/// The column with the dense number of the record within its partition.
pub const LOG_INDEX: &str = "log_index";

/// The one retention class there is until classes can be configured.
pub const RETENTION_STANDARD: &str = "standard";

/// The columns that the table is partitioned by, in their order.
pub const PARTITION_COLUMNS: [&str; 2] = [DAY, RETENTION];

/// The columns with bloom filters: what people look single things up by.
pub const BLOOM_COLUMNS: [&str; 4] = ["session_id", "thread_id", "run_id", "actor"];

/// The columns with statistics, and no others: never a payload.
pub const STATS_COLUMNS: [&str; 14] = [
    "event_id",
    "kind",
    "actor",
    "gateway_time",
    "outcome",
    "connection",
    "session_id",
    "broker_time",
    "status",
    "thread_id",
    "run_id",
    "node",
    LOG_PARTITION,
    LOG_INDEX,
];

/// The table's columns as this version makes them.
#[must_use]
pub fn columns() -> SchemaRef {
    static COLUMNS: OnceLock<SchemaRef> = OnceLock::new();
    Arc::clone(COLUMNS.get_or_init(|| Arc::new(columns_of(AUDIT_EVENT_SCHEMA))))
}

/// The columns of a version of `audit_event`.
pub(crate) fn columns_of(schema: &str) -> Schema {
    let mut fields: Vec<FieldRef> = avro_fields(schema)
        .iter()
        .map(|field| {
            let (data_type, nullable) = arrow_type(&field["type"]);
            let name = field["name"].as_str().unwrap_or_default();
            Arc::new(Field::new(name, data_type, nullable || field.get("default").is_some()))
        })
        .collect();
    fields.push(Arc::new(Field::new(DAY, DataType::Date32, false)));
    fields.push(Arc::new(Field::new(RETENTION, DataType::Utf8, false)));
    fields.push(Arc::new(Field::new(LOG_PARTITION, DataType::Int32, false)));
    fields.push(Arc::new(Field::new(LOG_INDEX, DataType::Int64, false)));
    Schema::new(fields)
}

/// The default that a field of `audit_event` has in this version's schema, where it is not null.
pub(crate) fn default_of(column: &str) -> Option<Value> {
    let fields = avro_fields(AUDIT_EVENT_SCHEMA);
    let field = fields.iter().find(|field| field["name"] == column)?;
    field.get("default").filter(|default| !default.is_null()).cloned()
}

fn avro_fields(schema: &str) -> Vec<Value> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    schema["fields"].as_array().cloned().unwrap_or_default()
}

/// The Arrow type of an Avro type, and whether it may be null. Only what `audit_event` uses; a test
/// holds it against the decoder's own mapping.
fn arrow_type(avro: &Value) -> (DataType, bool) {
    match avro {
        Value::Array(branches) => {
            let inner = branches.iter().find(|branch| *branch != "null");
            (inner.map_or(DataType::Null, |inner| arrow_type(inner).0), true)
        }
        Value::Object(named) if named.get("logicalType").is_some() => (timestamp(), false),
        Value::Object(named) if named["type"] == "array" => {
            (DataType::List(Arc::new(nested("element", &named["items"]))), false)
        }
        Value::Object(named) if named["type"] == "record" => {
            let fields = named["fields"].as_array().into_iter().flatten();
            let fields = fields.map(|f| nested(f["name"].as_str().unwrap_or_default(), &f["type"]));
            (DataType::Struct(Fields::from_iter(fields)), false)
        }
        other => match other.as_str() {
            Some("long") => (DataType::Int64, false),
            Some("int") => (DataType::Int32, false),
            Some("boolean") => (DataType::Boolean, false),
            _ => (DataType::Utf8, false),
        },
    }
}

fn nested(name: &str, avro: &Value) -> Field {
    Field::new(name, arrow_type(avro).0, true)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_columns_exist() {
        let columns = columns();
        let named = PARTITION_COLUMNS.iter().chain(&BLOOM_COLUMNS).chain(&STATS_COLUMNS);
        for name in named {
            assert!(columns.field_with_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_payload_has_statistics_or_a_bloom_filter() {
        let named = STATS_COLUMNS.iter().chain(&BLOOM_COLUMNS);
        assert!(named.clone().all(|name| !name.starts_with("payload")));
        assert!(named.clone().all(|name| !["headers", "path", "error"].contains(name)));
    }

    #[test]
    fn the_six_that_are_never_null_are_never_null_in_the_table() {
        for name in ["actor", "kind", "gateway_time", "outcome", "source_address", "resource"] {
            assert!(!columns().field_with_name(name).unwrap().is_nullable(), "{name}");
        }
        assert!(columns().field_with_name("payload").unwrap().is_nullable());
        assert!(columns().field_with_name("payload_state").unwrap().is_nullable());
    }

    #[test]
    fn a_default_that_is_not_null_is_known() {
        assert_eq!(default_of("payload_state"), Some(Value::from("none")));
        assert_eq!(default_of("payload"), None);
        assert_eq!(default_of("actor"), None);
    }
}
