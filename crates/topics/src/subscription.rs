//! A consumer group's membership as messages. The consumer lives on a thread of its own and keeps
//! its place in the group whatever the owner does; the owner reads messages and answers them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::backbone::BackboneError;
use crate::custody::Custody;
use crate::record::{Offset, Partition, Watermarks};

/// What happens to a member of a group.
#[derive(Debug)]
pub enum Message {
    /// Partitions came; nothing of them is read before [`Assignment::start`].
    Assigned(Assignment),
    /// A record, in the owner's custody.
    Record(Custody),
    /// Partitions go to another member as soon as this is answered or its time is over.
    Revoked(Revocation),
    /// Partitions are gone already; drop what is held of them.
    Lost(Vec<Partition>),
    /// A partition's wanted range is gone from the topic. It stays stopped.
    Missing {
        /// The partition.
        partition: Partition,
        /// Where it begins now.
        low: Offset,
        /// The place that was wanted.
        wanted: Offset,
    },
    /// The backbone can't be reached for now; said once for each outage.
    Unreachable,
}

/// A partition that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The partition.
    pub partition: Partition,
    /// What it holds.
    pub watermarks: Watermarks,
    /// The group's committed place, if there is one.
    pub committed: Option<Offset>,
}

/// Partitions that came, waiting to be told where to start.
#[derive(Debug)]
pub struct Assignment {
    partitions: Vec<Assigned>,
    answer: oneshot::Sender<Vec<(Partition, Offset)>>,
}

impl Assignment {
    /// The partitions that came, and the answer's receiving end.
    #[must_use]
    pub fn new(partitions: Vec<Assigned>) -> (Self, oneshot::Receiver<Vec<(Partition, Offset)>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { partitions, answer }, receiver)
    }

    /// The partitions that came.
    #[must_use]
    pub fn partitions(&self) -> &[Assigned] {
        &self.partitions
    }

    /// Starts reading: each named partition from its place. One that is not named stays stopped.
    pub fn start(self, from: Vec<(Partition, Offset)>) {
        // If the consumer is gone there is nothing to start.
        let _ = self.answer.send(from);
    }
}

/// Partitions about to go. Answered by [`Revocation::drained`] or by being dropped.
#[derive(Debug)]
pub struct Revocation {
    partitions: Vec<Partition>,
    deadline: Duration,
    done: Option<oneshot::Sender<()>>,
}

impl Revocation {
    /// The partitions about to go, how long the group waits, and the answer's receiving end.
    #[must_use]
    pub fn new(partitions: Vec<Partition>, deadline: Duration) -> (Self, oneshot::Receiver<()>) {
        let (done, receiver) = oneshot::channel();
        (Self { partitions, deadline, done: Some(done) }, receiver)
    }

    /// The partitions about to go.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// How long the group waits for the answer, from when the message was sent.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// What was held of them is delivered or dropped: let them go.
    pub fn drained(mut self) {
        if let Some(done) = self.done.take() {
            // If the consumer no longer waits they are gone anyway.
            let _ = done.send(());
        }
    }
}

/// What an owner asks of its consumer.
#[derive(Debug)]
pub enum Command {
    /// Read a partition again from this place; records on their way from before it are dropped.
    Seek(Partition, Offset),
    /// Stop reading a partition until it is assigned again.
    Stop(Partition),
}

/// A membership in a consumer group.
pub struct Subscription {
    messages: mpsc::Receiver<Message>,
    commands: mpsc::Sender<Command>,
    /// Leaves the group when dropped.
    _member: Arc<dyn Member>,
}

/// The consumer's thread as the subscription holds it: dropped, it leaves the group in order.
pub trait Member: Send + Sync {}

impl Subscription {
    /// A subscription from its parts, for a backbone.
    #[must_use]
    pub fn new(
        messages: mpsc::Receiver<Message>,
        commands: mpsc::Sender<Command>,
        member: Arc<dyn Member>,
    ) -> Self {
        Self { messages, commands, _member: member }
    }

    /// The next message; none when the consumer has ended.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }

    /// Reads a partition again from `offset`. Records that were sent before the call may still
    /// come; those come again.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if the consumer has ended.
    pub async fn seek(&self, partition: Partition, offset: Offset) -> Result<(), BackboneError> {
        self.command(Command::Seek(partition, offset)).await
    }

    /// Stops reading a partition until it is assigned again.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if the consumer has ended.
    pub async fn stop(&self, partition: Partition) -> Result<(), BackboneError> {
        self.command(Command::Stop(partition)).await
    }

    async fn command(&self, command: Command) -> Result<(), BackboneError> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| BackboneError::Refused { code: "consumer ended".to_owned() })
    }
}
