//! A part is never taken for the whole: what breaks off on one side breaks off on the other.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trailgate_schemas::{AuditEvent, Kind, Outcome};
use trailgate_testkit::until;

use crate::rig::{connection, gateway};
use crate::tape::Tape;

const HEAD: &str = "host: a\r\nauthorization: Bearer good\r\n";

/// An upstream of raw bytes: what it was sent, and what it answers before it goes.
async fn upstream(answer: &'static str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 4096];
            if !answer.is_empty() {
                let _ = stream.read(&mut some).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                continue;
            }
            while let Ok(read @ 1..) = stream.read(&mut some).await {
                told.lock().unwrap().extend_from_slice(&some[..read]);
            }
        }
    });
    (url, seen)
}

async fn half_a_request(head: &str, part: &str) -> (Tape, Vec<u8>) {
    let (url, seen) = upstream("").await;
    let (tape, context, address, running) = gateway(&connection("http", &url, "")).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("POST /x HTTP/1.1\r\n{HEAD}{head}\r\n{part}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    until("the closing record", async || tape.is_whole().then_some(())).await;
    context.stop.ask();
    running.await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (tape, seen)
}

/// Whether a server would take these bytes for a complete request.
fn is_complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => !head.contains("transfer-encoding") || body.contains("0\r\n\r\n"),
    }
}

#[tokio::test]
async fn half_a_request_does_not_reach_the_upstream_as_a_whole_one() {
    let cases = [
        ("content-length: 100\r\n", "0123456789"),
        ("content-length: 100\r\n", ""),
        ("transfer-encoding: chunked\r\n", "3\r\nabc\r\n"),
        ("transfer-encoding: chunked\r\n", "3\r\nabc\r\nno size\r\n"),
        ("transfer-encoding: chunked\r\n", ""),
    ];
    for (head, part) in cases {
        let (tape, seen) = half_a_request(head, part).await;
        assert!(!is_complete(&seen), "{head}{part}: {}", String::from_utf8_lossy(&seen));
        assert_ne!(closing(&tape).outcome, Outcome::Succeeded, "{head}{part}");
    }
}

/// The exchange's closing record.
fn closing(tape: &Tape) -> AuditEvent {
    let is_closing = |event: &AuditEvent| {
        event.stream_count.is_some() && matches!(event.kind, Kind::Request | Kind::Response)
    };
    tape.durable().into_iter().find(is_closing).unwrap()
}

async fn answered(answer: &'static str) -> (Tape, String) {
    let (url, _) = upstream(answer).await;
    let (tape, context, address, running) = gateway(&connection("http", &url, "")).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /x HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    // A cut connection is an end too.
    let _ = stream.read_to_end(&mut got).await;
    until("the closing record", async || tape.is_whole().then_some(())).await;
    assert!(!context.stop.is_asked(), "the gateway goes on");
    context.stop.ask();
    running.await.unwrap();
    (tape, String::from_utf8_lossy(&got).to_lowercase())
}

#[tokio::test]
async fn half_an_answer_does_not_reach_the_client_as_a_whole_one() {
    let cases = [
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ];
    for answer in cases {
        let (tape, got) = answered(answer).await;
        let is_refused = got.starts_with("http/1.1 502");
        assert!(is_refused || !is_complete(got.as_bytes()), "{answer}: {got}");
        assert_eq!(closing(&tape).outcome, Outcome::Unknown, "{answer}");
    }
}

#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_not_passed_on() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                  5\r\nabcde\r\n0\r\n\r\n";
    let (_, got) = answered(answer).await;
    assert!(!got.contains("content-length: 3"), "{got}");
    assert!(got.starts_with("http/1.1 502") || got.contains("abcde"), "{got}");
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_an_upstream_that_broke_off() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let (tape, got) = answered(answer).await;
    assert!(got.starts_with("http/1.1 502") && got.contains("upstream_broke_off"), "{got}");
    assert_eq!(closing(&tape).outcome, Outcome::Unknown);
}
