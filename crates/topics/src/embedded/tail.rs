//! Reading all of a topic: from the database in pieces, woken by the committer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::core::{Core, broken};
use super::limits;
use super::reader::Reader;
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition};
use crate::tail::{Tail, TailBatch, TailEnd};
use crate::topic::Topic;

/// A tail of one topic.
pub(super) struct EmbeddedTail {
    core: Arc<Core>,
    topic: Topic,
    changed: watch::Receiver<u64>,
    /// The place of the next record of each partition.
    places: Vec<Offset>,
    /// Where the next read begins, so that a busy partition does not hide the others.
    turn: usize,
    /// Held by a read that goes on when its caller has gone.
    reader: Arc<Mutex<Reader>>,
}

impl EmbeddedTail {
    pub(super) fn open(
        core: &Arc<Core>,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Self, BackboneError> {
        let changed = core.heads.watch(topic);
        let heads = core.heads.of(topic)?;
        let mut places: Vec<Offset> = heads.iter().map(|head| head.low).collect();
        for (partition, wanted) in from {
            let index = partition.0 as usize;
            let (Some(place), Some(head)) = (places.get_mut(index), heads.get(index)) else {
                return Err(broken("no such partition"));
            };
            if *wanted < head.low || *wanted > head.high {
                let (partition, wanted, low) = (*partition, *wanted, head.low);
                let topic = topic.name();
                return Err(BackboneError::Missing { topic, partition, low, wanted });
            }
            *place = *wanted;
        }
        let reader = Arc::new(Mutex::new(core.reader()?));
        Ok(Self { core: Arc::clone(core), topic, changed, places, turn: 0, reader })
    }

    /// A piece of what is there, beginning with the partition whose turn it is. Nothing of `self`
    /// changes before it is read: the future may be dropped.
    async fn read(&mut self) -> Result<TailBatch, BackboneError> {
        self.changed.mark_unchanged();
        let (seen, heads) = self.core.heads.seen(self.topic, &*self.core.clock)?;
        let (topic, turn, mut places) = (self.topic, self.turn, self.places.clone());
        let is_behind =
            |places: &[Offset]| places.iter().zip(&heads).any(|(place, head)| *place < head.high);
        let mut records = Vec::new();
        if is_behind(&places) {
            let reader = Arc::clone(&self.reader);
            let read = spawn_blocking(move || {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                read_pieces(&reader, topic, turn, places)
            });
            (places, records) = read.await.map_err(|_| broken("read ended early"))??;
        }
        let numbered = (0..).map(Partition).zip(places.iter().zip(&heads));
        let ends = numbered.map(|(partition, (next, head))| TailEnd {
            partition,
            next: *next,
            caught_up_at: (*next >= head.high).then_some(seen),
        });
        let ends = ends.collect();
        self.turn = (turn + 1) % self.places.len().max(1);
        self.places = places;
        Ok(TailBatch { records, ends })
    }
}

/// Reads partitions in turn until there is enough.
fn read_pieces(
    reader: &Reader,
    topic: Topic,
    turn: usize,
    mut places: Vec<Offset>,
) -> Result<(Vec<Offset>, Vec<crate::record::Record>), BackboneError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let count = places.len();
    for index in (turn..count).chain(0..turn.min(count)) {
        let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
        let piece = reader.read(topic, partition, places[index])?;
        places[index] = piece.next;
        bytes += piece.records.iter().map(super::reader::bytes).sum::<usize>();
        records.extend(piece.records);
        if records.len() >= limits::READ_RECORDS || bytes >= limits::READ_BYTES {
            break;
        }
    }
    Ok((places, records))
}

#[async_trait]
impl Tail for EmbeddedTail {
    async fn next(&mut self, wait: Duration) -> Result<TailBatch, BackboneError> {
        let deadline = Instant::now() + wait;
        loop {
            let batch = self.read().await?;
            if !batch.records.is_empty() {
                return Ok(batch);
            }
            // The sender lives in the core, which this holds.
            if timeout_at(deadline, self.changed.changed()).await.is_err() {
                return self.read().await;
            }
        }
    }
}
