//! A planted secret is in no topic but the sealed ones, in no file, no log, no metric and no answer,
//! wherever in a request it stood.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use reqwest::Client;
use serde_json::json;

use trailgate_testkit::{LangGraph, Mark, Planted, PythonSdk};
use trailgate_tests::{
    On, Running, Trail, all_masked, all_records, embedded_backbone, kafka_backbone, leaks,
};
use trailgate_topics::{Backbone, Topic};

#[tokio::test]
async fn no_secret_is_in_clear_on_the_embedded_log() {
    let (secrets, mut trail) = planted(On::Embedded).await;
    let places = trail.places();
    let Running::Up(mut up) = trail.running else { unreachable!("the embedded log was started") };
    up.daemon().process().terminate().await;
    let backbone = embedded_backbone(&up.data());
    no_topic_has(&secrets, &*backbone).await;
    // Its own token is what it writes into dev.json and prints at its start: of the rest, nothing.
    let (token, planted) = secrets.split_first().unwrap();
    let told = [up.data().join("dev.json"), up.daemon().process().log_file().to_owned()];
    let token: Vec<_> =
        leaks(token, &places).into_iter().filter(|leak| !told.contains(&leak.file)).collect();
    assert_eq!(token, []);
    for secret in planted {
        assert_eq!(leaks(secret, &places), []);
    }
}

#[tokio::test]
async fn no_secret_is_in_clear_on_kafka() {
    let (secrets, mut trail) = planted(On::Kafka).await;
    let places = trail.places();
    let Running::Stages(mut stages) = trail.running else { unreachable!("Kafka was started") };
    let backbone = kafka_backbone(&stages);
    all_masked(&*backbone).await;
    no_topic_has(&secrets, &*backbone).await;
    for name in ["ingest-proxy", "masker-0", "archiver-0", "query"] {
        let metrics = reqwest::get(format!("{}/metrics", stages.admin_url(name))).await.unwrap();
        let metrics = metrics.bytes().await.unwrap();
        assert!(!metrics.is_empty());
        none_in(&secrets, &metrics, &format!("metrics of {name}"));
    }
    for name in ["ingest-proxy", "masker-0", "archiver-0", "query"] {
        stages.daemon(name).process().terminate().await;
    }
    for secret in &secrets {
        assert_eq!(leaks(secret, &places), []);
    }
}

/// Plants secrets wherever a caller can put one, and waits until all of it is in the trail. The
/// caller's own token is the first of them.
async fn planted(on: On) -> (Vec<Planted>, Trail) {
    let langgraph = LangGraph::start().await;
    let trail = Trail::start(on, &langgraph.url()).await;
    let token = Planted::of(trail.token.rsplit('.').next().unwrap().to_owned());
    let mut secrets = vec![token];
    let mut next = || {
        let secret = Planted::github_token();
        secrets.push(secret.clone());
        secret.clear().to_owned()
    };

    // In a message, in a node's error, in metadata, and in what streams back.
    let message = format!("please use {} for it", next());
    let steps = json!([
        {"do": "stream", "assistant": "agent", "stream_mode": ["values", "debug"],
         "input": {"messages": [{"role": "user", "content": message}]}},
        {"do": "stream", "assistant": "boom", "stream_mode": "updates",
         "input": {"text": next()}},
        {"do": "wait", "assistant": "marked", "input": {"text": next()},
         "metadata": {"note": next()}},
        {"do": "thread", "as": "t", "metadata": {"note": next()}},
        {"do": "background", "thread": "t", "assistant": "sub", "input": {"text": next()}},
        {"do": "stream", "assistant": next(), "input": {}},
    ]);
    trail.sdk().run(&steps).await;

    // In a path, a query string, a header, a thread id; by a caller who is nobody, too.
    let client = Client::new();
    let encoded: String = next().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let paths = [
        format!("/{}", next()),
        format!("/ok?key={}", next()),
        format!("/ok?key={encoded}"),
        format!("/threads/{}/state", next()),
        format!("/threads/{}/runs/{}", next(), next()),
    ];
    for path in &paths {
        let url = format!("{}{path}", trail.proxy_url);
        client.get(&url).bearer_auth(&trail.token).send().await.unwrap();
        client.get(&url).send().await.unwrap();
    }
    let header = client.get(format!("{}/ok", trail.proxy_url)).bearer_auth(&trail.token);
    header.header("x-note", next()).header("x-api-key", next()).send().await.unwrap();
    let stranger = PythonSdk::bearing(&trail.proxy_url, &next());
    stranger.run(&json!([{"do": "search"}])).await;
    let broken = client.post(format!("{}/runs/wait", trail.proxy_url)).bearer_auth(&trail.token);
    broken.body(format!("{{\"input\": \"{}", next())).send().await.unwrap();

    // In a statement, good and bad.
    let good = format!("SELECT count(*) FROM events WHERE payload = '{}'", next());
    trail.sql(&good).await;
    let refused = trail.try_sql(&format!("SELECT {} FROM nowhere", next())).await;
    none_in(&secrets, refused.unwrap_err().as_bytes(), "an error of query");

    until_the_end(&trail).await;
    let rows = trail.sql("SELECT * FROM events").await;
    assert!(rows.len() > 30, "{} rows", rows.len());
    let answer = serde_json::to_vec(&rows).unwrap();
    none_in(&secrets, &answer, "an answer of query");
    (secrets, trail)
}

/// What was sent before a last mark is in the trail when the mark is in the table.
async fn until_the_end(trail: &Trail) {
    let mark = Mark::new("last");
    let step = json!({"do": "wait", "assistant": "marked", "input": {"text": mark.as_str()}});
    trail.sdk().run(&json!([step])).await;
    let marked = format!(
        "SELECT log_index FROM events WHERE payload LIKE '%{mark}%' AND kind = 'response' \
         AND log_index IS NOT NULL"
    );
    trail.until_sql("the last mark", &marked, |rows| rows.first().map(drop)).await;
    let tail = "SELECT count(*) AS n FROM events WHERE log_index IS NULL";
    trail.until_sql("an empty tail", tail, |rows| (rows[0]["n"] == 0).then_some(())).await;
}

async fn no_topic_has(secrets: &[Planted], backbone: &dyn Backbone) {
    // Some are only made by stages that are not here.
    backbone.ensure(Topic::ALL).await.unwrap();
    let mut records = BTreeMap::new();
    for topic in Topic::ALL {
        for record in all_records(backbone, *topic).await {
            *records.entry(topic).or_insert(0) += 1;
            none_in(secrets, &record.key, topic.name());
            none_in(secrets, record.value.as_deref().unwrap_or_default(), topic.name());
        }
    }
    assert!(records[&Topic::Events] > 30, "{records:?}");
    assert_eq!(records[&Topic::Siem], records[&Topic::Events], "a SIEM is told of each event once");
}

fn none_in(secrets: &[Planted], haystack: &[u8], place: &str) {
    for (index, secret) in secrets.iter().enumerate() {
        assert_eq!(secret.found_in(haystack), None, "secret {index} is in {place}");
    }
}
