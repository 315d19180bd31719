//! A partition that a consumer holds for its owner, and the questions that the owner was asked.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::custody::Progress;
use crate::record::{Offset, Partition, Watermarks};

/// A partition that this member has and its owner knows of.
pub(super) struct Held {
    pub(super) phase: Phase,
    /// The place of the next record.
    pub(super) next: Offset,
    pub(super) progress: Arc<Progress>,
    pub(super) committed: Option<Offset>,
    /// The library reads it no more, and can't be told to.
    pub(super) is_dead: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, stopped by its owner, or stopped because records are missing.
    Stopped,
    /// To be read from its place as soon as that can be done.
    Starting,
    Reading,
    /// Too many records are in custody.
    Full,
    /// Its owner drains it.
    GivingUp,
}

/// Partitions whose owner was asked where to start.
pub(super) struct Asked {
    pub(super) partitions: Vec<Partition>,
    pub(super) answer: oneshot::Receiver<Vec<(Partition, Offset)>>,
}

/// Partitions that are to go, and their owner's word that they are drained.
pub(super) struct Going {
    pub(super) partitions: Vec<Partition>,
    pub(super) drained: oneshot::Receiver<()>,
    pub(super) deadline: Instant,
}

impl Held {
    pub(super) fn stopped(committed: Option<Offset>) -> Self {
        let (phase, progress) = (Phase::Stopped, Arc::default());
        Self { phase, next: Offset(0), progress, committed, is_dead: false }
    }

    /// Reads from `offset` on; what is in custody from before no longer counts.
    pub(super) fn start(&mut self, offset: Offset) {
        self.phase = Phase::Starting;
        self.next = offset;
        self.progress = Arc::default();
    }
}

/// Whether a reader can begin at a place.
pub(super) fn holds(kept: &Watermarks, place: Offset) -> bool {
    kept.low <= place && place <= kept.high
}
