//! What the fake upstream answers, one function a path.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::body::{body_sum, next_piece};

type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) async fn answer(request: Request<Incoming>) -> Response<Body> {
    let query = query_of(&request);
    let number = |key: &str, default: u64| {
        query.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/echo" => echo(request).await,
        "/events" => events(number("count", 3), number("gap_ms", 0), number("bytes", 16)),
        "/big" => big(number("bytes", 1 << 20)),
        "/sink" => sink(request.into_body()).await,
        "/slow" => slow(number("ms", 100)).await,
        "/fail" => fail(number("after", 1000)),
        "/silent" => std::future::pending().await,
        "/ws" => web_socket(request),
        "/trailers" => trailers(),
        _ => status(path.strip_prefix("/status/").and_then(|code| code.parse().ok())),
    }
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return status(Some(400)) };
    let trailers = body.trailers().map(listed);
    let body = body.to_bytes();
    json_answer(&json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": listed(&head.headers),
        "trailers": trailers,
        "body": String::from_utf8_lossy(&body),
    }))
}

fn events(count: u64, gap_ms: u64, bytes: u64) -> Response<Body> {
    let filler = "x".repeat(usize::try_from(bytes).unwrap_or_default());
    let pieces = stream::iter(0..count).then(move |index| {
        let event = format!(
            "event: tick\r\nid: {index}\r\ndata: {{\"n\":{index},\"x\":\"{filler}\"}}\r\n\r\n"
        );
        async move {
            if index > 0 && gap_ms > 0 {
                tokio::time::sleep(Duration::from_millis(gap_ms)).await;
            }
            Ok(Frame::data(Bytes::from(event)))
        }
    });
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    let kind = header::HeaderValue::from_static("text/event-stream; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn big(total: u64) -> Response<Body> {
    let mut answer = Response::new(generated(total));
    answer.headers_mut().insert(header::CONTENT_LENGTH, total.into());
    let kind = header::HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn generated(total: u64) -> Body {
    let pieces = stream::iter((0_u64..).scan(0_u64, move |at, _| {
        let piece = next_piece(*at, total)?;
        *at += piece.len() as u64;
        Some(Ok(Frame::data(piece)))
    }));
    BodyExt::boxed(StreamBody::new(pieces))
}

async fn sink(mut body: Incoming) -> Response<Body> {
    let (mut bytes, mut sum) = (0_u64, body_sum(None, b""));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return status(Some(400)) };
        if let Ok(piece) = frame.into_data() {
            bytes += piece.len() as u64;
            sum = body_sum(Some(sum), &piece);
        }
    }
    json_answer(&json!({"bytes": bytes, "sum": sum.to_string()}))
}

async fn slow(ms: u64) -> Response<Body> {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    json_answer(&json!({"waited_ms": ms}))
}

// The length that was promised is one more than what comes: no client can take it for whole.
fn fail(after: u64) -> Response<Body> {
    let broken = stream::once(async {
        // hyper drops what it has not written yet when a body fails; let it write.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("the upstream breaks here"))
    });
    let pieces = generated(after).into_data_stream().map(|piece| piece.map(Frame::data));
    let pieces = pieces.chain(broken);
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    answer.headers_mut().insert(header::CONTENT_LENGTH, (after + 1).into());
    answer
}

fn trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", header::HeaderValue::from_static("42"));
    let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
    answer.headers_mut().insert(header::TRAILER, header::HeaderValue::from_static("x-sum"));
    answer
}

fn web_socket(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get("sec-websocket-key") else { return status(Some(426)) };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None);
        let (mut out, mut messages) = socket.await.split();
        while let Some(Ok(message)) = messages.next().await {
            if (message.is_text() || message.is_binary()) && out.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut answer = status(Some(101));
    *answer.body_mut() = full(Bytes::new());
    let headers = answer.headers_mut();
    headers.clear();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Ok(accept) = header::HeaderValue::from_str(&accept) {
        headers.insert("sec-websocket-accept", accept);
    }
    answer
}

fn status(code: Option<u16>) -> Response<Body> {
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::NOT_FOUND);
    let mut answer = json_answer(&json!({"status": code.as_u16()}));
    *answer.status_mut() = code;
    answer
}

fn json_answer(value: &Value) -> Response<Body> {
    let mut answer = Response::new(full(Bytes::from(value.to_string())));
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn full(bytes: Bytes) -> Body {
    BodyExt::boxed(Full::new(bytes).map_err(|never| match never {}))
}

fn listed(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}

fn query_of(request: &Request<Incoming>) -> HashMap<String, String> {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
