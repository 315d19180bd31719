//! The one owner of what is held: takes records into custody, gathers them into a batch, has one
//! batch at a time on its way into the table, and answers the group.
//!
//! It waits for nothing but its messages: a commit that is tried again for hours holds up neither a
//! revocation nor a stop. What bounds memory is that it takes no message while the batch that
//! gathers is full.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use trailgate_service::{Part, Stop};
use trailgate_table::{LogPartition, Snapshot};
use trailgate_topics::{
    Assigned, Assignment, BackboneError, Custody, Message, Offset, Partition, Revocation,
    Subscription,
};

use crate::batch::Batch;
use crate::config::ArchiveConfig;
use crate::flush::{End, Flush, FlushError, Flushed};
use crate::limits::{PARKED_RETRY, STOP_WAIT, TABLE_WAIT, TICK};
use crate::place::{Offer, Place};
use crate::schemas::{Schemas, Wanting};

/// Why archiving ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A mistake of this program.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The consumer ended.
    #[error("consumer of audit.events ended")]
    ConsumerEnded,
    /// The consumer takes no more commands.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

/// Archives the partitions that its subscription gives it.
pub(crate) struct Archiver {
    subscription: Subscription,
    config: ArchiveConfig,
    flush: Flush,
    /// How the partitions are.
    health: Part,
    schemas: Schemas,
    /// The newest version of the table that was seen.
    table: Snapshot,
    held: BTreeMap<Partition, Held>,
    batch: Batch,
    on_way: Option<OnWay>,
    /// Waiting until nothing is on its way, each with those of its partitions that went meanwhile.
    assignments: Vec<(Assignment, BTreeSet<Partition>)>,
    /// Waiting until nothing of them is held, each until its deadline.
    revocations: Vec<(Revocation, Instant)>,
    backbone_answers: bool,
    /// Whether it ever was given partitions.
    has_joined: bool,
}

/// A partition that this instance has.
enum Held {
    Reading(Place),
    /// Its records wait; those that come are read again later.
    Parked {
        place: Place,
        wanting: Wanting,
        look_at: Instant,
    },
    /// A range of it is missing; a person must accept that.
    Gap,
}

/// A batch on its way into the table.
struct OnWay {
    partitions: BTreeSet<Partition>,
    task: JoinHandle<Result<Flushed, FlushError>>,
}

enum Event {
    Stop,
    Message(Option<Message>),
    Flushed(Result<Flushed, FlushError>),
    Tick,
}

impl Archiver {
    pub(crate) fn new(
        subscription: Subscription,
        table: Snapshot,
        schemas: Schemas,
        flush: Flush,
        config: ArchiveConfig,
        health: Part,
    ) -> Self {
        Self {
            subscription,
            config,
            flush,
            health,
            schemas,
            table,
            held: BTreeMap::new(),
            batch: Batch::default(),
            on_way: None,
            assignments: Vec::new(),
            revocations: Vec::new(),
            backbone_answers: true,
            has_joined: false,
        }
    }

