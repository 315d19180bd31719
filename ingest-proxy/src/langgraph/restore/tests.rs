use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What the server answered to the creation of a background run whose stream was injected.
const CREATED: &str = include_str!("../../../testdata/langgraph/background_created.json");

fn restored(body: &str) -> String {
    String::from_utf8(restore_runs(body.as_bytes()).into_owned()).unwrap()
}

/// What the server answers to the same request without the gateway.
fn expected() -> String {
    let injected =
        r#","gw_request_id":"01a207e7-0000-7000-8000-00000000000a","gw_asked":"1:values:a1:a0""#;
    CREATED
        .replace(injected, "")
        .replace(r#"["values","tasks"]"#, r#"["values"]"#)
        .replace(r#""subgraphs":true"#, r#""subgraphs":false"#)
}

#[test]
fn a_run_object_is_written_back_byte_for_byte() {
    assert_eq!(restored(CREATED), expected());
    let run: Value = serde_json::from_str(&restored(CREATED)).unwrap();
    assert_eq!(run["kwargs"]["resumable"], true, "the client had asked for that, by its plan");
}

#[test]
fn a_list_is_written_back_run_by_run() {
    let own = r#"{"run_id":"x","kwargs":{"stream_mode":["tasks"],"subgraphs":true}}"#;
    let list = format!("[{CREATED},{own}]");
    assert_eq!(restored(&list), format!("[{},{own}]", expected()));
}

#[test]
fn what_was_asked_as_null_is_echoed_as_null() {
    let run = CREATED.replace("1:values:a1:a0", "1:updates,debug:n1:f1");
    let run: Value = serde_json::from_str(&restored(&run)).unwrap();
    assert_eq!(run["kwargs"]["stream_mode"], json!(["updates", "debug"]));
    assert_eq!(run["kwargs"]["subgraphs"], Value::Null);
    assert_eq!(run["kwargs"]["resumable"], false);
}

#[test]
fn a_run_listed_without_its_metadata_is_written_back_by_that_of_its_config() {
    let mut run: Value = serde_json::from_str(CREATED).unwrap();
    run.as_object_mut().unwrap().remove("metadata");
    let run: Value = serde_json::from_str(&restored(&run.to_string())).unwrap();
    assert_eq!(run["kwargs"]["stream_mode"], json!(["values"]));
}

#[test]
fn what_is_no_run_of_ours_is_not_touched() {
    for body in [
        "",
        "{}",
        "[]",
        "7",
        "{\"kwargs\":1}",
        "[1,{\"kwargs\":{\"stream_mode\":[\"tasks\"]}}]",
        "[{",
    ] {
        assert!(matches!(restore_runs(body.as_bytes()), Cow::Borrowed(_)), "{body}");
    }
}

#[test]
fn the_plan_of_a_run_made_elsewhere_is_read_from_its_object() {
    let Some(StripPlan::Injected(plan)) = plan_of_run(CREATED.as_bytes()) else {
        panic!("no plan")
    };
    assert_eq!(plan.to_text(), "1:values:a1:a0");
    assert_eq!(plan_of_run(b"{}"), None);
    assert_eq!(plan_of_run(b"[7"), None);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = restore_runs(&body);
        let _ = plan_of_run(&body);
    }
}
