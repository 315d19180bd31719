//! The record of which nodes ran is what LangGraph itself streams, and the client sees the frames
//! that it would see without the gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use trailgate_testkit::{LangGraph, PythonSdk};
use trailgate_tests::{Ending, Execution, On, Trail, executions, frames};

/// One server and one gateway for all tests of this file.
struct World {
    langgraph: LangGraph,
    trail: Trail,
}

static WORLD: OnceCell<World> = OnceCell::const_new();

async fn world() -> &'static World {
    WORLD
        .get_or_init(async || {
            let langgraph = LangGraph::start().await;
            let trail = Trail::start(On::Embedded, &langgraph.url()).await;
            World { langgraph, trail }
        })
        .await
}

#[tokio::test]
async fn a_sequence() {
    recorded_as_streamed("agent", &["finish", "planner", "tools"]).await;
}

#[tokio::test]
async fn parallel_branches_and_a_subgraph() {
    let nodes = ["inner", "inner_first", "inner_second", "join", "split", "work", "work", "work"];
    recorded_as_streamed("fan", &nodes).await;
}

#[tokio::test]
async fn a_subgraph() {
    let nodes = ["after", "before", "inner", "inner_first", "inner_second"];
    recorded_as_streamed("sub", &nodes).await;
}

#[tokio::test]
async fn a_failing_node() {
    let recorded = recorded_as_streamed("boom", &["before", "fails"]).await;
    assert_eq!(recorded[1].ending, Some(Ending::Failed));
}

#[tokio::test]
async fn a_retried_node_is_one_execution_as_langgraph_streams_it() {
    recorded_as_streamed("flaky", &["after", "retried"]).await;
}

#[tokio::test]
async fn an_interrupt_and_its_resume() {
    let steps = json!([
        {"do": "thread", "as": "t"},
        {"do": "stream", "as": "asked", "thread": "t", "assistant": "ask", "input": {"text": "x"},
         "stream_mode": "tasks", "stream_subgraphs": true},
        {"do": "stream", "as": "answered", "thread": "t", "assistant": "ask",
         "command": {"resume": "yes"}, "stream_mode": "tasks", "stream_subgraphs": true},
    ]);
    let lines = world().await.trail.sdk().run(&steps).await;
    let asked = equal_record(&lines, "asked").await;
    let answered = equal_record(&lines, "answered").await;
    assert_eq!(names(&asked), ["approve", "prepare"]);
    assert_eq!(asked[0].ending, Some(Ending::Interrupted));
    assert_eq!(names(&answered), ["approve", "done"]);
    assert_eq!(asked[0].task, answered[0].task, "the task goes on under its id");
    let run = run_of(&lines, "answered");
    let resumed = "SELECT count(*) FROM events WHERE kind = 'interrupt_resumed' AND run_id =";
    assert_eq!(world().await.trail.number(&format!("{resumed} '{run}'")).await, 1);
}

#[tokio::test]
async fn a_run_that_is_waited_for() {
    let waits = ["agent", "fan", "sub", "boom", "flaky"].map(|assistant| {
        let step = json!({"do": "wait", "assistant": assistant, "input": input_of(assistant)});
        (assistant, step)
    });
    recorded_by_name(&waits, None).await;
    recorded_by_name(&waits, Some("t")).await;
}

#[tokio::test]
async fn a_background_run_that_is_joined() {
    let runs = ["agent", "fan", "sub"].map(|assistant| {
        let step = json!({"do": "background", "assistant": assistant,
                          "input": input_of(assistant)});
        (assistant, step)
    });
    recorded_by_name(&runs, Some("t")).await;
}

#[tokio::test]
async fn a_background_run_that_nobody_watches() {
    let step = json!({"do": "created", "assistant": "agent", "input": input_of("agent")});
    recorded_by_name(&[("agent", step)], Some("t")).await;
}

