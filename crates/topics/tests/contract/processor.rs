//! The atomic step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use trailgate_schemas::Micros;
use trailgate_topics::{
    Backbone, Ended, Flow, Offset, Outputs, Partition, ProcessError, Processor, ProcessorHandle,
    ProcessorSpec, ProcessorStatus, Record, Topic,
};

use super::{append, ends, fresh, number, numbers, read_until, within};

/// Counts the records of a mark in each partition, and puts every count out.
pub struct Counter {
    pub mark: String,
    pub counts: BTreeMap<Partition, usize>,
    /// Where the counts go.
    pub to: Topic,
    /// At this number of a partition it does as `at` says.
    pub special: Option<(usize, Special)>,
    /// How long each step takes to end.
    pub step_takes: Duration,
    /// How many steps have ended.
    pub steps: Arc<AtomicUsize>,
}

/// What happens at a certain record.
#[derive(Clone)]
pub enum Special {
    /// The processor fails.
    Fails,
    /// The record waits until this is set.
    Waits(Arc<AtomicBool>),
}

impl Counter {
    pub fn new(mark: &str) -> Self {
        Self {
            mark: mark.to_owned(),
            counts: BTreeMap::new(),
            to: Topic::Decisions,
            special: None,
            step_takes: Duration::ZERO,
            steps: Arc::default(),
        }
    }

    fn at(mark: &str, number: usize, special: Special) -> Self {
        Self { special: Some((number, special)), ..Self::new(mark) }
    }
}

impl Processor for Counter {
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        if key != self.mark.as_bytes() {
            return Ok(());
        }
        let text = std::str::from_utf8(value.unwrap_or(b"0")).unwrap();
        self.counts.insert(partition, text.parse().unwrap());
        Ok(())
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        let Some(number) = number(&self.mark, record) else { return Ok(Flow::Done) };
        match &self.special {
            Some((at, Special::Fails)) if *at == number => {
                return Err(ProcessError::Broken { code: "asked to fail" });
            }
            Some((at, Special::Waits(released)))
                if *at == number && !released.load(Ordering::SeqCst) =>
            {
                return Ok(Flow::Wait { reason: "asked to wait" });
            }
            Some(_) | None => {}
        }
        let count = self.counts.entry(record.partition).or_default();
        *count += 1;
        let out = Bytes::from(format!("out-{} {count}", self.mark));
        outputs.send(self.to, record.partition, record.key.clone(), out);
        let (key, state) = (Bytes::from(self.mark.clone()), Bytes::from(count.to_string()));
        outputs.keep(Topic::MaskerState, record.partition, key, Some(state));
        Ok(Flow::Done)
    }

    fn tick(&mut self, _now: Micros, _outputs: &mut Outputs) -> Result<(), ProcessError> {
        std::thread::park_timeout(self.step_takes);
        self.steps.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        self.counts.remove(&partition);
    }
}

/// The processor that [`Counter`] is the own part of.
pub fn spec(mark: &str, instance: &str) -> ProcessorSpec {
    ProcessorSpec {
        group: format!("counter-{mark}"),
        instance: format!("counter-{mark}-{instance}"),
        inputs: vec![Topic::Raw],
        changelog: Topic::MaskerState,
        outputs: vec![Topic::Decisions],
        commit_every: Duration::from_millis(50),
    }
}

fn run(backbone: &Arc<dyn Backbone>, instance: &str, counter: Counter) -> ProcessorHandle {
    backbone.process(spec(&counter.mark, instance), Box::new(counter)).unwrap()
}

/// The counts that were put out behind `from`, by partition, once there are so many of them.
async fn counts(
    backbone: &Arc<dyn Backbone>,
    from: &BTreeMap<Partition, Offset>,
    mark: &str,
    enough: usize,
) -> BTreeMap<Partition, Vec<usize>> {
    let mark = format!("out-{mark}");
    let is_enough = |read: &[Record]| numbers(&mark, read).len() >= enough;
    let read = read_until(backbone, Topic::Decisions, from, is_enough).await;
    let mut counts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in &read {
        if let Some(count) = number(&mark, record) {
            counts.entry(record.partition).or_default().push(count);
        }
    }
    counts
}

fn dense(counts: &BTreeMap<Partition, Vec<usize>>, partition: u32, upto: usize) {
    let found = counts.get(&Partition(partition)).cloned().unwrap_or_default();
    assert_eq!(found, (1..=upto).collect::<Vec<_>>(), "each effect once and in order");
}

