//! What a partition that came stands on: the group's committed place in each input, and the state
//! that was committed with them.
//!
//! In this order: the committed places, which the brokers give only when no transaction that may
//! still move them is open; then where the changelog ends, open transactions included; then, once
//! readers of what is committed get that far, everything up to there. Asking a reader of what is
//! committed for the end would be too early: a transaction may have its place in the group already
//! and its state not yet.
//!
//! Brokers forget a group's places some days after its last member left, and those of topics that
//! the group does not share out some days after they were committed. So each transaction keeps the
//! places among the state too, under keys that no processor can have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use super::broken::Broken;
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
    topic: Topic,
    /// The inputs, each with the key under which its place is kept.
    place_keys: BTreeMap<Topic, Bytes>,
    wanted: BTreeMap<Partition, Wanted>,
}

/// What the brokers said of a partition.
struct Wanted {
    inputs: BTreeMap<Topic, Input>,
    /// Where its changelog ended, whatever of it is committed.
    end: Offset,
}

/// What they said of it in one input.
#[derive(Clone, Copy)]
struct Input {
    /// The group's place.
    committed: Option<Offset>,
    /// What it holds.
    kept: Watermarks,
}

/// Where the inputs are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    At(BTreeMap<Topic, Offset>),
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
            topic: spec.changelog,
            place_keys: place_keys(&spec.group, &spec.inputs),
            wanted: BTreeMap::new(),
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
            let mut kept = BTreeMap::new();
            for topic in self.place_keys.keys() {
                kept.insert(*topic, self.lookup.watermarks(*topic, wait)?);
            }
            let ends = self.lookup.ends(self.topic, Sees::Everything, wait)?;
            for partition in new {
                let input = |(topic, kept): (&Topic, &BTreeMap<Partition, Watermarks>)| {
                    let committed = committed.get(&(*topic, partition)).copied();
                    Some((*topic, Input { committed, kept: *kept.get(&partition)? }))
                };
                let inputs: Option<BTreeMap<_, _>> = kept.iter().map(input).collect();
                if let (Some(inputs), Some(end)) = (inputs, ends.get(&partition)) {
                    self.wanted.insert(partition, Wanted { inputs, end: *end });
                }
            }
        }
        let readable = self.lookup.ends(self.topic, Sees::Committed, wait)?;
        let is_readable = |(partition, wanted): &(&Partition, &Wanted)| {
            readable.get(*partition).is_some_and(|end| *end >= wanted.end)
        };
        Ok(self.wanted.iter().filter(is_readable).map(|(partition, _)| *partition).collect())
    }

    /// Gives a settled partition's state to the processor, and says where its inputs go on.
    ///
    /// # Errors
    /// If it does not restore, or nothing comes for long, or the processor is to stop.
    pub(super) fn restore(
        &self,
        partition: Partition,
        processor: &mut dyn Processor,
        is_asked_to_stop: impl Fn() -> bool,
    ) -> Result<Place, Broken> {
        let wanted = self.wanted.get(&partition).ok_or(Broken::Step)?;
        let from = places([(self.topic, partition, rdkafka::Offset::Beginning)]);
        self.reader.assign(&from).map_err(|error| failed(&error))?;
        let mut kept_places = BTreeMap::new();
        let mut deadline = Instant::now() + limits::RESTORE_WAIT;
        loop {
            match self.reader.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let (key, value) = (message.key().unwrap_or_default(), message.payload());
                    if let Some(topic) = self.topic_of(key) {
                        kept_places.extend(value.and_then(place_of).map(|place| (topic, place)));
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
        Ok(wanted.place(&kept_places))
    }

    /// The record that keeps a partition's place in an input.
    pub(super) fn place(&self, input: Topic, partition: Partition, next: Offset) -> NewRecord {
        let key = self.place_keys.get(&input).cloned().unwrap_or_default();
        let value = Some(Bytes::copy_from_slice(&next.0.to_be_bytes()));
        NewRecord { topic: self.topic, partition, key, value }
    }

    /// The input whose place is kept under a key.
    fn topic_of(&self, key: &[u8]) -> Option<Topic> {
        self.place_keys.iter().find(|(_, of)| *of == key).map(|(topic, _)| *topic)
    }
}

impl Wanted {
    fn place(&self, kept_places: &BTreeMap<Topic, Offset>) -> Place {
        let place = |(topic, input): (&Topic, &Input)| {
            Ok((*topic, input.place(kept_places.get(topic).copied())?))
        };
        let places: Result<BTreeMap<_, _>, _> = self.inputs.iter().map(place).collect();
        places.map_or_else(Place::Nowhere, Place::At)
    }
}

impl Input {
    /// Where it goes on, or why that can't be said. The group's word comes first: a person may have
    /// moved it.
    fn place(&self, kept_place: Option<Offset>) -> Result<Offset, &'static str> {
        match self.committed.or(kept_place) {
            Some(place) if place < self.kept.low || place > self.kept.high => {
                Err("records are missing")
            }
            Some(place) => Ok(place),
            // What was trimmed was taken by somebody: beginning anew would take the rest twice.
            None if self.kept.low > Offset(0) => Err("no committed place"),
            None => Ok(self.kept.low),
        }
    }
}