#[tokio::test]
async fn every_stream_mode_that_a_client_asks_for() {
    let runs: Vec<_> = modes()
        .into_iter()
        .map(|mode| {
            let step = json!({"do": "stream", "assistant": "agent", "input": input_of("agent"),
                              "stream_mode": mode});
            ("agent", step)
        })
        .collect();
    recorded_by_name(&runs, None).await;
}

#[tokio::test]
async fn the_client_sees_the_frames_that_it_would_see_without_the_gateway() {
    let world = world().await;
    for assistant in ["agent", "sub", "boom", "flaky"] {
        for subgraphs in [false, true] {
            let step = |mode| {
                json!({"do": "stream", "assistant": assistant, "input": input_of(assistant),
                       "stream_mode": mode, "stream_subgraphs": subgraphs})
            };
            let steps: Vec<_> = modes().into_iter().map(step).collect();
            let together = json!([{"do": "together", "as": "all", "steps": steps}]);
            let (direct, through) = both(world, &together).await;
            for (index, mode) in modes().iter().enumerate() {
                let step = format!("all.{index}");
                let case = format!("{assistant} {mode} subgraphs {subgraphs}");
                same_frames(&direct, &through, &step, &case);
            }
        }
    }
}

fn same_frames(direct: &[Value], through: &[Value], step: &str, case: &str) {
    let failed = |lines: &[Value]| {
        lines.iter().find(|line| line["step"] == step && line.get("error").is_some()).cloned()
    };
    assert_eq!((failed(direct), failed(through)), (None, None), "{case}");
    let (direct, through) = (frames(direct, step), frames(through, step));
    assert!(!direct.is_empty(), "{case}");
    assert_eq!(direct, through, "{case}");
}

#[tokio::test]
async fn a_waiting_client_gets_the_result_that_it_would_get_without_the_gateway() {
    let world = world().await;
    for assistant in ["agent", "fan", "boom", "ask"] {
        let step = json!({"do": "wait", "as": "w", "assistant": assistant,
                          "input": input_of(assistant)});
        let (direct, through) = both(world, &json!([step])).await;
        let result = |lines: &[Value]| trailgate_tests::levelled(&lines[0]["result"]);
        assert_eq!(result(&direct), result(&through), "{assistant}");
    }
}

async fn both(world: &World, steps: &Value) -> (Vec<Value>, Vec<Value>) {
    let direct = PythonSdk::anonymous(&world.langgraph.url());
    let through = world.trail.sdk();
    tokio::join!(direct.run(steps), through.run(steps))
}

/// Streams `tasks` of a stateless run through the gateway and compares.
async fn recorded_as_streamed(assistant: &str, nodes: &[&str]) -> Vec<Execution> {
    let step = json!({"do": "stream", "as": "s", "assistant": assistant,
                      "input": input_of(assistant), "stream_mode": "tasks",
                      "stream_subgraphs": true});
    let lines = world().await.trail.sdk().run(&json!([step])).await;
    let streamed = equal_record(&lines, "s").await;
    assert_eq!(names(&streamed), nodes);
    streamed
}

/// The record of a step's run is what its frames say; gives it.
async fn equal_record(lines: &[Value], step: &str) -> Vec<Execution> {
    let streamed = executions(lines, step);
    assert!(streamed.iter().all(|execution| execution.ending.is_some()), "{streamed:?}");
    let run = run_of(lines, step);
    let recorded = until_recorded(&run, streamed.len()).await;
    assert_eq!(recorded, streamed);
    once_each(&run).await;
    streamed
}