pub async fn until(handle: &ProcessorHandle, enough: impl Fn(&ProcessorStatus) -> bool) {
    let mut status = handle.status();
    within(status.wait_for(enough)).await.expect("the processor lives");
}

pub async fn outputs_and_state_come_once(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    append(backbone, Topic::Raw, 0, &mark, 0..100).await;
    append(backbone, Topic::Raw, 1, &mark, 0..50).await;
    let handle = run(backbone, "a", Counter::new(&mark));
    let counts = counts(backbone, &from, &mark, 150).await;
    dense(&counts, 0, 100);
    dense(&counts, 1, 50);
    until(&handle, |status| status.committed >= 150).await;
    let status = handle.status().borrow().clone();
    assert_eq!(status.partitions.len(), backbone.partitions() as usize);
    assert_eq!((status.waiting, status.aborted, status.ended), (vec![], 0, None));
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

pub async fn a_restart_goes_on_from_the_committed_place_and_state(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let mut sent = 0;
    for _ in 0..3 {
        append(backbone, Topic::Raw, 0, &mark, sent..sent + 40).await;
        sent += 40;
        let handle = run(backbone, "a", Counter::new(&mark));
        counts(backbone, &from, &mark, sent).await;
        assert_eq!(within(handle.stop()).await, Ended::Stopped);
    }
    dense(&counts(backbone, &from, &mark, sent).await, 0, sent);
}

pub async fn a_waiting_record_is_offered_again_and_holds_only_its_partition(
    backbone: &Arc<dyn Backbone>,
) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let released = Arc::new(AtomicBool::new(false));
    append(backbone, Topic::Raw, 0, &mark, 0..10).await;
    append(backbone, Topic::Raw, 1, &mark, 10..20).await;
    let waits = Special::Waits(Arc::clone(&released));
    let handle = run(backbone, "a", Counter::at(&mark, 4, waits));
    until(&handle, |status| status.waiting == [(Partition(0), "asked to wait")]).await;
    let before = counts(backbone, &from, &mark, 14).await;
    dense(&before, 0, 4);
    dense(&before, 1, 10);
    released.store(true, Ordering::SeqCst);
    let after = counts(backbone, &from, &mark, 20).await;
    dense(&after, 0, 10);
    dense(&after, 1, 10);
    until(&handle, |status| status.waiting.is_empty()).await;
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

pub async fn steps_that_end_slowly_take_many_records(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    append(backbone, Topic::Raw, 0, &mark, 0..200).await;
    // Longer than the interval between two.
    let counter = Counter { step_takes: Duration::from_millis(150), ..Counter::new(&mark) };
    let steps = Arc::clone(&counter.steps);
    let handle = run(backbone, "a", counter);
    dense(&counts(backbone, &from, &mark, 200).await, 0, 200);
    assert!(steps.load(Ordering::SeqCst) < 50, "{steps:?} steps for 200 records");
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

pub async fn a_failed_step_leaves_nothing(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    append(backbone, Topic::Raw, 0, &mark, 0..10).await;
    let handle = run(backbone, "a", Counter::at(&mark, 7, Special::Fails));
    let mut status = handle.status();
    let ended = within(status.wait_for(|status| status.ended.is_some())).await.unwrap().clone();
    let said = Ended::Failed("processor failed: asked to fail".to_owned());
    assert_eq!(ended.ended, Some(said));
    drop(handle);
    // Whatever the failed step had put out is not there; the next instance takes all of it again.
    let handle = run(backbone, "a", Counter::new(&mark));
    dense(&counts(backbone, &from, &mark, 10).await, 0, 10);
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

pub async fn two_instances_share_the_input_and_hand_state_over(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let partitions = backbone.partitions();
    let send = async |range: std::ops::Range<usize>| {
        for partition in 0..partitions {
            append(backbone, Topic::Raw, partition, &mark, range.clone()).await;
        }
    };
    let first = run(backbone, "a", Counter::new(&mark));
    send(0..20).await;
    let second = run(backbone, "b", Counter::new(&mark));
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
    let counts = counts(backbone, &from, &mark, 80 * partitions as usize).await;
    (0..partitions).for_each(|partition| dense(&counts, partition, 80));
    assert_eq!(within(second.stop()).await, Ended::Stopped);
}
