use proptest::prelude::*;

use super::*;
use crate::langgraph::plan::Injected;
use crate::langgraph::tasks::NodeEvent;

const STREAMS: [&str; 4] = [
    include_str!("../../../testdata/langgraph/inner_interrupt.sse"),
    include_str!("../../../testdata/langgraph/inner_resume.sse"),
    include_str!("../../../testdata/langgraph/fan.sse"),
    include_str!("../../../testdata/langgraph/fail.sse"),
];

fn plan(text: &str) -> Arc<StripPlan> {
    Arc::new(StripPlan::Injected(Injected::from_text(text).unwrap()))
}

fn run(mut stream: RunStream, text: &[u8], sizes: &[usize]) -> (Vec<NodeEvent>, Vec<u8>) {
    let mut steps = Vec::new();
    let mut rest = text;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, tail) = rest.split_at((*size).min(rest.len()));
        stream.push(Bytes::copy_from_slice(chunk), &mut steps);
        rest = tail;
    }
    steps.extend(stream.finish());
    let mut events = Vec::new();
    let mut seen = Vec::new();
    for step in steps {
        if let Told::Node(event) = step.told {
            events.push(*event);
        }
        seen.extend(step.forward.unwrap_or_default());
    }
    (events, seen)
}

#[test]
fn a_step_tells_of_a_node_before_what_followed_is_forwarded() {
    let mut stream = RunStream::of_creator(None, plan("1:updates:a1:a0"));
    let mut steps = Vec::new();
    stream.push(Bytes::from_static(STREAMS[2].as_bytes()), &mut steps);
    let order: Vec<&str> = steps
        .iter()
        .map(|step| match (&step.told, &step.forward) {
            (Told::Node(event), None) => event.node.as_str(),
            (Told::Nothing, Some(_)) => "seen",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order[..5], ["seen", "split", "seen", "split", "work"]);
    assert_eq!(stream.nodes().map(|nodes| nodes.open().count()), Some(0));
}

#[test]
fn a_join_tells_of_no_node_and_a_side_join_shows_nothing() {
    let text = STREAMS[0].as_bytes();
    let (events, seen) = run(RunStream::of_join(Some(plan("1:values:a1:a0"))), text, &[4096]);
    let (told, shown) = run(RunStream::of_creator(None, plan("1:values:a1:a0")), text, &[4096]);
    assert!(events.is_empty());
    assert_eq!(seen, shown);
    let id = told[0].run_id;
    let (side, nothing) = run(RunStream::of_side_join(id), text, &[4096]);
    assert_eq!(side, told);
    assert!(nothing.is_empty());
}

#[test]
fn a_side_join_that_was_made_again_goes_on_where_it_was() {
    let text = include_str!("../../../testdata/langgraph/wait_side.sse").as_bytes();
    let id = "01a207e7-42d1-72c5-bb59-317bf5395d90".parse().unwrap();
    let (whole, _) = run(RunStream::of_side_join(id), text, &[4096]);
    let mut stream = RunStream::of_side_join(id);
    let mut steps = Vec::new();
    stream.push(Bytes::copy_from_slice(&text[..text.len() / 2]), &mut steps);
    stream.reconnect();
    stream.push(Bytes::copy_from_slice(text), &mut steps);
    let told: Vec<Told> = steps.into_iter().map(|step| step.told).collect();
    assert_eq!(
        told,
        whole.into_iter().map(|event| Told::Node(Box::new(event))).collect::<Vec<_>>()
    );
}

proptest! {
    #[test]
    fn the_chunks_change_neither_what_is_told_nor_what_is_seen(
        stream in 0_usize..4, sizes in prop::collection::vec(1_usize..700, 1..6),
    ) {
        let text = STREAMS[stream].as_bytes();
        let creator = || RunStream::of_creator(None, plan("1:values:a1:a0"));
        prop_assert_eq!(run(creator(), text, &sizes), run(creator(), text, &[1 << 20]));
    }

    #[test]
    fn every_byte_comes_out_when_nothing_was_injected(
        bytes in prop::collection::vec(any::<u8>(), 0..400), sizes in prop::collection::vec(1_usize..90, 1..6),
    ) {
        let untouched = || Arc::new(StripPlan::Untouched);
        let (_, seen) = run(RunStream::of_creator(None, untouched()), &bytes, &sizes);
        prop_assert_eq!(&seen, &bytes);
        let asked_for_all = plan("1:values,tasks:t0:t0");
        let (_, seen) = run(RunStream::of_creator(None, asked_for_all), &bytes, &sizes);
        prop_assert_eq!(&seen, &bytes);
        let (_, seen) = run(RunStream::of_join(None), &bytes, &sizes);
        prop_assert_eq!(&seen, &bytes);
    }

    #[test]
    fn of_any_mix_of_frames_the_client_sees_those_it_asked_for_in_their_order(
        mix in prop::collection::vec(0_usize..7, 0..40), sizes in prop::collection::vec(1_usize..50, 1..5),
    ) {
        let frames = [
            ("event: values\r\ndata: {\"a\":[1, 2]}\r\n\r\n", true),
            (": heartbeat\r\n\r\n", true),
            ("event: metadata\r\ndata: {\"attempt\":1}\r\n\r\n", true),
            ("event: error\ndata: {}\n\n", true),
            ("event: tasks\r\ndata: {\"id\":1}\r\n\r\n", false),
            ("event: values|sub:1\r\ndata: {}\r\n\r\n", false),
            ("event: tasks|sub:1\r\ndata: {}\r\n\r\n", false),
        ];
        let all: String = mix.iter().map(|at| frames[*at].0).collect();
        let asked: String = mix.iter().filter(|at| frames[**at].1).map(|at| frames[*at].0).collect();
        let (_, seen) = run(RunStream::of_creator(None, plan("1:values:a1:a0")), all.as_bytes(), &sizes);
        prop_assert_eq!(String::from_utf8(seen).unwrap(), asked);
    }
}
