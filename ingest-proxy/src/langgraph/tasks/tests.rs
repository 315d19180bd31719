use proptest::prelude::*;

use super::*;
use crate::langgraph::sse::{Piece, Splitter};

const RUN: &str = "01a207e7-42d1-72c5-bb59-317bf5395d90";
const TASK: &str = "6bda7816-de73-3357-577d-1b378d7892bb";

fn frames(text: &'static str) -> Vec<Frame> {
    let mut splitter = Splitter::default();
    splitter.push(Bytes::from_static(text.as_bytes()));
    let mut frames = Vec::new();
    while let Some(Piece::Frame(frame)) = splitter.next() {
        frames.push(frame);
    }
    frames
}

fn told(nodes: &mut Nodes, frames: &[Frame]) -> Vec<NodeEvent> {
    let mut events = Vec::new();
    for frame in frames {
        match nodes.observe(frame) {
            Told::Node(event) => events.push(*event),
            Told::Nothing => {}
            Told::Unreadable => panic!("unreadable: {frame:?}"),
        }
    }
    events
}

/// `+name` a start, `-name` a good end, `!name` a bad one, `?name` a question.
fn summary(events: &[NodeEvent]) -> Vec<String> {
    let sign = |kind| match kind {
        NodeKind::Started => '+',
        NodeKind::Finished => '-',
        NodeKind::Failed => '!',
        NodeKind::Interrupted => '?',
    };
    events.iter().map(|event| format!("{}{}", sign(event.kind), event.node)).collect()
}

fn of(text: &'static str) -> (Vec<NodeEvent>, Nodes) {
    let mut nodes = Nodes::new(None);
    let events = told(&mut nodes, &frames(text));
    (events, nodes)
}

fn frame(event: &str, data: &str) -> Frame {
    Frame::new(Bytes::from(format!("event: {event}\r\ndata: {data}\r\n\r\n")))
}

