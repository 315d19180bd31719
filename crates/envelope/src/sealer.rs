//! Sealing: an event in, a [`SealedEvent`] out that only the masker opens.

use std::sync::{Arc, Mutex, PoisonError};

use trailgate_schemas::{ClearHeader, Micros, ProducerId, SEAL_VERSION, SchemaId, SealedEvent};
use trailgate_service::Clock;

use crate::compression::compress;
use crate::data_key::{DataKey, Wrapped};
use crate::key::{KeyId, PrivateKey, PublicKey};
use crate::limits::{DATA_KEY_EVENTS, DATA_KEY_LIFE, clear_max};

/// Why an event was not sealed. Without a seal it is not recorded, so what it tells of must not
/// happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Its clear bytes are longer than a record may be: send the rest in the next piece.
    #[error("event has {length} clear bytes, more than {max}")]
    TooLong {
        /// How many there are.
        length: usize,
        /// How many there may be.
        max: usize,
    },
    /// The registry id does not fit the header: a mistake of this program or of the registry.
    #[error("schema id {} does not fit the header", .0.0)]
    SchemaId(SchemaId),
    /// No data key could be made: no random bytes, or the opening key is no key.
    #[error("no data key could be made for opening key {0}")]
    DataKey(KeyId),
    /// The cipher refused: a mistake of this program.
    #[error("event could not be encrypted")]
    Cipher,
}

/// Seals the events of one stage to the masker. One for each process; cheap to share.
pub struct Sealer {
    sender: PrivateKey,
    opening: PublicKey,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Current>>,
}

/// The data key in use, and how far its nonces are.
struct Current {
    lease: Arc<Lease>,
    producer: ProducerId,
    since: Micros,
    next_nonce: i64,
}

/// What sealing one event takes of a data key; held outside the lock.
struct Lease {
    key: DataKey,
    id: String,
    wrapped: Wrapped,
}

impl Sealer {
    /// Seals from `sender` to whoever holds the private half of `opening`.
    #[must_use]
    pub fn new(sender: PrivateKey, opening: PublicKey, clock: Arc<dyn Clock>) -> Self {
        Self { sender, opening, clock, current: Mutex::new(None) }
    }

    /// Seals the framed Avro bytes of one event. CPU-bound: some microseconds for each KiB, and
    /// once a minute an HPKE operation.
    ///
    /// # Errors
    /// [`SealError`]; nothing may then take effect.
    pub fn seal(
        &self,
        header: ClearHeader,
        schema_id: SchemaId,
        clear: &[u8],
    ) -> Result<SealedEvent, SealError> {
        let max = clear_max(header.kind);
        if clear.len() > max {
            return Err(SealError::TooLong { length: clear.len(), max });
        }
        let schema = i32::try_from(schema_id.0).map_err(|_| SealError::SchemaId(schema_id))?;
        let (compression, bytes) = compress(clear);
        let (lease, nonce) = self.lease(header.producer_id)?;
        let mut sealed = SealedEvent {
            seal_version: SEAL_VERSION,
            event_id: header.event_id,
            kind: header.kind,
            session_id: header.session_id,
            stream_id: header.stream_id,
            stream_seq: header.stream_seq,
            producer_id: header.producer_id,
            producer_number: header.producer_number,
            gateway_time: header.gateway_time,
            sender_key_id: self.sender.id().to_string(),
            opening_key_id: self.opening.id().to_string(),
            data_key_id: lease.id.clone(),
            encapsulated_key: lease.wrapped.encapsulated.clone(),
            wrapped_data_key: lease.wrapped.ciphertext.clone(),
            nonce,
            schema_id: schema,
            compression: compression.to_owned(),
            ciphertext: bytes,
        };
        let associated = sealed.associated_data();
        lease.key.seal(nonce, &associated, &mut sealed.ciphertext).ok_or(SealError::Cipher)?;
        Ok(sealed)
    }

    /// A data key of `producer` and a nonce that nobody else gets.
    fn lease(&self, producer: ProducerId) -> Result<(Arc<Lease>, i64), SealError> {
        let now = self.clock.now();
        let mut slot = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = match slot.take().filter(|current| current.serves(producer, now)) {
            Some(current) => current,
            None => self.renew(producer, now)?,
        };
        let leased = (Arc::clone(&current.lease), current.next_nonce);
        current.next_nonce += 1;
        *slot = Some(current);
        Ok(leased)
    }

    fn renew(&self, producer: ProducerId, now: Micros) -> Result<Current, SealError> {
        let drawn = DataKey::draw(&self.sender, &self.opening, producer);
        let (key, wrapped) = drawn.ok_or_else(|| SealError::DataKey(self.opening.id()))?;
        let lease = Arc::new(Lease { key, id: wrapped.id(), wrapped });
        Ok(Current { lease, producer, since: now, next_nonce: 0 })
    }
}

impl Current {
    /// A clock that goes back also ends the key.
    fn serves(&self, producer: ProducerId, now: Micros) -> bool {
        self.producer == producer
            && self.next_nonce < DATA_KEY_EVENTS
            && now >= self.since
            && now.since(self.since) < DATA_KEY_LIFE
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} to {})", self.sender.id(), self.opening.id())
    }
}
