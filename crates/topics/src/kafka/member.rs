//! A member of a consumer group, as what happens to it. The library's rebalance callback only takes
//! note; what must be done is done by the thread that polls, between two events. So nothing of ours
//! runs inside the library, and a revocation may take its time while the thread polls on.
//!
//! Cooperative-sticky: only what moves stops. Static names: a member that comes back within its
//! session gets its partitions without a rebalance; the price is that those of one that leaves for
//! good move only when its session ends.
//!
//! A member of several topics tells the group of the first alone, and whoever is given a partition
//! of it takes the same partition of the others by itself. So they always go together, and no
//! assignor of our own is needed. The library keeps what the group gave, which it tells the group,
//! apart from what is assigned, and answers a revocation when all that was let go has stopped (read
//! in 2.12.1: `rkcg_group_assignment`, `rd_kafka_assignment_serve`). Subscribing to all of them
//! would not do: cooperative-sticky shares out each topic for itself and parts them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::context;
use super::failure::{broken, code, failed, forbidden};
use super::limits;
use super::lookup::Lookup;
use super::names::{Name, Names};
use super::records::{list, offsets, ours, partitions, places, record};
use super::settings::{Sees, Settings};
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Record};
use crate::topic::Topic;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Record(Record),
    /// Partitions came, of all topics. Nothing of them is read before [`Member::start`].
    Assigned(Vec<Partition>),
    /// Partitions are to go: [`Member::let_go`] of them.
    Revoked(Vec<Partition>),
    /// Partitions are gone: [`Member::let_go`] of them.
    Lost(Vec<Partition>),
    /// The place of some partition is gone from the topic; the library has stopped reading it.
    OutOfRange,
    /// The brokers may be out of reach.
    Unreachable,
    /// Somebody else has joined by this name, or the like: this member is none any more.
    Fenced(String),
    /// It can't read: the right to is missing, say.
    Forbidden(BackboneError),
}

/// A member. Dropping it leaves in order, which may take a while.
pub(super) struct Member {
    consumer: BaseConsumer<Context>,
    /// The first is what the group shares out.
    topics: Vec<Topic>,
    lookup: Arc<Lookup>,
    /// When to try again to take partitions that came.
    take_at: Instant,
    /// Let go after the consumer: the next of this name waits for it.
    _name: Name,
}

/// When a member of this name was fenced last. One that is fenced joins anew, once: the brokers may
/// have taken a request of its own, late from an outage, for another's. A twin that lives fences it
/// again, and then it gives way: of two, the one that came last stays.
#[derive(Default)]
pub(super) struct Fences(Option<Instant>);

impl Fences {
    /// Takes note of a fence, and says whether to join anew.
    pub(super) fn may_rejoin(&mut self) -> bool {
        let last = self.0.replace(Instant::now());
        last.is_none_or(|last| last.elapsed() > limits::FENCED_AGAIN)
    }
}

/// What the callbacks took note of.
#[derive(Default)]
pub(super) struct Context {
    events: Mutex<VecDeque<Event>>,
    commit_failed: AtomicBool,
    is_closing: AtomicBool,
}

impl Member {
    /// Makes a member of the group; it joins when it is told to.
    ///
    /// # Errors
    /// If the settings don't do, or its name stays taken.
    pub(super) fn open(
        settings: &Settings,
        topics: &[Topic],
        (group, instance): (&str, &str),
        (lookup, names): (&Arc<Lookup>, &Names),
    ) -> Result<Self, BackboneError> {
        let name = names.take(group, instance)?;
        let config = settings.member(group, instance);
        let consumer = config.create_with_context(Context::default());
        let consumer = consumer.map_err(|error| failed(&error))?;
        let (topics, lookup) = (topics.to_vec(), Arc::clone(lookup));
        Ok(Self { consumer, topics, lookup, take_at: Instant::now(), _name: name })
    }

    /// # Errors
    /// If the library refuses, which it does only for a wrong topic's name.
    pub(super) fn join(&self) -> Result<(), BackboneError> {
        let lead = self.topics.first().ok_or_else(|| broken("member of no topic"))?;
        self.consumer.subscribe(&[lead.name()]).map_err(|error| failed(&error))
    }

