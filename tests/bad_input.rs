//! What is wrong is told with its place, and never with the text that was wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use reqwest::Client;
use serde_json::{Value, json};

use trailgate_testkit::{Mark, Recipe, Upstream};
use trailgate_tests::{Trail, Up};

#[tokio::test]
async fn a_typo_in_a_stages_file_stops_its_start_with_line_and_key() {
    let secret = Mark::new("secret");
    for stage in ["ingest-proxy", "masker", "approver", "archiver", "query"] {
        let config = format!("[log]\nlevel = \"info\"\nlevle = \"{secret}\"\n");
        let (status, said) =
            Recipe::of(&format!("trailgate-{stage}")).config(&config).run_to_end().await;
        assert!(!status.success(), "{stage}");
        assert!(said.contains("config.toml:3: log.levle: unknown key"), "{stage}: {said}");
        assert!(!said.contains(secret.as_str()), "{stage}: {said}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_told_who_holds_it() {
    let upstream = Upstream::start().await;
    let mut up = Up::start(&upstream.url()).await;
    let second = Recipe::of("trailgate").argument("up").argument("--data").argument(up.data());
    let (status, said) = second.argument("--listen").argument("127.0.0.1:0").run_to_end().await;
    assert!(!status.success());
    let holder = up.daemon().process().pid().to_string();
    assert!(said.contains(&holder), "{said}");
}

#[tokio::test]
async fn a_statement_that_is_wrong_is_refused_with_its_place_and_nothing_is_written() {
    let upstream = Upstream::start().await;
    let trail = Trail::of_up(Up::start(&upstream.url()).await);
    let statements = [
        "SELEC 1",
        "SELECT nosuch FROM events",
        "SELECT * FROM nosuch",
        "DELETE FROM events",
        "CREATE TABLE t (x int)",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY events TO '/tmp/stolen.csv'",
        "SELECT * FROM '/etc/passwd'",
        "INSERT INTO events VALUES (1)",
        "SELECT 1; SELECT 2",
        "SET datafusion.execution.batch_size = 1",
        "",
    ];
    for statement in statements {
        let refused = trail.try_sql(statement).await.expect_err(statement);
        let is_refusal = refused.starts_with("400") || refused.starts_with("403");
        assert!(is_refusal, "{statement}: {refused}");
        let problem: Value = serde_json::from_str(refused.split_once(": ").unwrap().1).unwrap();
        assert!(problem["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
    }
    assert!(!std::path::Path::new("/tmp/stolen.csv").exists());
}

#[tokio::test]
async fn a_run_that_is_not_json_is_refused_and_nothing_is_forwarded() {
    let upstream = Upstream::start().await;
    let trail = Trail::of_up(Up::start(&upstream.url()).await);
    let bodies = ["{", "[]", "\"text\"", "{\"input\": 1, \"input\": 2", "\u{0}", ""];
    for body in bodies {
        let answer = Client::new()
            .post(format!("{}/runs/wait", trail.proxy_url))
            .bearer_auth(&trail.token)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        assert!((400..500).contains(&status), "{body:?}: {status}");
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["type"].is_string(), "{body:?}: {problem}");
    }
    assert_eq!(upstream.requests(), 0);
    // The gateway goes on.
    let good = json!({"assistant_id": "x", "input": {}});
    let url = format!("{}/runs/wait", trail.proxy_url);
    let answer = Client::new().post(url).bearer_auth(&trail.token).json(&good).send().await;
    assert_eq!((answer.unwrap().status().as_u16(), upstream.requests_of("/runs/wait")), (404, 1));
}
