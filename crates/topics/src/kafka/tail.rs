//! Reading all of a topic without a group, on a thread of its own.
//!
//! When everything has been read is told by two questions in this order: where does each partition
//! end for a reader of what is committed, and has the library handed out everything up to there? Its
//! position counts the markers of transactions, which no record shows. The first question has a
//! thread too: a busy broker may take long to answer it, and reading goes on meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use super::context::Quiet;
use super::failure::{broken, code, failed, forbidden};
use super::limits;
use super::lookup::Lookup;
use super::on_thread;
use super::records::{offsets, places, record};
use super::settings::{Sees, Settings};
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Record, Watermarks};
use crate::tail::{Tail, TailBatch, TailEnd};
use crate::topic::Topic;

type Read = Result<TailBatch, BackboneError>;

/// A tail of one topic.
pub(super) struct KafkaTail {
    batches: mpsc::Receiver<Read>,
    ends: Vec<TailEnd>,
    ended: Option<BackboneError>,
}

/// The tail's thread.
struct Reader {
    topic: Topic,
    lookup: Arc<Lookup>,
    consumer: BaseConsumer<Quiet>,
    batches: mpsc::Sender<Read>,
    next: BTreeMap<Partition, Offset>,
    ends: Arc<Mutex<Ends>>,
    caught_up: BTreeMap<Partition, Micros>,
    /// Why the tail ends, once what was read before is told.
    failed: Option<BackboneError>,
}

/// Where the topic ended when that was last asked.
#[derive(Default)]
enum Ends {
    #[default]
    Unknown,
    At(Micros, BTreeMap<Partition, Offset>),
    /// Nobody answered; whether that was told.
    Unanswered(BackboneError, bool),
}

/// Where the tail is to begin in each partition.
///
/// # Errors
/// [`BackboneError::Missing`] if a wanted place is no longer kept.
pub(super) fn begin(
    topic: Topic,
    kept: &BTreeMap<Partition, Watermarks>,
    from: &[(Partition, Offset)],
) -> Result<BTreeMap<Partition, Offset>, BackboneError> {
    let mut next: BTreeMap<Partition, Offset> =
        kept.iter().map(|(partition, kept)| (*partition, kept.low)).collect();
    for (partition, wanted) in from {
        let kept = kept.get(partition).ok_or_else(|| broken("no such partition"))?;
        if *wanted < kept.low || *wanted > kept.high {
            return Err(missing(topic, *partition, kept.low, *wanted));
        }
        next.insert(*partition, *wanted);
    }
    Ok(next)
}

fn missing(topic: Topic, partition: Partition, low: Offset, wanted: Offset) -> BackboneError {
    BackboneError::Missing { topic: topic.name(), partition, low, wanted }
}

impl KafkaTail {
    /// Begins to read.
    ///
    /// # Errors
    /// If the settings don't do.
    pub(super) fn open(
        settings: &Settings,
        lookup: Arc<Lookup>,
        clock: Arc<dyn Clock>,
        topic: Topic,
        next: BTreeMap<Partition, Offset>,
    ) -> Result<Self, BackboneError> {
        let config = settings.reader("trailgate-tail", Sees::Committed);
        let consumer: BaseConsumer<Quiet> =
            config.create_with_context(Quiet).map_err(|error| failed(&error))?;
        let at = next.iter().map(|(p, offset)| (topic, *p, rdkafka::Offset::Offset(offset.0)));
        consumer.assign(&places(at)).map_err(|error| failed(&error))?;
        let end = |(partition, next): (&Partition, &Offset)| TailEnd {
            partition: *partition,
            next: *next,
            caught_up_at: None,
        };
        let ends = next.iter().map(end).collect();
        let (sender, batches) = mpsc::channel(limits::TAIL_BATCHES);
        let known = Arc::new(Mutex::new(Ends::Unknown));
        let (asked, asker) = (Arc::downgrade(&known), Arc::clone(&lookup));
        on_thread("kafka-ends", move || ask(topic, &asker, &*clock, &asked))?;
        let reader = Reader {
            topic,
            lookup,
            consumer,
            batches: sender,
            next,
            ends: known,
            caught_up: BTreeMap::new(),
            failed: None,
        };
        on_thread("kafka-tail", move || reader.run())?;
        Ok(Self { batches, ends, ended: None })
    }
}

#[async_trait]
impl Tail for KafkaTail {
    async fn next(&mut self, wait: Duration) -> Result<TailBatch, BackboneError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            if let Some(error) = &self.ended {
                return Err(error.clone());
            }
            match timeout_at(deadline, self.batches.recv()).await {
                Ok(Some(Ok(batch))) => {
                    self.ends.clone_from(&batch.ends);
                    if !batch.records.is_empty() {
                        return Ok(batch);
                    }
                }
                Ok(Some(Err(error @ BackboneError::Unreachable { .. }))) => return Err(error),
                Ok(Some(Err(error))) => self.ended = Some(error),
                Ok(None) => self.ended = Some(broken("tail ended")),
                Err(_) => return Ok(TailBatch { records: Vec::new(), ends: self.ends.clone() }),
            }
        }
    }
}

