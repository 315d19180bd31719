//! What waits for a person passes by one decision that fits it, byte for byte, or not at all.

use std::net::SocketAddr;

use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use trailgate_envelope::{OwnSeal, Secret, SigningKey};
use trailgate_schemas::{
    AuditEvent, ClaimEnd, ClaimId, Decision, HoldDecision, HoldId, HoldState, Kind, Micros, Outcome,
};
use trailgate_service::Context;
use trailgate_testkit::{Upstream, until};
use trailgate_topics::Topic;

use crate::desk::{Desk, decision};
use crate::rig::{body, client, connection, gateway_holding};
use crate::tape::Tape;

/// A gateway that holds, its approver and its upstream.
pub(crate) struct Rig {
    pub(crate) desk: Desk,
    pub(crate) tape: Tape,
    pub(crate) upstream: Upstream,
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<()>,
}

pub(crate) type Answer = (u16, serde_json::Value);

impl Rig {
    /// With a rule that has these lines.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::of_kind("http", lines, "").await
    }

    pub(crate) async fn of_kind(kind: &str, lines: &str, of_connection: &str) -> Self {
        let upstream = Upstream::start().await;
        let rules = format!("[[hold]]\nname = \"writes\"\nreviewers = [\"leads\"]\n{lines}");
        let (desk, holding) = Desk::new(&rules, 1000);
        let text = connection(kind, &upstream.url(), of_connection);
        let (tape, context, address, running) = gateway_holding(&text, Some(holding)).await;
        Self { desk, tape, upstream, address, context, running }
    }

    pub(crate) fn post(&self, path: &str, text: &str) -> JoinHandle<Answer> {
        self.ask(Request::post(self.url(path)).header("content-type", "application/json"), text)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks as alice, in a task of its own.
    pub(crate) fn ask(&self, request: http::request::Builder, text: &str) -> JoinHandle<Answer> {
        let request = request.header("authorization", "Bearer good").body(body(text)).unwrap();
        tokio::spawn(async move {
            let answer = client().request(request).await.unwrap();
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&bytes).unwrap_or_default())
        })
    }

    /// The n-th held event, once it is durable.
    pub(crate) async fn held(&self, n: usize) -> AuditEvent {
        until("what is held", async || {
            self.tape.durable().into_iter().filter(|event| event.kind == Kind::Held).nth(n)
        })
        .await
    }
}

pub(crate) fn is_problem(answer: &Answer, status: u16, code: &str) -> bool {
    answer.0 == status && answer.1["type"] == format!("urn:trailgate:problem:{code}")
}

#[tokio::test]
async fn what_a_person_approved_passes_once_with_exactly_its_bytes() {
    let rig = Rig::with("methods = [\"POST\"]\nexpires_after_s = 60").await;
    let text = "{\"deploy\": \"prod\" }";
    let asking = rig.post("/echo?a=%62", text);
    let held = rig.held(0).await;
    assert_eq!(rig.upstream.requests(), 0);
    assert_eq!(held.payload.as_deref(), Some(text));
    assert_eq!(held.payload_bytes, Some(text.len() as i64));
    assert_eq!(held.path.as_deref(), Some("/echo?a=%62"));
    assert!(held.headers.as_deref().unwrap().contains("application/json"));
    assert_eq!((held.decision, held.outcome), (Some(Decision::Hold), Outcome::Interrupted));
    assert_eq!(
        (held.policy_id.as_deref(), &held.hold_reviewers[..]),
        (Some("writes"), &["leads".to_owned()][..])
    );
    assert_eq!(held.hold_digest.as_ref().unwrap().len(), 64);
    let wait = held.hold_expires_at.unwrap().since(held.gateway_time).as_secs();
    assert!((59..=60).contains(&wait), "{wait}");

    let approved = decision(&held, HoldState::Approved);
    rig.desk.decide(&approved);
    rig.desk.decide(&approved);
    let (status, said) = asking.await.unwrap();
    assert_eq!((status, rig.upstream.requests()), (200, 1));
    assert_eq!((said["body"].as_str(), said["query"].as_str()), (Some(text), Some("a=%62")));
    assert_eq!(rig.desk.end().await, ClaimEnd::Executed);
    assert_eq!(rig.desk.claims()[0].claim, approved.claim);

    rig.tape.whole().await;
    let executed = rig.tape.of(Kind::Executed);
    let [executed] = &executed[..] else { panic!("one event") };
    assert_eq!((executed.outcome, executed.status), (Outcome::Succeeded, Some(200)));
    assert_eq!(executed.stream_id, held.stream_id);
    for event in rig.tape.durable().iter().filter(|event| event.kind == Kind::Response) {
        assert_eq!((event.hold_id, event.policy_id.as_deref()), (held.hold_id, Some("writes")));
    }
    // Used once: whoever shows the decision again shows it to nobody.
    rig.desk.decide(&approved);
    let again = rig.post("/echo?a=%62", text);
    let second = rig.held(1).await;
    assert_ne!((second.hold_id, second.hold_digest), (held.hold_id, None));
    rig.desk.decide(&approved);
    rig.desk.decide(&decision(&rig.held(1).await, HoldState::Denied));
    assert!(is_problem(&again.await.unwrap(), 403, "approval_denied"));
    assert_eq!(rig.upstream.requests(), 1);
}

