//! What a consumer has for its owner and has not sent yet: one piece of records, and what it must
//! be told. Tidings pass the records, but not one another.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::custody::{Custody, Progress};
use crate::record::{Partition, Record};
use crate::subscription::Message;

/// Unsent messages.
#[derive(Default)]
pub(super) struct Outbox {
    tidings: VecDeque<Message>,
    records: VecDeque<(Record, Arc<Progress>)>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.tidings.is_empty() && self.records.is_empty()
    }

    pub(super) fn tell(&mut self, message: Message) {
        self.tidings.push_back(message);
    }

    pub(super) fn records(&mut self, records: Vec<Record>, progress: &Arc<Progress>) {
        self.records.extend(records.into_iter().map(|record| (record, Arc::clone(progress))));
    }

    /// Drops the records of a partition.
    pub(super) fn forget(&mut self, partition: Partition) {
        self.records.retain(|(record, _)| record.partition != partition);
    }

    /// The next message. A record comes into its owner's custody here, not before.
    pub(super) fn pop(&mut self) -> Option<Message> {
        self.tidings.pop_front().or_else(|| {
            let (record, progress) = self.records.pop_front()?;
            Some(Message::Record(Custody::hand_over(record, &progress)))
        })
    }
}
