//! No record, no effect: while the backbone is down, callers get 503 and the upstream nothing; when
//! it is back, the gateway goes on by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use reqwest::{Client, Response};
use serde_json::Value;

use trailgate_testkit::{Upstream, until};
use trailgate_tests::{Connection, Stages, TablePlace, Trail};

#[tokio::test]
async fn while_the_backbone_is_down_nothing_happens_and_then_it_goes_on() {
    let upstream = Upstream::start().await;
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    let mut stages = Stages::start(&[web], TablePlace::Folder).await;
    let url = format!("{}/echo", stages.connection_url("web"));
    let token = stages.token("alice").await;
    let ask = async || Client::new().post(&url).bearer_auth(&token).body("x").send().await.unwrap();
    assert_eq!(ask().await.status(), 200);
    let reached = upstream.requests();

    stages.kafka.kill();
    not_now(ask().await).await;
    not_now(ask().await).await;
    assert_eq!(upstream.requests(), reached, "the upstream is not touched");

    stages.kafka.restart().await;
    until("the gateway's recovery", async || (ask().await.status() == 200).then_some(())).await;

    // A broker that hangs is as good as none.
    let reached = upstream.requests();
    stages.kafka.pause();
    not_now(ask().await).await;
    assert_eq!(upstream.requests(), reached);
    stages.kafka.resume();
    until("the gateway's recovery", async || (ask().await.status() == 200).then_some(())).await;

    // What was answered is recorded, each once, and each exchange whole.
    let answered = upstream.requests();
    let trail = Trail::of_stages(stages, "web").await;
    let whole = "SELECT count(*) AS n FROM (SELECT stream_id FROM events WHERE connection = 'web' \
                 GROUP BY stream_id HAVING count(*) = max(stream_count) \
                 AND max(CASE WHEN status = 200 THEN 1 ELSE 0 END) = 1)";
    trail
        .until_sql("every answered exchange", whole, |rows| {
            (rows[0]["n"].as_u64() == Some(answered)).then_some(())
        })
        .await;
    assert_eq!(trail.number("SELECT count(*) - count(DISTINCT event_id) FROM events").await, 0);
}

async fn not_now(answer: Response) {
    assert_eq!(answer.status(), 503);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/problem+json"), "{kind}");
    let problem: Value = answer.json().await.unwrap();
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
}
