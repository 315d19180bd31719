//! Appending: an idempotent producer, so that a record that is sent again after a lost answer is
//! still there once, and in its place.
//!
//! While the brokers are known to be out of reach callers are refused at once. Known, not guessed:
//! the library says that all connections are down also when an idle one was closed, so a thread asks
//! first, and asks on until somebody answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::context;
use super::failure::{code, failed};
use super::records::{length, theirs};
use super::settings::{Compression, Settings};
use super::{limits, on_thread};
use crate::append::{Ack, AckSender, AppendError, Appender};
use crate::backbone::BackboneError;
use crate::limits::RECORD_MAX_BYTES;
use crate::record::{NewRecord, Offset};
use crate::topic::Topic;

/// An appender. Its producers end in their own time when it is dropped.
pub(super) struct KafkaAppender(Arc<Lanes>);

/// One producer for sealed topics and one for the others, since a producer compresses all or
/// nothing.
struct Lanes {
    health: Arc<Health>,
    sealed: Lane,
    clear: Lane,
}

/// A producer, and the place of the next one after an error that it does not survive.
struct Lane {
    config: ClientConfig,
    health: Arc<Health>,
    producer: RwLock<Option<Arc<Live>>>,
}

type Live = ThreadedProducer<Deliveries>;

/// Whether the brokers answer.
struct Health {
    is_down: AtomicBool,
    suspicions: SyncSender<()>,
}

/// What the library calls back.
struct Deliveries {
    health: Arc<Health>,
    is_dead: AtomicBool,
}

impl KafkaAppender {
    /// Makes the producers; they connect by themselves.
    ///
    /// # Errors
    /// If the settings don't do.
    pub(super) fn open(settings: &Settings) -> Result<Self, BackboneError> {
        // One waiting suspicion is as good as many.
        let (suspicions, suspected) = sync_channel(1);
        let health = Arc::new(Health { is_down: AtomicBool::new(false), suspicions });
        let lane = |compression| Lane::open(settings.appender(compression), &health);
        let (sealed, clear) = (lane(Compression::None)?, lane(Compression::Lz4)?);
        let lanes = Arc::new(Lanes { health, sealed, clear });
        let weak = Arc::downgrade(&lanes);
        on_thread("kafka-probe", move || probe(&weak, &suspected))?;
        Ok(Self(lanes))
    }
}

impl Appender for KafkaAppender {
    fn append(&self, record: NewRecord) -> Ack {
        if length(&record) > RECORD_MAX_BYTES {
            return Ack::refused(AppendError::TooLong);
        }
        if self.0.health.is_down.load(Ordering::Relaxed) {
            return Ack::refused(AppendError::Failed);
        }
        let lane = if record.topic.is_sealed() { &self.0.sealed } else { &self.0.clear };
        lane.send(record)
    }
}

impl Lane {
    fn open(config: ClientConfig, health: &Arc<Health>) -> Result<Self, BackboneError> {
        let producer = RwLock::new(Some(producer(&config, health)?));
        Ok(Self { config, health: Arc::clone(health), producer })
    }

    fn send(&self, record: NewRecord) -> Ack {
        let Some(producer) = self.producer() else { return Ack::refused(AppendError::Failed) };
        let (sender, ack) = Ack::channel();
        let mut message = BaseRecord::with_opaque_to(record.topic.name(), Box::new(sender))
            .partition(theirs(record.partition))
            .key(record.key.as_ref());
        if let Some(value) = &record.value {
            message = message.payload(value.as_ref());
        }
        if let Err((error, message)) = producer.send(message) {
            tell(*message.delivery_opaque, Err(append_error(&error)));
        }
        ack
    }

    /// The producer, made anew if the last one is beyond repair.
    fn producer(&self) -> Option<Arc<Live>> {
        let current = self.producer.read().unwrap_or_else(PoisonError::into_inner).clone();
        match current {
            Some(producer) if !producer.context().is_dead.load(Ordering::Relaxed) => Some(producer),
            Some(dead) => self.replace(&dead),
            None => None,
        }
    }

    fn replace(&self, dead: &Arc<Live>) -> Option<Arc<Live>> {
        let mut current = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(other) if !Arc::ptr_eq(other, dead) => return Some(Arc::clone(other)),
            Some(_) | None => {}
        }
        let new = producer(&self.config, &self.health).ok()?;
        tracing::warn!("kafka producer is made anew");
        retire(current.replace(Arc::clone(&new)));
        Some(new)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        retire(self.producer.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn producer(config: &ClientConfig, health: &Arc<Health>) -> Result<Arc<Live>, BackboneError> {
    let deliveries = Deliveries { health: Arc::clone(health), is_dead: AtomicBool::new(false) };
    config.create_with_context(deliveries).map(Arc::new).map_err(|error| failed(&error))
}

/// Ends a producer once what it was given is acknowledged or given up. That blocks, and whoever
/// drops an appender must not.
fn retire(producer: Option<Arc<Live>>) {
    let Some(producer) = producer else { return };
    let thread = std::thread::Builder::new().name("kafka-retire".to_owned());
    // Without a thread it ends here, blocking after all.
    let _ = thread.spawn(move || {
        let _ = producer.flush(limits::ACK_WAIT + limits::PROBE_WAIT);
    });
}

/// Looks into suspicions until the appender is gone.
fn probe(lanes: &Weak<Lanes>, suspected: &Receiver<()>) {
    while suspected.recv().is_ok() {
        let mut failures = 0;
        while let Some(lanes) = lanes.upgrade() {
            let began = Instant::now();
            let Some(producer) = lanes.sealed.producer() else { return };
            match producer.client().fetch_metadata(Some(PROBE_TOPIC), limits::PROBE_WAIT) {
                Ok(_) => {
                    lanes.health.rise();
                    break;
                }
                // The first may have met the very connection that was just closed.
                Err(_) if failures == 0 => failures = 1,
                Err(error) => lanes.health.fall(&error),
            }
            drop((producer, lanes));
            std::thread::park_timeout(limits::PROBE_EVERY.saturating_sub(began.elapsed()));
        }
    }
}

impl Health {
    fn suspect(&self) {
        // Full is as good: it is looked into.
        let _ = self.suspicions.try_send(());
    }

    fn rise(&self) {
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("kafka answers again");
        }
    }

    fn fall(&self, error: &KafkaError) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(code = code(error), "kafka can't be reached; records are refused");
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(facility, message);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => self.is_dead.store(true, Ordering::Relaxed),
            _ => self.health.suspect(),
        }
        tracing::debug!(code = code(&error), "kafka producer error");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<AckSender>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => {
                self.health.rise();
                Ok(Offset(message.offset()))
            }
            Err((error, _)) => {
                let error = append_error(error);
                if error == AppendError::TimedOut {
                    self.health.suspect();
                }
                Err(error)
            }
        };
        tell(*sender, outcome);
    }
}

fn append_error(error: &KafkaError) -> AppendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => AppendError::Full,
        Some(RDKafkaErrorCode::MessageTimedOut) => AppendError::TimedOut,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => AppendError::TooLong,
        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => AppendError::Closed,
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => AppendError::Forbidden,
        _ => AppendError::Failed,
    }
}

/// Whoever asked may no longer wait.
fn tell(sender: AckSender, outcome: Result<Offset, AppendError>) {
    let _ = sender.send(outcome);
}

/// Asking after one topic is cheaper than after all; it need not be there.
const PROBE_TOPIC: &str = Topic::Raw.name();
