//! A body that comes in pieces, while it is open: how far its masking is, and what to say of a tail
//! that has to come out alone.

use serde::{Deserialize, Serialize};
use trailgate_redact::{Redactor, StreamRedactor};
use trailgate_schemas::{AuditEvent, Micros};

/// An open body.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) stream: StreamRedactor,
    /// The last record of it, masked, without its payload.
    pub(crate) last: AuditEvent,
    /// When the last piece came that let something out, in the backbone's time: what is held back
    /// is not older.
    pub(crate) held_since: Micros,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    stream: serde_json::Value,
    last: AuditEvent,
    held_since: Micros,
}

impl Body {
    /// Whether something is held back.
    pub(crate) fn has_tail(&self) -> bool {
        self.stream.has_tail()
    }

    /// How much is held, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.stream.held_bytes()
    }

    /// As bytes to keep, which hold clear text.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let stream = serde_json::from_slice(&self.stream.to_bytes()).ok()?;
        let kept = Kept { stream, last: self.last.clone(), held_since: self.held_since };
        serde_json::to_vec(&kept).ok()
    }

    /// From the bytes that were kept.
    pub(crate) fn from_bytes(bytes: &[u8], redactor: &Redactor) -> Option<Self> {
        let Kept { stream, last, held_since } = serde_json::from_slice(bytes).ok()?;
        let stream = redactor.resume(&serde_json::to_vec(&stream).ok()?).ok()?;
        Some(Self { stream, last, held_since })
    }
}