impl Reader {
    fn run(mut self) {
        while !self.batches.is_closed() {
            let told = match self.step() {
                // Only a newer time: whoever does not read now does not need it.
                Ok(batch) if batch.records.is_empty() => {
                    drop(self.batches.try_send(Ok(batch)));
                    Ok(())
                }
                Ok(batch) => self.batches.blocking_send(Ok(batch)),
                Err(error @ BackboneError::Unreachable { .. }) => {
                    self.batches.blocking_send(Err(error))
                }
                Err(error) => {
                    // Told or not, it is over.
                    drop(self.batches.blocking_send(Err(error)));
                    return;
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    fn step(&mut self) -> Read {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Some(error) = self.ends().outage() {
            return Err(error);
        }
        let records = self.read();
        for (partition, position) in self.positions() {
            if let Some(next) = self.next.get_mut(&partition) {
                *next = position.max(*next);
            }
        }
        let known = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ends::At(time, ends) = &*known {
            for (partition, next) in &self.next {
                if ends.get(partition).is_some_and(|end| next >= end) {
                    self.caught_up.insert(*partition, *time);
                }
            }
        }
        drop(known);
        let end = |(partition, next): (&Partition, &Offset)| TailEnd {
            partition: *partition,
            next: *next,
            caught_up_at: self.caught_up.get(partition).copied(),
        };
        Ok(TailBatch { records, ends: self.next.iter().map(end).collect() })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&mut self) -> Vec<Record> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut wait = limits::POLL_WAIT;
        while records.len() < limits::TAIL_RECORDS && bytes < limits::TAIL_BYTES {
            let record = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => record(self.topic, &message),
                Some(Err(error)) => {
                    self.failed = self.failure_of(&error);
                    if self.failed.is_some() {
                        break;
                    }
                    continue;
                }
            };
            wait = Duration::ZERO;
            bytes += record.key.len() + record.value.as_ref().map_or(0, bytes::Bytes::len);
            self.next.insert(record.partition, record.offset.next());
            records.push(record);
        }
        records
    }

    /// What ends the tail; the library goes on by itself after anything else.
    fn failure_of(&self, error: &KafkaError) -> Option<BackboneError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset) => Some(self.find_missing()),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => forbidden(error, [self.topic]),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Some(failed(error)),
            _ => {
                tracing::debug!(code = code(error), "kafka tail error");
                None
            }
        }
    }

    fn find_missing(&self) -> BackboneError {
        let kept = match self.lookup.watermarks(self.topic, limits::ASK_WAIT) {
            Ok(kept) => kept,
            Err(error) => return error,
        };
        let positions = self.positions();
        for (partition, next) in &self.next {
            let at = positions.get(partition).copied().unwrap_or(*next).max(*next);
            let kept = kept.get(partition).filter(|kept| at < kept.low || at > kept.high);
            if let Some(kept) = kept {
                return missing(self.topic, *partition, kept.low, *next);
            }
        }
        broken("a partition can't be read on")
    }

    fn positions(&self) -> BTreeMap<Partition, Offset> {
        let positions = self.consumer.position();
        positions.map(|list| offsets(self.topic, &list).into_iter().collect()).unwrap_or_default()
    }
}

impl Ends {
    /// An outage that was not told yet.
    fn outage(&mut self) -> Option<BackboneError> {
        match self {
            Self::Unanswered(error, is_told) if !*is_told => {
                *is_told = true;
                Some(error.clone())
            }
            Self::Unanswered(..) | Self::Unknown | Self::At(..) => None,
        }
    }
}

/// Asks where the partitions end, now and then, until the tail is gone.
fn ask(topic: Topic, lookup: &Lookup, clock: &dyn Clock, known: &Weak<Mutex<Ends>>) {
    while let Some(known) = known.upgrade() {
        // Brokers stamp whole milliseconds: what they stamp from now on is not before this one.
        let time = Micros(clock.now().0 / 1_000 * 1_000);
        let answer = lookup.ends(topic, Sees::Committed, limits::ASK_BRIEFLY);
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = match (answer, &*known) {
            (Ok(ends), _) => Ends::At(time, ends),
            (Err(error), Ends::Unanswered(_, is_told)) => Ends::Unanswered(error, *is_told),
            (Err(error), Ends::Unknown | Ends::At(..)) => Ends::Unanswered(error, false),
        };
        drop(known);
        std::thread::park_timeout(limits::ENDS_EVERY);
    }
}
