//! What lies on `audit.refused`: the sealed original as it came, and why it was not taken. An
//! operator can send it again once the reason is gone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A record that the masker did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// A stable word.
    pub reason: String,
    /// Its partition on `audit.raw`.
    pub partition: u32,
    /// Its place there.
    pub offset: i64,
    /// Its value, still sealed.
    pub sealed: Vec<u8>,
}

/// The bytes are no refused event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refused event")]
pub struct RefusedError;

#[derive(Serialize, Deserialize)]
struct Written {
    reason: String,
    partition: u32,
    offset: i64,
    sealed: String,
}

impl RefusedEvent {
    /// As a JSON object, the sealed bytes in base64.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            reason: self.reason.clone(),
            partition: self.partition,
            offset: self.offset,
            sealed: STANDARD.encode(&self.sealed),
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`RefusedError`] if it is nothing of the kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RefusedError> {
        let written: Written = serde_json::from_slice(bytes).map_err(|_| RefusedError)?;
        let sealed = STANDARD.decode(&written.sealed).map_err(|_| RefusedError)?;
        let Written { reason, partition, offset, .. } = written;
        Ok(Self { reason, partition, offset, sealed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_comes_back_whole() {
        let refused = RefusedEvent {
            reason: "unknown_sender".to_owned(),
            partition: 3,
            offset: 99,
            sealed: vec![0, 1, 255],
        };
        assert_eq!(RefusedEvent::from_bytes(&refused.to_bytes()), Ok(refused));
        assert_eq!(RefusedEvent::from_bytes(b"{}"), Err(RefusedError));
    }
}