    /// What happened next, or nothing within `wait`.
    pub(super) fn poll(&mut self, wait: Duration) -> Option<Event> {
        if let Some(event) = self.noted() {
            return Some(event);
        }
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                let topic = self.topics.iter().find(|topic| topic.name() == message.topic())?;
                Some(Event::Record(record(*topic, &message)))
            }
            Some(Err(error)) => match forbidden(&error, self.topics.iter().copied()) {
                Some(forbidden) => Some(Event::Forbidden(forbidden)),
                None => event_of(&error),
            },
            // A callback may have taken note of something.
            None => self.noted(),
        }
    }

    /// What a callback took note of. Partitions that came are taken first; while the brokers don't
    /// say where they end, the group's answer waits.
    fn noted(&mut self) -> Option<Event> {
        let came = match self.context().next()? {
            Event::Assigned(came) => came,
            event => return Some(event),
        };
        let now = Instant::now();
        if now >= self.take_at {
            match self.take(&came) {
                Ok(()) => return Some(Event::Assigned(came)),
                Err(BackboneError::Unreachable { code }) => {
                    tracing::debug!(code, "kafka consumer can't take its partitions yet");
                    self.take_at = Instant::now() + limits::RETRY_EVERY;
                }
                Err(error) => return Some(Event::Forbidden(error)),
            }
        }
        self.context().events().push_front(Event::Assigned(came));
        None
    }

    /// Takes partitions that came, at their ends, which are always there, whatever the topics still
    /// hold. As numbers: the library asks for a place that is a word again whenever the answer comes
    /// behind a call, also behind a seek, and what lies between would never be read (2.12.1,
    /// `rd_kafka_toppar_handle_Offset`).
    fn take(&self, came: &[Partition]) -> Result<(), BackboneError> {
        let mut at = Vec::new();
        for topic in &self.topics {
            let ends = self.lookup.ends(*topic, Sees::Committed, limits::ASK_BRIEFLY)?;
            for partition in came {
                let end = ends.get(partition).ok_or_else(|| BackboneError::Unreachable {
                    code: "NoEndOfPartition".to_owned(),
                })?;
                at.push((*topic, *partition, rdkafka::Offset::Offset(end.0)));
            }
        }
        self.consumer.incremental_assign(&places(at)).map_err(|error| failed(&error))?;
        self.hold_all(came)
    }

    /// Lets partitions go, of all topics.
    ///
    /// # Errors
    /// If the library refuses.
    pub(super) fn let_go(&self, going: &[Partition]) -> Result<(), BackboneError> {
        let list = list(&self.topics, going);
        self.consumer.incremental_unassign(&list).map_err(|error| failed(&error))
    }

    /// Stops reading partitions that are held; what was fetched of them does not come.
    ///
    /// # Errors
    /// If the library refuses.
    pub(super) fn hold(&self, topic: Topic, held: &[Partition]) -> Result<(), BackboneError> {
        self.pause(&[topic], held)
    }

    /// Stops reading partitions of all topics.
    ///
    /// # Errors
    /// If the library refuses.
    pub(super) fn hold_all(&self, held: &[Partition]) -> Result<(), BackboneError> {
        self.pause(&self.topics, held)
    }

    fn pause(&self, topics: &[Topic], held: &[Partition]) -> Result<(), BackboneError> {
        if held.is_empty() {
            return Ok(());
        }
        self.consumer.pause(&list(topics, held)).map_err(|error| failed(&error))
    }

    /// Reads partitions from their places on. Those that could not be started for now are left out
    /// of the answer.
    pub(super) fn start(&self, topic: Topic, from: &BTreeMap<Partition, Offset>) -> Vec<Partition> {
        if from.is_empty() {
            return Vec::new();
        }
        let at = from.iter().map(|(p, offset)| (topic, *p, rdkafka::Offset::Offset(offset.0)));
        let sought = self.consumer.seek_partitions(places(at), limits::ASK_BRIEFLY);
        let Ok(sought) = sought else { return Vec::new() };
        let elements = sought.elements();
        let well = elements.iter().filter(|element| element.error().is_ok());
        let started: Vec<Partition> = well.map(|element| ours(element.partition())).collect();
        match self.consumer.resume(&list(&[topic], &started)) {
            Ok(()) => started,
            Err(_) => Vec::new(),
        }
    }

    /// How far the library has handed records out since a partition was last started, markers of
    /// transactions included, of partitions where it has.
    pub(super) fn positions(&self) -> BTreeMap<(Topic, Partition), Offset> {
        self.consumer.position().map(|list| self.offsets(&list)).unwrap_or_default()
    }

    /// Commits places without waiting. Whether that failed is known later.
    pub(super) fn commit(&self, topic: Topic, offsets: &[(Partition, Offset)]) {
        if offsets.is_empty() {
            return;
        }
        let at = offsets.iter().map(|(p, offset)| (topic, *p, rdkafka::Offset::Offset(offset.0)));
        if self.consumer.commit(&places(at), CommitMode::Async).is_err() {
            self.context().commit_failed.store(true, Ordering::Relaxed);
        }
    }

    /// Commits the last places of a member that leaves, and waits until they are committed, but not for
    /// long: else whoever comes next reads what was delivered again. While the group shares anew it
    /// takes no places, and goes on only with members that poll.
    pub(super) fn commit_last(&mut self, topic: Topic, offsets: &[(Partition, Offset)]) {
        if offsets.is_empty() {
            return;
        }
        let at = offsets.iter().map(|(p, offset)| (topic, *p, rdkafka::Offset::Offset(offset.0)));
        let places = places(at);
        let deadline = Instant::now() + limits::ASK_BRIEFLY;
        while let Err(error) = self.consumer.commit(&places, CommitMode::Sync) {
            let is_busy = error.rdkafka_error_code() == Some(RDKafkaErrorCode::RebalanceInProgress);
            if !is_busy || Instant::now() >= deadline {
                tracing::debug!(
                    code = code(&error),
                    "kafka consumer leaves without its last places"
                );
                return;
            }
            if let Some(event) = self.poll(limits::POLL_WAIT) {
                self.answer(event);
            }
        }
    }

    /// Answers what happens to a member that leaves.
    fn answer(&self, event: Event) {
        match event {
            // Nothing of it is read any more. What was taken already the library refuses.
            Event::Assigned(came) => {
                drop(self.consumer.incremental_assign(&list(&self.topics, &came)));
            }
            Event::Revoked(going) | Event::Lost(going) => drop(self.let_go(&going)),
            Event::Record(_)
            | Event::OutOfRange
            | Event::Unreachable
            | Event::Fenced(_)
            | Event::Forbidden(_) => {}
        }
    }

    /// Whether a commit has failed since this was last asked.
    pub(super) fn has_commit_failed(&self) -> bool {
        self.context().commit_failed.swap(false, Ordering::Relaxed)
    }

    /// The group's committed places in all topics, once no transaction that may still move them is
    /// open.
    ///
    /// # Errors
    /// If no answer comes within `wait`.
    pub(super) fn committed(
        &self,
        of: &[Partition],
        wait: Duration,
    ) -> Result<BTreeMap<(Topic, Partition), Offset>, BackboneError> {
        let answer = self.consumer.committed_offsets(list(&self.topics, of), wait);
        let answer = answer.map_err(|error| failed(&error))?;
        if answer.elements().iter().any(|element| element.error().is_err()) {
            return Err(BackboneError::Unreachable { code: "NoCommittedOffsets".to_owned() });
        }
        Ok(self.offsets(&answer))
    }

    fn offsets(&self, list: &TopicPartitionList) -> BTreeMap<(Topic, Partition), Offset> {
        let of = |topic: &Topic| {
            let topic = *topic;
            offsets(topic, list).into_iter().map(move |(p, offset)| ((topic, p), offset))
        };
        self.topics.iter().flat_map(of).collect()
    }

    /// Whether it is a member no more, which also makes its calls fail.
    pub(super) fn is_fenced(&self) -> bool {
        self.consumer.client().fatal_error().is_some()
    }

    /// The library's consumer, for what only a transaction needs.
    pub(super) const fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    fn context(&self) -> &Context {
        self.consumer.client().context()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.context().is_closing.store(true, Ordering::Relaxed);
        // The library does not close before it has its answers.
        while let Some(event) = self.context().next() {
            self.answer(event);
        }
    }
}

