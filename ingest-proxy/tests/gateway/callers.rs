//! Who may, who may not, and what is told of both.

use http::Request;
use trailgate_ingest_proxy::Unrecorded;
use trailgate_schemas::{Kind, Outcome, SessionRule};

use crate::rig::Rig;
use crate::tape::{Fate, NOW};

fn problem(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_caller_who_is_not_verified_gets_401_and_a_record_and_nothing_is_passed_on() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/echo")).header("authorization", "Bearer forged");
    let (status, headers, body) = rig.send(request, "").await;
    assert_eq!(status, 401);
    assert_eq!(headers["content-type"], "application/problem+json");
    let said = problem(&body);
    assert_eq!(said["type"], "urn:trailgate:problem:bad_signature");
    let [event] = &rig.tape.durable()[..] else { panic!("one event") };
    assert_eq!(said["event_id"], event.event_id.to_string());
    assert_eq!((event.kind, event.outcome), (Kind::LoginRefused, Outcome::Denied));
    assert_eq!(event.reason.as_deref(), Some("bad_signature"));
    assert_eq!(event.actor.as_str(), "[unverified]");
    assert_eq!((event.stream_count, event.session_rule), (Some(1), SessionRule::Connection));
    assert!(!format!("{event:?}").contains("forged"));
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn who_is_not_verified_is_in_no_session_with_others() {
    let rig = Rig::start().await;
    for _ in 0..2 {
        let request = Request::get(rig.url("/echo")).header("authorization", "Bearer forged");
        assert_eq!(rig.send(request, "").await.0, 401);
    }
    let [one, other] = &rig.tape.durable()[..] else { panic!("two events") };
    assert_ne!(one.session_id, other.session_id);
}

#[tokio::test]
async fn a_verified_caller_of_no_allowed_group_gets_403_and_a_record() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/echo")).header("authorization", "Bearer other");
    let (status, _, body) = rig.send(request, "").await;
    assert_eq!((status, rig.upstream.requests()), (403, 0));
    assert_eq!(problem(&body)["type"], "urn:trailgate:problem:not_in_group");
    let [event] = &rig.tape.durable()[..] else { panic!("one event") };
    assert_eq!((event.kind, event.actor.as_str()), (Kind::Denied, "bob"));
    assert_eq!(event.session_rule, SessionRule::Caller);
}

#[tokio::test]
async fn a_refusal_that_can_not_be_recorded_is_answered_503() {
    let rig = Rig::start().await;
    rig.tape.judge(|_| Fate::Lost(Unrecorded::Unacknowledged));
    let request = Request::get(rig.url("/echo")).header("authorization", "Bearer forged");
    assert_eq!(rig.send(request, "").await.0, 503);
}

#[tokio::test]
async fn a_flood_of_refusals_is_told_by_a_few_events_and_one_with_a_count() {
    let rig = Rig::start().await;
    let flood = (0..60).map(|_| {
        rig.send(Request::get(rig.url("/echo")).header("authorization", "Bearer forged"), "")
    });
    let answers = futures::future::join_all(flood).await;
    assert!(answers.iter().all(|(status, _, _)| *status == 401));
    let events = rig.tape.durable();
    let told: i64 = events.iter().map(|event| event.count.unwrap_or(1)).sum();
    assert_eq!(told, 60);
    assert!(events.len() <= 33, "{} events", events.len());
    assert!(events.iter().any(|event| event.count.is_some()));
    let known: Vec<String> = events.iter().map(|event| event.event_id.to_string()).collect();
    for (_, _, body) in &answers {
        let id = problem(body)["event_id"].as_str().unwrap().to_owned();
        assert!(known.contains(&id), "every refusal names a durable event");
    }
}

#[tokio::test]
async fn the_callers_credential_is_neither_passed_on_nor_recorded() {
    let rig = Rig::start().await;
    let request = Request::get(rig.url("/echo?access_token=hunter2&page=2"))
        .header("authorization", "Bearer good")
        .header("x-api-key", "hunter2")
        .header("cookie", "session=hunter2")
        .header("x-request-id", "forged")
        .header("x-forwarded-for", "1.2.3.4");
    let (_, headers, body) = rig.send(request, "").await;
    let seen = rig.upstream.seen().pop().unwrap();
    for name in ["authorization", "x-api-key", "cookie"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    let events = rig.tape.durable();
    let request = events.iter().find(|event| event.kind == Kind::Request).unwrap();
    assert_eq!(seen.headers["x-request-id"], request.request_id.clone().unwrap());
    assert_eq!(headers["x-request-id"], request.request_id.clone().unwrap());
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    // What the upstream says of the query is its own.
    drop(body);
    let told = format!("{:?}{:?}", request.path, request.headers);
    assert!(!told.contains("hunter2") && !told.contains("good"), "{told}");
    assert!(told.contains("page=2") && told.contains("Bearer [token "), "{told}");
}

#[tokio::test]
async fn the_six_are_told_of_every_exchange_and_its_session_opens_and_closes() {
    let rig = Rig::start().await;
    rig.get("/echo").await;
    rig.get("/echo").await;
    let events = rig.tape.durable();
    let opened: Vec<_> = events.iter().filter(|e| e.kind == Kind::SessionOpened).collect();
    assert_eq!(opened.len(), 1);
    let session = opened[0].session_id;
    for event in &events {
        assert_eq!((event.actor.as_str(), event.session_id), ("alice", session));
        assert_eq!(event.actor_issuer.as_deref(), Some("https://issuer.test"));
        assert_eq!(event.actor_groups, ["agents"]);
        assert_eq!(event.source_address.as_str(), "127.0.0.1");
        assert_eq!(event.resource.as_str(), "tools/echo");
        assert_eq!((event.tenant.as_str(), event.connection.as_str()), ("default", "tools"));
    }
    let tape = rig.end().await;
    let closed = tape.of(Kind::SessionClosed);
    assert_eq!(closed.len(), 1);
    assert_eq!(
        (closed[0].session_id, closed[0].reason.as_deref()),
        (session, Some("gateway_stopped"))
    );
    assert!(tape.is_whole());
}

#[tokio::test]
async fn too_many_exchanges_are_refused_and_told() {
    let text = format!(
        "[gateway]\nmax_exchanges = 1\n{}",
        crate::rig::connection("http", "http://127.0.0.1:1", "")
    );
    let (tape, context, address, running) = crate::rig::gateway(&text).await;
    tape.judge(|event| if event.kind == Kind::Request { Fate::Held } else { NOW });
    let url = format!("http://{address}/x");
    let ask = || {
        let request = Request::get(url.clone()).header("authorization", "Bearer good");
        crate::rig::client().request(request.body(crate::rig::body("")).unwrap())
    };
    let first = tokio::spawn(ask());
    trailgate_testkit::until("the first", async || (tape.count() > 0).then_some(())).await;
    let second = ask().await.unwrap();
    assert_eq!(second.status(), 503);
    let told = tape.of(Kind::Denied);
    assert_eq!(told[0].reason.as_deref(), Some("overloaded"));
    tape.judge(|_| NOW);
    tape.let_go();
    assert_eq!(first.await.unwrap().unwrap().status(), 502);
    context.stop.ask();
    running.await.unwrap();
}
