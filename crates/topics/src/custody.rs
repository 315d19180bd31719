//! Custody of a record: it is delivered or refused with a reason, and until it is, the group's
//! committed place does not pass it. Dropping it by mistake blocks; it never skips.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::{Offset, Record};

/// Why a record was refused: a stable word for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefusedReason(pub &'static str);

/// A record that its holder must deliver or refuse.
#[derive(Debug)]
#[must_use = "a record in custody is delivered or refused; dropping it blocks its partition"]
pub struct Custody {
    record: Record,
    progress: Arc<Progress>,
}

impl Custody {
    /// Hands a record over. `progress` is its partition's, and records come in order.
    pub fn hand_over(record: Record, progress: &Arc<Progress>) -> Self {
        progress.taken(record.offset);
        Self { record, progress: Arc::clone(progress) }
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// It is durable where it belongs.
    pub fn delivered(self) {
        self.progress.done(self.record.offset, None);
    }

    /// It never will be, and somebody was told so in another way.
    pub fn refused(self, reason: RefusedReason) {
        self.progress.done(self.record.offset, Some(reason));
    }
}

/// How far the records of one assignment of one partition are done.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Taken and not yet passed; the value says whether it is done.
    open: BTreeMap<Offset, bool>,
    /// The place behind the last record of the done prefix.
    committable: Option<Offset>,
    refused: BTreeMap<&'static str, u64>,
}

impl Progress {
    /// The place up to which everything is done; none before the first.
    #[must_use]
    pub fn committable(&self) -> Option<Offset> {
        self.places().committable
    }

    /// How many records are in custody or behind one that is.
    #[must_use]
    pub fn open(&self) -> usize {
        self.places().open.len()
    }

    /// How many were refused, by reason.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.places().refused.clone()
    }

    fn taken(&self, offset: Offset) {
        self.places().open.insert(offset, false);
    }

    fn done(&self, offset: Offset, refused: Option<RefusedReason>) {
        let mut places = self.places();
        if let Some(reason) = refused {
            *places.refused.entry(reason.0).or_default() += 1;
        }
        if let Some(is_done) = places.open.get_mut(&offset) {
            *is_done = true;
        }
        while let Some(first) = places.open.first_entry().filter(|first| *first.get()) {
            let passed = first.remove_entry().0;
            places.committable = Some(passed.next());
        }
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trailgate_schemas::Micros;

    use super::*;
    use crate::record::Partition;
    use crate::topic::Topic;

    fn take(progress: &Arc<Progress>, offset: i64) -> Custody {
        let record = Record {
            topic: Topic::Events,
            partition: Partition(0),
            offset: Offset(offset),
            appended_at: Micros(0),
            key: Bytes::new(),
            value: None,
        };
        Custody::hand_over(record, progress)
    }

    #[test]
    fn a_place_is_passed_only_when_everything_before_it_is_done() {
        let progress = Arc::new(Progress::default());
        let (first, second, third) = (take(&progress, 3), take(&progress, 5), take(&progress, 9));
        second.delivered();
        assert_eq!(progress.committable(), None);
        first.delivered();
        assert_eq!(progress.committable(), Some(Offset(6)));
        third.refused(RefusedReason("undecodable"));
        assert_eq!(progress.committable(), Some(Offset(10)));
        assert_eq!(progress.refused().get("undecodable"), Some(&1));
    }

    #[test]
    fn a_dropped_record_blocks_its_place() {
        let progress = Arc::new(Progress::default());
        let (first, second) = (take(&progress, 0), take(&progress, 1));
        drop(first);
        second.delivered();
        assert_eq!(progress.committable(), None);
    }
}