impl Context {
    fn next(&self) -> Option<Event> {
        self.events().pop_front()
    }

    fn note(&self, event: Event) {
        self.events().push_back(event);
    }

    fn events(&self) -> std::sync::MutexGuard<'_, VecDeque<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(facility, message);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::debug!(code = code(&error), "kafka consumer error");
    }
}

impl ConsumerContext for Context {
    // The library gives one event at a time, and waits with the next until it is answered.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let moved = partitions(list);
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.note(Event::Assigned(moved));
            }
            // While it closes nobody polls for notes, and it waits for the answer.
            _ if self.is_closing.load(Ordering::Relaxed) => {
                let _ = consumer.incremental_unassign(list);
            }
            _ if consumer.assignment_lost() => self.note(Event::Lost(moved)),
            _ => self.note(Event::Revoked(moved)),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if result.is_err() {
            self.commit_failed.store(true, Ordering::Relaxed);
        }
    }
}

fn event_of(error: &KafkaError) -> Option<Event> {
    let rdkafka_code = error.rdkafka_error_code();
    match (error, rdkafka_code) {
        (KafkaError::MessageConsumptionFatal(_), _) | (_, Some(RDKafkaErrorCode::Fatal)) => {
            Some(Event::Fenced(code(error)))
        }
        (_, Some(RDKafkaErrorCode::AutoOffsetReset)) => Some(Event::OutOfRange),
        (
            _,
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ),
        ) => Some(Event::Unreachable),
        _ => {
            // The library goes on by itself: a leader moved, say.
            tracing::warn!(code = code(error), "kafka consumer error");
            None
        }
    }
}

