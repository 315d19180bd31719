//! The forms of an answer, and what an answer says of itself.

use arrow::ipc::reader::StreamReader;
use http_body_util::BodyExt;
use serde_json::json;
use trailgate_testkit::until;

use crate::world::{Plan, World, event, events};

async fn with_events(plan: Plan, many: i64) -> World {
    let world = World::with(plan).await;
    world.log.append(&events(many)).await;
    let count = "SELECT count(*) AS n FROM events";
    until("all are seen", async || (world.number(count).await == many).then_some(())).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_have_every_column_and_a_last_line() {
    let world = with_events(Plan::default(), 3).await;
    let sql = "SELECT stream_seq, node, actor_groups FROM events ORDER BY stream_seq";
    let (rows, last) = world.rows(sql).await;
    assert_eq!(rows[2], json!({"stream_seq": 2, "node": null, "actor_groups": []}));
    assert_eq!(
        (&last["rows"], &last["cut"], &last["tail"]),
        (&json!(3), &json!(false), &json!("following"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_has_a_line_of_names_and_lists_as_json() {
    let world = World::start().await;
    let mut one = event(1, 7);
    one.actor_groups = vec!["a".to_owned(), "b".to_owned()];
    one.error = Some("said \"no\", twice".to_owned());
    world.log.append(&[one]).await;
    let text = until("the event is seen", async || {
        let sql = "SELECT stream_seq, actor_groups, error, node FROM events";
        let answer = world.auditor().query(&[("format", "csv")]).body(sql).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8; header=present");
        assert!(answer.headers().contains_key("trailgate-complete-until"));
        Some(answer.text().await.unwrap()).filter(|text| text.lines().count() == 2)
    })
    .await;
    let row = "7,\"[\"\"a\"\",\"\"b\"\"]\",\"said \"\"no\"\", twice\",";
    assert_eq!(text, format!("stream_seq,actor_groups,error,node\n{row}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_has_a_form_in_every_format() {
    let world = with_events(Plan::default(), 5).await;
    world.log.archive(100).await;
    for format in trailgate_query::Format::NAMES {
        let body = json!({"sql": "SELECT * FROM events", "format": format});
        let answer = world.auditor().json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let bytes = answer.bytes().await.unwrap();
        if format == "arrow" {
            let batches: Vec<_> =
                StreamReader::try_new(bytes.as_ref(), None).unwrap().map(Result::unwrap).collect();
            assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 5);
        } else {
            // Five rows, and one line more: names, or how complete it is.
            assert_eq!(std::str::from_utf8(&bytes).unwrap().lines().count(), 6, "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_rows_still_has_its_columns() {
    let world = World::start().await;
    let sql = "SELECT node, count(*) AS n FROM events GROUP BY node";
    let answer = world.auditor().query(&[("format", "csv")]).body(sql).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "node,n\n");
    let answer = world.auditor().query(&[("format", "arrow")]).body(sql).send().await.unwrap();
    let bytes = answer.bytes().await.unwrap();
    let reader = StreamReader::try_new(bytes.as_ref(), None).unwrap();
    assert_eq!(reader.schema().fields().len(), 2);
}

const TEN_ROWS: Plan = Plan { configure: |config| config.max_rows = 10, wrap: |backbone| backbone };

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_the_bound_are_cut_and_the_answer_says_so() {
    let world = with_events(TEN_ROWS, 30).await;
    let (rows, last) = world.rows("SELECT event_id FROM events").await;
    assert_eq!((rows.len(), &last["cut"]), (10, &json!(true)));
    let (rows, last) = world.rows("SELECT event_id FROM events LIMIT 10").await;
    assert_eq!((rows.len(), &last["cut"]), (10, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_breaks_off_for_whom_it_can_not_be_told_otherwise() {
    let world = with_events(TEN_ROWS, 30).await;
    for format in ["csv", "arrow"] {
        let ask =
            || world.auditor().query(&[("format", format)]).body("SELECT event_id FROM events");
        // A short answer may break off before its head is out.
        if let Ok(answer) = ask().send().await {
            assert!(answer.bytes().await.is_err(), "{format}");
        }

        let answer = ask().header("te", "trailers").send().await.unwrap();
        let body = http::Response::from(answer).into_body().collect().await.unwrap();
        let trailers = body.trailers().unwrap().clone();
        assert_eq!(
            (&trailers["trailgate-rows"], &trailers["trailgate-cut"]),
            (&"10".parse().unwrap(), &"true".parse().unwrap())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_on_the_way_does_not_look_whole() {
    let world = World::start().await;
    let sql = "SELECT 1 / (value - 9000) AS n FROM generate_series(1, 10000)";
    let text = world.ask(sql).await.text().await.unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(text.lines().count() > 1000 && last.get("complete_until").is_none(), "{last}");
    assert_eq!(last["problem"]["type"], "urn:trailgate:problem:statement_failed_on_a_value");
    for format in ["csv", "arrow"] {
        let ask = || world.auditor().query(&[("format", format)]).body(sql);
        assert!(ask().send().await.unwrap().bytes().await.is_err(), "{format}");
        let answer = ask().header("te", "trailers").send().await.unwrap();
        let body = http::Response::from(answer).into_body().collect().await.unwrap();
        let trailers = body.trailers().unwrap();
        assert_eq!(trailers["trailgate-error"], "statement_failed_on_a_value", "{format}");
    }
}