fn start(attempt: i64) -> Frame {
    let metadata = format!(r#"{{"run_attempt":{attempt},"graph_id":"g"}}"#);
    frame(
        "tasks",
        &format!(
            r#"{{"id":"{TASK}","name":"n","input":null,"triggers":["t"],"metadata":{metadata}}}"#
        ),
    )
}

fn end() -> Frame {
    frame(
        "tasks",
        &format!(r#"{{"id":"{TASK}","name":"n","error":null,"result":{{"a":1}},"interrupts":[]}}"#),
    )
}

fn one(nodes: &mut Nodes, frame: &Frame) -> NodeEvent {
    match nodes.observe(frame) {
        Told::Node(event) => *event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fan_out_and_a_retried_node_are_told_pair_by_pair() {
    let (events, nodes) = of(include_str!("../../../testdata/langgraph/fan.sse"));
    let expected = [
        "+split", "-split", "+work", "+work", "+work", "-work", "-work", "-work", "+flaky",
        "-flaky",
    ];
    assert_eq!(summary(&events), expected);
    assert_eq!(nodes.open().count(), 0);
    let tasks: HashSet<TaskId> = events.iter().map(|event| event.task_id).collect();
    assert_eq!(tasks.len(), 5, "each of the three has a task of its own");
    assert!(events.iter().all(|event| event.attempt == Some(1)));
    assert!(events.iter().all(|event| event.graph_id.as_deref() == Some("fan")));
    assert_eq!(events[2].triggers, ["__pregel_push"]);
}

#[test]
fn a_question_inside_a_subgraph_interrupts_it_and_the_node_around_it() {
    let (events, nodes) = of(include_str!("../../../testdata/langgraph/inner_interrupt.sse"));
    let mut summary = summary(&events);
    summary.sort();
    let mut expected =
        ["+outer", "-outer", "+par", "-par", "+sub", "?sub", "+in1", "-in1", "+in2", "?in2"];
    expected.sort_unstable();
    assert_eq!(summary, expected);
    assert_eq!(nodes.open().count(), 0);
    let asked =
        events.iter().find(|event| event.node == "in2" && event.kind == NodeKind::Interrupted);
    let NodePayload::Json(payload) = &asked.unwrap().payload else { panic!("no payload") };
    assert!(payload.starts_with(br#"[{"value":{"q":"inner?"}"#));
    let sub = events.iter().find(|event| event.node == "sub").unwrap();
    let inner = events.iter().find(|event| event.node == "in1").unwrap();
    assert_eq!(inner.checkpoint_ns, format!("{}|in1:{}", sub.checkpoint_ns, inner.task_id));
    assert_eq!(sub.checkpoint_ns, format!("sub:{}", sub.task_id));
}

#[test]
fn a_resumed_task_is_the_same_task_in_another_run() {
    let (asked, before) = of(include_str!("../../../testdata/langgraph/inner_interrupt.sse"));
    let (resumed, after) = of(include_str!("../../../testdata/langgraph/inner_resume.sse"));
    let task =
        |events: &[NodeEvent]| events.iter().find(|event| event.node == "in2").unwrap().task_id;
    assert_eq!(task(&asked), task(&resumed));
    assert_ne!(before.run(), after.run());
    assert!(summary(&resumed).contains(&"-in2".to_owned()));
    let deep = resumed.iter().find(|event| event.node == "deep").unwrap();
    assert_eq!(deep.checkpoint_ns.split('|').count(), 3);
    // The server announces a sibling that had ended before the question once more, and runs it not.
    assert_eq!(after.open().map(|task| task.node.as_str()).collect::<Vec<_>>(), ["par"]);
}

#[test]
fn a_failing_node_is_told_with_the_class_of_its_error() {
    let (events, nodes) = of(include_str!("../../../testdata/langgraph/fail.sse"));
    let failed: Vec<&NodeEvent> =
        events.iter().filter(|event| event.kind == NodeKind::Failed).collect();
    assert_eq!(failed.iter().map(|event| event.node.as_str()).collect::<Vec<_>>(), ["in2", "sub"]);
    assert_eq!(failed[0].error_class.as_deref(), Some("ValueError"));
    assert_eq!(
        failed[0].payload,
        NodePayload::Json(Bytes::from_static(br#"{"error":"ValueError","message":"inner boom"}"#))
    );
    assert_eq!(nodes.open().count(), 0);
}

#[test]
fn a_side_join_tells_the_same_and_a_replay_tells_nothing_twice() {
    let frames = frames(include_str!("../../../testdata/langgraph/wait_side.sse"));
    let mut nodes = Nodes::new(RUN.parse().ok());
    let events = told(&mut nodes, &frames);
    assert_eq!(
        summary(&events),
        ["+planner", "-planner", "+tools", "-tools", "+approve", "?approve"]
    );
    assert!(events.iter().all(|event| Some(event.run_id) == RUN.parse().ok()));
    assert!(told(&mut nodes, &frames).is_empty());
    assert_eq!(nodes.open().count(), 0);
}

#[test]
fn payloads_share_the_memory_of_their_frame() {
    let end = end();
    let NodePayload::Json(result) = one(&mut Nodes::new(RUN.parse().ok()), &end).payload else {
        panic!("no payload")
    };
    assert!(end.bytes().as_ptr_range().contains(&result.as_ptr()));
    assert_eq!(result, r#"{"a":1}"#);
}

#[test]
fn a_start_without_its_end_stays_open_and_nothing_is_invented() {
    let mut nodes = Nodes::new(RUN.parse().ok());
    assert_eq!(one(&mut nodes, &start(1)).kind, NodeKind::Started);
    let open: Vec<&OpenTask> = nodes.open().collect();
    assert_eq!((open.len(), open[0].node.as_str(), open[0].attempt), (1, "n", Some(1)));
}

#[test]
fn another_attempt_of_the_server_is_told_anew() {
    let mut nodes = Nodes::new(RUN.parse().ok());
    one(&mut nodes, &start(1));
    let again = frame("metadata", &format!(r#"{{"run_id":"{RUN}","attempt":2}}"#));
    assert_eq!(nodes.observe(&again), Told::Nothing);
    assert_eq!(one(&mut nodes, &start(2)).attempt, Some(2));
    assert_eq!(one(&mut nodes, &end()).attempt, Some(2));
    // A replay from the beginning: both attempts again, none told twice.
    for replayed in [start(1), start(2), end()] {
        assert_eq!(nodes.observe(&replayed), Told::Nothing);
    }
}

#[test]
fn an_end_whose_start_was_not_seen_is_told() {
    let event = one(&mut Nodes::new(RUN.parse().ok()), &end());
    assert_eq!((event.kind, event.attempt), (NodeKind::Finished, None));
}

#[test]
fn debug_and_other_frames_tell_nothing_so_nothing_is_counted_twice() {
    let mut nodes = Nodes::new(RUN.parse().ok());
    let task = format!(r#"{{"type":"task","payload":{{"id":"{TASK}","name":"n","input":1}}}}"#);
    for event in ["debug", "values", "updates", "tasksx", "debug|tasks"] {
        assert_eq!(nodes.observe(&frame(event, &task)), Told::Nothing, "{event}");
    }
    assert_eq!(
        nodes.observe(&Frame::new(Bytes::from_static(b": heartbeat\r\n\r\n"))),
        Told::Nothing
    );
}

#[test]
fn a_task_frame_of_no_known_form_is_told_as_such() {
    for data in [
        "",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"id":"hunter2","name":"n","input":1}"#,
        &format!(r#"{{"id":"{TASK}","name":7,"input":1}}"#),
        &format!(r#"{{"id":"{TASK}","name":"n"}}"#),
        &format!(r#"{{"id":"{TASK}","name":"n","input":1,"result":2}}"#),
    ] {
        let told = Nodes::new(RUN.parse().ok()).observe(&frame("tasks", data));
        assert_eq!(told, Told::Unreadable, "{data}");
    }
    assert_eq!(Nodes::new(None).observe(&end()), Told::Unreadable, "of no run that is known");
}

#[test]
fn of_a_frame_too_long_to_hold_the_event_is_told_without_its_payload() {
    let cut = |data: &str| {
        let bytes = Bytes::from(format!("event: tasks|sub:x\r\ndata: {data}"));
        let told = Nodes::new(RUN.parse().ok()).observe_cut(&Frame::new(bytes));
        let Told::Node(event) = told else { panic!("{told:?}") };
        assert_eq!(event.payload, NodePayload::BeyondCap);
        event.kind
    };
    let head = format!(r#"{{"id":"{TASK}","name":"n""#);
    assert_eq!(cut(&format!(r#"{head},"input":{{"a":"xx"#)), NodeKind::Started);
    assert_eq!(cut(&format!(r#"{head},"error":null,"result":{{"a":"xx"#)), NodeKind::Finished);
    assert_eq!(cut(&format!(r#"{head},"error":{{"a":"xx"#)), NodeKind::Failed);
    assert_eq!(
        cut(&format!(r#"{head},"error":null,"result":{{}},"interrupts":[{{"a"#)),
        NodeKind::Interrupted
    );
}

#[test]
fn names_and_namespaces_are_bounded() {
    let name = "é".repeat(NAME_MAX_BYTES);
    let data = format!(r#"{{"id":"{TASK}","name":"{name}","input":1}}"#);
    let path = vec![format!("sub:{TASK}"); 200].join("|");
    let event = one(&mut Nodes::new(RUN.parse().ok()), &frame(&format!("tasks|{path}"), &data));
    assert!(event.node.len() <= NAME_MAX_BYTES);
    assert!(event.checkpoint_ns.len() <= NAMESPACE_MAX_BYTES);
    assert!(event.checkpoint_ns.ends_with(TASK));
}

#[test]
fn what_a_stream_remembers_is_bounded() {
    let mut nodes = Nodes::new(RUN.parse().ok());
    let count = OPEN_TASKS_MAX.max(TOLD_MAX) + 10;
    for number in 0..count {
        let id = uuid::Uuid::from_u128(number as u128);
        one(&mut nodes, &frame("tasks", &format!(r#"{{"id":"{id}","name":"n","input":1}}"#)));
    }
    assert_eq!(nodes.open().count(), OPEN_TASKS_MAX);
    assert_eq!(nodes.untracked(), 10);
    assert_eq!(nodes.told.known.len(), TOLD_MAX);
}

proptest! {
    #[test]
    fn no_frame_panics(data in "[{}\\[\\]:,\"a\\\\]{0,30}|\\PC{0,40}", event in "tasks|tasks\\|x|metadata") {
        let mut nodes = Nodes::new(RUN.parse().ok());
        let frame = frame(&event, &data.replace(['\n', '\r'], ""));
        let _ = (nodes.observe(&frame), nodes.observe_cut(&frame));
    }
}
