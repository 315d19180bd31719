//! Reading is itself on the record: before its answer, or there is none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use trailgate_schemas::{Kind, Micros, Outcome, SessionRule};
use trailgate_testkit::until;
use trailgate_topics::{
    Ack, AppendError, Appender, Backbone, BackboneError, Group, NewRecord, Offset, Partition,
    Processor, ProcessorHandle, ProcessorSpec, SchemaRegistry, Subscription, Tail, Topic,
    Watermarks,
};

use crate::world::{Plan, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_on_the_record_with_its_text_and_its_caller() {
    let world = World::start().await;
    let answer = world.ask("SELECT 1 AS one").await;
    let id = answer.headers()["trailgate-event-id"].to_str().unwrap().to_owned();
    // Nothing is waited for: what was answered is on the record.
    let events = world.recorded().await;
    let event = events.iter().find(|event| event.event_id.to_string() == id).unwrap();
    assert_eq!((event.kind, event.outcome), (Kind::QueryExecuted, Outcome::Allowed));
    assert_eq!((event.actor.as_str(), event.payload.as_deref()), ("ann", Some("SELECT 1 AS one")));
    assert_eq!((event.session_rule, event.stream_count), (SessionRule::Caller, Some(1)));
    assert_eq!(event.source_address.as_str(), "127.0.0.1");
    assert_eq!(event.actor_groups, ["auditors"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_does_not_run_is_on_the_record_too() {
    let world = World::start().await;
    let (_, code, body) = World::problem(world.auditor().body("DROP TABLE events")).await;
    let events = world.recorded().await;
    let event = events.iter().find(|e| e.event_id.to_string() == body["event_id"]).unwrap();
    assert_eq!((event.kind, event.outcome), (Kind::QueryExecuted, Outcome::Failed));
    assert_eq!(event.reason.as_deref(), Some(code.as_str()));
    assert_eq!(event.payload.as_deref(), Some("DROP TABLE events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_are_not_let_in_are_on_the_record() {
    let world = World::start().await;
    let stranger = world.request().bearer_auth(world.issuer.token("eve", &["agents"]));
    let cases = [
        (world.request(), 401, "missing_credential", Kind::LoginRefused, "[unverified]"),
        (
            world.request().bearer_auth("a.b.c"),
            401,
            "malformed_token",
            Kind::LoginRefused,
            "[unverified]",
        ),
        (stranger, 403, "no_group", Kind::Denied, "eve"),
    ];
    for (request, status, code, kind, actor) in cases {
        let told = World::problem(request.body("SELECT 1")).await;
        assert_eq!((told.0, told.1.as_str()), (status, code));
        let events = world.recorded().await;
        let event = events.iter().find(|e| e.event_id.to_string() == told.2["event_id"]).unwrap();
        assert_eq!((event.kind, event.actor.as_str()), (kind, actor));
        assert_eq!(event.reason.as_deref(), Some(code));
        assert_eq!(event.payload, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_one_event_with_a_count() {
    let world = World::start().await;
    let refused = (0..60).map(|_| World::problem(world.request().body("SELECT 1")));
    let told = futures::future::join_all(refused).await;
    assert!(told.iter().all(|(status, ..)| *status == 401));
    let events = world.recorded().await;
    let counted: i64 = events.iter().map(|event| event.count.unwrap_or(1)).sum();
    assert_eq!(counted, 60);
    // Ten of each second that it took, and one for the others.
    assert!(events.len() < 45, "{}", events.len());
    for (.., body) in told {
        assert!(events.iter().any(|event| event.event_id.to_string() == body["event_id"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_recorded_is_not_answered() {
    let plan = Plan { wrap: |backbone| Arc::new(Unrecording(backbone)), ..Plan::default() };
    let world = World::with(plan).await;
    let cases = [
        world.auditor().body("SELECT 'answered' AS a"),
        world.auditor().body("DROP TABLE events"),
        world.request().body("SELECT 1"),
        world.request().bearer_auth(world.issuer.token("eve", &["agents"])).body("SELECT 1"),
    ];
    for request in cases {
        let (status, code, body) = World::problem(request).await;
        assert_eq!((status, code.as_str()), (503, "not_recorded"));
        assert!(!body.to_string().contains("answered"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_is_wrong_and_where_and_repeats_nothing() {
    let world = World::start().await;
    let cases = [
        ("SELECT 1\nFROM events\nWHERE )", Some((3, 7)), ""),
        ("SELECT actor,\n  actorr, hunter2 FROM events", Some((2, 3)), "is actor meant?"),
        ("SELECT hunter2 FROM events", Some((1, 8)), "no such column"),
        ("SELECT actor AS hunter2, hunter22 FROM events", Some((1, 26)), "no such column"),
        ("WITH t AS (SELECT 1 AS hunter2) SELECT hunter FROM t", Some((1, 40)), "no such column"),
        ("SELECT *\nFROM hunter2", Some((2, 6)), "events, sessions, nodes, runs"),
        ("SELECT hunter2(actor) FROM events", None, "no such function"),
        ("SELECT date_trunk(actor) FROM events", Some((1, 8)), "is date_trunc meant?"),
        ("SELECT actor FROM events e JOIN nodes n ON true", Some((1, 8)), "say whose"),
        ("SELECT actor, count(*) FROM events", Some((1, 8)), "GROUP BY"),
        ("SELECT actor + actor_groups FROM events", Some((1, 8)), "types"),
        ("SELECT 'hunter2' UNION SELECT 1, 2", Some((1, 1)), "number of columns"),
    ];
    for (sql, place, word) in cases {
        let (status, _, body) = World::problem(world.auditor().body(sql)).await;
        assert!(status == 400 || place.is_none(), "{sql}: {body}");
        if let Some((line, column)) = place {
            assert_eq!(
                (&body["line"], &body["column"]),
                (&json!(line), &json!(column)),
                "{sql}: {body}"
            );
        }
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(word), "{sql}: {body}");
        assert!(!body.to_string().contains("hunter"), "{sql}: {body}");
    }
    let others = [
        "SELECT * FROM events WHERE actor IN (SELECT actor, 'hunter2' FROM events)",
        "SELECT CAST('hunter2' AS HUNTER2)",
        "SELECT CAST('hunter2' AS INT)",
        "SELECT extract(hunter2 FROM gateway_time) FROM events",
        "SELECT date_trunc('hunter2', now())",
        "SELECT regexp_match('x', '(hunter2')",
        "SELECT to_timestamp('hunter2')",
        "SELECT now() AT TIME ZONE 'hunter2'",
        "SELECT arrow_cast(1, 'hunter2')",
        "SELECT json_get('hunter2')",
        "SELECT 1 LIMIT 'hunter2'",
        "SELECT hunter2.hunter2.hunter2.hunter2 FROM events",
        "SELECT $hunter2",
        "SELECT @hunter2",
        "SHOW COLUMNS FROM hunter2",
        "DESCRIBE hunter2",
    ];
    for sql in others {
        let answer = world.ask(sql).await;
        let status = answer.status();
        let told = answer.text().await.unwrap().to_lowercase();
        // The first one and the like find no row to be wrong about.
        assert!(status == 200 || status.is_client_error(), "{sql}: {told}");
        assert!(status == 200 || !told.contains("hunter"), "{sql}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_but_the_one_address_and_no_cors() {
    let world = World::start().await;
    let answer = world.auditor().header("origin", "https://evil.example").body("SELECT 1");
    let answer = answer.send().await.unwrap();
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    let url = answer.url().clone();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(url.clone()).send().await.unwrap().status(), 405);
    assert_eq!(client.get(url.join("/").unwrap()).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_order_while_a_statement_runs() {
    let world = World::start().await;
    let slow = world.auditor().body("SELECT count(*) AS n FROM generate_series(1, 20000000)");
    let slow = tokio::spawn(async move { slow.send().await.unwrap().text().await.unwrap() });
    until("it runs", async || (!world.recorded().await.is_empty()).then_some(())).await;
    world.context.stop.ask();
    let answer = tokio::time::timeout(Duration::from_secs(30), slow).await.unwrap().unwrap();
    assert!(answer.contains("20000000") && answer.contains("complete_until"), "{answer}");
}

/// A backbone that takes no record.
struct Unrecording(Arc<dyn Backbone>);

struct Refusing;

impl Appender for Refusing {
    fn append(&self, _: NewRecord) -> Ack {
        Ack::refused(AppendError::Failed)
    }
}

#[async_trait]
impl Backbone for Unrecording {
    async fn ensure(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        self.0.ensure(topics).await
    }

    fn partitions(&self) -> u32 {
        self.0.partitions()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError> {
        Ok(Arc::new(Refusing))
    }

    fn subscribe(&self, topic: Topic, group: &Group) -> Result<Subscription, BackboneError> {
        self.0.subscribe(topic, group)
    }

    async fn tail(
        &self,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Box<dyn Tail>, BackboneError> {
        self.0.tail(topic, from).await
    }

    fn process(
        &self,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
    ) -> Result<ProcessorHandle, BackboneError> {
        self.0.process(spec, processor)
    }

    async fn watermarks(
        &self,
        topic: Topic,
    ) -> Result<Vec<(Partition, Watermarks)>, BackboneError> {
        self.0.watermarks(topic).await
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        self.0.offset_at(topic, partition, time).await
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<Vec<(Partition, Offset)>, BackboneError> {
        self.0.committed(group, topic).await
    }

    async fn trim(
        &self,
        topic: Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<(), BackboneError> {
        self.0.trim(topic, partition, before).await
    }

    fn registry(&self) -> Arc<dyn SchemaRegistry> {
        self.0.registry()
    }

    async fn ping(&self, wait: Duration) -> Result<(), BackboneError> {
        self.0.ping(wait).await
    }
}
