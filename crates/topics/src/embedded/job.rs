//! What the committer is asked to do, and the answer that is given once it is durable.

use tokio::sync::oneshot;
use trailgate_schemas::SchemaId;

use crate::append::{AckSender, AppendError};
use crate::backbone::BackboneError;
use crate::record::{NewRecord, Offset, Partition};
use crate::registry::RegistryError;
use crate::topic::Topic;

/// One thing to write.
pub(super) enum Job {
    /// A record.
    Append(NewRecord, Asked<Offset, AppendError>),
    /// Records and a group's offsets, all or none.
    Step(Step, Asked<(), BackboneError>),
    /// Topics, made or checked, with their partitions.
    Ensure(Vec<Topic>, u32, Asked<(), BackboneError>),
    /// A piece of a trim; answers whether there is more.
    Trim(Trim, Asked<bool, BackboneError>),
    /// A schema under a subject.
    Register(Registration, Asked<SchemaId, RegistryError>),
    /// Nothing: shows that the committer lives.
    Ping(Asked<(), BackboneError>),
}

/// A processor's step, or a consumer's commit, which has no records.
pub(super) struct Step {
    pub(super) records: Vec<NewRecord>,
    pub(super) group: String,
    /// How far it has read.
    pub(super) offsets: Vec<(Topic, Partition, Offset)>,
}

/// What to trim.
pub(super) struct Trim {
    pub(super) topic: Topic,
    pub(super) partition: Partition,
    pub(super) before: Offset,
}

/// What to register.
pub(super) struct Registration {
    pub(super) subject: String,
    pub(super) schema: String,
}

/// Who asked, and what it came to inside the transaction.
pub(super) struct Asked<T, E> {
    asker: oneshot::Sender<Result<T, E>>,
    outcome: Option<Result<T, E>>,
}

impl<T, E> Asked<T, E> {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (asker, answer) = oneshot::channel();
        (Self { asker, outcome: None }, answer)
    }

    /// What it came to, to be told if the transaction becomes durable.
    pub(super) fn came_to(&mut self, outcome: Result<T, E>) {
        self.outcome = Some(outcome);
    }

    /// Nobody may be waiting any more; what was done stays done.
    fn answer(self) {
        if let Some(outcome) = self.outcome {
            let _ = self.asker.send(outcome);
        }
    }

    fn fail(self, error: E) {
        let _ = self.asker.send(Err(error));
    }
}

impl From<AckSender> for Asked<Offset, AppendError> {
    fn from(asker: AckSender) -> Self {
        Self { asker, outcome: None }
    }
}

impl Job {
    /// Its share of the queue's and of a transaction's bounds, in records and bytes.
    pub(super) fn weight(&self) -> (usize, usize) {
        match self {
            Self::Append(record, _) => (1, record.bytes()),
            Self::Step(step, _) => {
                (step.records.len(), step.records.iter().map(NewRecord::bytes).sum())
            }
            Self::Ensure(..) | Self::Trim(..) | Self::Register(..) | Self::Ping(_) => (1, 0),
        }
    }

    /// The transaction is durable: tells what came of it.
    pub(super) fn answer(self) {
        match self {
            Self::Append(_, asked) => asked.answer(),
            Self::Step(_, asked) | Self::Ensure(_, _, asked) | Self::Ping(asked) => asked.answer(),
            Self::Trim(_, asked) => asked.answer(),
            Self::Register(_, asked) => asked.answer(),
        }
    }

    /// The transaction failed, or never was.
    pub(super) fn fail(self, error: &BackboneError) {
        match self {
            Self::Append(_, asked) => asked.fail(AppendError::Failed),
            Self::Step(_, asked) | Self::Ensure(_, _, asked) | Self::Ping(asked) => {
                asked.fail(error.clone());
            }
            Self::Trim(_, asked) => asked.fail(error.clone()),
            Self::Register(_, asked) => asked.fail(RegistryError::Unreachable),
        }
    }
}
