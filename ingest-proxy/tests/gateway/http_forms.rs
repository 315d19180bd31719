//! The forms of HTTP: what a client and an upstream may do, and what is told of it.

use std::net::SocketAddr;

use futures::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use trailgate_ingest_proxy::Unrecorded;
use trailgate_schemas::{Kind, Outcome, SessionRule};
use trailgate_testkit::until;

use crate::rig::{Rig, body, connection, gateway};
use crate::tape::{Fate, NOW};

const AS_ALICE: &str = "host: a\r\nauthorization: Bearer good\r\n";

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_also_before_the_answers() {
    let rig = Rig::start().await;
    let one = format!("POST /echo HTTP/1.1\r\n{AS_ALICE}content-length: 3\r\n\r\none");
    let two = format!(
        "POST /echo HTTP/1.1\r\n{AS_ALICE}transfer-encoding: chunked\r\n\r\n\
         3\r\ntwo\r\n0\r\n\r\n"
    );
    let last = format!("GET /status/204 HTTP/1.1\r\n{AS_ALICE}connection: close\r\n\r\n");
    let answer = rig.raw(format!("{one}{two}{last}").as_bytes()).await;
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 204").count(), 1, "{answer}");
    let (first, second) = (answer.find("\"one\"").unwrap(), answer.find("\"two\"").unwrap());
    assert!(first < second);
    assert_eq!(rig.tape.payload(Kind::Request), "onetwo");
    rig.tape.whole().await;
    assert_eq!(rig.tape.streams().len(), 3);
}

#[tokio::test]
async fn head_and_answers_without_a_body_keep_their_headers() {
    let rig = Rig::start().await;
    let (status, headers, body) = rig.send(Request::head(rig.url("/big?bytes=1000")), "").await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(headers["content-length"], "1000");
    assert_eq!(rig.get("/status/304").await.0, 304);
    rig.tape.whole().await;
    let closing = rig.tape.of(Kind::Response);
    assert_eq!(closing.len(), 2);
    assert_eq!(closing[0].status, Some(200));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST /echo HTTP/1.1\r\n{AS_ALICE}expect: 100-continue\r\ncontent-length: 5\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 100"));
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"hello\""), "{answer}");
    assert!(!rig.upstream.seen()[0].headers.contains_key("expect"));
}

#[tokio::test]
async fn trailers_of_an_answer_are_recorded_and_passed_on() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/trailers")).header("te", "trailers");
    let answer = rig.begin(request, body("")).await.unwrap();
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-sum"], "42");
    assert_eq!(whole.to_bytes(), "body");
    rig.tape.whole().await;
    let closing = rig.tape.of(Kind::Response).pop().unwrap();
    assert!(closing.headers.unwrap().contains("\"x-sum\":\"42\""));
}

#[tokio::test]
async fn http_2_is_served_on_the_same_listener() {
    let rig = Rig::start().await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, driving) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driving = tokio::spawn(driving);
    let ask = |n: u32| {
        let url = format!("http://gateway/echo?n={n}");
        Request::post(url).header("authorization", "Bearer good").body(body("h2")).unwrap()
    };
    let both =
        futures::future::join(sender.send_request(ask(1)), sender.clone().send_request(ask(2)));
    let (one, two) = both.await;
    for answer in [one.unwrap(), two.unwrap()] {
        assert_eq!(answer.status(), 200);
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&said).contains("\"h2\""));
    }
    driving.abort();
    assert_eq!(rig.upstream.seen()[0].headers["x-forwarded-host"], "gateway");
    rig.tape.whole().await;
}

