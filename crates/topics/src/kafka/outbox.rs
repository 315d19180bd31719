//! What a consumer's owner has not been sent yet. Records are counted as in custody only when they
//! are sent, so what is forgotten here was never anybody's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::custody::{Custody, Progress};
use crate::record::{Partition, Record};
use crate::subscription::Message;

/// The outbox of one consumer. Its reader stops filling it while anything waits in it.
pub(super) struct Outbox {
    sender: mpsc::Sender<Message>,
    waiting: VecDeque<Outgoing>,
    /// Since when the owner has taken nothing of what waits.
    since: Option<Instant>,
}

enum Outgoing {
    Record(Record, Arc<Progress>),
    Message(Message),
}

/// The owner is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Outbox {
    pub(super) const fn new(sender: mpsc::Sender<Message>) -> Self {
        Self { sender, waiting: VecDeque::new(), since: None }
    }

    pub(super) fn record(&mut self, record: Record, progress: &Arc<Progress>) {
        self.waiting.push_back(Outgoing::Record(record, Arc::clone(progress)));
    }

    pub(super) fn tell(&mut self, message: Message) {
        self.waiting.push_back(Outgoing::Message(message));
    }

    /// Takes back the records of a partition.
    pub(super) fn forget(&mut self, partition: Partition) {
        let is_of =
            |out: &Outgoing| matches!(out, Outgoing::Record(r, _) if r.partition == partition);
        self.waiting.retain(|outgoing| !is_of(outgoing));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long the owner has taken nothing of what waits.
    pub(super) fn has_waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends as much as the owner has room for.
    ///
    /// # Errors
    /// If the owner is gone.
    pub(super) fn send(&mut self) -> Result<(), Gone> {
        while !self.waiting.is_empty() {
            let room = match self.sender.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => {
                    self.since.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(TrySendError::Closed(())) => return Err(Gone),
            };
            self.since = None;
            match self.waiting.pop_front() {
                Some(Outgoing::Record(record, progress)) => {
                    room.send(Message::Record(Custody::hand_over(record, &progress)));
                }
                Some(Outgoing::Message(message)) => room.send(message),
                None => {}
            }
        }
        self.since = None;
        Ok(())
    }

    /// Waits until the owner may have room.
    pub(super) async fn room(&self, wait: Duration) {
        // Both outcomes are seen when it sends.
        let _ = tokio::time::timeout(wait, self.sender.reserve()).await;
    }
}
