//! The atomic step over several inputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use trailgate_schemas::Micros;
use trailgate_topics::{
    Backbone, BackboneError, Ended, Flow, Offset, Outputs, Partition, ProcessError, Processor,
    ProcessorHandle, ProcessorSpec, ProcessorStatus, Record, Topic,
};

use super::processor::until;
use super::{append, ends, fresh, number, read_until, within};

const INPUTS: [Topic; 2] = [Topic::Holds, Topic::Votes];

/// Numbers the records of a mark in each partition, whichever input they come from, and puts out
/// what it took in another partition than it came from.
struct Merger {
    mark: String,
    partitions: u32,
    counts: BTreeMap<Partition, usize>,
    /// This number of this input waits until that is set.
    waits: Option<(Topic, usize, Arc<AtomicBool>)>,
}

impl Merger {
    fn new(mark: &str, partitions: u32) -> Self {
        Self { mark: mark.to_owned(), partitions, counts: BTreeMap::new(), waits: None }
    }
}

impl Processor for Merger {
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        if key == self.mark.as_bytes() {
            let text = std::str::from_utf8(value.unwrap()).unwrap();
            self.counts.insert(partition, text.parse().unwrap());
        }
        Ok(())
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        let Some(number) = number(&self.mark, record) else { return Ok(Flow::Done) };
        let waits = self.waits.as_ref().is_some_and(|(topic, at, released)| {
            (*topic, *at) == (record.topic, number) && !released.load(Ordering::SeqCst)
        });
        if waits {
            return Ok(Flow::Wait { reason: "asked to wait" });
        }
        let count = self.counts.entry(record.partition).or_default();
        *count += 1;
        let (from, topic) = (record.partition.0, record.topic.name());
        let out = Bytes::from(format!("{} {from} {topic} {number} {count}", self.mark));
        let to = Partition((from + 1) % self.partitions);
        outputs.send(Topic::Decisions, to, record.key.clone(), out);
        let (key, state) = (Bytes::from(self.mark.clone()), Bytes::from(count.to_string()));
        outputs.keep(Topic::Approvals, record.partition, key, Some(state));
        Ok(Flow::Done)
    }

    fn tick(&mut self, _now: Micros, _outputs: &mut Outputs) -> Result<(), ProcessError> {
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        self.counts.remove(&partition);
    }
}

fn spec(mark: &str, instance: &str) -> ProcessorSpec {
    ProcessorSpec {
        group: format!("merger-{mark}"),
        instance: format!("merger-{mark}-{instance}"),
        inputs: INPUTS.to_vec(),
        changelog: Topic::Approvals,
        outputs: vec![Topic::Decisions],
        commit_every: Duration::from_millis(50),
    }
}

fn run(backbone: &Arc<dyn Backbone>, instance: &str, merger: Merger) -> ProcessorHandle {
    backbone.process(spec(&merger.mark, instance), Box::new(merger)).unwrap()
}

/// What was put out of a mark, in the order of each partition.
struct Merged(Vec<(u32, String, usize, usize)>);

impl Merged {
    /// Everything behind `from`, once there is so much of it.
    async fn read(
        backbone: &Arc<dyn Backbone>,
        from: &BTreeMap<Partition, Offset>,
        mark: &str,
        enough: usize,
    ) -> Self {
        let is_enough = |read: &[Record]| Self::of(mark, read).0.len() >= enough;
        Self::of(mark, &read_until(backbone, Topic::Decisions, from, is_enough).await)
    }

    fn of(mark: &str, read: &[Record]) -> Self {
        let out = |record: &Record| {
            let text = std::str::from_utf8(record.value.as_ref()?).ok()?;
            let words: Vec<&str> = text.strip_prefix(mark)?.split_whitespace().collect();
            let [from, topic, number, count] = words[..] else { return None };
            let (from, topic) = (from.parse().ok()?, topic.to_owned());
            Some((from, topic, number.parse().ok()?, count.parse().ok()?))
        };
        Self(read.iter().filter_map(out).collect())
    }

    /// So many of each input came out of a partition, each once and in the order of its input, with
    /// the state of all that came before it in either.
    fn is_dense(&self, partition: u32, upto: [usize; 2]) {
        let of = || self.0.iter().filter(move |(from, ..)| *from == partition);
        for (topic, upto) in INPUTS.iter().zip(upto) {
            let of_input = of().filter(|(_, name, ..)| name == topic.name());
            let numbers: Vec<usize> = of_input.map(|(_, _, number, _)| *number).collect();
            assert_eq!(numbers, (0..upto).collect::<Vec<_>>(), "{} {partition}", topic.name());
        }
        let counts: Vec<usize> = of().map(|(.., count)| *count).collect();
        let all: usize = upto.iter().sum();
        assert_eq!(counts, (1..=all).collect::<Vec<_>>(), "state of partition {partition}");
    }
}

pub async fn a_processor_without_sense_is_refused(backbone: &Arc<dyn Backbone>) {
    let refused = |inputs: Vec<Topic>| {
        let mark = fresh();
        let spec = ProcessorSpec { inputs, ..spec(&mark, "a") };
        let merger = Merger::new(&mark, backbone.partitions());
        let refused = backbone.process(spec, Box::new(merger));
        assert!(matches!(refused.err(), Some(BackboneError::Refused { .. })));
    };
    refused(vec![]);
    refused(vec![Topic::Holds, Topic::Holds]);
    refused(vec![Topic::Holds, Topic::Approvals]);
}

