use super::*;
use crate::langgraph::plan::{Asked, Field};
use crate::langgraph::sse::Splitter;

const THREAD_STREAM: &str = include_str!("../../../testdata/langgraph/thread_stream.sse");

fn plan(text: &str) -> Arc<StripPlan> {
    Arc::new(StripPlan::Injected(Injected::from_text(text).unwrap()))
}

fn pieces(text: &str, bound: usize) -> Vec<Piece> {
    let mut splitter = Splitter::with_bound(bound);
    let mut pieces = Vec::new();
    for chunk in text.as_bytes().chunks(64) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(piece) = splitter.next() {
            pieces.push(piece);
        }
    }
    pieces.extend(splitter.finish());
    pieces
}

fn stripped(mut stripper: Stripper, text: &str, bound: usize) -> String {
    let kept: Vec<Bytes> =
        pieces(text, bound).into_iter().filter_map(|piece| stripper.strip(piece)).collect();
    String::from_utf8(kept.concat()).unwrap()
}

fn frame(event: &str, data: &str, id: Option<&str>) -> String {
    let id = id.map(|id| format!("id: {id}\r\n")).unwrap_or_default();
    format!("event: {event}\r\ndata: {data}\r\n{id}\r\n")
}

fn events(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[test]
fn a_long_frame_is_dropped_or_forwarded_whole_without_being_held() {
    let long = format!("\"{}\"", "x".repeat(5_000));
    let text = [
        frame("values", &long, None),
        frame("tasks", &long, None),
        frame("values|sub:1", &long, None),
        ": heartbeat\r\n\r\n".to_owned(),
        frame("values", "1", None),
    ];
    let expected = [&text[0][..], &text[3], &text[4]].concat();
    assert_eq!(
        stripped(Stripper::new(Some(plan("1:values:a1:a0"))), &text.concat(), 200),
        expected
    );
}

#[test]
fn ids_that_nobody_asked_for_are_taken_out() {
    let text = [frame("values", "1", Some("5-0")), frame("tasks", "{}", Some("6-0"))].concat();
    let forced = Stripper::new(Some(plan("1:values:a1:a1")));
    assert_eq!(stripped(forced, &text, 1 << 20), frame("values", "1", None));
    let asked = Stripper::new(Some(plan("1:values:a1:t0")));
    assert_eq!(stripped(asked, &text, 1 << 20), frame("values", "1", Some("5-0")));
}

#[test]
fn the_metadata_in_task_frames_that_the_client_asked_for_is_the_clients() {
    let with = r#"{"id":"x","metadata":{"a":1,"gw_request_id":"01a207e7-0000-7000-8000-00000000000a","gw_asked":"1:tasks:a1:a0","b":2}}"#;
    let without = r#"{"id":"x","metadata":{"a":1,"b":2}}"#;
    let stripper = Stripper::new(Some(plan("1:tasks:a1:a0")));
    assert_eq!(
        stripped(stripper, &frame("tasks", with, None), 1 << 20),
        frame("tasks", without, None)
    );
}

#[test]
fn without_a_plan_it_is_learnt_from_the_first_task() {
    let text = include_str!("../../../testdata/langgraph/inner_interrupt.sse");
    let learnt = stripped(Stripper::new(None), text, 1 << 20);
    assert_eq!(learnt, stripped(Stripper::new(Some(plan("1:values:a1:a0"))), text, 1 << 20));
    assert_eq!(events(&learnt), ["metadata", "values", "values", "values", "values"]);
}

#[test]
fn a_run_that_was_not_injected_goes_through_to_the_byte() {
    let text = [frame("tasks", "{\"a\":1}", Some("1-0")), frame("values|x:1", "2", None)].concat();
    assert_eq!(stripped(Stripper::new(None), &text, 1 << 20), text);
    let untouched = Stripper::new(Some(Arc::new(StripPlan::Untouched)));
    assert_eq!(stripped(untouched, &text, 1 << 20), text);
}

#[test]
fn a_half_frame_at_the_end_goes_through_unless_it_was_injected() {
    let stripper = || Stripper::new(Some(plan("1:values:a1:a0")));
    let half = "event: values\r\ndata: {\"a";
    assert_eq!(stripped(stripper(), half, 1 << 20), half);
    assert_eq!(stripped(stripper(), "event: tasks\r\ndata: {\"a", 1 << 20), "");
}

/// What a thread's stream shows of two runs, the first of which did not ask for tasks.
fn thread_stripped(
    mut stripper: ThreadStripper,
    plan_of: impl Fn(RunId) -> Option<Arc<StripPlan>>,
) -> String {
    let kept: Vec<Bytes> = pieces(THREAD_STREAM, 1 << 20)
        .into_iter()
        .filter_map(|piece| stripper.strip(piece, &plan_of))
        .collect();
    String::from_utf8(kept.concat()).unwrap()
}

fn runs_of_the_thread() -> [RunId; 2] {
    ["01a20b67-a9d4-771c-b4f3-30e1121794a2", "01a20b67-af41-737d-9d52-bcf72ebaf434"]
        .map(|run| run.parse().unwrap())
}

#[test]
fn each_run_of_a_thread_is_stripped_by_its_own_plan() {
    let [first, second] = runs_of_the_thread();
    let plan_of = |run: RunId| match run {
        run if run == first => Some(plan("1:values:a1:a0")),
        run if run == second => Some(plan("1:values,tasks:a1:a0")),
        _ => None,
    };
    let seen = thread_stripped(ThreadStripper::new(None), plan_of);
    let mut expected = vec!["metadata", "values", "values", "values", "metadata"];
    expected.extend(events(THREAD_STREAM.rsplit_once("run_done").unwrap().0).into_iter().skip(15));
    assert_eq!(events(&seen), expected);
    assert_eq!(events(&seen).iter().filter(|event| **event == "tasks").count(), 10);
    assert!(!seen.contains("gw_"));
    assert!(seen.contains("\r\nid: 1795"), "ids of a thread's stream are its own");
    assert!(seen.ends_with(": heartbeat\r\n\r\n"));
    assert_eq!(
        thread_stripped(ThreadStripper::new(None), |_| None),
        seen,
        "learnt from its frames"
    );
}

#[test]
fn a_thread_joined_in_the_middle_of_a_run_is_stripped_by_that_runs_plan() {
    let [first, _] = runs_of_the_thread();
    let middle = frame(
        "tasks",
        r#"{"id":"x","name":"n","error":null,"result":{},"interrupts":[]}"#,
        Some("1-0"),
    );
    let mut stripper = ThreadStripper::new(Some(first));
    let piece = pieces(&middle, 1 << 20).remove(0);
    assert_eq!(stripper.strip(piece, |_| Some(plan("1:values:a1:a0"))), None);
}

#[test]
fn a_plan_that_forces_nothing_drops_nothing_but_tasks() {
    let asked = Field { asked: Asked::Yes, forced: false };
    let injected =
        Injected { modes: vec!["values".to_owned()], subgraphs: asked, resumable: asked };
    let text = [frame("values|x:1", "1", Some("1-0")), frame("tasks|x:1", "1", None)].concat();
    let stripper = Stripper::new(Some(Arc::new(StripPlan::Injected(injected))));
    assert_eq!(stripped(stripper, &text, 1 << 20), frame("values|x:1", "1", Some("1-0")));
}
