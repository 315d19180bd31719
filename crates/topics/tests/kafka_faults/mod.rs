//! What is promised while brokers and instances fail: a processor of two inputs, and what must come
//! out of it.

mod brokers;
mod instances;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use trailgate_schemas::Micros;
use trailgate_topics::{
    Appender, Backbone, BackboneError, Flow, NewRecord, Outputs, Partition, ProcessError,
    Processor, ProcessorHandle, ProcessorSpec, ProcessorStatus, Record, Tail, Topic,
};

use crate::PARTITIONS;
use crate::contract::{ends, marked, number, within};

/// What it reads.
const INPUTS: [Topic; 2] = [Topic::Raw, Topic::Siem];

/// The input that a number is sent to: by turns in each partition.
fn input(number: usize) -> usize {
    number / PARTITIONS as usize % INPUTS.len()
}

/// Puts out each number with the count of its partition in all inputs, which is its state.
struct Copier {
    mark: String,
    counts: BTreeMap<Partition, u64>,
}

impl Processor for Copier {
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        if key != self.mark.as_bytes() {
            return Ok(());
        }
        let count = std::str::from_utf8(value.unwrap()).unwrap().parse().unwrap();
        self.counts.insert(partition, count);
        Ok(())
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        let Some(number) = number(&self.mark, record) else { return Ok(Flow::Done) };
        let count = self.counts.entry(record.partition).or_default();
        *count += 1;
        let out = Bytes::from(format!("{} {number} {count}", self.mark));
        outputs.send(Topic::Decisions, record.partition, record.key.clone(), out);
        let (key, state) = (Bytes::from(self.mark.clone()), Bytes::from(count.to_string()));
        outputs.keep(Topic::MaskerState, record.partition, key, Some(state));
        Ok(Flow::Done)
    }

    fn tick(&mut self, _now: Micros, _outputs: &mut Outputs) -> Result<(), ProcessError> {
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        self.counts.remove(&partition);
    }
}

fn copier(mark: &str, instance: &str) -> (ProcessorSpec, Box<Copier>) {
    let spec = ProcessorSpec {
        group: format!("copier-{mark}"),
        instance: format!("copier-{mark}-{instance}"),
        inputs: INPUTS.to_vec(),
        changelog: Topic::MaskerState,
        outputs: vec![Topic::Decisions],
        commit_every: Duration::from_millis(100),
    };
    (spec, Box::new(Copier { mark: mark.to_owned(), counts: BTreeMap::new() }))
}

/// What came out, checked as it comes: each partition's numbers of each input, and its counts, dense
/// and in order.
struct Outputted {
    mark: String,
    tail: Box<dyn Tail>,
    next: BTreeMap<(Partition, usize), usize>,
    counts: BTreeMap<Partition, usize>,
    count: usize,
    /// The processor of this process that is waited for.
    by: Option<watch::Receiver<ProcessorStatus>>,
}

impl Outputted {
    async fn open(backbone: &Arc<dyn Backbone>, mark: &str) -> Self {
        let from: Vec<_> = ends(backbone, Topic::Decisions).await.into_iter().collect();
        let (mark, tail) = (mark.to_owned(), backbone.tail(Topic::Decisions, &from).await.unwrap());
        Self { mark, tail, next: BTreeMap::new(), counts: BTreeMap::new(), count: 0, by: None }
    }

    /// From now on it is waited for that processor, which must live.
    fn by(&mut self, processor: &ProcessorHandle) {
        self.by = Some(processor.status());
    }

    async fn upto(&mut self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.count < count {
            let ended = self.by.as_ref().and_then(|status| status.borrow().ended.clone());
            assert_eq!(ended, None, "{} of {count} came out", self.count);
            let status = self.by.as_ref().map(|status| status.borrow().clone());
            assert!(Instant::now() < deadline, "{} of {count}, {status:?}", self.count);
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let batch = match self.tail.next(Duration::from_millis(200)).await {
            Ok(batch) => batch,
            // The tail goes on by itself.
            Err(BackboneError::Unreachable { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        self.check(batch.records);
    }

    /// Checks what came of its mark, and says how much that was.
    fn check(&mut self, records: Vec<Record>) -> usize {
        let before = self.count;
        for record in records {
            let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            let Some(text) = text.strip_prefix(&self.mark) else { continue };
            let (number, count) = text.trim().split_once(' ').unwrap();
            let (number, partition) = (number.parse().unwrap(), record.partition);
            let next = self.next.entry((partition, input(number))).or_default();
            let expected = *next * INPUTS.len() + input(number);
            let expected = expected * PARTITIONS as usize + partition.0 as usize;
            assert_eq!(number, expected, "each once and in order");
            *next += 1;
            let all = self.counts.entry(partition).or_default();
            *all += 1;
            assert_eq!(count.parse(), Ok(*all), "with the state that it was committed with");
            self.count += 1;
        }
        self.count - before
    }

    /// Nothing more comes before the tail has seen everything twice.
    async fn stays_at(&mut self, count: usize) {
        let mut seen = 0;
        while seen < 2 {
            let batch = self.tail.next(Duration::from_secs(1)).await.unwrap();
            assert_eq!(self.check(batch.records), 0, "{count} came out already");
            seen += usize::from(batch.ends.iter().all(|end| end.caught_up_at.is_some()));
        }
    }
}

async fn send(appender: &Arc<dyn Appender>, mark: &str, range: std::ops::Range<usize>) {
    let acks: Vec<_> = range.map(|number| appender.append(numbered(mark, number))).collect();
    within(futures::future::try_join_all(acks)).await.unwrap();
}

fn numbered(mark: &str, number: usize) -> NewRecord {
    let partition = u32::try_from(number).unwrap() % PARTITIONS;
    marked(INPUTS[input(number)], partition, mark, number)
}
