//! What waits for a person when something fails: nothing passes that is not recorded, and nothing is
//! held without bound.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trailgate_ingest_proxy::Unrecorded;
use trailgate_ingest_proxy::limits::HELD_PER_CALLER;
use trailgate_schemas::{ClaimEnd, HoldState, Kind, Outcome};
use trailgate_testkit::until;
use trailgate_topics::Topic;

use crate::desk::{Desk, decision};
use crate::holds::{Rig, is_problem};
use crate::rig::{connection, gateway_holding};
use crate::tape::{Fate, NOW};

/// A gateway that can't record events of one kind, and what it answers.
async fn without(kind: Kind, unrecorded: Unrecorded) -> Rig {
    let rig = Rig::with("").await;
    let lost = Fate::Lost(unrecorded);
    rig.tape.judge(move |event| if event.kind == kind { lost } else { NOW });
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 503, "record_unavailable"), "{kind}: {answer:?}");
    assert_eq!(rig.upstream.requests(), 0);
    rig
}

#[tokio::test]
async fn what_can_not_be_recorded_at_any_step_is_answered_503_and_nothing_passes() {
    for unrecorded in [Unrecorded::NotTaken, Unrecorded::Unacknowledged] {
        let rig = without(Kind::Request, unrecorded).await;
        assert!(rig.tape.of(Kind::Held).is_empty());
        assert!(rig.desk.log.of(Topic::Spool).is_empty());
        // The hold may be on the log: whoever sees it must not wait for a claim that is gone.
        let rig = without(Kind::Held, unrecorded).await;
        assert_eq!(rig.desk.end().await, ClaimEnd::Withdrawn);
    }
}

#[tokio::test]
async fn what_can_not_be_kept_is_not_held_and_does_not_pass() {
    let rig = Rig::with("").await;
    rig.desk.log.refuse(Topic::Spool);
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 503, "record_unavailable"), "{answer:?}");
    rig.tape.whole().await;
    assert!(rig.tape.of(Kind::Held).is_empty(), "nobody is asked about it");
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn nobody_is_asked_before_the_bytes_are_kept_and_nothing_passes_before_the_hold_is_durable() {
    let rig = Rig::with("").await;
    rig.tape.judge(|event| if event.kind == Kind::Held { Fate::Held } else { NOW });
    let asking = rig.post("/echo", "{}");
    let held = until("what is held", async || rig.tape.of(Kind::Held).into_iter().next()).await;
    assert_eq!(rig.desk.log.of(Topic::Spool).len(), 1);
    // A decision that comes before the acknowledgement is used after it.
    rig.desk.decide(&decision(&held, HoldState::Approved));
    tokio::task::yield_now().await;
    assert_eq!(rig.upstream.requests(), 0);
    rig.tape.let_go();
    assert_eq!(asking.await.unwrap().0, 200);
    assert_eq!(rig.upstream.requests(), 1);
}

#[tokio::test]
async fn an_answer_whose_execution_can_not_be_recorded_is_not_given() {
    let rig = Rig::with("").await;
    let lost = Fate::Lost(Unrecorded::Unacknowledged);
    rig.tape.judge(move |event| if event.kind == Kind::Executed { lost } else { NOW });
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    let answer = asking.await.unwrap();
    assert!(is_problem(&answer, 503, "record_unavailable"), "{answer:?}");
    assert_eq!((rig.upstream.requests(), rig.desk.end().await), (1, ClaimEnd::Executed));
}

#[tokio::test]
async fn what_is_approved_and_can_not_be_passed_on_has_failed() {
    let (desk, holding) = Desk::new("[[hold]]\nname = \"all\"\nreviewers = [\"leads\"]", 1000);
    let upstream = trailgate_testkit::Upstream::start().await;
    let text = connection("http", "http://127.0.0.1:1", "");
    let (tape, context, address, running) = gateway_holding(&text, Some(holding)).await;
    let rig = Rig { desk, tape, upstream, address, context, running };
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    assert!(is_problem(&asking.await.unwrap(), 502, "upstream_unreachable"));
    assert_eq!(rig.desk.end().await, ClaimEnd::Failed);
    rig.tape.whole().await;
    assert_eq!(rig.tape.of(Kind::Executed)[0].outcome, Outcome::Failed);
}

