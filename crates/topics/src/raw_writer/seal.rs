//! An event as it lies on `audit.raw`: encoded, sealed to the masker, encoded again. One form for all
//! who write there: stages by their [`RawWriter`](super::RawWriter), stream processors in the step
//! that the event tells of.

use std::sync::Arc;

use bytes::Bytes;
use trailgate_envelope::{SealError, Sealer};
use trailgate_schemas::{
    AUDIT_EVENT_SCHEMA, AuditEvent, ClearHeader, EventWriter, SEALED_EVENT_SCHEMA, SchemaId,
    SealedWriter,
};

use super::RecordError;
use crate::registry::{RegistryError, SchemaRegistry};

/// Seals events for `audit.raw`. Whoever uses it numbers them: densely for each producer and
/// partition.
pub struct RawSeal {
    sealer: Arc<Sealer>,
    events: EventWriter,
    sealed: SealedWriter,
    event_schema: SchemaId,
}

impl RawSeal {
    /// Registers the schemas, and seals by `sealer`.
    ///
    /// # Errors
    /// [`RegistryError`]; one that can't be reached may be tried again.
    pub async fn register(
        registry: &dyn SchemaRegistry,
        sealer: impl Into<Arc<Sealer>>,
    ) -> Result<Self, RegistryError> {
        let sealer = sealer.into();
        // Subjects by topic name; `audit.events` has the schema of what is inside the seal.
        let event_schema = registry.register(EVENTS_SUBJECT, AUDIT_EVENT_SCHEMA).await?;
        let sealed_schema = registry.register(RAW_SUBJECT, SEALED_EVENT_SCHEMA).await?;
        let (events, sealed) = (EventWriter::new(event_schema), SealedWriter::new(sealed_schema));
        Ok(Self { sealer, events, sealed, event_schema })
    }

    /// Seals one event, whose producer and number are set. CPU-bound: some 10 µs for each KiB.
    ///
    /// # Errors
    /// [`RecordError::TooLong`], or [`RecordError::Broken`]; what it tells of must not happen.
    pub fn seal(&self, event: &AuditEvent) -> Result<Bytes, RecordError> {
        let clear = self.events.write(event).map_err(|_| RecordError::Broken)?;
        let header = ClearHeader {
            event_id: event.event_id,
            kind: event.kind,
            session_id: event.session_id,
            stream_id: event.stream_id,
            stream_seq: event.stream_seq,
            producer_id: event.producer_id,
            producer_number: event.producer_number,
            gateway_time: event.gateway_time,
        };
        let sealed = self.sealer.seal(header, self.event_schema, &clear);
        let sealed = sealed.map_err(|error| match error {
            SealError::TooLong { .. } => RecordError::TooLong,
            SealError::SchemaId(_) | SealError::DataKey(_) | SealError::Cipher => {
                RecordError::Broken
            }
        })?;
        self.sealed.write(&sealed).map(Bytes::from).map_err(|_| RecordError::Broken)
    }
}

impl std::fmt::Debug for RawSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawSeal")
    }
}

const EVENTS_SUBJECT: &str = "audit.events-value";
const RAW_SUBJECT: &str = "audit.raw-value";
