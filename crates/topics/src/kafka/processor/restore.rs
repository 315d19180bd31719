//! What a partition that came stands on: the group's committed place, and the state that was
//! committed with it.
//!
//! In this order: the committed place, which the brokers give only when no transaction that may
//! still move it is open; then where the changelog ends, open transactions included; then, once
//! readers of what is committed get that far, everything up to there. Asking a reader of what is
//! committed for the end would be too early: a transaction may have its place in the group already
//! and its state not yet.
//!
//! Brokers forget a group's places some days after its last member left. So each transaction keeps
//! the place among the state too, under a key that no processor can have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
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
use crate::record::{NewRecord, Offset, Partition, Watermarks};
use crate::topic::Topic;

/// Reads the changelog of partitions that came.
pub(super) struct Changelog {
    reader: BaseConsumer<Quiet>,
    lookup: Arc<Lookup>,
    input: Topic,
    topic: Topic,
    wanted: BTreeMap<Partition, Wanted>,
    place_key: Bytes,
}

/// What the brokers said of a partition.
#[derive(Clone, Copy)]
struct Wanted {
    /// The group's place.
    committed: Option<Offset>,
    /// What its input holds.
    kept: Watermarks,
    /// Where its changelog ended, whatever of it is committed.
    end: Offset,
}

/// Where the input is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        Ok(Self {
            reader,
            lookup: Arc::clone(lookup),
            input: spec.input,
            topic: spec.changelog,
            wanted: BTreeMap::new(),
            place_key: Bytes::from(format!("\0place {}", spec.group)),
        })
    }

    /// Forgets what was asked, of all partitions: transactions were aborted or dropped since.
    pub(super) fn forget(&mut self) {
        self.wanted.clear();
    }

    /// Those of `unrestored` whose state can be read now.
    ///
    /// # Errors
    /// If the brokers don't answer.
    pub(super) fn settled(
        &mut self,
        member: &Member,
        unrestored: &[Partition],
    ) -> Result<Vec<Partition>, BackboneError> {
        self.wanted.retain(|partition, _| unrestored.contains(partition));
        let is_new = |partition: &&Partition| !self.wanted.contains_key(*partition);
        let new: Vec<Partition> = unrestored.iter().filter(is_new).copied().collect();
        let wait = limits::ASK_BRIEFLY;
        if !new.is_empty() {
            let committed = member.committed(&new, wait)?;
            let kept = self.lookup.watermarks(self.input, wait)?;
            let ends = self.lookup.ends(self.topic, Sees::Everything, wait)?;
            for partition in new {
                if let (Some(kept), Some(end)) = (kept.get(&partition), ends.get(&partition)) {
                    let committed = committed.get(&partition).copied();
                    self.wanted.insert(partition, Wanted { committed, kept: *kept, end: *end });
                }
            }
        }
        let readable = self.lookup.ends(self.topic, Sees::Committed, wait)?;
        let is_readable = |(partition, wanted): &(&Partition, &Wanted)| {
            readable.get(*partition).is_some_and(|end| *end >= wanted.end)
        };
        Ok(self.wanted.iter().filter(is_readable).map(|(partition, _)| *partition).collect())
    }

    /// Gives a settled partition's state to the processor, and says where its input goes on.
    ///
    /// # Errors
    /// If it does not restore, or nothing comes for long, or the processor is to stop.
    pub(super) fn restore(
        &self,
        partition: Partition,
        processor: &mut dyn Processor,
        is_asked_to_stop: impl Fn() -> bool,
    ) -> Result<Place, Broken> {
        let wanted = *self.wanted.get(&partition).ok_or(Broken::Step)?;
        let from = places(self.topic, [(partition, rdkafka::Offset::Beginning)]);
        self.reader.assign(&from).map_err(|error| failed(&error))?;
        let mut kept_place = None;
        let mut deadline = Instant::now() + limits::RESTORE_WAIT;
        loop {
            match self.reader.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let (key, value) = (message.key().unwrap_or_default(), message.payload());
                    if key == self.place_key {
                        kept_place = value.and_then(place_of);
                    } else if !is_reserved(key) {
                        processor.restore(partition, key, value)?;
                    }
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
        Ok(wanted.place(kept_place))
    }

    /// The record that keeps a partition's place.
    pub(super) fn place(&self, partition: Partition, next: Offset) -> NewRecord {
        let value = Some(Bytes::copy_from_slice(&next.0.to_be_bytes()));
        NewRecord { topic: self.topic, partition, key: self.place_key.clone(), value }
    }
}

impl Wanted {
    /// Where the input goes on. The group's word comes first: a person may have moved it.
    fn place(&self, kept_place: Option<Offset>) -> Place {
        match self.committed.or(kept_place) {
            Some(place) if place < self.kept.low || place > self.kept.high => {
                Place::Nowhere("records are missing")
            }
            Some(place) => Place::At(place),
            // What was trimmed was taken by somebody: beginning anew would take the rest twice.
            None if self.kept.low > Offset(0) => Place::Nowhere("no committed place"),
            None => Place::At(self.kept.low),
        }
    }
}

/// Whether a key of the changelog is no processor's.
pub(super) fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(b"\0")
}

fn place_of(value: &[u8]) -> Option<Offset> {
    value.try_into().ok().map(|bytes| Offset(i64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_group_goes_on_from_the_kept_place_and_never_begins_anew_behind_a_trim() {
        let place = |committed: Option<i64>, kept_place: Option<i64>, low| {
            let kept = Watermarks { low: Offset(low), high: Offset(90) };
            let wanted = Wanted { committed: committed.map(Offset), kept, end: Offset(0) };
            wanted.place(kept_place.map(Offset))
        };
        assert_eq!(place(None, None, 0), Place::At(Offset(0)));
        assert_eq!(place(Some(7), Some(5), 3), Place::At(Offset(7)));
        assert_eq!(place(None, Some(5), 3), Place::At(Offset(5)));
        assert_eq!(place(None, None, 3), Place::Nowhere("no committed place"));
        for (committed, low) in [(2, 3), (91, 3)] {
            let missing = Place::Nowhere("records are missing");
            assert_eq!(place(Some(committed), None, low), missing);
        }
    }
}
