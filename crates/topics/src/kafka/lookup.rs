//! Questions to the brokers that belong to no reader: where partitions begin and end, what lies at
//! a time, whether anybody answers. All of them block; callers have a thread for that.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use trailgate_schemas::Micros;

use super::context::Quiet;
use super::failure::{broken, failed, refused};
use super::limits;
use super::records::{ours, places};
use super::settings::{Sees, Settings};
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Watermarks};
use crate::topic::Topic;

/// Two clients: one sees what is committed, the other everything.
pub(super) struct Lookup {
    committed: BaseConsumer<Quiet>,
    everything: BaseConsumer<Quiet>,
    partitions: u32,
}

impl Lookup {
    /// Makes the clients; they connect when they are first asked.
    ///
    /// # Errors
    /// If the settings don't do.
    pub(super) fn open(settings: &Settings, partitions: u32) -> Result<Arc<Self>, BackboneError> {
        let client = |sees| {
            let client = settings.lookup(sees).create_with_context::<_, BaseConsumer<_>>(Quiet);
            client.map_err(|error| failed(&error))
        };
        let (committed, everything) = (client(Sees::Committed)?, client(Sees::Everything)?);
        let lookup = Arc::new(Self { committed, everything, partitions });
        let weak = Arc::downgrade(&lookup);
        let thread = std::thread::Builder::new().name("kafka-lookup".to_owned());
        thread.spawn(move || serve(&weak)).map_err(|_| broken("thread can't be started"))?;
        Ok(lookup)
    }

    /// How many partitions every topic has.
    pub(super) const fn partitions(&self) -> u32 {
        self.partitions
    }

    /// What each partition holds, as a reader of what is committed sees it.
    ///
    /// # Errors
    /// If no answer comes within `wait`.
    pub(super) fn watermarks(
        &self,
        topic: Topic,
        wait: Duration,
    ) -> Result<BTreeMap<Partition, Watermarks>, BackboneError> {
        let all = self.all();
        let low = ask(&self.committed, topic, &all, rdkafka::Offset::Beginning, wait)?;
        let high = ask(&self.committed, topic, &all, rdkafka::Offset::End, wait)?;
        let both = low.into_iter().filter_map(|(partition, low)| {
            Some((partition, Watermarks { low, high: *high.get(&partition)? }))
        });
        Ok(both.collect())
    }

    /// Where each partition ends: the place of the next record that `sees` will see.
    ///
    /// # Errors
    /// If no answer comes within `wait`.
    pub(super) fn ends(
        &self,
        topic: Topic,
        sees: Sees,
        wait: Duration,
    ) -> Result<BTreeMap<Partition, Offset>, BackboneError> {
        let client = match sees {
            Sees::Committed => &self.committed,
            Sees::Everything => &self.everything,
        };
        ask(client, topic, &self.all(), rdkafka::Offset::End, wait)
    }

    /// The first record at or after a time, else the end.
    ///
    /// # Errors
    /// If no answer comes.
    pub(super) fn first_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        // Kafka counts milliseconds: one that begins before `time` ends behind it.
        let millis = time.0.max(0).saturating_add(999) / 1_000;
        let (one, wait) = ([partition], limits::ASK_WAIT);
        let found = ask(&self.committed, topic, &one, rdkafka::Offset::Offset(millis), wait)?;
        if let Some(offset) = found.get(&partition) {
            return Ok(*offset);
        }
        let ends = ask(&self.committed, topic, &one, rdkafka::Offset::End, wait)?;
        ends.get(&partition).copied().ok_or_else(|| broken("partition has no end"))
    }

    /// Asks any broker for anything.
    ///
    /// # Errors
    /// If none answers within `wait`.
    pub(super) fn ping(&self, wait: Duration) -> Result<(), BackboneError> {
        let answer = self.committed.fetch_metadata(Some(Topic::Raw.name()), wait);
        answer.map(drop).map_err(|error| failed(&error))
    }

    /// How many copies each partition of `topic` has, and whether each has a leader.
    ///
    /// # Errors
    /// If no answer comes.
    pub(super) fn shape(&self, topic: Topic) -> Result<Shape, BackboneError> {
        let answer = self.committed.fetch_metadata(Some(topic.name()), limits::ASK_WAIT);
        let metadata = answer.map_err(|error| failed(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic.name());
        let found = found.ok_or_else(|| broken("topic is not described"))?;
        let partitions = found.partitions();
        Ok(Shape {
            partitions: partitions.len(),
            replicas: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0),
            is_led: found.error().is_none()
                && !partitions.is_empty()
                && partitions.iter().all(|p| p.leader() >= 0 && p.error().is_none()),
        })
    }

    fn all(&self) -> Vec<Partition> {
        (0..self.partitions).map(Partition).collect()
    }
}

/// What a topic is made of.
pub(super) struct Shape {
    /// How many partitions.
    pub(super) partitions: usize,
    /// How many copies the partition with the fewest has.
    pub(super) replicas: usize,
    /// Whether every partition can be written to.
    pub(super) is_led: bool,
}

/// One question for many partitions. Kafka answers "where does it begin" and "where does it end"
/// as it answers "what lies at this time": the library passes the words on.
fn ask(
    client: &BaseConsumer<Quiet>,
    topic: Topic,
    partitions: &[Partition],
    place: rdkafka::Offset,
    wait: Duration,
) -> Result<BTreeMap<Partition, Offset>, BackboneError> {
    let list = places(partitions.iter().map(|partition| (topic, *partition, place)));
    let list = client.offsets_for_times(list, wait).map_err(|error| failed(&error))?;
    let mut answers = BTreeMap::new();
    for element in list.elements() {
        if let Err(error) = element.error() {
            return Err(error.rdkafka_error_code().map_or_else(|| failed(&error), refused));
        }
        if let rdkafka::Offset::Offset(offset) = element.offset() {
            answers.insert(ours(element.partition()), Offset(offset));
        }
    }
    Ok(answers)
}

/// Empties the clients' queues of log lines and errors, which would grow during an outage.
fn serve(lookup: &Weak<Lookup>) {
    while let Some(lookup) = lookup.upgrade() {
        let wait = Duration::from_millis(500);
        let _ = (lookup.committed.poll(wait), lookup.everything.poll(wait));
    }
}