pub async fn a_restart_goes_on_in_each_input_from_its_place(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let mut sent = 0;
    for _ in 0..3 {
        append(backbone, Topic::Holds, 0, &mark, 2 * sent..2 * sent + 60).await;
        append(backbone, Topic::Votes, 0, &mark, sent..sent + 30).await;
        append(backbone, Topic::Votes, 3, &mark, sent..sent + 30).await;
        sent += 30;
        let handle = run(backbone, "a", Merger::new(&mark, backbone.partitions()));
        Merged::read(backbone, &from, &mark, 4 * sent).await;
        until(&handle, |status| status.committed >= 120).await;
        let status = handle.status().borrow().clone();
        assert_eq!(status.partitions.len(), backbone.partitions() as usize);
        assert_eq!((status.waiting, status.ended), (vec![], None));
        assert_eq!(within(handle.stop()).await, Ended::Stopped);
    }
    let merged = Merged::read(backbone, &from, &mark, 4 * sent).await;
    merged.is_dense(0, [2 * sent, sent]);
    merged.is_dense(3, [0, sent]);
    for (topic, partition) in [(Topic::Holds, 0), (Topic::Votes, 0), (Topic::Votes, 3)] {
        let committed = within(backbone.committed(&spec(&mark, "a").group, topic)).await.unwrap();
        let ends = ends(backbone, topic).await;
        let place = committed.iter().find(|(of, _)| *of == Partition(partition));
        assert!(place.is_some_and(|(of, place)| *place > Offset(0) && *place <= ends[of]));
    }
}

pub async fn a_waiting_record_holds_only_its_input_of_its_partition(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let released = Arc::new(AtomicBool::new(false));
    append(backbone, Topic::Holds, 0, &mark, 0..10).await;
    append(backbone, Topic::Holds, 1, &mark, 0..3).await;
    append(backbone, Topic::Votes, 1, &mark, 0..10).await;
    let mut merger = Merger::new(&mark, backbone.partitions());
    merger.waits = Some((Topic::Holds, 4, Arc::clone(&released)));
    let handle = run(backbone, "a", merger);
    until(&handle, |status| status.waiting == [(Partition(0), "asked to wait")]).await;
    // The other input goes on, also with what comes while this one waits.
    append(backbone, Topic::Votes, 0, &mark, 0..20).await;
    append(backbone, Topic::Holds, 1, &mark, 3..4).await;
    let before = Merged::read(backbone, &from, &mark, 38).await;
    before.is_dense(0, [4, 20]);
    before.is_dense(1, [4, 10]);
    released.store(true, Ordering::SeqCst);
    Merged::read(backbone, &from, &mark, 44).await.is_dense(0, [10, 20]);
    until(&handle, |status| status.waiting.is_empty()).await;
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

/// The count of a partition is in the memory of its owner: it is dense only if both inputs are with
/// one owner, and go with the state to the next.
pub async fn all_inputs_of_a_partition_are_with_one_instance(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let partitions = backbone.partitions();
    let send = async |range: std::ops::Range<usize>| {
        for partition in 0..partitions {
            for topic in INPUTS {
                append(backbone, topic, partition, &mark, range.clone()).await;
            }
        }
    };
    let first = run(backbone, "a", Merger::new(&mark, partitions));
    send(0..20).await;
    let second = run(backbone, "b", Merger::new(&mark, partitions));
    send(20..40).await;
    let has_share = |status: &ProcessorStatus| {
        !status.partitions.is_empty() && status.partitions.len() < partitions as usize
    };
    until(&first, has_share).await;
    until(&second, has_share).await;
    send(40..60).await;
    assert_eq!(within(first.stop()).await, Ended::Stopped);
    send(60..80).await;
    until(&second, |status| status.partitions.len() == partitions as usize).await;
    let merged = Merged::read(backbone, &from, &mark, 160 * partitions as usize).await;
    (0..partitions).for_each(|partition| merged.is_dense(partition, [80, 80]));
    assert_eq!(within(second.stop()).await, Ended::Stopped);
}

pub async fn a_missing_range_of_one_input_stops_all_inputs_of_its_partition(
    backbone: &Arc<dyn Backbone>,
) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    append(backbone, Topic::Holds, 0, &mark, 0..5).await;
    append(backbone, Topic::Votes, 0, &mark, 0..5).await;
    let handle = run(backbone, "a", Merger::new(&mark, backbone.partitions()));
    Merged::read(backbone, &from, &mark, 10).await;
    assert_eq!(within(handle.stop()).await, Ended::Stopped);

    let places = append(backbone, Topic::Votes, 0, &mark, 5..10).await;
    within(backbone.trim(Topic::Votes, Partition(0), places[3])).await.unwrap();
    append(backbone, Topic::Holds, 0, &mark, 5..10).await;
    append(backbone, Topic::Holds, 1, &mark, 0..5).await;
    let handle = run(backbone, "a", Merger::new(&mark, backbone.partitions()));
    until(&handle, |status| status.waiting == [(Partition(0), "records are missing")]).await;
    let merged = Merged::read(backbone, &from, &mark, 15).await;
    merged.is_dense(1, [5, 0]);
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
    Merged::read(backbone, &from, &mark, 15).await.is_dense(0, [5, 5]);
}
