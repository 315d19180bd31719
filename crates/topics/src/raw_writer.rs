//! The one way into `audit.raw`: an event is numbered, sealed and appended, in that order, under one
//! short lock for each partition, so that a producer's numbers are dense in the log. What the masker
//! finds missing among them was lost; what a heartbeat says was abandoned never was there.

mod heartbeat;
mod numbers;
mod recording;
mod seal;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::Notify;
use trailgate_envelope::Sealer;
use trailgate_schemas::{AuditEvent, ProducerId};
use trailgate_service::{Clock, Ids, Stop};

use self::numbers::Numbers;
use crate::append::{Ack, AppendError, Appender};
use crate::backbone::{Backbone, BackboneError};
use crate::record::{NewRecord, Partition};
use crate::registry::RegistryError;
use crate::topic::Topic;

pub use self::heartbeat::Heartbeat;
pub use self::recording::{Recording, Recordings};
pub use self::seal::RawSeal;

/// Why a writer could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RawWriterError {
    /// The schemas could not be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The backbone gives no appender.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

impl RawWriterError {
    /// Whether to try again after a while; else a person must act.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Backbone(error) => error.is_transient(),
        }
    }

    /// What is waited for, in one word, while it is transient.
    #[must_use]
    pub const fn awaited(&self) -> &'static str {
        match self {
            Self::Registry(_) => "registry_unreachable",
            Self::Backbone(_) => "backbone_unreachable",
        }
    }
}

/// Why an event is not recorded. What it tells of must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not now: the backbone did not take it, or did not say so in time. Try again later.
    #[error("not now: {0}")]
    NotNow(AppendError),
    /// A person must give this process the right to write.
    #[error("backbone refused: no right to write audit.raw")]
    Forbidden,
    /// It is longer than a record may be: send the rest in the next piece.
    #[error("event is too long")]
    TooLong,
    /// A mistake of this program: it does not encode or does not seal.
    #[error("event does not encode or seal")]
    Broken,
}

/// The way into `audit.raw` of one process. A clone is the same writer.
#[derive(Clone)]
pub struct RawWriter(Arc<Shared>);

struct Shared {
    appender: Arc<dyn Appender>,
    seal: RawSeal,
    stage: &'static str,
    producer: ProducerId,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    partitions: Vec<Mutex<Numbers>>,
    /// A number was abandoned.
    abandoned: Arc<Notify>,
    /// The backbone denied the right to write.
    forbidden: Arc<Notify>,
}

impl RawWriter {
    /// A writer for this process, under a producer id of its own: registers the schemas, and begins
    /// to send heartbeats on the runtime that it is called in.
    ///
    /// # Errors
    /// [`RawWriterError`]; a registry that can't be reached may be tried again.
    pub async fn start(
        backbone: Arc<dyn Backbone>,
        sealer: impl Into<Arc<Sealer>>,
        stage: &'static str,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, RawWriterError> {
        let seal = RawSeal::register(backbone.registry().as_ref(), sealer).await?;
        let partitions = (0..backbone.partitions()).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared {
            appender: backbone.appender()?,
            seal,
            stage,
            producer: ids.producer(),
            clock,
            ids,
            partitions,
            abandoned: Arc::new(Notify::new()),
            forbidden: Arc::new(Notify::new()),
        });
        tokio::spawn(heartbeat::beat(Arc::downgrade(&shared), Arc::clone(&shared.abandoned)));
        Ok(Self(shared))
    }

    /// Takes an event now; the recording resolves when it is durable. The producer's id and number
    /// are set here. Encodes and seals on the caller's thread, some 10 µs for each KiB.
    pub fn record(&self, event: AuditEvent) -> Recording {
        let count = u32::try_from(self.0.partitions.len()).unwrap_or(u32::MAX);
        let partition = Partition::of_session(event.session_id, count);
        let mut numbers = self.0.numbers(partition);
        let room = numbers.room_for(&event);
        let number = room.and_then(|()| self.0.write(partition, &mut numbers, event));
        drop(numbers);
        match number {
            Ok((number, ack)) => Recording::under_way(&self.0, partition, number, ack),
            Err(error) => Recording::refused(error),
        }
    }

    /// Takes several events in their order; resolves when all are settled. Behind one that is
    /// refused at once none is taken.
    pub fn record_all(&self, events: impl IntoIterator<Item = AuditEvent>) -> Recordings {
        let mut recordings = Vec::new();
        for event in events {
            let recording = self.record(event);
            let is_refused = recording.is_refused();
            recordings.push(recording);
            if is_refused {
                break;
            }
        }
        Recordings::new(recordings)
    }

    /// Asks the process to stop when the backbone denies the right to write: nothing could happen any
    /// more, and [`Self::finish`] says why.
    pub fn stop_if_forbidden(&self, stop: &Stop) {
        let (forbidden, stop) = (Arc::clone(&self.0.forbidden), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = forbidden.notified() => stop.ask(),
                () = stop.asked() => {}
            }
        });
    }

    /// This process's id as a producer.
    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.0.producer
    }

    /// Takes no more events, waits for those under way, and sends each partition its last
    /// heartbeat.
    ///
    /// # Errors
    /// If one of those was not recorded: the masker will find this producer silent.
    pub async fn finish(self) -> Result<(), RecordError> {
        heartbeat::finish(&self.0).await
    }
}

impl std::fmt::Debug for RawWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawWriter({} as {})", self.0.stage, self.0.producer)
    }
}

impl Shared {
    fn numbers(&self, partition: Partition) -> MutexGuard<'_, Numbers> {
        // A partition is always below the count of these.
        self.partitions[partition.0 as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers, seals and appends. A number is used up unless the event was certainly not taken.
    fn write(
        &self,
        partition: Partition,
        numbers: &mut Numbers,
        mut event: AuditEvent,
    ) -> Result<(i64, Ack), RecordError> {
        let number = numbers.next();
        event.producer_id = self.producer;
        event.producer_number = number;
        let value = self.seal.seal(&event)?;
        let key = Bytes::from(event.session_id.to_string());
        let record = NewRecord { topic: Topic::Raw, partition, key, value: Some(value) };
        let mut ack = self.appender.append(record);
        match (&mut ack).now_or_never() {
            Some(Err(AppendError::TooLong)) => return Err(RecordError::TooLong),
            Some(Err(AppendError::Full)) => return Err(RecordError::NotNow(AppendError::Full)),
            // A oneshot that has spoken does not speak again: its answer goes into another.
            Some(answer) => {
                let (sender, spoken) = Ack::channel();
                // The receiver is alive: it is in `spoken`.
                let _ = sender.send(answer);
                ack = spoken;
            }
            None => {}
        }
        numbers.used(&event);
        Ok((number, ack))
    }

    /// The fate of a number is known.
    fn settle(&self, partition: Partition, number: i64, is_recorded: bool) {
        self.numbers(partition).settled(number, is_recorded);
        if !is_recorded {
            self.abandoned.notify_one();
        }
    }
}
