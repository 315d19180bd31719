//! Runs of an Agent Server through the gateway: who ran which node is told, and the client sees what
//! it would have seen without.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::task::JoinHandle;
use trailgate_ingest_proxy::Unrecorded;
use trailgate_schemas::{AuditEvent, Kind, Outcome, SessionRule};
use trailgate_service::Context;
use trailgate_testkit::until;

use crate::agent_server::{AgentServer, OTHER_RUN, RUN, THREAD};
use crate::rig::{body, client, connection, gateway};
use crate::tape::{Fate, NOW, Tape};

struct Agents {
    server: AgentServer,
    tape: Tape,
    url: String,
    context: Context,
    running: JoinHandle<()>,
}

impl Agents {
    async fn start() -> Self {
        Self::with("").await
    }

    async fn with(lines: &str) -> Self {
        let server = AgentServer::start().await;
        let text = connection("langgraph", &server.url(), lines);
        let (tape, context, address, running) = gateway(&text).await;
        Self { server, tape, url: format!("http://{address}"), context, running }
    }

    async fn ask(&self, method: &str, path: &str, text: &str) -> (u16, Bytes) {
        let answer = client().request(self.request(method, path, text)).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    fn request(&self, method: &str, path: &str, text: &str) -> Request<crate::rig::AnyBody> {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", "Bearer good")
            .header("content-type", "application/json")
            .body(body(text))
            .unwrap()
    }

    /// The nodes that were told, as `kind name`, once there are `count`.
    async fn nodes(&self, count: usize) -> Vec<String> {
        until("the nodes", async || (nodes(&self.tape.durable()).len() >= count).then_some(()))
            .await;
        nodes(&self.tape.durable())
    }

    async fn end(self) -> Tape {
        self.context.stop.ask();
        self.running.await.unwrap();
        assert!(self.tape.is_whole());
        self.tape
    }
}

fn nodes(events: &[AuditEvent]) -> Vec<String> {
    let named = events.iter().filter(|event| event.node.is_some());
    named.map(|event| format!("{} {}", event.kind, event.node.as_ref().unwrap())).collect()
}

const ALL: [&str; 4] =
    ["node_started planner", "node_finished planner", "node_started tools", "node_finished tools"];

fn stream_path() -> String {
    format!("/threads/{THREAD}/runs/stream")
}

#[tokio::test]
async fn the_nodes_of_a_streamed_run_are_told_and_the_client_sees_its_own_frames() {
    let agents = Agents::start().await;
    let asked = r#"{"assistant_id":"agent","stream_mode":"values","input":{"a":1.50},
        "metadata":{"langgraph_auth_user_id":"root","mine":1}}"#;
    let (status, seen) = agents.ask("POST", &stream_path(), asked).await;
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert_eq!(status, 200);
    assert!(!seen.contains("event: tasks") && !seen.contains("gw_"), "{seen}");
    assert_eq!(seen.matches("event: values").count(), 3);
    assert!(seen.contains(": heartbeat\r\n\r\n"));
    assert_eq!(agents.nodes(4).await, ALL);