    /// Archives until `stop`; then what is held goes into the table, within [`STOP_WAIT`].
    pub(crate) async fn run(mut self, stop: &Stop) -> Result<(), ArchiveError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tell_health();
        loop {
            let event = tokio::select! {
                () = stop.asked() => Event::Stop,
                done = flushed(&mut self.on_way) => Event::Flushed(done),
                message = self.subscription.next(), if self.has_room() => Event::Message(message),
                _ = tick.tick() => Event::Tick,
            };
            match event {
                Event::Stop => return self.stop().await,
                Event::Flushed(done) => self.settle(done?).await?,
                Event::Message(None) => return Err(ArchiveError::ConsumerEnded),
                Event::Message(Some(message)) => self.take_message(message).await,
                Event::Tick => self.look_at_parked().await?,
            }
            self.flush_if_due();
            self.answer_revocations();
            self.answer_assignments().await?;
        }
    }

    /// Whether another record may come into memory.
    fn has_room(&self) -> bool {
        self.batch.bytes() < self.config.flush_bytes || self.on_way.is_none()
    }

    async fn take_message(&mut self, message: Message) {
        self.backbone_answers = !matches!(message, Message::Unreachable);
        match message {
            Message::Record(custody) => return self.take_record(custody).await,
            Message::Assigned(assignment) => {
                let came = assignment.partitions().iter().map(|assigned| assigned.partition);
                self.let_go(&came.collect::<Vec<_>>());
                self.assignments.push((assignment, BTreeSet::new()));
            }
            Message::Revoked(revocation) => {
                self.unassign(revocation.partitions());
                let deadline = Instant::now() + revocation.deadline();
                self.revocations.push((revocation, deadline));
            }
            Message::Lost(partitions) => {
                self.unassign(&partitions);
                self.let_go(&partitions);
            }
            Message::Missing { partition, low, wanted } => {
                self.stop_at_gap(partition, low, wanted);
            }
            Message::Unreachable => tracing::warn!("backbone can't be reached"),
        }
        self.tell_health();
    }

    async fn take_record(&mut self, custody: Custody) {
        let (partition, offset) = (custody.record().partition, custody.record().offset);
        let place = match self.held.get_mut(&partition) {
            Some(Held::Reading(place)) => place,
            Some(Held::Parked { place, .. }) => {
                // Remembered as come; read again when the partition goes on.
                if place.offer(offset) == Offer::Archived {
                    custody.delivered();
                }
                return;
            }
            // Another's by now, or stopped: it stays undelivered.
            Some(Held::Gap) | None => return,
        };
        match place.offer(offset) {
            Offer::Archived => return custody.delivered(),
            Offer::Stale => return,
            Offer::Next { .. } => {}
        }
        let value = custody.record().value.as_deref().unwrap_or_default();
        if let Some(id) = self.schemas.unknown(value)
            && let Err(wanting) = self.schemas.learn(id, &self.table).await
        {
            return self.park(partition, wanting);
        }
        let ids = place.next();
        place.take(offset);
        self.batch.take(custody, ids);
    }

    /// Lets a partition wait; the others go on.
    fn park(&mut self, partition: Partition, wanting: Wanting) {
        let held = self.held.remove(&partition);
        if let Some(Held::Reading(place) | Held::Parked { place, .. }) = held {
            tracing::error!(partition = partition.0, reason = %wanting, "partition waits");
            let look_at = Instant::now() + PARKED_RETRY;
            self.held.insert(partition, Held::Parked { place, wanting, look_at });
        }
        self.tell_health();
    }

    /// Lets partitions go on whose schema has come, or whose columns an upgraded archiver has
    /// added.
    async fn look_at_parked(&mut self) -> Result<(), ArchiveError> {
        let now = Instant::now();
        let due = |held: &Held| matches!(held, Held::Parked { look_at, .. } if *look_at <= now);
        let due: Vec<Partition> =
            self.held.iter().filter(|(_, held)| due(held)).map(|(p, _)| *p).collect();
        if due.is_empty() {
            return Ok(());
        }
        if let Ok(Ok(table)) = timeout(TABLE_WAIT, self.flush.table.snapshot()).await {
            self.learn_table(table);
        }
        for partition in due {
            self.look_at_one(partition).await?;
        }
        self.tell_health();
        Ok(())
    }

    async fn look_at_one(&mut self, partition: Partition) -> Result<(), ArchiveError> {
        let Some(Held::Parked { place, wanting, .. }) = self.held.remove(&partition) else {
            return Ok(());
        };
        let (Wanting::Schema(id) | Wanting::Column { id, .. }) = wanting;
        let mut place = place;
        if let Err(wanting) = self.schemas.learn(id, &self.table).await {
            let look_at = Instant::now() + PARKED_RETRY;
            self.held.insert(partition, Held::Parked { place, wanting, look_at });
            return Ok(());
        }
        tracing::info!(partition = partition.0, "partition goes on");
        let again = place.read_again();
        self.held.insert(partition, Held::Reading(place));
        match again {
            Some(offset) => Ok(self.subscription.seek(partition, offset).await?),
            None => Ok(()),
        }
    }

    fn stop_at_gap(&mut self, partition: Partition, low: Offset, wanted: Offset) {
        tracing::error!(
            partition = partition.0,
            wanted = wanted.0,
            low = low.0,
            "records are missing; the partition stops until archive.accept_gap names this range"
        );
        self.held.insert(partition, Held::Gap);
    }

    /// Drops what is held of partitions that are another's now.
    fn let_go(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.held.remove(partition);
            self.batch.drop_partition(*partition);
        }
    }

    /// Remembers that partitions went which may not have been started yet.
    fn unassign(&mut self, partitions: &[Partition]) {
        for (_, gone) in &mut self.assignments {
            gone.extend(partitions);
        }
    }

    /// Sends the batch on its way if it is full, old or asked for, and none is on its way.
    fn flush_if_due(&mut self) {
        if self.on_way.is_some() || self.batch.is_empty() {
            return;
        }
        let full = self.batch.bytes() >= self.config.flush_bytes;
        let old = self.batch.since().is_some_and(|at| at.elapsed() >= self.config.flush_after());
        if full || old || !self.revocations.is_empty() {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let partitions = batch.after().keys().map(|p| Partition(p.0)).collect();
        tracing::debug!(rows = batch.len(), bytes = batch.bytes(), "batch sent");
        let run = self.flush.clone().run(batch, self.table.clone(), self.schemas.clone());
        // A task of its own: it ends with the outcome certain, whatever happens here meanwhile.
        self.on_way = Some(OnWay { partitions, task: tokio::spawn(run) });
    }

    /// Takes in how the batch came out.
    async fn settle(&mut self, flushed: Flushed) -> Result<(), ArchiveError> {
        self.on_way = None;
        let Flushed { batch, end } = flushed;
        match end {
            End::Committed(table) => {
                for partition in batch.after().keys() {
                    let held = self.held.get_mut(&Partition(partition.0));
                    if let Some(Held::Reading(place) | Held::Parked { place, .. }) = held {
                        place.archived(table.ids_of(*partition));
                    }
                }
                batch.settle(&table);
                self.learn_table(table);
                Ok(())
            }
            End::Dropped(table) => {
                tracing::warn!(rows = batch.len(), "batch dropped: another writer was faster");
                batch.settle(&table);
                std::mem::take(&mut self.batch).settle(&table);
                self.learn_table(table);
                self.go_back().await
            }
        }
    }

    /// Goes on behind what the table has, in each partition.
    async fn go_back(&mut self) -> Result<(), ArchiveError> {
        for (partition, held) in &mut self.held {
            let ids = self.table.ids_of(LogPartition(partition.0));
            match held {
                Held::Reading(place) => {
                    if let Some(offset) = place.go_back(ids) {
                        self.subscription.seek(*partition, offset).await?;
                    }
                }
                // Reads again when it goes on.
                Held::Parked { place, .. } => {
                    place.go_back(ids);
                }
                Held::Gap => {}
            }
        }
        Ok(())
    }

    fn learn_table(&mut self, table: Snapshot) {
        if table.version() >= self.table.version() {
            self.table = table;
        }
    }

    /// Lets revoked partitions go of which nothing is held any more, or whose time is over.
    fn answer_revocations(&mut self) {
        if self.revocations.is_empty() {
            return;
        }
        let now = Instant::now();
        for (revocation, deadline) in std::mem::take(&mut self.revocations) {
            let held = revocation.partitions().iter().any(|partition| {
                let on_way = |on_way: &OnWay| on_way.partitions.contains(partition);
                self.batch.has(*partition) || self.on_way.as_ref().is_some_and(on_way)
            });
            if held && now < deadline {
                self.revocations.push((revocation, deadline));
            } else {
                self.let_go(revocation.partitions());
                revocation.drained();
            }
        }
        self.tell_health();
    }

    /// Says where to start reading. Waits until nothing is on its way: only then does the table say
    /// where it stands.
    async fn answer_assignments(&mut self) -> Result<(), ArchiveError> {
        if self.assignments.is_empty() || self.on_way.is_some() {
            return Ok(());
        }
        match timeout(TABLE_WAIT, self.flush.table.snapshot()).await {
            Ok(Ok(table)) => self.learn_table(table),
            Ok(Err(error)) if error.is_transient() => {
                self.flush.store.waits("store", &error);
                return Ok(());
            }
            Ok(Err(error)) => return Err(FlushError::Store(error).into()),
            Err(late) => {
                self.flush.store.waits("store", &late);
                return Ok(());
            }
        }
        self.flush.store.ready();
        self.has_joined = true;
        for (assignment, gone) in std::mem::take(&mut self.assignments) {
            let came = assignment.partitions().to_vec().into_iter();
            let came = came.filter(|assigned| !gone.contains(&assigned.partition));
            let starts = came.filter_map(|assigned| self.start_of(assigned)).collect();
            assignment.start(starts);
        }
        self.tell_health();
        Ok(())
    }

    fn start_of(&mut self, assigned: Assigned) -> Option<(Partition, Offset)> {
        let partition = assigned.partition;
        let ids = self.table.ids_of(LogPartition(partition.0));
        let (wanted, low) = (Offset(ids.next_offset), assigned.watermarks.low);
        let accepted = self
            .config
            .accept_gap
            .iter()
            .any(|gap| (gap.partition, gap.wanted, gap.low) == (partition.0, wanted.0, low.0));
        if wanted < low && !accepted {
            self.stop_at_gap(partition, low, wanted);
            return None;
        }
        tracing::info!(partition = partition.0, start = wanted.0, low = low.0, "partition came");
        self.held.insert(partition, Held::Reading(Place::behind(ids)));
        Some((partition, wanted.max(low)))
    }

    async fn stop(mut self) -> Result<(), ArchiveError> {
        let drained = timeout(STOP_WAIT, async {
            if let Some(on_way) = self.on_way.take() {
                let done = on_way.task.await.unwrap_or(Err(FlushError::Panicked));
                self.settle(done?).await?;
            }
            if !self.batch.is_empty() {
                self.send();
            }
            if let Some(on_way) = self.on_way.take() {
                let done = on_way.task.await.unwrap_or(Err(FlushError::Panicked));
                self.settle(done?).await?;
            }
            Ok(())
        });
        drained.await.unwrap_or_else(|_| {
            tracing::warn!("last batch was not archived in time; it is read again");
            Ok(())
        })
    }

    fn tell_health(&self) {
        let mut reasons: BTreeMap<&'static str, usize> =
            ["gap", "schema", "upgrade the archiver"].map(|reason| (reason, 0)).into();
        for held in self.held.values() {
            match held {
                Held::Reading(_) => {}
                Held::Parked { wanting, .. } => *reasons.entry(wanting.code()).or_default() += 1,
                Held::Gap => *reasons.entry("gap").or_default() += 1,
            }
        }
        for (reason, partitions) in &reasons {
            self.flush.metrics.stopped(reason, *partitions);
        }
        match reasons.into_iter().find(|(_, partitions)| *partitions > 0) {
            Some((reason, _)) => self.health.not_ready(reason),
            None if !self.backbone_answers => self.health.not_ready("backbone"),
            None if !self.has_joined => self.health.not_ready("joining"),
            None => self.health.ready(),
        }
    }
}

/// How the batch on its way came out; never, if there is none.
async fn flushed(on_way: &mut Option<OnWay>) -> Result<Flushed, FlushError> {
    match on_way {
        Some(on_way) => (&mut on_way.task).await.unwrap_or(Err(FlushError::Panicked)),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
