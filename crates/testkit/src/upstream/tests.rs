use super::*;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_request_comes_back_as_it_was_and_is_counted() {
    let upstream = Upstream::start().await;
    let client = reqwest::Client::new();
    let url = format!("{}/echo?a=b%20c", upstream.url());
    let answer = client.post(url).header("x-mark", "one").body("body").send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["query"], "a=b%20c");
    assert_eq!(body["body"], "body");
    assert!(body["headers"].to_string().contains("x-mark"));
    assert_eq!((upstream.requests(), upstream.requests_of("/echo")), (1, 1));
    assert_eq!(upstream.seen()[0].headers["x-mark"], "one");
}

#[tokio::test]
async fn a_body_that_breaks_in_the_middle_is_an_error_to_the_client() {
    let upstream = Upstream::start().await;
    let answer = reqwest::get(format!("{}/fail?after=100000", upstream.url())).await.unwrap();
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_big_body_arrives_whole_and_goes_back_whole() {
    let upstream = Upstream::start().await;
    let answer = reqwest::get(format!("{}/big?bytes=3000001", upstream.url())).await.unwrap();
    let body = answer.bytes().await.unwrap();
    assert_eq!(body, generated_body(0, 3_000_001));
    let pieces: Vec<_> = body.chunks(10_007).map(Bytes::copy_from_slice).collect();
    let stream = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let request = reqwest::Client::new().post(format!("{}/sink", upstream.url()));
    let answer = request.body(reqwest::Body::wrap_stream(stream)).send().await.unwrap();
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["bytes"], 3_000_001);
    assert_eq!(told["sum"], body_sum(None, &body).to_string());
}

#[tokio::test]
async fn events_come_one_by_one() {
    let upstream = Upstream::start().await;
    let url = format!("{}/events?count=3&gap_ms=30", upstream.url());
    let mut pieces = reqwest::get(url).await.unwrap().bytes_stream();
    let first = pieces.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: tick\r\nid: 0\r\n"));
    assert!(!first.windows(5).any(|window| window == b"id: 1"));
}

#[tokio::test]
async fn a_web_socket_echoes() {
    let upstream = Upstream::start().await;
    let url = format!("{}/ws", upstream.url().replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text("mark")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("mark"));
}
