//! Appending one record durably.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::record::{NewRecord, Offset};

/// Why a record was not acknowledged. Unless said otherwise it may yet have been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many are under way; this one was not taken.
    #[error("too many records are under way")]
    Full,
    /// No acknowledgement within its time.
    #[error("backbone did not acknowledge in time")]
    TimedOut,
    /// The record is longer than the backbone takes; it was not written.
    #[error("record is too long")]
    TooLong,
    /// The backbone denies the right to write; a person must give it.
    #[error("backbone denies the right to write")]
    Forbidden,
    /// The backbone failed.
    #[error("backbone failed")]
    Failed,
    /// The appender is gone.
    #[error("appender is closed")]
    Closed,
}

/// Appends records: durable before it is acknowledged, each exactly once, in the order of the
/// calls for each partition.
pub trait Appender: Send + Sync + 'static {
    /// Takes a record now; the acknowledgement resolves when it is durable.
    fn append(&self, record: NewRecord) -> Ack;
}

/// A coming acknowledgement. Dropping it does not take the record back.
#[derive(Debug)]
pub struct Ack(oneshot::Receiver<Result<Offset, AppendError>>);

/// The other end of an [`Ack`].
pub type AckSender = oneshot::Sender<Result<Offset, AppendError>>;

impl Ack {
    /// An acknowledgement and the end that gives it.
    #[must_use]
    pub fn channel() -> (AckSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// One that is refused at once.
    #[must_use]
    pub fn refused(error: AppendError) -> Self {
        let (sender, ack) = Self::channel();
        // The receiver is alive: it is in `ack`.
        let _ = sender.send(Err(error));
        ack
    }
}

impl Future for Ack {
    type Output = Result<Offset, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|r| r.unwrap_or(Err(AppendError::Closed)))
    }
}