/// That a consumer can't go on.
pub(super) fn fenced(code: &str) -> BackboneError {
    broken(&format!("member is fenced: {code}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;
    use crate::config::{Durability, KafkaConfig};

    const PARTITIONS: u32 = 24;
    /// How slow the brokers are.
    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// Each partition is started at another time after it came, as far as the library is then.
    #[test]
    fn whenever_a_partition_is_started_what_lies_behind_its_place_is_read() {
        let cluster = MockCluster::new(1).unwrap();
        let count = i32::try_from(PARTITIONS).unwrap();
        cluster.create_topic(Topic::Claims.name(), count, 1).unwrap();
        let settings = Settings::new(&KafkaConfig {
            bootstrap: cluster.bootstrap_servers(),
            registry: String::new(),
            partitions: PARTITIONS,
            durability: Durability::OneBroker,
            properties: BTreeMap::new(),
        })
        .unwrap();
        let producer: BaseProducer = settings.client().create().unwrap();
        for partition in 0..count {
            for value in ["a", "b"] {
                let record = BaseRecord::<(), str>::to(Topic::Claims.name());
                producer.send(record.partition(partition).payload(value)).unwrap();
            }
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        cluster.broker_round_trip_time(1, ROUND_TRIP).unwrap();

        let names = Names::default();
        let lookup = Lookup::open(&settings, PARTITIONS).unwrap();
        let of = (&lookup, &names);
        let mut member = Member::open(&settings, &[Topic::Claims], ("group", "a"), of).unwrap();
        member.join().unwrap();
        let mut came = None;
        let mut read = BTreeSet::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while read.len() < PARTITIONS as usize && Instant::now() < deadline {
            match member.poll(limits::POLL_WAIT) {
                Some(Event::Assigned(partitions)) => {
                    came = Some((Instant::now(), partitions));
                }
                Some(Event::Record(record)) => {
                    read.insert(record.partition);
                }
                _ => {}
            }
            let Some((at, waiting)) = &mut came else { continue };
            let passed = at.elapsed();
            let due = |p: &mut Partition| passed > Duration::from_millis(30) * p.0;
            let from = waiting.extract_if(.., due).map(|p| (p, Offset(0))).collect();
            let started = member.start(Topic::Claims, &from);
            waiting.extend(from.into_keys().filter(|p| !started.contains(p)));
        }
        assert_eq!(read, (0..PARTITIONS).map(Partition).collect());
    }
}
