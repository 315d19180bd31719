//! A stream processor: consume, transform, produce. Outputs, state and offsets are one atomic
//! step, so each record's effects appear exactly once whatever is killed when.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use trailgate_schemas::Micros;

use crate::backbone::BackboneError;
use crate::record::{Header, NewRecord, Partition, Record};
use crate::topic::{Kept, Topic};

/// What a processor is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorSpec {
    /// The group's name: `masker`.
    pub group: String,
    /// This instance's stable name: the same after a restart, different from its siblings'.
    pub instance: String,
    /// What it reads, in no order but that within each. Partition p of all of them belongs to one
    /// instance. The first leads: its partitions are what the group shares out, and it stays the
    /// first for as long as the group lives.
    pub inputs: Vec<Topic>,
    /// Where its state is kept: written to the partition number of the inputs it describes.
    pub changelog: Topic,
    /// What else it may write.
    pub outputs: Vec<Topic>,
    /// How often it commits.
    pub commit_every: Duration,
}

impl ProcessorSpec {
    /// The input that leads, if all of it makes sense.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if not: a mistake of this program.
    pub(crate) fn lead(&self) -> Result<Topic, BackboneError> {
        let refused = |code: &str| Err(BackboneError::Refused { code: code.to_owned() });
        let Some((lead, _)) = self.inputs.split_first() else {
            return refused("processor without an input");
        };
        if self.inputs.iter().collect::<BTreeSet<_>>().len() < self.inputs.len() {
            return refused("processor with an input twice");
        }
        if self.inputs.contains(&self.changelog) {
            return refused("processor that reads its own changelog");
        }
        if self.changelog.kept() != Kept::Compacted {
            return refused("processor whose changelog is not compacted");
        }
        Ok(*lead)
    }
}

/// Why a processor can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// What was kept does not restore: going on would lose or double something.
    #[error("state of partition {} does not restore: {code}", .partition.0)]
    State {
        /// The partition.
        partition: Partition,
        /// A stable word.
        code: &'static str,
    },
    /// A mistake of this program.
    #[error("processor failed: {code}")]
    Broken {
        /// A stable word.
        code: &'static str,
    },
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It is taken; its outputs are in [`Outputs`].
    Done,
    /// It can't be taken yet: this input of the partition waits and the record is offered again.
    /// Nothing may have been put into [`Outputs`] nor changed in the state.
    Wait {
        /// A stable word for logs and metrics.
        reason: &'static str,
    },
}

/// A processor's own part. All calls come from one thread. After an aborted step the partitions
/// concerned are revoked and restored again, so state in memory need not be undone.
pub trait Processor: Send + 'static {
    /// A kept state record of a partition that came, oldest first, before its first record of any
    /// input; a later one of the same key replaces an earlier; an absent value is a tombstone.
    ///
    /// # Errors
    /// [`ProcessError::State`] stops the processor.
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError>;

    /// Takes one record. [`Record::topic`] says of which input.
    ///
    /// # Errors
    /// [`ProcessError`] stops the processor; the step is aborted.
    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError>;

    /// Called before each commit and, while idle, each `commit_every`: what is due by time.
    ///
    /// # Errors
    /// [`ProcessError`] stops the processor; the step is aborted.
    fn tick(&mut self, now: Micros, outputs: &mut Outputs) -> Result<(), ProcessError>;

    /// A partition went, or its step was aborted: forget all about it.
    fn revoked(&mut self, partition: Partition);
}

/// What a step writes, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    records: Vec<NewRecord>,
    /// The headers of those records that have some, by their places: few topics are read by others.
    headers: Vec<(usize, Vec<Header>)>,
}

impl Outputs {
    /// Writes a record to any partition of a topic of [`ProcessorSpec::outputs`].
    pub fn send(&mut self, topic: Topic, partition: Partition, key: Bytes, value: Bytes) {
        self.records.push(NewRecord { topic, partition, key, value: Some(value) });
    }

    /// Gives headers to the record that was written last. They are for readers that are not ours,
    /// and those are on Kafka: nothing of Trailgate reads them, and the embedded log, which only
    /// this process opens, does not keep them.
    pub fn with_headers(&mut self, headers: Vec<Header>) {
        if let Some(last) = self.records.len().checked_sub(1) {
            self.headers.push((last, headers));
        }
    }