#[tokio::test]
async fn what_is_kept_are_the_bytes_that_pass_and_nobody_else_reads_them() {
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{\"password\":\"hunter2\"}");
    let held = rig.held(0).await;
    let spooled = rig.desk.log.of(Topic::Spool);
    let [record] = &spooled[..] else { panic!("one piece") };
    assert_eq!(record.key.as_ref(), held.hold_id.unwrap().0.as_bytes());
    let value = record.value.as_ref().unwrap();
    assert!(!value.windows(7).any(|window| window == b"hunter2"));
    let mut place = [b"audit.spool/".as_slice(), &record.key].concat();
    place.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    let seal = OwnSeal::of_gateway(&Secret::new([3; 32])).unwrap();
    let clear = seal.open(&place, &value[9..]).unwrap();
    let text = String::from_utf8_lossy(&clear);
    assert!(text.ends_with("{\"password\":\"hunter2\"}") && text.contains("content-type"));
    assert!(!text.contains("Bearer"), "the caller's credential is not passed on, so not held");
    rig.desk.decide(&decision(&held, HoldState::Approved));
    assert_eq!(asking.await.unwrap().0, 200);
}

#[tokio::test]
async fn what_a_person_denied_does_not_pass_and_says_why() {
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Denied));
    let answer = asking.await.unwrap();
    assert!(is_problem(&answer, 403, "approval_denied"), "{answer:?}");
    assert_eq!(answer.1["reason"], "because");
    assert_eq!(answer.1["hold_id"], held.hold_id.unwrap().to_string());
    rig.tape.whole().await;
    let closing = rig.tape.durable().into_iter().rfind(|e| e.stream_id == held.stream_id).unwrap();
    assert_eq!((closing.outcome, closing.decision), (Outcome::Denied, Some(Decision::Deny)));
    assert_eq!(
        (closing.reason.as_deref(), closing.hold_id),
        (Some("approval_denied"), held.hold_id)
    );
    assert_eq!((rig.upstream.requests(), rig.desk.claims().len()), (0, 0));
}

#[tokio::test]
async fn a_decision_that_does_not_fit_lets_nothing_pass() {
    type Change = fn(&mut HoldDecision);
    let changes: [Change; 5] = [
        |decision| decision.digest.replace_range(0..1, "x"),
        |decision| decision.claim = ClaimId(uuid(9)),
        |decision| decision.hold_id = HoldId(uuid(9)),
        |decision| decision.expires_at = Micros(2),
        |decision| decision.state = HoldState::Executed,
    ];
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    let fits = decision(&held, HoldState::Approved);
    for change in changes {
        let mut decision = fits.clone();
        change(&mut decision);
        rig.desk.decide(&decision);
    }
    let json = serde_json::to_vec(&fits).unwrap();
    rig.desk.send(json.clone());
    rig.desk.send(Vec::new());
    rig.desk.send(SigningKey::new(Secret::new([8; 32])).sign("audit.decisions", &json));
    rig.desk.send(rig.desk.key.sign("audit.votes", &json));
    let mut forged = rig.desk.key.sign("audit.decisions", &json);
    *forged.last_mut().unwrap() ^= 1;
    rig.desk.send(forged);
    rig.desk.send(rig.desk.key.sign("audit.decisions", b"not JSON"));
    // All of these were read before this one, which fits.
    rig.desk.decide(&decision(&held, HoldState::Denied));
    assert!(is_problem(&asking.await.unwrap(), 403, "approval_denied"));
    assert_eq!(rig.upstream.requests(), 0);
}

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

