//! No record, no effect; no record, no answer.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use trailgate_ingest_proxy::Unrecorded;
use trailgate_schemas::{Kind, Outcome};
use trailgate_testkit::until;

use crate::rig::{Rig, body};
use crate::tape::{Fate, NOW, kinds};

#[tokio::test]
async fn nothing_reaches_the_upstream_before_its_record_is_durable() {
    let rig = Rig::start().await;
    rig.tape.judge(|_| Fate::Held);
    let asking = rig.post("/echo", "{\"a\":1}");
    let mut asking = std::pin::pin!(asking);
    let held = until("the request's record", async || {
        rig.tape.all().into_iter().find(|event| event.kind == Kind::Request)
    });
    tokio::select! {
        _ = &mut asking => panic!("answered without a record"),
        event = held => assert_eq!(event.payload.as_deref(), Some("{\"a\":1}")),
    }
    assert_eq!(rig.upstream.requests(), 0);
    rig.tape.judge(|_| NOW);
    rig.tape.let_go();
    let (status, _, _) = asking.await;
    assert_eq!((status, rig.upstream.requests()), (200, 1));
    rig.tape.whole().await;
}

#[tokio::test]
async fn nothing_of_an_answer_reaches_the_client_before_its_record_is_durable() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| if event.kind == Kind::Response { Fate::Held } else { NOW });
    let mut asking = std::pin::pin!(rig.get("/echo"));
    let held = until("the answer's record", async || {
        rig.tape.all().into_iter().find(|event| event.kind == Kind::Response)
    });
    tokio::select! {
        _ = &mut asking => panic!("answered without a record"),
        _ = held => {}
    }
    assert_eq!(rig.upstream.requests(), 1);
    rig.tape.judge(|_| NOW);
    rig.tape.let_go();
    assert_eq!(asking.await.0, 200);
}

