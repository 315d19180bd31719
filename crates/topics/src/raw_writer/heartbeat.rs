//! What a producer says of itself on each partition it has written: how many numbers it gave, which
//! of them were abandoned, which streams are open. It is sealed and numbered as every other record,
//! so the masker that has seen all numbers before it can compare state with state.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, Kind, Outcome, PayloadState, Place, ProducerId, Required,
    Resource, SessionId, SessionRule, SourceAddress, StreamId,
};

use super::numbers::Numbers;
use super::recording::Recording;
use super::{RecordError, Shared};
use crate::limits;
use crate::record::Partition;
use crate::topic::Topic;

/// The payload of an event of kind heartbeat, as JSON. The event's `count` is how many numbers its
/// producer has given on this partition, this heartbeat's own included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The streams that are open behind this number, each with how many records it has so far.
    pub streams: BTreeMap<StreamId, i64>,
    /// Ranges of numbers, first and last, whose records failed: if they are missing in the log,
    /// nothing was lost, since what they told of did not happen. They may be there nevertheless.
    pub abandoned: Vec<(i64, i64)>,
    /// The fate of every number below this one is known: it is in the log, or it was told as
    /// abandoned here or before. A number that is neither was lost.
    pub settled_below: i64,
    /// Which part of what is told at this moment this is, from 0; parts follow one another.
    pub part: usize,
    /// How many parts there are.
    pub parts: usize,
    /// The producer ends: nothing of it comes behind this.
    pub is_last: bool,
}

impl Heartbeat {
    /// The heartbeat that an event carries, if it is one and reads as one.
    #[must_use]
    pub fn of(event: &AuditEvent) -> Option<Self> {
        let payload = event.payload.as_ref().filter(|_| event.kind == Kind::Heartbeat)?;
        serde_json::from_str(payload).ok()
    }

    /// The session of a partition's heartbeats: an id that maps to that partition, however many
    /// there are, with the rest from the producer's.
    #[must_use]
    pub fn session(producer: ProducerId, partition: Partition) -> SessionId {
        let mut bytes = *producer.0.as_bytes();
        bytes[..4].copy_from_slice(&partition.0.to_be_bytes());
        SessionId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// What is told of `numbers` now, in parts.
    pub(super) fn parts(numbers: &Numbers, is_last: bool) -> Vec<Self> {
        let streams: Vec<_> = numbers.streams().iter().map(|(id, count)| (*id, *count)).collect();
        let abandoned: Vec<_> = numbers.abandoned().iter().map(|(f, l)| (*f, *l)).collect();
        let settled_below = numbers.settled_below();
        let mut streams = streams.chunks(limits::HEARTBEAT_ENTRIES);
        let mut abandoned = abandoned.chunks(limits::HEARTBEAT_ENTRIES).peekable();
        let parts = streams.len().max(abandoned.len()).max(1);
        let part = |part| Self {
            streams: streams.next().unwrap_or_default().iter().copied().collect(),
            abandoned: abandoned.next().unwrap_or_default().to_vec(),
            // Not beyond what a later part tells of, so that each part is true by itself.
            settled_below: match abandoned.peek().and_then(|later| later.first()) {
                Some((first, _)) => settled_below.min(*first),
                None => settled_below,
            },
            part,
            parts,
            is_last: is_last && part + 1 == parts,
        };
        (0..parts).map(part).collect()
    }
}

/// When heartbeats are sent, and to whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// To every partition that was written.
    Time,
    /// To those of whose abandoned numbers nobody knows yet.
    Abandoned,
    /// To every partition that was written, for the last time.
    End,
}