#[tokio::test]
async fn a_decision_finds_the_gateway_that_holds_the_request() {
    let (one, other) = (Rig::with("").await, Rig::with("").await);
    let (asking, waiting) = (one.post("/echo", "{}"), other.post("/echo", "{}"));
    let (held, elsewhere) = (one.held(0).await, other.held(0).await);
    for rig in [&other, &one] {
        rig.desk.decide(&decision(&held, HoldState::Approved));
        rig.desk.decide(&decision(&elsewhere, HoldState::Denied));
    }
    assert_eq!(asking.await.unwrap().0, 200);
    assert!(is_problem(&waiting.await.unwrap(), 403, "approval_denied"));
    assert_eq!((one.upstream.requests(), other.upstream.requests()), (1, 0));
}

#[tokio::test]
async fn what_nobody_decides_expires() {
    let rig = Rig::with("expires_after_s = 1").await;
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 403, "approval_expired"), "{answer:?}");
    let held = rig.held(0).await;
    // Nothing comes of what was approved too late, and the approver learns it.
    rig.desk.decide(&decision(&held, HoldState::Approved));
    assert_eq!(rig.desk.end().await, ClaimEnd::Failed);
    rig.tape.whole().await;
    let closing = rig.tape.durable().into_iter().rfind(|e| e.stream_id == held.stream_id).unwrap();
    assert_eq!(
        (closing.outcome, closing.reason.as_deref()),
        (Outcome::Denied, Some("approval_expired"))
    );
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn what_the_approver_says_has_expired_does_not_wait_on() {
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Expired));
    assert!(is_problem(&asking.await.unwrap(), 403, "approval_expired"));
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn who_goes_away_withdraws_what_he_asked() {
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{}");
    let held = rig.held(0).await;
    asking.abort();
    assert_eq!(rig.desk.end().await, ClaimEnd::Withdrawn);
    rig.desk.decide(&decision(&held, HoldState::Approved));
    rig.tape.whole().await;
    let withdrawn = rig.tape.of(Kind::Withdrawn);
    let [withdrawn] = &withdrawn[..] else { panic!("one event") };
    assert_eq!(withdrawn.reason.as_deref(), Some("client_gone"));
    assert_eq!((withdrawn.hold_id, withdrawn.hold_claim), (held.hold_id, held.hold_claim));
    assert!(withdrawn.stream_count.is_some(), "it closes its stream");
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn a_gateway_that_ends_withdraws_what_waits() {
    let rig = Rig::with("").await;
    let asking = rig.post("/echo", "{}");
    rig.held(0).await;
    rig.context.stop.ask();
    assert!(is_problem(&asking.await.unwrap(), 503, "gateway_stopped"));
    rig.running.await.unwrap();
    assert_eq!(rig.desk.claims().len(), 1);
    assert_eq!(rig.desk.claims()[0].end, ClaimEnd::Withdrawn);
    assert!(rig.tape.is_whole());
    let withdrawn = &rig.tape.of(Kind::Withdrawn)[0];
    assert_eq!(withdrawn.reason.as_deref(), Some("gateway_stopped"));
    assert_eq!(rig.upstream.requests(), 0);
}

#[tokio::test]
async fn what_waits_for_a_person_does_not_count_as_stalled() {
    let upstream = Upstream::start().await;
    let (desk, holding) =
        Desk::new("[[hold]]\nname = \"all\"\nreviewers = [\"leads\"]\nexpires_after_s = 5", 1000);
    let text =
        format!("[gateway]\nstall_timeout_s = 2\n{}", connection("http", &upstream.url(), ""));
    let (tape, context, address, running) = gateway_holding(&text, Some(holding)).await;
    let rig = Rig { desk, tape, upstream, address, context, running };
    let answer = rig.post("/echo", "{}").await.unwrap();
    assert!(is_problem(&answer, 403, "approval_expired"), "{answer:?}");
}

#[tokio::test]
async fn what_no_rule_holds_passes_at_once_and_leaves_nothing() {
    let rig = Rig::with("methods = [\"DELETE\"]").await;
    assert_eq!(rig.post("/echo", "{}").await.unwrap().0, 200);
    assert!(rig.tape.of(Kind::Held).is_empty());
    assert!(rig.desk.log.of(Topic::Spool).is_empty());
    assert!(rig.tape.durable().iter().all(|event| event.policy_id.is_none()));
}

#[tokio::test]
async fn a_path_is_held_however_it_is_written_or_refused() {
    let rig = Rig::with("path = \"/echo/**\"\nexpires_after_s = 1").await;
    for path in ["/echo", "/echo/x", "/%65cho/x", "/ECHO/x/", "/echo/x/?y=1"] {
        let answer = rig.post(path, "{}").await.unwrap();
        assert!(is_problem(&answer, 403, "approval_expired"), "{path}: {answer:?}");
    }
    for path in ["/a/../echo", "//echo", "/echo%2fx", "/a%5c..%5cecho", "/%2565cho", "/echo;x=1"] {
        let answer = rig.post(path, "{}").await.unwrap();
        assert!(is_problem(&answer, 400, "path_ambiguous"), "{path}: {answer:?}");
    }
    assert_eq!(rig.upstream.requests(), 0);
    assert_eq!(rig.post("/sink", "{}").await.unwrap().0, 200);
}

#[tokio::test]
async fn who_asks_for_another_method_or_hides_a_length_is_held() {
    let rig = Rig::with("methods = [\"DELETE\"]\nmin_body_bytes = 500\nexpires_after_s = 1").await;
    let long = "x".repeat(600);
    let overridden = Request::post(rig.url("/echo")).header("x-http-method-override", "DELETE");
    let answer = rig.ask(overridden, &long).await.unwrap();
    assert!(is_problem(&answer, 403, "approval_expired"), "{answer:?}");
    let short = Request::delete(rig.url("/echo"));
    assert_eq!(rig.ask(short, "x").await.unwrap().0, 200);
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let chunked = "DELETE /echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good\r\n\
                   connection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("approval_expired"), "{answer}");
    assert_eq!(rig.upstream.requests(), 1);
}

#[tokio::test]
async fn a_run_is_held_by_its_operation_and_what_is_kept_is_what_the_server_gets() {
    let thread = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
    let rig = Rig::of_kind("langgraph", "operations = [\"run.create.wait\"]", "").await;
    let asking = rig.post(&format!("/threads/{thread}/runs/wait"), "{\"assistant_id\":\"agent\"}");
    let held = rig.held(0).await;
    assert_eq!(held.operation.as_deref(), Some("run.create.wait"));
    assert_eq!(held.thread_id.unwrap().to_string(), thread);
    let shown = held.payload.as_deref().unwrap();
    assert!(shown.contains("gw_request_id"), "as the server will get it: {shown}");
    rig.desk.decide(&decision(&held, HoldState::Approved));
    // The fake server has no such route; what counts is that it was asked, once.
    assert_eq!(asking.await.unwrap().0, 404);
    assert_eq!(rig.upstream.requests(), 1);
    let reading = rig.ask(Request::get(rig.url(&format!("/threads/{thread}"))), "");
    assert_eq!(reading.await.unwrap().0, 404, "other operations are not held");
}

#[tokio::test]
async fn an_operation_is_held_however_its_method_and_its_path_are_written() {
    let rule = "operations = [\"run.delete\"]\nexpires_after_s = 1";
    let rig = Rig::of_kind("langgraph", rule, "").await;
    let id = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
    let path = rig.url(&format!("/threads/{id}/runs/{id}"));
    let other_letters = rig.url(&format!("/Threads/{id}/RUNS/{id}"));
    let asks = [
        Request::delete(&path),
        Request::delete(&other_letters),
        Request::builder().method("delete").uri(&path),
        Request::post(&path).header("X_HTTP_Method_Override", "delete"),
        Request::get(format!("{path}?_METHOD=DELETE")),
    ];
    for ask in asks {
        let written = format!("{ask:?}");
        let answer = rig.ask(ask, "").await.unwrap();
        assert!(is_problem(&answer, 403, "approval_expired"), "{written}: {answer:?}");
    }
    assert_eq!(rig.upstream.requests(), 0);
    assert_eq!(rig.ask(Request::get(&path), "").await.unwrap().0, 404);
}

/// The headers of the one request that reached the upstream.
fn reached(rig: &Rig) -> HeaderMap {
    let seen = rig.upstream.seen();
    assert_eq!(seen.len(), 1);
    seen[0].headers.clone()
}

#[tokio::test]
async fn what_passes_after_a_wait_has_the_head_that_any_request_has() {
    let rig = Rig::with("").await;
    let request = Request::post(rig.url("/echo")).header("x-note", "kept").header("cookie", "a=b");
    let asking = rig.ask(request, "x");
    let held = rig.held(0).await;
    rig.desk.decide(&decision(&held, HoldState::Approved));
    asking.await.unwrap();
    let headers = reached(&rig);
    assert_eq!(headers["x-note"], "kept");
    assert_eq!(headers["content-length"], "1");
    assert_eq!(headers["x-request-id"], held.request_id.as_deref().unwrap());
    assert!(!headers.contains_key("cookie") && !headers.contains_key("authorization"));
}
