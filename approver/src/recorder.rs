//! The seam to the one way into `audit.raw`: the raw writer, and the tests' recorder, which can
//! fail.

use std::future::Future;
use std::pin::Pin;

use trailgate_schemas::AuditEvent;
use trailgate_topics::{RawWriter, RecordError};

/// A record on its way: resolves when it is durable, or is not going to be.
pub(crate) type Recording = Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>;

/// Where events go.
pub(crate) trait Recorder: Send + Sync + 'static {
    /// Takes an event now.
    fn record(&self, event: AuditEvent) -> Recording;
}

impl Recorder for RawWriter {
    fn record(&self, event: AuditEvent) -> Recording {
        Box::pin(Self::record(self, event))
    }
}