    let sent = &agents.server.got()[0];
    assert!(sent.body.contains("\"tasks\"") && sent.body.contains("1.50"), "{}", sent.body);
    assert!(!sent.body.contains("root") && sent.body.contains("\"mine\":1"), "{}", sent.body);
    let events = agents.tape.durable();
    let request = events.iter().find(|event| event.kind == Kind::Request).unwrap();
    assert_eq!(request.payload.as_deref(), Some(asked), "the client's own bytes are recorded");
    assert_eq!(agents.tape.payload(Kind::Response), seen);
    for event in events.iter().filter(|event| event.node.is_some()) {
        assert_eq!(
            (event.actor.as_str(), event.run_id.unwrap().to_string()),
            ("alice", RUN.to_owned())
        );
        assert_eq!(event.thread_id.unwrap().to_string(), THREAD);
        assert_eq!(event.session_rule, SessionRule::Thread);
        assert_eq!(event.surface.as_deref(), Some("agent_server"));
        assert_eq!(event.graph_id.as_deref(), Some("agent"));
        assert_eq!((event.attempt, event.stream_id), (Some(1), request.stream_id));
        assert_eq!(event.risk_factors, ["forged_metadata"]);
        assert!(event.checkpoint_ns.as_ref().unwrap().contains(':'));
    }
    let started = events.iter().find(|event| event.kind == Kind::NodeStarted).unwrap();
    assert_eq!(started.payload.as_deref(), Some(r#"{"question":"why"}"#));
    agents.end().await;
}

#[tokio::test]
async fn a_nodes_event_is_durable_before_the_frames_behind_it_pass() {
    let agents = Agents::start().await;
    agents.tape.judge(|event| match event.kind {
        Kind::NodeFinished => Fate::Held,
        _ => NOW,
    });
    let asked = agents.request("POST", &stream_path(), r#"{"stream_mode":["values"]}"#);
    let mut answer = client().request(asked).await.unwrap().into_body();
    let mut seen = String::new();
    let told = async {
        until("the node's end", async || {
            (!agents.tape.of(Kind::NodeFinished).is_empty()).then_some(())
        })
        .await;
    };
    tokio::select! {
        () = told => {}
        () = async {
            while let Some(frame) = answer.frame().await {
                seen += &String::from_utf8_lossy(frame.unwrap().data_ref().unwrap());
            }
        } => panic!("the stream ended without its events"),
    }
    assert!(!seen.contains("\"n\":1"), "{seen}");
    agents.tape.judge(|_| NOW);
    agents.tape.let_go();
    seen += &String::from_utf8_lossy(&answer.collect().await.unwrap().to_bytes());
    assert!(seen.contains("\"n\":2"), "{seen}");
    agents.end().await;
}

#[tokio::test]
async fn a_client_that_asks_for_tasks_gets_them_and_they_are_told_once() {
    let agents = Agents::start().await;
    let asked = r#"{"stream_mode":["values","tasks"]}"#;
    let (_, seen) = agents.ask("POST", &stream_path(), asked).await;
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert_eq!(seen.matches("event: tasks").count(), 4);
    assert!(!seen.contains("\"gw_asked\":\""), "{seen}");
    assert_eq!(agents.nodes(4).await, ALL);
    agents.end().await;
}

#[tokio::test]
async fn a_node_whose_end_never_comes_is_told_as_unknown() {
    let agents = Agents::start().await;
    agents.server.leave_open();
    agents.ask("POST", &stream_path(), "{}").await;
    assert_eq!(agents.nodes(4).await[3], "unknown tools");
    let tape = agents.end().await;
    let unknown = &tape.of(Kind::Unknown)[0];
    assert_eq!(unknown.outcome, Outcome::Unknown);
    assert_eq!(unknown.reason.as_deref(), Some("node_end_not_seen"));
}

#[tokio::test]
async fn a_run_whose_creator_waits_is_followed_beside_it() {
    for (path, rule) in [
        (format!("/threads/{THREAD}/runs/wait"), SessionRule::Thread),
        ("/runs/wait".to_owned(), SessionRule::StatelessRun),
    ] {
        let agents = Agents::start().await;
        let (status, answer) = agents.ask("POST", &path, "{}").await;
        assert_eq!((status, &answer[..]), (200, &b"\n{\"answer\":\"because\"}"[..]));
        assert_eq!(agents.nodes(4).await, ALL);
        agents.tape.whole().await;
        let joins = agents.server.got_of("GET", &format!("/threads/{THREAD}/runs/{RUN}/stream"));
        assert_eq!(joins.len(), 1);
        assert_eq!(joins[0].headers["last-event-id"], "-1");
        let request_id = agents.server.got()[0].headers["x-request-id"].clone();
        assert_eq!(joins[0].headers["x-request-id"], request_id);
        assert!(!joins[0].headers.contains_key("authorization"));
        let tape = agents.end().await;
        let node = &tape.of(Kind::NodeStarted)[0];
        let request = &tape.of(Kind::Request)[0];
        assert_ne!(node.stream_id, request.stream_id);
        assert_eq!((node.session_id, node.session_rule), (request.session_id, rule));
        assert_eq!(node.request_id, request.request_id);
        assert_eq!(node.actor.as_str(), "alice");
    }
}

#[tokio::test]
async fn who_joins_a_run_that_can_replay_for_the_gateway_alone_gets_no_replay() {
    let agents = Agents::start().await;
    agents.ask("POST", &format!("/threads/{THREAD}/runs/wait"), "{}").await;
    agents.nodes(4).await;
    let path = format!("/threads/{THREAD}/runs/{RUN}/stream");
    let before = agents.server.got_of("GET", &path).len();
    let mut join = agents.request("GET", &path, "");
    join.headers_mut().insert("last-event-id", "-1".parse().unwrap());
    let answer = client().request(join).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    let joins = agents.server.got_of("GET", &path);
    assert_eq!(joins.len(), before + 1);
    assert!(!joins[before].headers.contains_key("last-event-id"));
    agents.end().await;
}

#[tokio::test]
async fn a_side_join_that_breaks_is_made_again_and_tells_nothing_twice() {
    let agents = Agents::start().await;
    agents.server.break_once();
    agents.ask("POST", &format!("/threads/{THREAD}/runs/wait"), "{}").await;
    assert_eq!(agents.nodes(4).await, ALL);
    agents.tape.whole().await;
    let joins = agents.server.got_of("GET", &format!("/threads/{THREAD}/runs/{RUN}/stream"));
    assert_eq!(joins.len(), 2);
    let tape = agents.end().await;
    let closing = tape
        .of(Kind::Response)
        .into_iter()
        .find(|event| event.operation.as_deref() == Some("run.side_join"));
    assert_eq!(closing.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_background_run_is_followed_and_its_object_is_what_the_client_asked_for() {
    let agents = Agents::start().await;
    let path = format!("/threads/{THREAD}/runs");
    let (status, answer) = agents.ask("POST", &path, r#"{"stream_mode":"values"}"#).await;
    let run: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, run["run_id"].as_str()), (200, Some(RUN)));
    assert_eq!(run["kwargs"]["stream_mode"], serde_json::json!(["values"]));
    assert_eq!(run["kwargs"]["resumable"], serde_json::json!(false));
    assert!(!String::from_utf8_lossy(&answer).contains("gw_"));
    assert_eq!(agents.nodes(4).await, ALL);
    // A client that joins later sees its own frames, and nothing is told again.
    let path = format!("/threads/{THREAD}/runs/{RUN}/stream");
    let (_, seen) = agents.ask("GET", &path, "").await;
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert!(!seen.contains("event: tasks") && seen.contains("event: values"), "{seen}");
    let tape = agents.end().await;
    assert_eq!(nodes(&tape.durable()).len(), 4);
}

#[tokio::test]
async fn a_run_that_another_gateway_made_is_stripped_by_what_the_server_knows_of_it() {
    let agents = Agents::start().await;
    let path = format!("/threads/{THREAD}/runs");
    agents.ask("POST", &path, r#"{"stream_mode":"values"}"#).await;
    agents.nodes(4).await;
    let text = connection("langgraph", &agents.server.url(), "");
    let (tape, context, address, running) = gateway(&text).await;
    let path = format!("http://{address}/threads/{THREAD}/runs/{RUN}/stream");
    let asked = Request::get(path).header("authorization", "Bearer good").body(body("")).unwrap();
    let seen = client().request(asked).await.unwrap().into_body().collect().await.unwrap();
    let seen = String::from_utf8(seen.to_bytes().to_vec()).unwrap();
    assert!(!seen.contains("event: tasks") && seen.contains("event: values"), "{seen}");
    assert!(nodes(&tape.durable()).is_empty());
    context.stop.ask();
    running.await.unwrap();
    agents.end().await;
}

#[tokio::test]
async fn each_run_of_a_batch_is_followed_in_a_session_of_its_own() {
    let agents = Agents::start().await;
    let (status, _) = agents.ask("POST", "/runs/batch", r#"[{"a":1},{"a":2}]"#).await;
    assert_eq!(status, 200);
    agents.nodes(8).await;
    let tape = agents.end().await;
    let started = tape.of(Kind::NodeStarted);
    let sessions: std::collections::BTreeSet<_> = started.iter().map(|e| e.session_id).collect();
    assert_eq!((started.len(), sessions.len()), (4, 2));
    let runs: std::collections::BTreeSet<_> =
        started.iter().map(|e| e.run_id.unwrap().to_string()).collect();
    assert!(runs.contains(RUN) && runs.contains(OTHER_RUN));
}

#[tokio::test]
async fn a_run_goes_on_to_be_told_when_its_client_goes_away() {
    let agents = Agents::start().await;
    let asked = agents.request("POST", &stream_path(), "{}");
    let mut answer = client().request(asked).await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    drop(answer);
    assert_eq!(agents.nodes(4).await, ALL);
    agents.tape.whole().await;
    let tape = agents.end().await;
    let closing = tape.of(Kind::Response).pop().unwrap();
    assert_eq!(closing.reason.as_deref(), Some("client_gone"));
}

#[tokio::test]
async fn a_run_that_ends_with_its_client_is_let_go_with_it() {
    let agents = Agents::start().await;
    let asked = agents.request("POST", &stream_path(), r#"{"on_disconnect":"cancel"}"#);
    let mut answer = client().request(asked).await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    drop(answer);
    agents.tape.whole().await;
    let tape = agents.end().await;
    assert!(nodes(&tape.durable()).len() < 4);
}

#[tokio::test]
async fn an_answer_to_an_interrupt_and_a_written_state_are_events() {
    let agents = Agents::start().await;
    agents.ask("POST", &stream_path(), r#"{"command":{"resume":"yes"}}"#).await;
    agents.ask("POST", &format!("/threads/{THREAD}/state"), r#"{"values":{"a":1}}"#).await;
    agents.ask("DELETE", &format!("/threads/{THREAD}"), "").await;
    until("the session's end", async || {
        (!agents.tape.of(Kind::SessionClosed).is_empty()).then_some(())
    })
    .await;
    let tape = agents.end().await;
    for kind in [Kind::InterruptResumed, Kind::StateEdited] {
        let events = tape.of(kind);
        assert_eq!((events.len(), events[0].outcome), (1, Outcome::Succeeded), "{kind}");
        assert_eq!(events[0].actor.as_str(), "alice");
    }
    let closed = tape.of(Kind::SessionClosed);
    assert_eq!(closed[0].reason.as_deref(), Some("thread_deleted"));
    assert_eq!(closed.len(), 1);
}

#[tokio::test]
async fn a_body_that_admission_can_not_read_is_refused_and_told() {
    let agents = Agents::with("run_max_bytes = 1000\n").await;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
    for (text, status, reason) in [
        ("{\"a\":hunter2}", 422, "body_not_json"),
        ("[]", 422, "body_not_object"),
        (long.as_str(), 413, "body_too_long"),
    ] {
        let (answered, said) = agents.ask("POST", &stream_path(), text).await;
        assert_eq!(answered, status);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains(reason) && !said.contains("hunter2"), "{said}");
        let closing = agents.tape.durable().pop().unwrap();
        assert_eq!((closing.kind, closing.outcome), (Kind::Request, Outcome::Denied));
        assert_eq!(closing.reason.as_deref(), Some(reason));
    }
    assert!(agents.server.got().is_empty());
    let (status, said) = agents.ask("GET", "/threads//x", "").await;
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&said).contains("path_ambiguous"));
    agents.end().await;
}

#[tokio::test]
async fn a_run_whose_record_fails_is_not_created() {
    let agents = Agents::start().await;
    agents.tape.judge(|_| Fate::Lost(Unrecorded::Unacknowledged));
    assert_eq!(agents.ask("POST", &stream_path(), "{}").await.0, 503);
    assert!(agents.server.got().is_empty());
}
