//! A recording under way. Whoever drops it does not learn its fate, but the writer does: a number
//! whose record failed must be told as abandoned.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{JoinAll, join_all};

use super::{RecordError, Shared};
use crate::append::{Ack, AppendError};
use crate::record::Partition;

/// An event on its way into `audit.raw`: resolves when it is durable, or is not going to be.
#[must_use = "what an event tells of may happen only when it is recorded"]
pub struct Recording(State);

enum State {
    Refused(RecordError),
    UnderWay(UnderWay),
    Settled,
}

struct UnderWay {
    shared: Arc<Shared>,
    partition: Partition,
    number: i64,
    ack: Ack,
}

impl Recording {
    pub(super) fn under_way(
        shared: &Arc<Shared>,
        partition: Partition,
        number: i64,
        ack: Ack,
    ) -> Self {
        Self(State::UnderWay(UnderWay { shared: Arc::clone(shared), partition, number, ack }))
    }

    pub(super) const fn refused(error: RecordError) -> Self {
        Self(State::Refused(error))
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.0, State::Refused(_))
    }
}

impl Future for Recording {
    type Output = Result<(), RecordError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(error) => Poll::Ready(Err(*error)),
            State::UnderWay(under_way) => {
                let Poll::Ready(answer) = Pin::new(&mut under_way.ack).poll(cx) else {
                    return Poll::Pending;
                };
                under_way.shared.settle(under_way.partition, under_way.number, answer.is_ok());
                if answer == Err(AppendError::Forbidden) {
                    under_way.shared.forbidden.notify_one();
                }
                self.0 = State::Settled;
                Poll::Ready(answer.map(drop).map_err(|error| match error {
                    AppendError::TooLong => RecordError::TooLong,
                    AppendError::Forbidden => RecordError::Forbidden,
                    AppendError::Full
                    | AppendError::TimedOut
                    | AppendError::Failed
                    | AppendError::Closed => RecordError::NotNow(error),
                }))
            }
            // Polled again after it resolved: as every future, it has nothing more to say.
            State::Settled => Poll::Pending,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let State::UnderWay(under_way) = std::mem::replace(&mut self.0, State::Settled) {
            let UnderWay { shared, partition, number, ack } = under_way;
            shared.numbers(partition).unawaited(number, ack);
        }
    }
}

/// Several recordings under way.
#[must_use = "what events tell of may happen only when they are recorded"]
pub struct Recordings(JoinAll<Recording>);

impl Recordings {
    pub(super) fn new(recordings: Vec<Recording>) -> Self {
        Self(join_all(recordings))
    }
}

impl Future for Recordings {
    /// The first error, if there is one.
    type Output = Result<(), RecordError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|settled| settled.into_iter().collect())
    }
}
