//! The atomic step: what a processor puts out, what it remembers and how far it has read are one
//! transaction of the committer. What became of a step is read from the database, never assumed:
//! after a failure each partition is forgotten, restored from its changelog, and read again from
//! the committed place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::core::{Core, broken};
use super::group::Seat;
use super::job::{Job, Step};
use super::limits;
use super::reader::Reader;
use crate::backbone::BackboneError;
use crate::processor::{
    Ended, Flow, Outputs, ProcessError, Processor, ProcessorSpec, ProcessorStatus,
};
use crate::record::{NewRecord, Offset, Partition};
use crate::topic::Topic;

/// A processor and what it needs, as its thread holds them.
pub(super) struct Steps {
    core: Arc<Core>,
    reader: Reader,
    seat: Seat,
    spec: ProcessorSpec,
    commit_every: Duration,
    processor: Box<dyn Processor>,
    status: watch::Sender<ProcessorStatus>,
    held: BTreeMap<Partition, Held>,
    step: Open,
}

/// A partition of all inputs, as the processor has it.
enum Held {
    /// Its state is not restored yet.
    Unrestored,
    Restored(BTreeMap<Topic, Input>),
    /// A wanted range of an input is gone: a person must decide.
    Missing,
}

/// A partition of one input.
struct Input {
    phase: Phase,
    /// The place of the next record to take.
    next: Offset,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// Its next record could not be taken; with the next step it is offered again.
    Waiting {
        reason: &'static str,
        is_offered: bool,
    },
}

/// The step under way.
struct Open {
    outputs: Outputs,
    records: Vec<NewRecord>,
    bytes: usize,
    offsets: BTreeMap<(Topic, Partition), Offset>,
    taken: u64,
    /// When it is to be committed.
    due: Instant,
}

/// Why a step was not committed, or a partition not restored.
enum Stopped {
    /// It goes on when the storage does.
    Storage,
    /// It does not go on.
    Failed(String),
}

