//! The views: sessions, runs, nodes.

use serde_json::json;
use trailgate_schemas::{Actor, AuditEvent, Kind, Micros, Outcome, RunId, TaskId, ThreadId};
use trailgate_testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

const NOON: i64 = 1_795_435_200_000_000;

struct Told {
    kind: Kind,
    node: &'static str,
    task: u128,
    at_ms: i64,
}

fn told(kind: Kind, node: &'static str, task: u128, at_ms: i64) -> Told {
    Told { kind, node, task, at_ms }
}

fn node_event(run: u128, told: &Told) -> AuditEvent {
    let mut event = event(1, 0);
    event.kind = told.kind;
    event.gateway_time = Micros(NOON + told.at_ms * 1000);
    event.run_id = Some(RunId(Uuid::from_u128(run)));
    event.thread_id = Some(ThreadId(Uuid::from_u128(99)));
    event.task_id = Some(TaskId(Uuid::from_u128(told.task)));
    event.node = Some(told.node.to_owned());
    event.graph_id = Some("agent".to_owned());
    event.surface = Some("agent_server".to_owned());
    event
}

async fn with(events: &[AuditEvent]) -> World {
    let world = World::start().await;
    world.log.append(events).await;
    let many = i64::try_from(events.len()).unwrap();
    until("all are seen", async || {
        (world.number("SELECT count(*) AS n FROM events").await == many).then_some(())
    })
    .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_one_row_with_its_end() {
    let mut failed = node_event(7, &told(Kind::NodeFailed, "tools", 2, 20));
    failed.error = Some("ValueError".to_owned());
    let world = with(&[
        node_event(7, &told(Kind::NodeStarted, "planner", 1, 0)),
        node_event(7, &told(Kind::NodeFinished, "planner", 1, 1500)),
        node_event(7, &told(Kind::NodeStarted, "tools", 2, 10)),
        failed,
        node_event(7, &told(Kind::NodeStarted, "approve", 3, 30)),
        node_event(7, &told(Kind::NodeInterrupted, "approve", 3, 40)),
        node_event(7, &told(Kind::NodeStarted, "sub", 4, 50)),
    ])
    .await;
    let sql = "SELECT node, status, duration_ms, error, actor, graph_id, surfaces FROM nodes ORDER BY started_at";
    let (rows, _) = world.rows(sql).await;
    let row = |node: &str, status: &str, ms: Option<i64>, error: Option<&str>| {
        json!({"node": node, "status": status, "duration_ms": ms, "error": error, "actor": "ann",
               "graph_id": "agent", "surfaces": ["agent_server"]})
    };
    assert_eq!(
        rows,
        [
            row("planner", "finished", Some(1500), None),
            row("tools", "failed", Some(10), Some("ValueError")),
            row("approve", "interrupted", Some(10), None),
            row("sub", "started", None, None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_a_task_and_runs_of_a_task_are_rows_of_their_own() {
    let mut second = node_event(7, &told(Kind::NodeFinished, "tools", 1, 30));
    second.attempt = Some(2);
    let world = with(&[
        node_event(7, &told(Kind::NodeFailed, "tools", 1, 10)),
        second,
        // After an interrupt the same task goes on in another run.
        node_event(8, &told(Kind::NodeFinished, "tools", 1, 40)),
    ])
    .await;
    let sql = "SELECT attempt, status FROM nodes ORDER BY run_id, attempt";
    let (rows, _) = world.rows(sql).await;
    let row = |attempt: i64, status: &str| json!({"attempt": attempt, "status": status});
    assert_eq!(rows, [row(1, "failed"), row(2, "finished"), row(1, "finished")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ran_a_node_is_whoever_is_known_by_name() {
    let mut unbound = node_event(7, &told(Kind::NodeStarted, "planner", 1, 0));
    unbound.actor = Actor::new("[unbound]").unwrap();
    let bound = node_event(7, &told(Kind::NodeFinished, "planner", 1, 10));
    let mut only_unbound = node_event(8, &told(Kind::NodeStarted, "planner", 2, 20));
    only_unbound.actor = Actor::new("[unbound]").unwrap();
    let world = with(&[unbound, bound, only_unbound]).await;
    let (rows, _) = world.rows("SELECT actor FROM nodes ORDER BY started_at").await;
    assert_eq!(rows, [json!({"actor": "ann"}), json!({"actor": "[unbound]"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_row_with_its_nodes_counted() {
    let world = with(&[
        node_event(7, &told(Kind::NodeStarted, "planner", 1, 0)),
        node_event(7, &told(Kind::NodeFinished, "planner", 1, 10)),
        node_event(7, &told(Kind::NodeStarted, "tools", 2, 20)),
        node_event(7, &told(Kind::NodeFinished, "tools", 2, 90)),
        node_event(8, &told(Kind::NodeStarted, "planner", 3, 100)),
        node_event(8, &told(Kind::NodeFailed, "planner", 3, 110)),
        node_event(9, &told(Kind::NodeStarted, "planner", 4, 200)),
    ])
    .await;
    let sql = "SELECT nodes, failed, status, actor FROM runs ORDER BY started_at";
    let (rows, _) = world.rows(sql).await;
    let row = |nodes: i64, failed: i64, status: &str| json!({"nodes": nodes, "failed": failed, "status": status, "actor": "ann"});
    assert_eq!(rows, [row(2, 0, "finished"), row(1, 1, "failed"), row(1, 0, "started")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_one_row_with_all_its_actors() {
    let mut other = event(1, 1);
    other.actor = Actor::new("bob").unwrap();
    let mut refused = event(1, 2);
    (refused.kind, refused.outcome) = (Kind::Denied, Outcome::Denied);
    let world = with(&[event(1, 0), other, refused, event(2, 0)]).await;
    let sql = "SELECT events, requests, refusals, array_sort(actors) AS actors, connection FROM sessions ORDER BY events";
    let (rows, _) = world.rows(sql).await;
    assert_eq!(rows.len(), 2);
    let expected = json!({"events": 3, "requests": 2, "refusals": 1, "actors": ["ann", "bob"],
                          "connection": "agents"});
    assert_eq!(rows[1], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_tables_is_there() {
    let world = World::start().await;
    let (rows, _) = world.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1").await;
    let names: Vec<_> = rows.iter().map(|row| row["table_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["events", "nodes", "runs", "sessions"]);
    assert!(world.rows("DESCRIBE nodes").await.0.len() > 10);
    assert!(!world.rows("SHOW TABLES").await.0.is_empty());
    assert!(!world.rows("SHOW COLUMNS FROM events").await.0.is_empty());
    assert!(!world.rows("EXPLAIN SELECT count(*) FROM nodes").await.0.is_empty());
}
