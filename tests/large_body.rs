//! Memory is bounded: a body of any size, in either direction, streams through.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use bytes::Bytes;
use futures::StreamExt;
use reqwest::{Body, Client};
use serde_json::Value;

use trailgate_testkit::{Upstream, body_sum, generated_body};
use trailgate_tests::{Connection, Stages, TablePlace, Trail};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const GROWTH_MAX: u64 = 64 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_streams_through_in_either_direction_in_bounded_memory() {
    let upstream = Upstream::start().await;
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    let mut stages = Stages::start(&[web], TablePlace::Folder).await;
    let (url, token) = (stages.connection_url("web"), stages.token("alice").await);
    let client = Client::new();

    // What a first exchange allocates for good is not growth.
    assert_eq!(download(&client, &url, &token, 32 * MIB).await, 32 * MIB);
    let before = resting_memory(&mut stages);

    assert_eq!(download(&client, &url, &token, GIB).await, GIB);
    let growth = stages.daemon("ingest-proxy").process().peak_bytes().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "an answer of 1 GiB: {} MiB", growth / MIB);

    let before = resting_memory(&mut stages);
    upload(&client, &url, &token, GIB).await;
    let growth = stages.daemon("ingest-proxy").process().peak_bytes().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "a request of 1 GiB: {} MiB", growth / MIB);

    // Beyond the cap, the closing record has the length and the keyed hash.
    let trail = Trail::of_stages(stages, "web").await;
    let closing = format!(
        "SELECT payload_digest FROM events WHERE connection = 'web' AND payload_bytes = {GIB} \
         AND stream_count IS NOT NULL"
    );
    let digest = trail.until_sql("the closing record", &closing, |rows| rows.first().cloned());
    assert_eq!(digest.await["payload_digest"].as_str().map(str::len), Some(64));
}

fn resting_memory(stages: &mut Stages) -> u64 {
    let proxy = stages.daemon("ingest-proxy").process();
    proxy.forget_peak();
    proxy.resident_bytes()
}

/// Downloads and compares; gives the length.
async fn download(client: &Client, url: &str, token: &str, bytes: u64) -> u64 {
    let request = client.get(format!("{url}/big?bytes={bytes}")).bearer_auth(token);
    let mut pieces = request.send().await.unwrap().bytes_stream();
    let mut at = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.unwrap();
        assert!(piece == generated_body(at, piece.len()), "differs behind byte {at}");
        at += piece.len() as u64;
    }
    at
}

async fn upload(client: &Client, url: &str, token: &str, bytes: u64) {
    let piece = 64 * 1024_u64;
    let pieces = futures::stream::iter(0..bytes / piece)
        .map(move |index| Ok::<Bytes, std::io::Error>(generated_body(index * piece, 64 * 1024)));
    let request = client.post(format!("{url}/sink")).bearer_auth(token);
    let answer = request.body(Body::wrap_stream(pieces)).send().await.unwrap();
    let told: Value = answer.json().await.unwrap();
    let sum = (0..bytes / piece)
        .fold(None, |sum, index| Some(body_sum(sum, &generated_body(index * piece, 64 * 1024))));
    assert_eq!(told["bytes"], bytes);
    assert_eq!(told["sum"].as_str(), sum.map(|sum| sum.to_string()).as_deref());
}