#[tokio::test]
async fn a_request_that_can_not_be_recorded_is_answered_503_and_not_passed_on() {
    for unrecorded in [Unrecorded::NotTaken, Unrecorded::Unacknowledged] {
        let rig = Rig::start().await;
        rig.tape.judge(move |_| Fate::Lost(unrecorded));
        let (status, headers, body) = rig.post("/echo", "{}").await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 503);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(problem["type"], "urn:trailgate:problem:record_unavailable");
        assert_eq!(rig.upstream.requests(), 0);
        // It recovers by itself.
        rig.tape.judge(|_| NOW);
        rig.tape.forget();
        assert_eq!(rig.post("/echo", "{}").await.0, 200);
        assert_eq!(rig.upstream.requests(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_can_not_be_recorded_is_not_given() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| match event.kind {
        Kind::Response => Fate::Lost(Unrecorded::Unacknowledged),
        _ => NOW,
    });
    let (status, _, body) = rig.get("/echo").await;
    assert_eq!(status, 503);
    let body = String::from_utf8_lossy(&body);
    assert!(!body.contains("/echo"));
    assert!(body.contains("not known whether") && !body.contains("Try again"), "{body}");
}

#[tokio::test]
async fn when_a_record_fails_in_the_middle_the_answer_is_cut_and_nothing_unrecorded_has_passed() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| match (event.kind, event.body_offset) {
        (Kind::Response, Some(offset)) if offset > 2_000_000 => {
            Fate::Lost(Unrecorded::Unacknowledged)
        }
        _ => Fate::Durable(Duration::from_millis(1)),
    });
    let request = Request::get(rig.url("/big?bytes=8000000"));
    let mut answer = rig.begin(request, body("")).await.unwrap().into_body();
    let mut got = Vec::new();
    let mut is_cut = false;
    while let Some(frame) = answer.frame().await {
        match frame {
            Ok(frame) => got.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => is_cut = true,
        }
    }
    let recorded = rig.tape.payload(Kind::Response);
    assert!(is_cut && !got.is_empty() && got.len() < 8_000_000);
    assert!(recorded.as_bytes().starts_with(&got), "{} of {}", got.len(), recorded.len());
    rig.tape.judge(|_| NOW);
    until("the closing record", async || {
        let closing = rig.tape.all().into_iter().find(|event| event.stream_count.is_some())?;
        assert_eq!(closing.outcome, Outcome::Unknown);
        assert_eq!(closing.reason.as_deref(), Some("record_unavailable"));
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_chunked_answer_that_is_cut_does_not_end_cleanly_on_the_wire() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| match (event.kind, event.body_offset) {
        (Kind::Response, Some(offset)) if offset > 300 => Fate::Lost(Unrecorded::Unacknowledged),
        _ => NOW,
    });
    let asked = "GET /events?count=50&gap_ms=2&bytes=64 HTTP/1.1\r\nhost: a\r\n\
                 authorization: Bearer good\r\n\r\n";
    let answer = String::from_utf8(rig.raw(asked.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_whose_record_fails_in_the_middle_does_not_reach_the_upstream_whole() {
    let rig = Rig::start().await;
    rig.tape.judge(|event| match (event.kind, event.body_offset) {
        (Kind::Request, Some(offset)) if offset > 1_000_000 => {
            Fate::Lost(Unrecorded::Unacknowledged)
        }
        _ => NOW,
    });
    let chunks = (0..100).map(|_| Ok(Frame::data(Bytes::from(vec![b'x'; 65_536]))));
    let streamed = http_body_util::BodyExt::boxed(StreamBody::new(stream::iter(chunks)));
    let answer = rig.begin(Request::post(rig.url("/sink")), streamed).await;
    // Either the 503 came through, or the connection was cut while the body was still sent.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), 503);
    }
    until("the closing record", async || {
        let closing = rig.tape.all().into_iter().find(|event| event.stream_count.is_some())?;
        assert_eq!(closing.outcome, Outcome::Unknown);
        Some(())
    })
    .await;
}

#[tokio::test]
async fn events_that_arrive_while_a_record_is_awaited_share_the_next_one() {
    let rig = Rig::start().await;
    rig.tape.judge(|_| Fate::Durable(Duration::from_millis(40)));
    let (status, _, body) = rig.get("/events?count=40&gap_ms=2&bytes=10").await;
    assert_eq!(status, 200);
    assert_eq!(rig.tape.payload(Kind::Response).as_bytes(), &body[..]);
    let pieces = rig.tape.of(Kind::Response);
    assert!(pieces.len() < 25, "{:?}", kinds(&pieces));
    let frames: usize = pieces.iter().map(|piece| piece.frames.len()).sum();
    assert!(frames > pieces.len(), "{frames} frames in {} pieces", pieces.len());
    for piece in &pieces {
        let length = piece.payload.as_ref().map_or(0, String::len) as i64;
        assert!(piece.frames.iter().all(|f| (0..length).contains(&f.offset)));
        assert!(
            piece.frames.windows(2).all(|w| w[0].offset < w[1].offset && w[0].time <= w[1].time)
        );
    }
    rig.tape.whole().await;
}

#[tokio::test]
async fn a_stream_is_relayed_as_it_comes() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/events?count=1000000&gap_ms=5&bytes=10"));
    let mut answer = rig.begin(request, body("")).await.unwrap().into_body();
    for _ in 0..3 {
        answer.frame().await.unwrap().unwrap();
    }
    drop(answer);
    until("the closing record", async || {
        let closing = rig.tape.all().into_iter().find(|event| event.stream_count.is_some())?;
        assert_eq!(closing.reason.as_deref(), Some("client_gone"));
        assert_eq!(closing.outcome, Outcome::Unknown);
        Some(())
    })
    .await;
    rig.tape.streams();
}

#[tokio::test]
async fn a_body_beyond_the_cap_passes_whole_and_its_closing_record_has_length_and_hash() {
    let rig = Rig::with("record_max_bytes = 100000\n").await;
    let (status, headers, body) = rig.get("/big?bytes=1000000").await;
    assert_eq!((status, body.len()), (200, 1_000_000));
    assert_eq!(headers["content-length"], "1000000");
    let responses = rig.tape.of(Kind::Response);
    let closing = responses.last().unwrap();
    assert_eq!(closing.payload_state.word(), "beyond_cap");
    assert_eq!(closing.payload_bytes, Some(1_000_000));
    assert_eq!(closing.payload_digest.as_ref().map(String::len), Some(64));
    let recorded: i64 =
        responses.iter().filter(|r| r.payload.is_some()).filter_map(|r| r.payload_bytes).sum();
    assert!((100_000..100_000 + 65_536).contains(&recorded), "{recorded}");
    rig.tape.whole().await;

    let long = "y".repeat(400_000);
    let (status, _, body) = rig.post("/sink", &long).await;
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, said["bytes"].as_u64()), (200, Some(400_000)));
    let end = rig.tape.of(Kind::Request).into_iter().last().unwrap();
    assert_eq!(end.payload_state.word(), "beyond_cap");
    assert_eq!(end.payload_bytes, Some(400_000));
}