#[tokio::test]
async fn who_goes_away_behind_an_approval_leaves_the_outcome_unknown() {
    let rig = Rig::with("").await;
    let asking = rig.post("/silent", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    until("the upstream to be asked", async || (rig.upstream.requests() == 1).then_some(())).await;
    asking.abort();
    assert_eq!(rig.desk.end().await, ClaimEnd::Unknown);
    rig.tape.whole().await;
    assert_eq!(rig.tape.of(Kind::Executed)[0].outcome, Outcome::Unknown);
    assert!(rig.tape.of(Kind::Withdrawn).is_empty());
}

#[tokio::test]
async fn an_upstream_that_breaks_off_leaves_the_outcome_unknown() {
    let rig = Rig::with("expires_after_s = 60").await;
    let asking = rig.post("/fail?after=0", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    let _ = asking.await;
    let end = rig.desk.end().await;
    rig.tape.whole().await;
    let executed = rig.tape.of(Kind::Executed);
    assert_eq!(executed.len(), 1);
    // Its head may have come before it broke.
    assert!(matches!(end, ClaimEnd::Unknown | ClaimEnd::Executed), "{end}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_denied() {
    let rig = Rig::with("").await;
    let answer = rig.post("/echo", &"x".repeat(1001)).await.unwrap();
    assert!(is_problem(&answer, 403, "hold_too_large"), "{answer:?}");
    assert_eq!(answer.1["limit"], 1000);
    rig.tape.whole().await;
    let events = rig.tape.durable();
    let closing = events.iter().find(|event| event.reason.is_some()).unwrap();
    assert_eq!((closing.outcome, closing.policy_id.as_deref()), (Outcome::Denied, Some("writes")));
    assert!(rig.tape.of(Kind::Held).is_empty());
    assert_eq!(rig.upstream.requests(), 0);
    let fits = rig.post("/echo", &"x".repeat(1000));
    rig.held(0).await;
    fits.abort();
}

#[tokio::test]
async fn one_caller_can_not_take_every_place_and_gets_his_back() {
    let rig = Rig::with("").await;
    let waiting: Vec<_> = (0..HELD_PER_CALLER).map(|_| rig.post("/echo", "{}")).collect();
    rig.held(HELD_PER_CALLER - 1).await;
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 429, "too_many_held"), "{answer:?}");
    let denied = rig.tape.of(Kind::Denied);
    assert_eq!(denied[0].policy_id.as_deref(), Some("writes"));
    for one in waiting {
        one.abort();
    }
    until("the places to be free", async || {
        (rig.desk.claims().len() == HELD_PER_CALLER).then_some(())
    })
    .await;
    let asking = rig.post("/echo", "{}");
    let held = rig.held(HELD_PER_CALLER).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    assert_eq!(asking.await.unwrap().0, 200);
}

#[tokio::test]
async fn all_who_wait_are_few() {
    let (desk, holding) = Desk::new("[[hold]]\nname = \"all\"\nreviewers = [\"leads\"]", 1000);
    let upstream = trailgate_testkit::Upstream::start().await;
    let connection = connection("http", &upstream.url(), "");
    let text = format!("[gateway]\nmax_exchanges = 8\n{connection}");
    let (tape, context, address, running) = gateway_holding(&text, Some(holding)).await;
    let rig = Rig { desk, tape, upstream, address, context, running };
    let waiting = [rig.post("/echo", "{}"), rig.post("/echo", "{}")];
    rig.held(1).await;
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 503, "too_many_held"), "{answer:?}");
    for one in waiting {
        one.abort();
    }
}

async fn refuses_websocket(rig: &Rig, path: &str) {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let asks = format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good\r\n\
         connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    stream.write_all(asks.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer));
    let read = read.await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("hold_not_possible"), "{answer}");
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn a_change_of_protocol_is_not_held_but_denied() {
    let rig = Rig::with("").await;
    refuses_websocket(&rig, "/ws").await;
}

#[tokio::test]
async fn a_run_that_is_held_can_not_begin_by_a_message_either() {
    let runs = "methods = [\"POST\"]\noperations = [\"run.create.stream\"]";
    let rig = Rig::of_kind("langgraph", runs, "").await;
    let events = "/threads/01a207e7-3b33-7212-8090-ee2cd8226ffe/stream/events";
    refuses_websocket(&rig, events).await;
}

#[tokio::test]
async fn half_a_body_is_not_held() {
    let rig = Rig::with("").await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let half = "POST /echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good\r\n\
                content-length: 100\r\n\r\n0123456789";
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    rig.tape.whole().await;
    assert!(rig.tape.of(Kind::Held).is_empty());
    assert!(rig.desk.log.of(Topic::Spool).is_empty());
}