/// Takes the steps at once, each on a thread of its own if `thread` is said, else stateless: the
/// record of each one's run has the graph's nodes, each once, whatever was streamed.
async fn recorded_by_name(runs: &[(&str, Value)], thread: Option<&str>) {
    let mut steps = Vec::new();
    let mut together = Vec::new();
    for (index, (_, step)) in runs.iter().enumerate() {
        let mut step = step.clone();
        step["as"] = json!(format!("run {index}"));
        if let Some(thread) = thread {
            let thread = format!("{thread} {index}");
            step["thread"] = json!(thread);
            steps.push(json!({"do": "thread", "as": thread}));
        }
        together.push(step);
    }
    steps.push(json!({"do": "together", "steps": together}));
    let lines = world().await.trail.sdk().run(&json!(steps)).await;
    for (index, (assistant, step)) in runs.iter().enumerate() {
        let run = run_of(&lines, &format!("run {index}"));
        let wanted = root_nodes(assistant);
        let recorded = until_recorded(&run, wanted.len()).await;
        // A gateway may see inside a subgraph also when the client does not ask for it.
        let roots = names(&recorded).into_iter().filter(|name| !name.starts_with("inner_"));
        assert_eq!(roots.collect::<Vec<_>>(), wanted, "{step}");
        once_each(&run).await;
    }
}

async fn until_recorded(run: &str, at_least: usize) -> Vec<Execution> {
    let statement = format!("SELECT node, task_id, status FROM nodes WHERE run_id = '{run}'");
    let what = format!("{at_least} finished nodes of run {run}");
    let trail = &world().await.trail;
    let rows = trail
        .until_sql(&what, &statement, |rows| {
            let ended = rows.iter().all(|row| row["status"] != "started");
            (ended && rows.len() >= at_least).then(|| rows.to_vec())
        })
        .await;
    let mut found: Vec<_> = rows.iter().map(execution_of).collect();
    found.sort();
    found
}

/// Each execution has one start and one end, and who started it is known.
async fn once_each(run: &str) {
    let statement = format!(
        "SELECT kind, task_id, actor FROM events WHERE run_id = '{run}' AND kind LIKE 'node_%'"
    );
    let mut seen: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for row in world().await.trail.sql(&statement).await {
        let counts = seen.entry(row["task_id"].as_str().unwrap().to_owned()).or_default();
        match row["kind"] == "node_started" {
            true => counts.0 += 1,
            false => counts.1 += 1,
        }
        assert!(!row["actor"].as_str().unwrap().starts_with('['), "{row}");
    }
    assert!(seen.values().all(|counts| *counts == (1, 1)), "{seen:?}");
}

fn execution_of(row: &Value) -> Execution {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let endings = [Ending::Finished, Ending::Failed, Ending::Interrupted];
    let ending = endings.into_iter().find(|ending| row["status"] == ending.status());
    Execution { node: text("node"), task: text("task_id"), ending }
}

fn run_of(lines: &[Value], step: &str) -> String {
    let of_step = lines.iter().filter(|line| line["step"] == step);
    let run = of_step.filter_map(|line| line["run_id"].as_str()).next_back();
    run.unwrap_or_else(|| panic!("no run id in {lines:?}")).to_owned()
}

fn names(executions: &[Execution]) -> Vec<&str> {
    executions.iter().map(|execution| execution.node.as_str()).collect()
}

fn root_nodes(assistant: &str) -> Vec<&'static str> {
    match assistant {
        "agent" => vec!["finish", "planner", "tools"],
        "fan" => vec!["inner", "join", "split", "work", "work", "work"],
        "sub" => vec!["after", "before", "inner"],
        "boom" => vec!["before", "fails"],
        "flaky" => vec!["after", "retried"],
        other => panic!("{other}"),
    }
}

fn input_of(assistant: &str) -> Value {
    match assistant {
        "agent" => json!({"messages": [{"role": "user", "content": "please transfer 42"}]}),
        _ => json!({"text": "x"}),
    }
}

fn modes() -> Vec<Value> {
    vec![
        json!("values"),
        json!("updates"),
        json!("messages-tuple"),
        json!("debug"),
        json!("tasks"),
        json!("custom"),
        json!(["values", "tasks"]),
        json!(["updates", "messages-tuple"]),
        json!(["values", "debug"]),
    ]
}