/// In a process of its own: what other tests allocate meanwhile would be counted, and would stand
/// between what is freed here, so that none of that could be used again.
#[test]
fn a_gibibyte_streams_through_in_bounded_memory() {
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "order::a_gibibyte_alone", "--ignored", "--nocapture"]);
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by a_gibibyte_streams_through_in_bounded_memory, in a process of its own"]
async fn a_gibibyte_alone() {
    let rig = Rig::with("record_max_bytes = 4194304\n").await;
    rig.tape.judge(|_| Fate::Durable(Duration::from_millis(2)));
    rig.get("/big?bytes=20000000").await;
    rig.tape.forget();
    let before = resident_bytes();
    let total: u64 = 1 << 30;
    let request = Request::get(rig.url(&format!("/big?bytes={total}")));
    let mut answer = rig.begin(request, body("")).await.unwrap().into_body();
    let (mut got, mut most) = (0_u64, before);
    while let Some(frame) = answer.frame().await {
        got += frame.unwrap().into_data().unwrap().len() as u64;
        if got % (1 << 26) < 100_000 {
            most = most.max(resident_bytes());
        }
    }
    assert_eq!(got, total);
    // The tape keeps the 4 MiB that are recorded; everything else has to go.
    assert!(most.saturating_sub(before) < 64 << 20, "grew by {} bytes", most - before);
    rig.tape.whole().await;
}

#[tokio::test]
async fn a_slow_client_slows_the_upstream_down() {
    let rig = Rig::with("record_max_bytes = 1099511627776\n").await;
    let request = Request::get(rig.url("/big?bytes=200000000"));
    let answer = rig.begin(request, body("")).await.unwrap().into_body();
    // Nobody reads. What was recorded stops growing long before the whole has come.
    let mut last = (0, 0);
    until("the recording to stand still", async || {
        let recorded: i64 =
            rig.tape.of(Kind::Response).iter().filter_map(|r| r.payload_bytes).sum();
        last = if recorded == last.0 { (recorded, last.1 + 1) } else { (recorded, 0) };
        (last.1 > 20).then_some(())
    })
    .await;
    assert!(last.0 < 40_000_000, "{}", last.0);
    drop(answer);
}

#[tokio::test]
async fn an_upload_is_recorded_as_it_streams_and_arrives_whole() {
    let rig = Rig::start().await;
    let chunks =
        (0..300).map(|n: u32| Ok(Frame::data(Bytes::from(format!("chunk {n};").repeat(100)))));
    let whole: String = (0..300).map(|n: u32| format!("chunk {n};").repeat(100)).collect();
    let streamed = StreamBody::new(stream::iter(chunks).boxed());
    let request = Request::post(rig.url("/echo")).header("content-type", "text/plain");
    let answer = rig.begin(request, BodyStreamExt::sync(streamed)).await.unwrap();
    let said: serde_json::Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(said["body"], whole.as_str());
    assert_eq!(rig.tape.payload(Kind::Request), whole);
    rig.tape.whole().await;
}

struct BodyStreamExt;

impl BodyStreamExt {
    fn sync<S>(streamed: StreamBody<S>) -> crate::rig::AnyBody
    where
        S: futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
    {
        // A stream is not Sync; a channel's end is.
        let (sender, receiver) = futures::channel::mpsc::channel(1);
        tokio::spawn(streamed.map(Ok).forward(sender));
        http_body_util::BodyExt::boxed(StreamBody::new(receiver))
    }
}

#[tokio::test]
async fn an_answer_in_two_pieces_is_recorded_as_the_text_it_is() {
    let rig = Rig::start().await;
    let text = "é€🦀".repeat(60_000);
    let (status, _, answer) = rig.post("/echo", &text).await;
    assert_eq!(status, 200);
    assert_eq!(rig.tape.payload(Kind::Request), text);
    assert_eq!(rig.tape.payload(Kind::Response).as_bytes(), &answer[..]);
    for event in rig.tape.all() {
        assert!(event.payload.as_ref().is_none_or(|p| p.len() <= 65_536));
        assert!(event.payload_type.as_ref().is_none_or(|t| !t.contains("base64")));
    }
    rig.tape.whole().await;
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
