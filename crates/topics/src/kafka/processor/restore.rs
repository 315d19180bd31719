//! What a partition that came stands on: the group's committed place, and the state that was
//! committed with it.
//!
//! In this order: the committed place, which the brokers give only when no transaction that may
//! still move it is open; then where the changelog ends, open transactions included; then, once
//! readers of what is committed get that far, everything up to there. Asking a reader of what is
//! committed for the end would be too early: a transaction may have its place in the group already
//! and its state not yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use super::Broken;
use crate::backbone::BackboneError;
use crate::kafka::context::Quiet;
use crate::kafka::failure::{code, failed};
use crate::kafka::limits;
use crate::kafka::lookup::Lookup;
use crate::kafka::member::Member;
use crate::kafka::records::{places, theirs};
use crate::kafka::settings::{Sees, Settings};
use crate::processor::{Processor, ProcessorSpec};
use crate::record::{Offset, Partition};
use crate::topic::Topic;

/// Reads the changelog of partitions that came.
pub(super) struct Changelog {
    reader: BaseConsumer<Quiet>,
    lookup: Arc<Lookup>,
    input: Topic,
    topic: Topic,
    wanted: BTreeMap<Partition, Wanted>,
}

/// What a partition goes on from.
#[derive(Clone, Copy)]
struct Wanted {
    from: Place,
    /// Where its changelog ended, whatever of it is committed.
    end: Offset,
}

/// Where the input is read from.
#[derive(Clone, Copy)]
pub(super) enum Place {
    At(Offset),
    /// A person must say.
    Nowhere(&'static str),
}

impl Changelog {
    /// # Errors
    /// If the settings don't do.
    pub(super) fn new(
        settings: &Settings,
        lookup: &Arc<Lookup>,
        spec: &ProcessorSpec,
    ) -> Result<Self, BackboneError> {
        let mut config = settings.reader(&spec.group, Sees::Committed);
        config.set("enable.partition.eof", "true");
        let reader = config.create_with_context(Quiet).map_err(|error| failed(&error))?;
        let (lookup, wanted) = (Arc::clone(lookup), BTreeMap::new());
        Ok(Self { reader, lookup, input: spec.input, topic: spec.changelog, wanted })
    }

    /// Forgets what was asked, of all partitions: transactions were aborted or dropped since.
    pub(super) fn forget(&mut self) {
        self.wanted.clear();
    }

    /// Those of `unrestored` whose state can be read now, and where their input goes on.
    ///
    /// # Errors
    /// If the brokers don't answer.
    pub(super) fn settled(
        &mut self,
        member: &Member,
        unrestored: &[Partition],
    ) -> Result<Vec<(Partition, Place)>, BackboneError> {
        self.wanted.retain(|partition, _| unrestored.contains(partition));
        let is_new = |partition: &&Partition| !self.wanted.contains_key(*partition);
        let new: Vec<Partition> = unrestored.iter().filter(is_new).copied().collect();
        let wait = limits::ASK_BRIEFLY;
        if !new.is_empty() {
            let committed = member.committed(&new, wait)?;
            let kept = self.lookup.watermarks(self.input, wait)?;
            let ends = self.lookup.ends(self.topic, Sees::Everything, wait)?;
            for partition in new {
                let (Some(kept), Some(end)) = (kept.get(&partition), ends.get(&partition)) else {
                    continue;
                };
                let from = match committed.get(&partition) {
                    Some(place) if *place < kept.low || *place > kept.high => {
                        Place::Nowhere("records are missing")
                    }
                    Some(place) => Place::At(*place),
                    None if kept.low > Offset(0) => Place::Nowhere("no committed place"),
                    None => Place::At(kept.low),
                };
                self.wanted.insert(partition, Wanted { from, end: *end });
            }
        }
        let readable = self.lookup.ends(self.topic, Sees::Committed, wait)?;
        let is_readable = |(partition, wanted): &(&Partition, &Wanted)| {
            readable.get(*partition).is_some_and(|end| *end >= wanted.end)
        };
        let settled = self.wanted.iter().filter(is_readable);
        Ok(settled.map(|(partition, wanted)| (*partition, wanted.from)).collect())
    }

    /// Gives a partition's state to the processor.
    ///
    /// # Errors
    /// If it does not restore, or nothing comes for long, or the processor is to stop.
    pub(super) fn feed(
        &self,
        partition: Partition,
        processor: &mut dyn Processor,
        is_asked_to_stop: impl Fn() -> bool,
    ) -> Result<(), Broken> {
        let from = places(self.topic, [(partition, rdkafka::Offset::Beginning)]);
        self.reader.assign(&from).map_err(|error| failed(&error))?;
        let mut deadline = Instant::now() + limits::RESTORE_WAIT;
        loop {
            match self.reader.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let key = message.key().unwrap_or_default();
                    processor.restore(partition, key, message.payload())?;
                    deadline = Instant::now() + limits::RESTORE_WAIT;
                }
                Some(Err(KafkaError::PartitionEOF(end))) if end == theirs(partition) => break,
                Some(Err(error)) => {
                    tracing::debug!(code = code(&error), "kafka changelog error");
                }
                None => {}
            }
            if Instant::now() >= deadline || is_asked_to_stop() {
                return Err(Broken::Step);
            }
        }
        self.reader.unassign().map_err(|error| failed(&error))?;
        Ok(())
    }
}