    /// Keeps state for a partition of the inputs; none forgets it.
    pub fn keep(
        &mut self,
        changelog: Topic,
        partition: Partition,
        key: Bytes,
        value: Option<Bytes>,
    ) {
        self.records.push(NewRecord { topic: changelog, partition, key, value });
    }

    /// What was written since the last call.
    pub fn take(&mut self) -> Vec<NewRecord> {
        self.headers.clear();
        std::mem::take(&mut self.records)
    }

    /// What was written since the last call, each record with its headers.
    pub fn take_with_headers(&mut self) -> impl Iterator<Item = (NewRecord, Vec<Header>)> + use<> {
        let mut headers = std::mem::take(&mut self.headers).into_iter().peekable();
        std::mem::take(&mut self.records).into_iter().enumerate().map(move |(place, record)| {
            let own = headers.next_if(|(owner, _)| *owner == place);
            (record, own.map(|(_, headers)| headers).unwrap_or_default())
        })
    }

    /// What was written so far.
    #[must_use]
    pub fn records(&self) -> &[NewRecord] {
        &self.records
    }
}

/// How a processor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessorStatus {
    /// Partitions it holds.
    pub partitions: Vec<Partition>,
    /// Partitions that wait, each with its reason; one for each input that waits.
    pub waiting: Vec<(Partition, &'static str)>,
    /// Records taken since it began, whose step is committed.
    pub committed: u64,
    /// Steps aborted since it began.
    pub aborted: u64,
    /// Why it ended; none while it lives.
    pub ended: Option<Ended>,
}

/// Why a processor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// It failed; the service must stop.
    Failed(String),
}

/// A running processor. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct ProcessorHandle {
    stop: watch::Sender<bool>,
    status: watch::Receiver<ProcessorStatus>,
}

impl ProcessorHandle {
    /// A handle from its parts, for a backbone: the thread watches `stop` and tells its status,
    /// the last of which has `ended`.
    #[must_use]
    pub const fn new(stop: watch::Sender<bool>, status: watch::Receiver<ProcessorStatus>) -> Self {
        Self { stop, status }
    }

    /// How it is, now and as it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ProcessorStatus> {
        self.status.clone()
    }

    /// Asks it to commit what it has taken and end, and waits until it has.
    pub async fn stop(mut self) -> Ended {
        // If the thread is gone its last status says why.
        let _ = self.stop.send(true);
        let ended = self.status.wait_for(|status| status.ended.is_some()).await;
        let gone = || Ended::Failed("processor thread is gone".to_owned());
        ended.ok().and_then(|status| status.ended.clone()).unwrap_or_else(gone)
    }
}

impl Drop for ProcessorHandle {
    fn drop(&mut self) {
        // The thread also sees the sender go.
        let _ = self.stop.send(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_makes_no_sense_is_refused() {
        let check = |inputs: &[Topic], changelog| {
            let spec = ProcessorSpec {
                group: "approver".to_owned(),
                instance: "approver-0".to_owned(),
                inputs: inputs.to_vec(),
                changelog,
                outputs: vec![Topic::Decisions],
                commit_every: Duration::from_millis(100),
            };
            spec.lead().ok()
        };
        let lead = check(&[Topic::Holds, Topic::Votes], Topic::Approvals);
        assert_eq!(lead, Some(Topic::Holds));
        for (inputs, changelog) in [
            (&[][..], Topic::Approvals),
            (&[Topic::Holds, Topic::Votes, Topic::Holds], Topic::Approvals),
            (&[Topic::Holds, Topic::Approvals], Topic::Approvals),
            (&[Topic::Holds], Topic::Decisions),
        ] {
            assert_eq!(check(inputs, changelog), None);
        }
    }

    #[test]
    fn headers_stay_with_the_record_that_they_were_given_to() {
        let mut outputs = Outputs::default();
        let key = Bytes::from_static(b"key");
        let header = |value: &'static str| {
            vec![Header { name: "ce_id", value: Bytes::from_static(value.as_bytes()) }]
        };
        outputs.with_headers(header("of nobody"));
        for (topic, headers) in [(Topic::Events, ""), (Topic::Siem, "a"), (Topic::Siem, "b")] {
            outputs.send(topic, Partition(0), key.clone(), key.clone());
            if !headers.is_empty() {
                outputs.with_headers(header(headers));
            }
        }
        let taken: Vec<_> = outputs.take_with_headers().map(|(_, headers)| headers).collect();
        assert_eq!(taken, [vec![], header("a"), header("b")]);
        assert_eq!(outputs.take_with_headers().count(), 0);
    }
}
