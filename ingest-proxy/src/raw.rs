//! The gateway's seams, joined to the real things.

use std::sync::Arc;

use http::HeaderMap;
use trailgate_identity::Authenticator;
use trailgate_schemas::AuditEvent;
use trailgate_topics::{AppendError, RawWriter, RecordError};

use crate::recorder::{Recorder, Recording, Unrecorded};
use crate::verify::{Verify, Verifying};

impl Recorder for RawWriter {
    fn record(&self, event: AuditEvent) -> Recording {
        let recording = Self::record(self, event);
        Box::pin(async move { recording.await.map_err(how_far) })
    }
}

impl Verify for Authenticator {
    fn verify<'a>(&'a self, headers: &'a HeaderMap) -> Verifying<'a> {
        Box::pin(async move { self.authenticate(headers).await.map(Arc::new) })
    }
}

fn how_far(error: RecordError) -> Unrecorded {
    match error {
        RecordError::NotNow(AppendError::Full) => Unrecorded::NotTaken,
        // What does not encode or fit will not do so the next time either.
        RecordError::NotNow(
            AppendError::TimedOut
            | AppendError::TooLong
            | AppendError::Forbidden
            | AppendError::Failed
            | AppendError::Closed,
        )
        | RecordError::Forbidden
        | RecordError::TooLong
        | RecordError::Broken => Unrecorded::Unacknowledged,
    }
}