/// Sends heartbeats until the writer is gone or finished.
pub(super) async fn beat(writer: Weak<Shared>, abandoned: Arc<Notify>) {
    let first = Instant::now() + limits::HEARTBEAT_EVERY;
    let mut every = interval_at(first, limits::HEARTBEAT_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = None;
    loop {
        let occasion = tokio::select! {
            _ = every.tick() => Occasion::Time,
            () = abandoned.notified() => Occasion::Abandoned,
        };
        if occasion == Occasion::Abandoned {
            sleep(limits::ABANDONED_TOLD_AFTER).await;
        }
        let Some(shared) = writer.upgrade() else { return };
        match shared.beat(occasion).await {
            Ok(()) => failed = None,
            // Told once, not on each try.
            Err(error) if failed == Some(error) => {}
            Err(error) => {
                tracing::warn!(%error, stage = shared.stage, "heartbeat was not recorded");
                failed = Some(error);
            }
        }
    }
}

/// Takes no more events, waits for those under way, and says so to each partition.
pub(super) async fn finish(shared: &Arc<Shared>) -> Result<(), RecordError> {
    let mut was_finished = true;
    for partition in shared.all() {
        let mut numbers = shared.numbers(partition);
        was_finished &= numbers.is_finished;
        numbers.is_finished = true;
    }
    if was_finished {
        return Ok(());
    }
    let deadline = Instant::now() + limits::FINISH_WAIT;
    while Instant::now() < deadline && !shared.is_settled() {
        // Whoever awaits a recording settles it when it is polled, which nobody here can see.
        sleep(SETTLED_LOOKED_AT_EVERY).await;
    }
    shared.beat(Occasion::End).await
}

impl Shared {
    fn all(&self) -> impl Iterator<Item = Partition> {
        (0..).map(Partition).take(self.partitions.len())
    }

    fn is_settled(&self) -> bool {
        self.all().all(|partition| {
            let mut numbers = self.numbers(partition);
            numbers.look();
            numbers.is_settled()
        })
    }

    /// Sends heartbeats, and forgets what they told once they are recorded.
    pub(super) async fn beat(self: &Arc<Self>, occasion: Occasion) -> Result<(), RecordError> {
        let sent: Vec<_> = self.all().flat_map(|p| self.beat_one(p, occasion)).collect();
        let recorded = join_all(sent.into_iter().map(async |(partition, told, recording)| {
            let recorded = recording.await;
            if recorded.is_ok() {
                self.numbers(partition).told(&told);
            }
            recorded
        }));
        recorded.await.into_iter().collect()
    }

    /// One partition's heartbeat, all parts under one lock so that nothing comes between them.
    fn beat_one(self: &Arc<Self>, partition: Partition, occasion: Occasion) -> Vec<Sent> {
        let mut numbers = self.numbers(partition);
        numbers.look();
        let is_wanted = match occasion {
            Occasion::Time => !numbers.is_finished,
            Occasion::Abandoned => !numbers.is_finished && !numbers.abandoned().is_empty(),
            Occasion::End => true,
        };
        if !is_wanted || numbers.next() == 0 {
            return Vec::new();
        }
        let parts = Heartbeat::parts(&numbers, occasion == Occasion::End);
        let mut sent = Vec::with_capacity(parts.len());
        for heartbeat in parts {
            let told = heartbeat.abandoned.clone();
            let recording = self
                .heartbeat_event(partition, &mut numbers, &heartbeat)
                .and_then(|event| self.write(partition, &mut numbers, event));
            let recording = match recording {
                Ok((number, ack)) => Recording::under_way(self, partition, number, ack),
                Err(error) => Recording::refused(error),
            };
            sent.push((partition, told, recording));
        }
        sent
    }

    fn heartbeat_event(
        &self,
        partition: Partition,
        numbers: &mut Numbers,
        heartbeat: &Heartbeat,
    ) -> Result<AuditEvent, RecordError> {
        let payload = serde_json::to_string(heartbeat).map_err(|_| RecordError::Broken)?;
        let (stream_id, stream_seq) = *numbers.beats.get_or_insert_with(|| (self.ids.stream(), 0));
        let said = |_| RecordError::Broken;
        let required = Required {
            actor: Actor::stage(self.stage),
            kind: Kind::Heartbeat,
            gateway_time: self.clock.now(),
            outcome: Outcome::Succeeded,
            source_address: SourceAddress::new(self.stage).map_err(said)?,
            resource: Resource::new(Topic::Raw.name()).map_err(said)?,
        };
        let place = Place {
            tenant: "default".to_owned(),
            connection: self.stage.to_owned(),
            session_id: Heartbeat::session(self.producer, partition),
            session_rule: SessionRule::Stage,
            stream_id,
            stream_seq,
        };
        let mut event = AuditEvent::new(self.ids.event(), required, place);
        event.auth_method = AuthMethod::Stage;
        event.count = Some(numbers.next() + 1);
        event.payload_state = PayloadState::Recorded;
        event.payload_type = Some("application/json".to_owned());
        event.payload_bytes = i64::try_from(payload.len()).ok();
        event.payload = Some(payload);
        event.stream_count = heartbeat.is_last.then_some(stream_seq + 1);
        Ok(event)
    }
}

/// A partition, the ranges that were told there, and the heartbeat that told them.
type Sent = (Partition, Vec<(i64, i64)>, Recording);

const SETTLED_LOOKED_AT_EVERY: Duration = Duration::from_millis(10);