#[tokio::test]
async fn what_is_no_request_for_here_is_refused_and_told() {
    let rig = Rig::start().await;
    let long = "x".repeat(9000);
    let cases = [
        (format!("GET /echo HTTP/1.0\r\n{AS_ALICE}\r\n"), "505", "http_version"),
        (
            format!("TRACE /echo HTTP/1.1\r\n{AS_ALICE}connection: close\r\n\r\n"),
            "405",
            "method_not_allowed",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\n{AS_ALICE}connection: close\r\n\r\n"),
            "414",
            "target_too_long",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\n{AS_ALICE}x: {long}\r\ny: {long}\r\nconnection: close\r\n\r\n"
            ),
            "431",
            "head_too_long",
        ),
    ];
    for (asked, status, reason) in cases {
        let answer = String::from_utf8(rig.raw(asked.as_bytes()).await).unwrap();
        assert!(answer.split(' ').nth(1) == Some(status), "{answer}");
        assert!(answer.contains(&format!("urn:trailgate:problem:{reason}")), "{answer}");
        let told = rig.tape.of(Kind::Denied).pop().unwrap();
        assert_eq!(told.reason.as_deref(), Some(reason));
    }
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn a_target_that_is_no_path_and_a_host_that_is_not_one_are_bad_requests() {
    let rig = Rig::start().await;
    let token = "authorization: Bearer good\r\nconnection: close\r\n\r\n";
    let cases = [
        (format!("GET foo HTTP/1.1\r\nhost: a\r\n{token}"), "target_unfit"),
        (format!("GET /small HTTP/1.1\r\n{token}"), "host_unfit"),
        (format!("GET /small HTTP/1.1\r\nhost: a\r\nhost: b\r\n{token}"), "host_unfit"),
    ];
    for (request, code) in cases {
        let answer = String::from_utf8(rig.raw(request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(code), "{answer}");
    }
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn a_connection_that_does_not_come_to_its_first_request_is_closed() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(b"GET /small HTTP/1.1\r\nhost:").await.unwrap();
    let mut answer = Vec::new();
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty());
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn what_can_not_be_read_as_a_request_is_told() {
    let rig = Rig::start().await;
    let answer = rig.raw(b"GET /a b c HTTP/1.1\r\nhost hunter2\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 400"));
    until("the record", async || {
        let told = rig.tape.of(Kind::Denied).pop()?;
        assert_eq!(told.reason.as_deref(), Some("not_http"));
        Some(())
    })
    .await;
}

#[tokio::test]
async fn another_http_can_not_be_tunnelled_past_the_gateway() {
    let rig = Rig::start().await;
    let asked = format!(
        "GET /echo HTTP/1.1\r\n{AS_ALICE}connection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
         http2-settings: AAMAAABkAAQAAP__\r\n\r\nGET /echo HTTP/1.1\r\n{AS_ALICE}\
         connection: close\r\n\r\n"
    );
    let answer = String::from_utf8(rig.raw(asked.as_bytes()).await).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert!(rig.upstream.seen().iter().all(|seen| !seen.headers.contains_key("upgrade")));
}

