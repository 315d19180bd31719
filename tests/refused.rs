//! What the masker refused is listed, and what was whole is had again once the reason is mended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::path::{Path, PathBuf};

use reqwest::{Client, StatusCode};
use serde_json::Value;

use trailgate_testkit::{Mark, Planted, Recipe, Upstream, until};
use trailgate_tests::{Connection, Stages, TablePlace, Trail};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_a_missing_key_is_had_again_when_the_key_is_there() {
    let upstream = Upstream::start().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    let senders = stages.keys_folder().join("public/senders/ingest-proxy");
    let (keys, aside) = (public_keys(&senders), stages.folder().join("aside"));
    std::fs::create_dir_all(&aside).unwrap();
    move_all(&keys, &aside);
    stages.start_masker("masker-0").await;
    let to = Connection { name: "tools", kind: "http", upstream: upstream.url(), more: "" };
    stages.start_proxy(&[to]).await;

    let (mark, secret) = (Mark::new("order"), Planted::github_token());
    let body = format!(r#"{{"order":"{mark}","note":"use {}"}}"#, secret.clear());
    let url = format!("{}/echo", stages.connection_url("tools"));
    let request = Client::new().post(url).bearer_auth(stages.token("alice").await);
    let answer = request.header("content-type", "application/json").body(body).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);

    let config = stages.folder().join("operator.toml");
    let keys_folder = stages.keys_folder();
    let keys_section = format!("[keys]\nfolder = \"{}\"\n", keys_folder.display());
    std::fs::write(&config, stages.backbone() + &keys_section).unwrap();
    let listed = until("the request among what was refused", async || {
        let listed = refused(&config, &["list", "--json"]).await;
        listed.iter().any(|one| one["kind"] == "request").then_some(listed)
    })
    .await;
    let of_kind = |kind: &str| listed.iter().filter(|one| one["kind"] == kind).count();
    assert!(listed.iter().all(|one| one["reason"] == "sender_unknown"), "{listed:?}");
    let place = listed[0]["place"].as_str().unwrap();
    assert_eq!(refused(&config, &["show", place, "--json"]).await, listed[..1]);

    move_all(&public_keys(&aside), &senders);
    let (status, said) = run(&config, &["retry", "--reason", "sender_unknown"]).await;
    assert!(status, "{said}");
    assert!(said.contains(" sent again"), "{said}");
    stages.start_archiver("archiver-0").await;
    stages.start_query().await;
    let trail = Trail::of_stages(stages, "query").await;
    let recovered = "SELECT payload, recovers, on_behalf_of FROM events \
                     WHERE kind = 'payload_recovered' AND payload LIKE '%order%'";
    let rows = until("the payload among what was recovered", async || {
        trail.try_sql(recovered).await.ok().filter(|rows| !rows.is_empty())
    })
    .await;
    let is_request = |row: &&Value| row["payload"].as_str().unwrap().contains("use [github");
    let row = rows.iter().find(is_request).unwrap_or_else(|| panic!("{rows:?}"));
    let request = listed.iter().find(|one| one["kind"] == "request").unwrap();
    assert!(rows.iter().any(|row| row["recovers"] == request["event_id"]), "{rows:?}");
    assert_eq!(row["on_behalf_of"], "alice");
    assert!(rows.iter().all(|row| !row.to_string().contains(secret.clear())));
    assert!(of_kind("request") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_places_and_files_are_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("operator.toml");
    let log = folder.path().join("log").display().to_string();
    let keys = folder.path().join("keys").display().to_string();
    std::fs::write(
        &config,
        format!(
            "[backbone]\nkind = \"embedded\"\nfolder = \"{log}\"\n[keys]\nfolder = \"{keys}\"\n"
        ),
    )
    .unwrap();
    for (arguments, word) in [
        (&["show", "3-17"][..], "3-17: nothing was refused there"),
        (&["show", "three"], "a place is PARTITION-OFFSET"),
        (&["retry", "--reason", "seal_broken"], "nothing was refused for that reason"),
        (&["retry"], "required"),
    ] {
        let (done, said) = run(&config, arguments).await;
        assert!(!done && said.contains(word), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let (done, said) = run(&config, &["list"]).await;
    assert!(done && said.contains("0 refused"), "{said}");
}

async fn run(config: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Recipe::of("trailgate").argument("refused");
    for argument in arguments {
        command = command.argument(argument);
    }
    let (status, said) = command.argument("--config").argument(config).run_to_end().await;
    (status.success(), said)
}

/// What the command tells, line by line.
async fn refused(config: &Path, arguments: &[&str]) -> Vec<Value> {
    let (done, said) = run(config, arguments).await;
    assert!(done, "{said}");
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn public_keys(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn move_all(files: &[PathBuf], to: &Path) {
    for file in files {
        std::fs::rename(file, to.join(file.file_name().unwrap())).unwrap();
    }
}
