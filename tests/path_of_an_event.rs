//! A mark goes in through the SDK, and one row comes out: on either backbone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use serde_json::json;

use trailgate_testkit::{LangGraph, Mark};
use trailgate_tests::{On, Trail};

#[tokio::test]
async fn a_mark_becomes_one_row_on_the_embedded_log() {
    a_mark_becomes_one_row(On::Embedded).await;
}

#[tokio::test]
async fn a_mark_becomes_one_row_on_kafka() {
    a_mark_becomes_one_row(On::Kafka).await;
}

async fn a_mark_becomes_one_row(on: On) {
    let langgraph = LangGraph::start().await;
    let trail = Trail::start(on, &langgraph.url()).await;
    let mark = Mark::new("order");
    let step = json!({"do": "wait", "assistant": "marked", "input": {"text": mark.as_str()}});
    let lines = trail.sdk().run(&json!([step])).await;
    assert_eq!(lines[0]["result"]["text"], mark.as_str(), "{lines:?}");
    let run = lines[0]["run_id"].as_str().unwrap();

    let nodes = format!("SELECT node, actor, status FROM nodes WHERE run_id = '{run}'");
    let rows = trail
        .until_sql("the node's row", &nodes, |rows| {
            rows.iter().any(|row| row["status"] == "finished").then(|| rows.to_vec())
        })
        .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["node"], "gives_back");
    assert_ne!(rows[0]["actor"], "[unverified]");

    // In the hot tail and then in the table, it stays one.
    let archived = "SELECT max(log_index) FROM events WHERE log_index IS NOT NULL";
    trail
        .until_sql("the archive", archived, |rows| rows[0].as_object()?.values().next()?.as_i64())
        .await;
    for (kind, expected) in [("request", 1), ("response", 1), ("node_started", 1)] {
        let marked = format!("kind = '{kind}' AND payload LIKE '%{mark}%'");
        let count = trail.number(&format!("SELECT count(*) FROM events WHERE {marked}")).await;
        assert_eq!(count, expected, "{kind} records with the mark");
    }
    let twice = "SELECT count(*) - count(DISTINCT event_id) FROM events";
    assert_eq!(trail.number(twice).await, 0);
}
