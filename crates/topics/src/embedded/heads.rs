//! What readers may see: the watermarks of each partition, told once a commit is durable, and the
//! call that wakes who waits for more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Watermarks};
use crate::topic::Topic;

/// The first place of a partition that is kept, and the place of its next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) low: Offset,
    pub(super) high: Offset,
}

impl From<Head> for Watermarks {
    fn from(head: Head) -> Self {
        Self { low: head.low, high: head.high }
    }
}

/// The heads of all partitions, by topic.
#[derive(Clone, Debug, Default)]
pub(super) struct Tips(BTreeMap<Topic, Vec<Head>>);

impl Tips {
    pub(super) fn insert(&mut self, topic: Topic, heads: Vec<Head>) {
        self.0.insert(topic, heads);
    }

    /// A topic that was just made.
    pub(super) fn insert_empty(&mut self, topic: Topic, partitions: u32) {
        let empty = Head { low: Offset(0), high: Offset(0) };
        self.0.insert(topic, vec![empty; partitions as usize]);
    }

    pub(super) fn head(&mut self, topic: Topic, partition: Partition) -> Option<&mut Head> {
        self.0.get_mut(&topic)?.get_mut(partition.0 as usize)
    }
}

/// The heads that readers see.
pub(super) struct Heads {
    state: Mutex<State>,
    changed: BTreeMap<Topic, watch::Sender<u64>>,
}

#[derive(Default)]
struct State {
    tips: Tips,
    /// When the records were stamped that are being written and can't be seen yet.
    writing: Option<Micros>,
}

impl Heads {
    pub(super) fn new(tips: Tips) -> Self {
        let changed = Topic::ALL.iter().map(|topic| (*topic, watch::Sender::new(0))).collect();
        Self { state: Mutex::new(State { tips, writing: None }), changed }
    }

    /// The time with which records are stamped that will be told by [`Self::publish`], and the
    /// tips that they go on from.
    pub(super) fn begin(&self, clock: &dyn Clock) -> (Micros, Tips) {
        let mut state = self.state();
        let now = clock.now();
        state.writing = Some(now);
        (now, state.tips.clone())
    }

    /// What was begun is durable: shows it, and wakes who waits for `touched`.
    pub(super) fn publish(&self, tips: Tips, touched: impl IntoIterator<Item = Topic>) {
        let mut state = self.state();
        state.tips = tips;
        state.writing = None;
        drop(state);
        for sender in touched.into_iter().filter_map(|topic| self.changed.get(&topic)) {
            sender.send_modify(|version| *version += 1);
        }
    }

    /// What was begun came to nothing.
    pub(super) fn abandon(&self) {
        self.state().writing = None;
    }

    /// The watermarks of a topic's partitions.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if it was never ensured.
    pub(super) fn of(&self, topic: Topic) -> Result<Vec<Head>, BackboneError> {
        self.state().tips.0.get(&topic).cloned().ok_or_else(|| unknown(topic))
    }

    /// The watermarks of one partition.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if there is none.
    pub(super) fn one(&self, topic: Topic, partition: Partition) -> Result<Head, BackboneError> {
        self.state().tips.head(topic, partition).copied().ok_or_else(|| unknown(topic))
    }

    /// The watermarks, and a time: every record that is stamped before it can be seen, since those
    /// under way are not, and those to come will not be.
    pub(super) fn seen(
        &self,
        topic: Topic,
        clock: &dyn Clock,
    ) -> Result<(Micros, Vec<Head>), BackboneError> {
        let state = self.state();
        let now = clock.now();
        let seen = state.writing.map_or(now, |writing| now.min(writing));
        let heads = state.tips.0.get(&topic).cloned().ok_or_else(|| unknown(topic))?;
        Ok((seen, heads))
    }

    /// Changes whenever a topic has more, or less, than before.
    pub(super) fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        match self.changed.get(&topic) {
            Some(sender) => sender.subscribe(),
            // Every topic has one; a receiver without its sender never waits.
            None => watch::Sender::new(0).subscribe(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(topic: Topic) -> BackboneError {
    BackboneError::Refused { code: format!("{} or its partition was not made", topic.name()) }
}