/// The keys under which places are kept. That of the leading input has no topic: so it was when
/// there was one input only, and such changelogs still restore.
fn place_keys(group: &str, inputs: &[Topic]) -> BTreeMap<Topic, Bytes> {
    let key = |(at, topic): (usize, &Topic)| {
        let key = match at {
            0 => format!("\0place {group}"),
            _ => format!("\0place {group} {}", topic.name()),
        };
        (*topic, Bytes::from(key))
    };
    inputs.iter().enumerate().map(key).collect()
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
            input(committed, low).place(kept_place.map(Offset))
        };
        assert_eq!(place(None, None, 0), Ok(Offset(0)));
        assert_eq!(place(Some(7), Some(5), 3), Ok(Offset(7)));
        assert_eq!(place(None, Some(5), 3), Ok(Offset(5)));
        assert_eq!(place(None, None, 3), Err("no committed place"));
        for (committed, low) in [(2, 3), (91, 3)] {
            assert_eq!(place(Some(committed), None, low), Err("records are missing"));
        }
    }

    #[test]
    fn a_partition_goes_on_in_all_inputs_or_in_none() {
        let place = |low| {
            let inputs = BTreeMap::from([
                (Topic::Holds, input(Some(7), 0)),
                (Topic::Votes, input(None, low)),
            ]);
            let wanted = Wanted { inputs, end: Offset(0) };
            wanted.place(&BTreeMap::from([(Topic::Holds, Offset(5)), (Topic::Votes, Offset(4))]))
        };
        let both = BTreeMap::from([(Topic::Holds, Offset(7)), (Topic::Votes, Offset(4))]);
        assert_eq!(place(3), Place::At(both));
        assert_eq!(place(5), Place::Nowhere("records are missing"));
    }

    #[test]
    fn the_place_of_a_single_input_is_kept_where_it_always_was() {
        let keys = place_keys("masker", &[Topic::Raw]);
        assert_eq!(keys, BTreeMap::from([(Topic::Raw, Bytes::from_static(b"\0place masker"))]));
        let keys = place_keys("approver", &[Topic::Holds, Topic::Votes]);
        assert_eq!(keys[&Topic::Holds], "\0place approver");
        assert_eq!(keys[&Topic::Votes], "\0place approver audit.votes");
        assert!(keys.values().all(|key| is_reserved(key)));
    }

    fn input(committed: Option<i64>, low: i64) -> Input {
        let kept = Watermarks { low: Offset(low), high: Offset(90) };
        Input { committed: committed.map(Offset), kept }
    }
}