#[tokio::test]
async fn a_path_can_not_lead_out_of_the_upstreams_base() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let text = connection("http", &format!("{}/status", upstream.url()), "");
    let (_, context, address, running) = gateway(&text).await;
    assert_eq!(get(address, "/200").await.0, 200);
    for path in ["/../echo", "/%2e%2e/echo", "//echo"] {
        assert_eq!(get(address, path).await.0, 400, "{path}");
    }
    assert_eq!(upstream.requests(), 1);
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn two_lengths_or_a_length_beside_chunks_are_never_passed_on() {
    let rig = Rig::start().await;
    let cases = [
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ];
    for case in cases {
        let asked = format!("POST /echo HTTP/1.1\r\n{AS_ALICE}{case}");
        rig.raw(asked.as_bytes()).await;
    }
    assert_eq!(rig.upstream.requests_of("/evil"), 0);
    let seen = rig.upstream.seen();
    for seen in &seen {
        let (length, chunks) = ("content-length", "transfer-encoding");
        assert!(!(seen.headers.contains_key(length) && seen.headers.contains_key(chunks)));
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502_and_told_as_not_reached() {
    let free = trailgate_testkit::free_port();
    let url = format!("http://127.0.0.1:{free}");
    let (tape, context, address, running) = gateway(&connection("http", &url, "")).await;
    let (status, said) = get(address, "/x").await;
    assert_eq!(status, 502);
    assert!(said.contains("upstream_unreachable"), "{said}");
    let closing = tape.durable().pop().unwrap();
    assert_eq!((closing.kind, closing.outcome), (Kind::Request, Outcome::Failed));
    assert_eq!((closing.status, closing.stream_count), (Some(502), Some(3)));
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_breaks_off_before_its_answer_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 100];
            let _ = stream.read(&mut some).await;
        }
    });
    let (tape, context, address, running) = gateway(&connection("http", &url, "")).await;
    let (status, said) = get(address, "/x").await;
    assert_eq!(status, 502);
    assert!(said.contains("upstream_broke_off"), "{said}");
    assert_eq!(tape.durable().pop().unwrap().outcome, Outcome::Unknown);
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_is_silent_for_too_long_is_504() {
    let rig = Rig::with("upstream_timeout_s = 1\n").await;
    let (status, _, said) = rig.get("/silent").await;
    assert_eq!(status, 504);
    assert!(String::from_utf8_lossy(&said).contains("upstream_timed_out"));
    assert_eq!(rig.tape.durable().pop().unwrap().outcome, Outcome::Unknown);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_here_too_and_is_told() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/fail?after=1000"));
    let answer = rig.begin(request, body("")).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
    rig.tape.whole().await;
    let closing = rig.tape.of(Kind::Response).pop().unwrap();
    assert_eq!(closing.outcome, Outcome::Unknown);
    assert_eq!(closing.reason.as_deref(), Some("upstream_broke_off"));
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_is_told() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let asked = format!("GET /silent HTTP/1.1\r\n{AS_ALICE}\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    until("the upstream's turn", async || (rig.upstream.requests() == 1).then_some(())).await;
    drop(stream);
    rig.tape.whole().await;
    let closing = rig.tape.all().pop().unwrap();
    assert_eq!((closing.kind, closing.outcome), (Kind::Request, Outcome::Unknown));
    assert_eq!(closing.reason.as_deref(), Some("client_gone"));
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_ended_and_told() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let text = connection("http", &upstream.url(), "");
    let text = format!("[gateway]\nstall_timeout_s = 1\n{text}");
    let (tape, context, address, running) = gateway(&text).await;
    let asked = Request::get(format!("http://{address}/silent"));
    let asked = asked.header("authorization", "Bearer good").body(body("")).unwrap();
    assert!(crate::rig::client().request(asked).await.is_err());
    tape.whole().await;
    assert_eq!(tape.all().pop().unwrap().reason.as_deref(), Some("stalled"));
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn a_connection_without_an_exchange_is_closed_after_its_time() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let text = connection("http", &upstream.url(), "");
    let text = format!("[gateway]\nidle_timeout_s = 1\n{text}");
    let (_tape, context, address, running) = gateway(&text).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked = format!("GET /status/204 HTTP/1.1\r\n{AS_ALICE}\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn a_websocket_is_recorded_message_by_message_and_echoes() {
    let rig = Rig::start().await;
    let mut request = format!("ws://{}/ws", rig.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer good".parse().unwrap());
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.status(), 101);
    let long = "é€🦀".repeat(30_000);
    for text in ["hello", long.as_str()] {
        socket.send(Message::text(text)).await.unwrap();
        let echo = socket.next().await.unwrap().unwrap();
        assert_eq!(echo.into_text().unwrap().as_str(), text);
    }
    socket.send(Message::binary(vec![0xff, 0, 1])).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_data()[..], [0xff, 0, 1]);
    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
    drop(socket);
    rig.tape.whole().await;
    for kind in [Kind::FrameIn, Kind::FrameOut] {
        let texts: String = rig
            .tape
            .of(kind)
            .into_iter()
            .filter(|event| event.payload_type.as_deref() == Some("websocket/text"))
            .filter_map(|event| event.payload)
            .collect();
        assert_eq!(texts, format!("hello{long}"), "{kind}");
        let binary = rig
            .tape
            .of(kind)
            .into_iter()
            .find(|event| event.payload_type.as_deref() == Some("websocket/binary;base64"));
        assert_eq!(binary.unwrap().payload.as_deref(), Some("/wAB"));
    }
    let events = rig.tape.all();
    assert!(events.iter().all(|event| event.session_rule == SessionRule::Connection));
    let closing = events.last().unwrap();
    assert_eq!(closing.kind, Kind::Response);
}

#[tokio::test]
async fn a_websocket_whose_record_fails_is_cut_before_the_message_passes() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| match event.kind {
        Kind::FrameIn => Fate::Lost(Unrecorded::Unacknowledged),
        _ => NOW,
    });
    let mut request = format!("ws://{}/ws", rig.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer good".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let _ = socket.send(Message::text("hello")).await;
    assert!(!matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    until("the closing record", async || {
        let closing = rig.tape.all().into_iter().find(|event| event.stream_count.is_some())?;
        assert_eq!(closing.reason.as_deref(), Some("record_unavailable"));
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_websocket_needs_a_verified_caller() {
    let rig = Rig::start().await;
    let request = format!("ws://{}/ws", rig.address).into_client_request().unwrap();
    assert!(tokio_tungstenite::connect_async(request).await.is_err());
    assert_eq!(rig.upstream.requests(), 0);
    assert_eq!(rig.tape.of(Kind::LoginRefused).len(), 1);
}

#[tokio::test]
async fn the_gateway_ends_in_order_while_an_answer_streams() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/events?count=30&gap_ms=10&bytes=10"));
    let answer = rig.begin(request, body("")).await.unwrap();
    rig.stop.ask();
    let whole = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(whole.windows(11).filter(|w| *w == b"event: tick").count(), 30);
    let tape = rig.end().await;
    assert!(tape.is_whole());
    assert_eq!(tape.stage(), [Kind::StageStarted, Kind::StageStopped]);
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = Request::get(format!("http://{address}{path}"))
        .header("authorization", "Bearer good")
        .body(body(""))
        .unwrap();
    let answer = crate::rig::client().request(request).await.unwrap();
    let status = answer.status().as_u16();
    let said = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&said).into_owned())
}
