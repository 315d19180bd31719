//! The transactional producer.
//!
//! The library's commit flushes in steps of 100 ms, so everything is acknowledged before it is
//! called (measured: 3 times the throughput). Its abort serves no acknowledgements, so a thread of
//! the library's does. A producer that said anything unclear is dropped: the next one of its name
//! has the brokers end what was left open, one way or the other.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::backbone::BackboneError;
use crate::kafka::context;
use crate::kafka::failure::{broken, code, failed, forbidden};
use crate::kafka::limits;
use crate::kafka::member::Member;
use crate::kafka::records::{places, their_headers, theirs};
use crate::kafka::settings::Settings;
use crate::processor::ProcessorSpec;
use crate::record::{Header, NewRecord, Offset, Partition};
use crate::topic::Topic;

/// The step is not committed, or may not be: abort it.
#[derive(Debug)]
pub(super) struct Undone;

/// Where outputs are written. One transaction is open at a time.
pub(super) struct Desk {
    config: ClientConfig,
    producer: Option<Live>,
    flight: Arc<Flight>,
    is_ready: bool,
    is_open: bool,
}

type Live = ThreadedProducer<Deliveries>;

/// What was sent and is not acknowledged.
#[derive(Default)]
struct Flight {
    state: Mutex<InFlight>,
    landed: Condvar,
}

#[derive(Default)]
struct InFlight {
    records: usize,
    has_failed: bool,
    /// What the broker says this process has no right to.
    forbidden: Option<BackboneError>,
}

struct Deliveries(Arc<Flight>);

impl Desk {
    /// # Errors
    /// If the settings don't do.
    pub(super) fn open(settings: &Settings, spec: &ProcessorSpec) -> Result<Self, BackboneError> {
        // Stable, and its own in the group: coming back under it ends what it left open.
        let config = settings.transactional(&format!("{}-{}", spec.group, spec.instance));
        config.create_native_config().map_err(|error| failed(&error))?;
        let flight = Arc::default();
        Ok(Self { config, producer: None, flight, is_ready: false, is_open: false })
    }

