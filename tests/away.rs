//! What a stage needs may come after it, and may go away and come back: the stage waits, says for what
//! in `/readyz` and once in its log, and goes on by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "what was said is for who reads a failure")]

use std::time::Duration;

use reqwest::{Client, StatusCode};

use trailgate_testkit::{Upstream, until_within};
use trailgate_tests::{Connection, Stages, TablePlace, Trail};

const STAGES: [&str; 5] = ["ingest-proxy", "masker-0", "approver-0", "archiver-0", "query"];

/// Longer than the longest pause between two tries of anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_waited_for_and_said_once() {
    let upstream = Upstream::start().await;
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    let mut stages = Stages::components(TablePlace::Bucket).await;
    let token = stages.token("alice").await;

    // Nothing is there when they start.
    stages.kafka.kill();
    stages.registry.process().pause();
    stages.oidc.process().pause();
    stages.s3.as_mut().unwrap().kill();
    stages.do_not_await();
    stages.start_approver("approver-0").await;
    stages.start_all(&[web]).await;
    for stage in STAGES {
        waits(&mut stages, stage, "").await;
    }
    waits(&mut stages, "masker-0", "backbone_unreachable").await;
    waits(&mut stages, "archiver-0", "table: store").await;

    // One after the other comes.
    stages.kafka.restart().await;
    waits(&mut stages, "masker-0", "registry_unreachable").await;
    stages.registry.process().resume();
    ready(&mut stages, "masker-0").await;
    waits(&mut stages, "ingest-proxy", "identity_provider").await;
    waits(&mut stages, "query", "query: store").await;
    stages.s3.as_mut().unwrap().restart().await;
    ready(&mut stages, "archiver-0").await;
    stages.oidc.process().resume();
    for stage in STAGES {
        ready(&mut stages, stage).await;
    }
    let url = format!("{}/echo", stages.connection_url("web"));
    let ask = async || {
        let asked = Client::new().post(&url).bearer_auth(&token).body("x").send().await;
        asked.unwrap().status()
    };
    assert_eq!(ask().await, StatusCode::OK);

    // Each goes away and comes back.
    stages.s3.as_mut().unwrap().kill();
    assert_eq!(ask().await, StatusCode::OK, "the record is durable without the bucket");
    waits(&mut stages, "archiver-0", "table: store").await;
    waits(&mut stages, "query", "query-table: store").await;
    stages.s3.as_mut().unwrap().restart().await;
    stages.kafka.kill();
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
    for stage in STAGES {
        waits(&mut stages, stage, "backbone").await;
    }
    stages.kafka.restart().await;
    for stage in STAGES {
        ready(&mut stages, stage).await;
    }
    for stage in STAGES {
        let log = stages.daemon(stage).log();
        let told = log.matches("waits, and tries again").count();
        // Once for each of what was away, each time it was; far from once a second.
        assert!((1..=12).contains(&told), "{stage} told {told} times: {log}");
        assert!(!log.contains("panicked"), "{log}");
    }
    let trail = Trail::of_stages(stages, "web").await;
    let recorded = "SELECT count(DISTINCT stream_id) AS n FROM events WHERE connection = 'web' \
                    AND status = 200";
    trail
        .until_sql("what was answered", recorded, |rows| {
            (rows[0]["n"].as_u64() == Some(upstream.requests())).then_some(())
        })
        .await;
}

/// Waits until a stage says that it is not ready, with these words in its reason.
async fn waits(stages: &mut Stages, stage: &str, words: &str) {
    says(stages, stage, words, StatusCode::SERVICE_UNAVAILABLE).await;
}

async fn ready(stages: &mut Stages, stage: &str) {
    says(stages, stage, "", StatusCode::OK).await;
}

/// What it says on the way is shown when the test fails.
async fn says(stages: &mut Stages, stage: &str, words: &str, status: StatusCode) {
    let url = format!("{}/readyz", stages.admin_url(stage));
    let mut last = String::new();
    until_within(PATIENCE, &format!("{stage} to say {status} {words:?}"), async || {
        let Ok(answer) = reqwest::get(&url).await else {
            // One that has ended is not waited for.
            stages.daemon(stage).process().must_live();
            return None;
        };
        let is_so = answer.status() == status;
        let said = answer.text().await.ok()?;
        if said != last {
            println!("{stage} says {said}");
            last.clone_from(&said);
        }
        (is_so && said.contains(words)).then_some(())
    })
    .await;
}