impl From<BackboneError> for Stopped {
    fn from(error: BackboneError) -> Self {
        match error {
            BackboneError::Storage { .. } | BackboneError::Unreachable { .. } => Self::Storage,
            BackboneError::Misconfigured { .. }
            | BackboneError::Held { .. }
            | BackboneError::Missing { .. }
            | BackboneError::Refused { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl From<ProcessError> for Stopped {
    fn from(error: ProcessError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Steps {
    pub(super) fn new(
        core: &Arc<Core>,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
        status: watch::Sender<ProcessorStatus>,
    ) -> Result<Self, BackboneError> {
        let lead = spec.lead()?;
        let partitions = core.heads.of(lead)?.len();
        for topic in spec.inputs.iter().chain([&spec.changelog]) {
            if core.heads.of(*topic)?.len() != partitions {
                return Err(broken("inputs and changelog differ in partitions"));
            }
        }
        for topic in &spec.outputs {
            core.heads.of(*topic)?;
        }
        let commit_every = spec.commit_every.max(limits::COMMIT_EVERY_MIN);
        Ok(Self {
            reader: core.reader()?,
            seat: core.groups.join(&spec.group, lead, partitions),
            core: Arc::clone(core),
            step: Open::new(commit_every),
            commit_every,
            spec,
            processor,
            status,
            held: BTreeMap::new(),
        })
    }

    /// Runs until it is asked to stop or fails.
    pub(super) fn run(mut self, runtime: &Runtime, stop: &mut watch::Receiver<bool>) -> Ended {
        let more = self.spec.inputs.iter().map(|topic| self.core.heads.watch(*topic));
        let (mut more, mut group) = (more.collect::<Vec<_>>(), self.seat.watch());
        loop {
            // The handle gone is a request to stop.
            if *stop.borrow_and_update() || stop.has_changed().is_err() {
                return self.end(runtime);
            }
            more.iter_mut().for_each(watch::Receiver::mark_unchanged);
            group.mark_unchanged();
            let took = match self.round(runtime) {
                Ok(took) => took,
                Err(Stopped::Storage) => {
                    self.abort();
                    self.step.due = Instant::now() + limits::RETRY_EVERY;
                    false
                }
                Err(Stopped::Failed(code)) => return Ended::Failed(code),
            };
            self.tell();
            if !took {
                runtime.block_on(async {
                    let more = more.iter_mut().map(|topic| Box::pin(topic.changed()));
                    tokio::select! {
                        _ = stop.changed() => {}
                        _ = group.changed() => {}
                        _ = select_all(more) => {}
                        () = sleep_until(self.step.due) => {}
                    }
                });
            }
        }
    }

    /// One round: the group, then a piece of each partition, then the commit if it is due. Returns
    /// whether there was anything to take.
    fn round(&mut self, runtime: &Runtime) -> Result<bool, Stopped> {
        self.core.queue.check()?;
        self.rebalance(runtime)?;
        self.restore()?;
        let mut took = false;
        for partition in self.held.keys().copied().collect::<Vec<_>>() {
            for topic in self.spec.inputs.clone() {
                took |= self.take(topic, partition)?;
                if self.step.is_full() {
                    self.commit(runtime)?;
                }
            }
        }
        if Instant::now() >= self.step.due {
            self.commit(runtime)?;
        }
        Ok(took)
    }

    /// Commits what it has taken of partitions that go before it lets them go.
    fn rebalance(&mut self, runtime: &Runtime) -> Result<(), Stopped> {
        let surplus = self.seat.surplus();
        if !surplus.is_empty() {
            self.commit(runtime)?;
            for partition in &surplus {
                self.held.remove(partition);
                self.processor.revoked(*partition);
            }
            self.seat.let_go(&surplus);
        }
        let came = self.seat.take();
        self.held.extend(came.into_iter().map(|partition| (partition, Held::Unrestored)));
        Ok(())
    }

    /// Restores what is not, each partition from its changelog and its committed places.
    fn restore(&mut self) -> Result<(), Stopped> {
        let is_unrestored = |(_, held): &(&Partition, &Held)| matches!(held, Held::Unrestored);
        let unrestored: Vec<Partition> =
            self.held.iter().filter(is_unrestored).map(|(partition, _)| *partition).collect();
        if unrestored.is_empty() {
            return Ok(());
        }
        let mut committed = BTreeMap::new();
        for topic in &self.spec.inputs {
            committed.insert(*topic, self.reader.committed(&self.spec.group, *topic)?);
        }
        for partition in unrestored {
            self.restore_state(partition)?;
            let (mut inputs, mut is_missing) = (BTreeMap::new(), false);
            for (topic, committed) in &committed {
                let head = self.core.heads.one(*topic, partition)?;
                let next = committed.get(&partition).copied().unwrap_or(head.low);
                is_missing |= next < head.low || next > head.high;
                inputs.insert(*topic, Input { phase: Phase::Reading, next });
            }
            // Before anything is taken of the others.
            let held = if is_missing { Held::Missing } else { Held::Restored(inputs) };
            self.held.insert(partition, held);
        }
        Ok(())
    }

    fn restore_state(&mut self, partition: Partition) -> Result<(), Stopped> {
        let head = self.core.heads.one(self.spec.changelog, partition)?;
        let mut next = head.low;
        while next < head.high {
            let piece = self.reader.read(self.spec.changelog, partition, next)?;
            for record in &piece.records {
                self.processor.restore(partition, &record.key, record.value.as_deref())?;
            }
            next = piece.next;
        }
        Ok(())
    }

    /// Takes a piece of an input's partition, as far as the step has room.
    fn take(&mut self, topic: Topic, partition: Partition) -> Result<bool, Stopped> {
        let Some(held) = self.held.get_mut(&partition) else { return Ok(false) };
        let Some(input) = held.input(topic) else { return Ok(false) };
        match input.phase {
            Phase::Reading | Phase::Waiting { is_offered: true, .. } => {}
            Phase::Waiting { is_offered: false, .. } => return Ok(false),
        }
        // Equal is caught up; beyond is found missing by the read.
        if input.next == self.core.heads.one(topic, partition)?.high {
            return Ok(false);
        }
        let piece = match self.reader.read(topic, partition, input.next) {
            Ok(piece) => piece,
            Err(BackboneError::Missing { .. }) => {
                *held = Held::Missing;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let end = piece.next;
        for record in piece.records {
            if self.step.is_full() {
                return Ok(true);
            }
            match self.processor.process(&record, &mut self.step.outputs)? {
                Flow::Done => input.next = record.offset.next(),
                Flow::Wait { reason } => {
                    input.phase = Phase::Waiting { reason, is_offered: false };
                    return Ok(true);
                }
            }
            input.phase = Phase::Reading;
            self.step.taken += 1;
            self.step.offsets.insert((topic, partition), input.next);
            self.step.gather(&self.spec)?;
        }
        input.next = end;
        self.step.offsets.insert((topic, partition), end);
        Ok(true)
    }

    /// Ends the step: what is due by time, then one transaction of all of it.
    fn commit(&mut self, runtime: &Runtime) -> Result<(), Stopped> {
        self.processor.tick(self.core.clock.now(), &mut self.step.outputs)?;
        self.step.gather(&self.spec)?;
        let step = std::mem::replace(&mut self.step, Open::new(self.commit_every));
        for input in self.held.values_mut().flat_map(Held::inputs) {
            if let Phase::Waiting { is_offered, .. } = &mut input.phase {
                *is_offered = true;
            }
        }
        if step.records.is_empty() && step.offsets.is_empty() {
            return Ok(());
        }
        let offsets = step.offsets.into_iter().map(|((topic, partition), o)| (topic, partition, o));
        let (offsets, records, group) = (offsets.collect(), step.records, self.spec.group.clone());
        let done = self.core.ask(|asked| Job::Step(Step { records, group, offsets }, asked));
        runtime.block_on(done)?;
        // Counted from here: where a commit takes longer than the interval, each step would hold one
        // record, and the processor fall behind for ever.
        self.step.due = Instant::now() + self.commit_every;
        self.status.send_modify(|status| status.committed += step.taken);
        Ok(())
    }

    /// Forgets the step and all state: it is restored before anything else is taken.
    fn abort(&mut self) {
        self.step = Open::new(self.commit_every);
        let mut was_begun = false;
        for (partition, held) in &mut self.held {
            was_begun |= !matches!(held, Held::Unrestored);
            self.processor.revoked(*partition);
            *held = Held::Unrestored;
        }
        if was_begun {
            self.status.send_modify(|status| status.aborted += 1);
        }
    }

    fn end(&mut self, runtime: &Runtime) -> Ended {
        match self.commit(runtime) {
            Ok(()) => Ended::Stopped,
            Err(Stopped::Storage) => {
                self.abort();
                Ended::Stopped
            }
            Err(Stopped::Failed(code)) => Ended::Failed(code),
        }
    }

    /// Tells how it is, if that has changed.
    fn tell(&self) {
        let partitions: Vec<Partition> = self.held.keys().copied().collect();
        let reasons = self.held.iter().map(|(partition, held)| (*partition, held.waits_for()));
        let each = |(partition, reasons): (Partition, Vec<&'static str>)| {
            reasons.into_iter().map(move |reason| (partition, reason))
        };
        let waiting: Vec<_> = reasons.flat_map(each).collect();
        self.status.send_if_modified(|status| {
            let is_new = status.partitions != partitions || status.waiting != waiting;
            (status.partitions, status.waiting) = (partitions, waiting);
            is_new
        });
    }
}

impl Held {
    fn inputs(&mut self) -> impl Iterator<Item = &mut Input> {
        let inputs = match self {
            Self::Restored(inputs) => Some(inputs),
            Self::Unrestored | Self::Missing => None,
        };
        inputs.into_iter().flat_map(BTreeMap::values_mut)
    }

    fn input(&mut self, topic: Topic) -> Option<&mut Input> {
        match self {
            Self::Restored(inputs) => inputs.get_mut(&topic),
            Self::Unrestored | Self::Missing => None,
        }
    }

    /// Why it waits, once for each input that does.
    fn waits_for(&self) -> Vec<&'static str> {
        let reason = |input: &Input| match input.phase {
            Phase::Waiting { reason, .. } => Some(reason),
            Phase::Reading => None,
        };
        match self {
            Self::Unrestored => vec!["state is not restored"],
            Self::Missing => vec!["records are missing"],
            Self::Restored(inputs) => inputs.values().filter_map(reason).collect(),
        }
    }
}

impl Open {
    fn new(commit_every: Duration) -> Self {
        Self {
            outputs: Outputs::default(),
            records: Vec::new(),
            bytes: 0,
            offsets: BTreeMap::new(),
            taken: 0,
            due: Instant::now() + commit_every,
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= limits::STEP_RECORDS
            || self.bytes >= limits::STEP_BYTES
            || self.taken >= limits::STEP_RECORDS as u64
    }

    /// Takes over what the processor just put out, which must be where it said it would.
    fn gather(&mut self, spec: &ProcessorSpec) -> Result<(), Stopped> {
        let put = self.outputs.take();
        if put.iter().any(|r| r.topic != spec.changelog && !spec.outputs.contains(&r.topic)) {
            return Err(Stopped::Failed("output to an undeclared topic".to_owned()));
        }
        self.bytes += put.iter().map(NewRecord::bytes).sum::<usize>();
        self.records.extend(put);
        Ok(())
    }
}
