use std::collections::BTreeSet;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use proptest::prelude::*;

use super::*;
use crate::columns::columns;
use crate::samples::{ID, NOON, event, framed, record};

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(columns());
    decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    decoder
}

fn decoded(records: &[LogRecord]) -> RecordBatch {
    let batches = decoder().decode(records).unwrap();
    concat_batches(&columns(), &batches).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

fn kinds(batch: &RecordBatch) -> Vec<String> {
    texts(batch, "kind").into_iter().flatten().collect()
}

fn indexes(batch: &RecordBatch) -> BTreeSet<i64> {
    let column = batch.column_by_name(LOG_INDEX).unwrap().as_primitive::<Int64Type>();
    column.values().iter().copied().collect()
}

#[test]
fn the_tables_columns_are_what_the_decoder_makes_of_the_schema() {
    let writer = Writer::new(ID, AUDIT_EVENT_SCHEMA).ok().unwrap();
    assert_eq!(misfit(&writer.schema(), &columns()), None);
    assert_eq!(writer.schema().fields().len() + 4, columns().fields().len());
}

#[test]
fn an_event_becomes_a_row_with_the_tables_own_columns() {
    let batch = decoded(&[record(3, framed(3))]);
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(texts(&batch, "payload"), [Some("{\"number\":3}".to_owned())]);
    assert_eq!(texts(&batch, "session_id"), [Some(event(3).session_id.to_string())]);
    assert_eq!(texts(&batch, RETENTION), [Some("standard".to_owned())]);
    assert_eq!(texts(&batch, "thread_id"), [None]);
    assert_eq!(indexes(&batch), BTreeSet::from([3]));
    let day = batch.column_by_name(DAY).unwrap().as_primitive::<arrow::datatypes::Date32Type>();
    assert_eq!(i64::from(day.value(0)), NOON.0 / DAY_MICROS);
    let status = batch.column_by_name("status").unwrap().as_primitive::<Int32Type>();
    assert_eq!(status.value(0), 200);
    let groups = batch.column_by_name("actor_groups").unwrap().as_list::<i32>().value(0);
    assert_eq!(groups.as_string::<i32>().value(1), "dev");
    let redactions = batch.column_by_name("redactions").unwrap().as_list::<i32>().value(0);
    let rules = redactions.as_struct().column_by_name("rule").unwrap();
    assert_eq!(rules.as_string::<i32>().value(0), "bearer");
}

#[test]
fn more_records_than_are_decoded_together_all_become_rows() {
    let count = DECODE_ROWS as i64 + 10;
    let records: Vec<LogRecord> = (0..count).map(|n| record(n, framed(n))).collect();
    let batch = decoded(&records);
    assert_eq!(indexes(&batch), (0..count).collect());
}

#[test]
fn a_truncated_record_does_not_eat_its_neighbour() {
    for cut in [0, 3, 5, 6, 40, framed(1).len() - 1] {
        let records =
            [record(0, framed(0)), record(1, framed(1).slice(..cut)), record(2, framed(2))];
        let batch = decoded(&records);
        assert_eq!(batch.num_rows(), 3, "cut at {cut}");
        assert_eq!(kinds(&batch), ["request", "request", "undecodable"], "cut at {cut}");
        let payloads = texts(&batch, "payload");
        assert_eq!(payloads[0].as_deref(), Some("{\"number\":0}"));
        assert_eq!(payloads[1].as_deref(), Some("{\"number\":2}"));
        assert_eq!(indexes(&batch), BTreeSet::from([0, 1, 2]));
    }
}

#[test]
fn bytes_behind_a_datum_make_it_undecodable_even_if_they_are_a_record() {
    let two = [framed(1), framed(2)].concat();
    let batch = decoded(&[record(0, framed(0)), record(1, Bytes::from(two))]);
    assert_eq!(kinds(&batch), ["request", "undecodable"]);
}

#[test]
fn text_that_is_not_utf8_is_undecodable_and_its_neighbours_are_not() {
    let good = framed(1);
    let needle = b"ada@example.com";
    let at = good.windows(needle.len()).position(|w| w == needle).unwrap();
    let mut bad = good.to_vec();
    bad[at] = 0xff;
    let records = [record(0, framed(0)), record(1, Bytes::from(bad)), record(2, framed(2))];
    assert_eq!(kinds(&decoded(&records)), ["request", "request", "undecodable"]);
}

#[test]
fn an_undecodable_row_says_where_it_lies_and_why_and_nothing_of_its_bytes() {
    let session = SessionId(uuid::Uuid::from_u128(0x77));
    let mut lost = record(4, Bytes::from_static(b"hunter2"));
    lost.session = Some(session);
    let batch = decoded(&[lost]);
    assert_eq!(texts(&batch, "reason"), [Some("frame".to_owned())]);
    assert_eq!(texts(&batch, "resource"), [Some("audit.events/0/8".to_owned())]);
    assert_eq!(texts(&batch, "session_id"), [Some(session.to_string())]);
    assert_eq!(texts(&batch, "payload_state"), [Some("withheld".to_owned())]);
    assert!(!format!("{batch:?}").contains("hunter2"));
}

#[test]
fn an_unknown_schema_is_asked_for_before_anything_is_decoded() {
    let mut decoder = Decoder::new(columns());
    let records = [record(0, framed(0))];
    assert_eq!(decoder.decode(&records), Err(DecodeError::UnknownSchema(ID)));
    decoder.give_up_on(ID);
    let batch = &decoder.decode(&records).unwrap()[0];
    assert_eq!(kinds(batch), ["undecodable"]);
    assert_eq!(texts(batch, "reason"), [Some("schema_unknown".to_owned())]);
}

/// The next version as a coming release might make it: one optional field more.
fn next_version() -> String {
    AUDIT_EVENT_SCHEMA.replacen(
        "  \"fields\": [",
        "  \"fields\": [\n    {\"name\": \"added_later\", \"type\": [\"null\", \"string\"], \"default\": null},",
        1,
    )
}

/// A record of the next version: the new field comes first and is null.
fn of_next_version(n: i64) -> Bytes {
    let today = framed(n);
    Bytes::from([&[0, 0, 0, 0, 8], &[0][..], &today[5..]].concat())
}

#[test]
fn a_field_that_the_table_lacks_is_told_by_its_name() {
    let error = decoder().know(SchemaId(8), &next_version()).unwrap_err();
    assert_eq!(error, KnowError::Lacks { id: SchemaId(8), field: "added_later".to_owned() });
    assert!(error.to_string().ends_with("upgrade the archiver"));
}

#[test]
fn records_of_two_versions_stand_in_one_table() {
    let mut fields = vec![Field::new("added_later", DataType::Utf8, true)];
    fields.extend(columns().fields().iter().map(|field| field.as_ref().clone()));
    let wanted = Arc::new(arrow::datatypes::Schema::new(fields));
    let mut decoder = Decoder::new(Arc::clone(&wanted));
    decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    decoder.know(SchemaId(8), &next_version()).unwrap();
    let records = [record(0, framed(0)), record(1, of_next_version(1)), record(2, framed(2))];
    let batch = concat_batches(&wanted, &decoder.decode(&records).unwrap()).unwrap();
    assert_eq!(kinds(&batch), ["request", "request", "request"]);
    assert_eq!(indexes(&batch), BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_column_that_the_writer_did_not_know_has_its_default() {
    let old = AUDIT_EVENT_SCHEMA.lines().filter(|line| !line.contains("\"payload_state\""));
    let old: String = old.collect();
    let mut decoder = Decoder::new(columns());
    decoder.know(ID, &old).unwrap();
    let written = framed(0);
    let word = b"\x10recorded";
    let at = written.windows(word.len()).position(|w| w == word).unwrap();
    let datum = [&written[..at], &written[at + word.len()..]].concat();
    let batch = &decoder.decode(&[record(0, Bytes::from(datum))]).unwrap()[0];
    assert_eq!(kinds(batch), ["request"]);
    assert_eq!(texts(batch, "payload_state"), [Some("none".to_owned())]);
}

#[test]
fn a_damaged_time_does_not_make_a_day_that_no_engine_can_write() {
    let mut far = event(0);
    far.broker_time = Some(Micros(i64::MAX));
    let value = EventWriter::new(ID).write(&far).unwrap();
    let batch = decoded(&[record(0, Bytes::from(value))]);
    let day = batch.column_by_name(DAY).unwrap().as_primitive::<arrow::datatypes::Date32Type>();
    assert_eq!(i64::from(day.value(0)), NOON.0 / DAY_MICROS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_record_is_one_row_whatever_is_damaged(
        damage in proptest::collection::vec((0_i64..8, 0_usize..400, any::<u8>()), 0..6),
    ) {
        let mut values: Vec<Vec<u8>> = (0..8).map(|n| framed(n).to_vec()).collect();
        for (record, at, byte) in damage {
            let value = &mut values[usize::try_from(record).unwrap()];
            let at = at.min(value.len() - 1);
            // The schema id stays: another would be asked for.
            if at >= 5 { value[at] = byte; } else { value.truncate(at + 5); }
        }
        let whole: Vec<bool> =
            values.iter().zip(0..).map(|(value, n)| *value == framed(n)).collect();
        let records: Vec<LogRecord> =
            values.into_iter().zip(0..).map(|(value, n)| record(n, Bytes::from(value))).collect();
        let batch = decoded(&records);
        prop_assert_eq!(batch.num_rows(), 8);
        prop_assert_eq!(indexes(&batch), (0..8).collect::<BTreeSet<_>>());
        let payloads: BTreeSet<String> = texts(&batch, "payload").into_iter().flatten().collect();
        for (n, _) in whole.iter().enumerate().filter(|(_, whole)| **whole) {
            let payload = format!("{{\"number\":{n}}}");
            prop_assert!(payloads.contains(&payload));
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let value = [&[0, 0, 0, 0, 7][..], &bytes].concat();
        prop_assert_eq!(decoded(&[record(0, Bytes::from(value))]).num_rows(), 1);
    }
}