    /// Whether the name is held, and nothing of an earlier life is open.
    pub(super) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Tries to become ready; not being so afterwards is no error.
    ///
    /// # Errors
    /// If trying again is no use.
    pub(super) fn make_ready(&mut self) -> Result<(), BackboneError> {
        if let Some(forbidden) = self.flight.state().forbidden.clone() {
            return Err(forbidden);
        }
        if self.is_ready {
            return Ok(());
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.make_producer()?,
        };
        match producer.init_transactions(limits::TRANSACTION_CALL) {
            Ok(()) => {
                self.is_ready = true;
                self.producer = Some(producer);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(code = code(&error), "kafka transactions can't be begun");
                if is_retriable(&error) {
                    self.producer = Some(producer);
                }
                match failed(&error) {
                    BackboneError::Refused { code } if !is_fatal(&error) => {
                        Err(BackboneError::Refused { code })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn make_producer(&mut self) -> Result<Live, BackboneError> {
        self.flight = Arc::default();
        let deliveries = Deliveries(Arc::clone(&self.flight));
        self.config.create_with_context(deliveries).map_err(|error| failed(&error))
    }

    /// Opens a transaction, if none is open.
    pub(super) fn begin(&mut self) -> Result<(), Undone> {
        if self.is_open {
            return Ok(());
        }
        let producer = self.producer.as_ref().filter(|_| self.is_ready).ok_or(Undone)?;
        producer.begin_transaction().map_err(|error| undone("begin", &error))?;
        self.is_open = true;
        Ok(())
    }

    /// Writes a record in the open transaction.
    pub(super) fn send(&self, record: &NewRecord, headers: &[Header]) -> Result<(), Undone> {
        let producer = self.producer.as_ref().ok_or(Undone)?;
        self.flight.wait_below(limits::STEP_IN_FLIGHT)?;
        let deadline = Instant::now() + limits::TRANSACTION_WAIT;
        loop {
            let mut message = BaseRecord::to(record.topic.name())
                .partition(theirs(record.partition))
                .key(record.key.as_ref());
            if let Some(value) = &record.value {
                message = message.payload(value.as_ref());
            }
            if !headers.is_empty() {
                message = message.headers(their_headers(headers));
            }
            self.flight.take_off();
            let Err((error, _)) = producer.send(message) else { return Ok(()) };
            self.flight.land(false);
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() >= deadline {
                return Err(undone("send", &error));
            }
            self.flight.wait_a_little();
        }
    }

    /// Commits the open transaction together with the places that the inputs were read to.
    pub(super) fn commit(
        &mut self,
        member: &Member,
        upto: &[(Topic, Partition, Offset)],
    ) -> Result<(), Undone> {
        self.flight.wait_below(1)?;
        let producer = self.producer.as_ref().ok_or(Undone)?;
        let offset = |offset: Offset| rdkafka::Offset::Offset(offset.0);
        let offsets = places(upto.iter().map(|(topic, p, next)| (*topic, *p, offset(*next))));
        // Of now, not of when the partitions came: a stale one is refused, and an empty one would
        // not be checked at all.
        let before = membership::now(member).ok_or(Undone)?;
        let group = member.consumer().group_metadata().ok_or(Undone)?;
        if membership::now(member).as_ref() != Some(&before) || member.consumer().assignment_lost()
        {
            return Err(Undone);
        }
        let call = limits::TRANSACTION_CALL;
        again("offsets", || {
            let sent = producer.send_offsets_to_transaction(&offsets, &group, call);
            sent.inspect_err(|error| self.note_forbidden(error, upto))
        })?;
        again("commit", || producer.commit_transaction(call))?;
        self.is_open = false;
        Ok(())
    }

    /// The broker lets only those commit a place in a topic who may read it.
    fn note_forbidden(&self, error: &KafkaError, upto: &[(Topic, Partition, Offset)]) {
        if let Some(forbidden) = forbidden(error, upto.iter().map(|(topic, ..)| *topic)) {
            self.flight.state().forbidden = Some(forbidden);
        }
    }

    /// Ends the open transaction without effect. Whatever can't be ended so ends with the producer.
    pub(super) fn abort(&mut self) {
        let Some(producer) = &self.producer else { return };
        let is_ended = || match producer.abort_transaction(limits::TRANSACTION_CALL) {
            Ok(()) => true,
            Err(error) => {
                undone("abort", &error);
                false
            }
        };
        let is_well = producer.client().fatal_error().is_none() && (!self.is_open || is_ended());
        self.is_open = false;
        if !(is_well && self.flight.is_over()) {
            self.is_ready = false;
            self.producer = None;
        }
    }
}

impl Flight {
    fn take_off(&self) {
        self.state().records += 1;
    }

    fn land(&self, has_failed: bool) {
        let mut state = self.state();
        state.records = state.records.saturating_sub(1);
        state.has_failed |= has_failed;
        // Those who wait, wait for none or for fewer than the bound.
        let is_news = state.records == 0 || state.has_failed;
        if is_news || state.records.is_multiple_of(limits::STEP_IN_FLIGHT / 8) {
            self.landed.notify_all();
        }
    }

    /// Waits until fewer than `limit` records are under way.
    fn wait_below(&self, limit: usize) -> Result<(), Undone> {
        let state = self.state();
        let waited = self.landed.wait_timeout_while(state, limits::TRANSACTION_WAIT, |state| {
            state.records >= limit && !state.has_failed
        });
        let (state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.has_failed || late.timed_out() { Err(Undone) } else { Ok(()) }
    }

    fn wait_a_little(&self) {
        let waited = self.landed.wait_timeout(self.state(), Duration::from_millis(20));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether all of an aborted transaction has come down; then what failed is forgotten.
    fn is_over(&self) -> bool {
        let wait = limits::ASK_BRIEFLY;
        let waited = self.landed.wait_timeout_while(self.state(), wait, |state| state.records > 0);
        let (mut state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_failed = false;
        !late.timed_out()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, InFlight> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Which topic may not be written the library says nowhere else; its errors come later and
        // say less.
        if facility == "ADDPARTS" && message.ends_with("Topic authorization failed") {
            let is_named = |topic: &&Topic| message.contains(&format!("\"{}\"", topic.name()));
            if let Some(topic) = Topic::ALL.iter().find(is_named) {
                let forbidden = broken(&format!("no right to write {}", topic.name()));
                self.0.state().forbidden = Some(forbidden);
            }
        }
        context::log(facility, message);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::debug!(code = code(&error), "kafka producer error");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        self.0.land(result.is_err());
    }
}

/// Calls again what may be called again, for as long as a transaction may live.
fn again(what: &str, call: impl Fn() -> Result<(), KafkaError>) -> Result<(), Undone> {
    let deadline = Instant::now() + limits::TRANSACTION_WAIT;
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(error) if is_retriable(&error) && Instant::now() < deadline => {}
            Err(error) => return Err(undone(what, &error)),
        }
        std::thread::park_timeout(limits::SETTLE_POLL);
    }
}

fn undone(what: &str, error: &KafkaError) -> Undone {
    tracing::warn!(what, code = code(error), "kafka transaction failed");
    Undone
}

fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable())
}

fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_fatal())
}

/// Who this member is to its group just now: the library's safe interface hides it.
mod membership {
    use std::ffi::CStr;

    use rdkafka::bindings;
    use rdkafka::consumer::Consumer;

    use super::Member;

    /// The member's id and the group's generation; nothing while it is in none.
    #[expect(unsafe_code, reason = "the library's safe interface has no way to read these")]
    pub(super) fn now(member: &Member) -> Option<(Vec<u8>, i32)> {
        let client = member.consumer().client().native_ptr();
        // SAFETY: the client lives as long as `member`. The metadata is a copy that is ours until
        // it is destroyed, and its member id lives as long as it does.
        let (id, generation) = unsafe {
            let metadata = bindings::rd_kafka_consumer_group_metadata(client);
            if metadata.is_null() {
                return None;
            }
            let id = bindings::rd_kafka_consumer_group_metadata_member_id(metadata);
            let id = if id.is_null() { Vec::new() } else { CStr::from_ptr(id).to_bytes().to_vec() };
            let generation = bindings::rd_kafka_consumer_group_metadata_generation_id(metadata);
            bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
            (id, generation)
        };
        (!id.is_empty() && generation >= 0).then_some((id, generation))
    }
}
