//! The seam to the one way into `audit.raw`: an event goes in, and the answer says whether it is
//! durable. Two implementations exist: the raw writer, and the tests' recorder with its delays and
//! failures.

use std::future::Future;
use std::pin::Pin;

use trailgate_schemas::AuditEvent;

/// A record on its way. It resolves when the record is durable or never will be known to be.
/// Dropping it does not take the record back.
pub type Recording = Pin<Box<dyn Future<Output = Result<(), Unrecorded>> + Send>>;

/// Why a record is not known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// It was surely not written; the same event may be offered again.
    #[error("record was not taken")]
    NotTaken,
    /// It may or may not have been written; it must not be offered again.
    #[error("record was not acknowledged")]
    Unacknowledged,
}

/// Where events go.
pub trait Recorder: Send + Sync + 'static {
    /// Takes an event now, in the order of the calls; the answer comes when it is durable.
    fn record(&self, event: AuditEvent) -> Recording;
}
