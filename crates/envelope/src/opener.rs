//! Opening: a [`SealedEvent`] in, its clear bytes and its proven sender out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use trailgate_schemas::{Kind, SEAL_VERSION, SchemaId, SealedEvent};

use crate::compression::decompress;
use crate::data_key::{DataKey, Wrapped};
use crate::key::{KeyId, PrivateKey, PublicKey};
use crate::limits::{OPENED_KEYS, clear_max};
use crate::stage::Stage;

/// Why a sealed event was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed to a key that is not here: not now. Wait for the key, lose nothing.
    #[error("opening key {0} is not here")]
    UnknownOpeningKey(KeyId),
    /// Sealed by a key that belongs to no stage.
    #[error("sender key {0} belongs to no stage")]
    UnknownSender(KeyId),
    /// Sealed by a stage that may not tell of this kind.
    #[error("{stage} may not emit {kind}")]
    KindNotAllowed {
        /// The proven sender.
        stage: Stage,
        /// What it told of.
        kind: Kind,
    },
    /// It was not sealed as it says, or it was changed since.
    #[error("seal does not hold")]
    Forged,
    /// The header says what no version of this program writes: a bad key id, a negative number.
    #[error("seal header is malformed: {field}")]
    Malformed {
        /// Which field.
        field: &'static str,
    },
    /// Sealed in a form that this version does not know.
    #[error("seal version {0} is not known here")]
    Version(i32),
    /// Its clear bytes don't decompress within their bound.
    #[error("clear bytes do not decompress")]
    Compression,
}

/// What was inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedEvent {
    /// The framed Avro bytes, as they were sealed.
    pub clear: Vec<u8>,
    /// The registry id of the schema that wrote them.
    pub schema_id: SchemaId,
    /// Who sealed them, proven.
    pub sender: Stage,
}

/// A stage's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSender {
    /// The stage.
    pub stage: Stage,
    /// Its public key.
    pub key: PublicKey,
}

/// Opens what was sealed to the masker. One owner: it remembers data keys it has unwrapped.
pub struct Opener {
    opening: BTreeMap<KeyId, PrivateKey>,
    senders: BTreeMap<KeyId, KnownSender>,
    opened: Recent,
}

impl Opener {
    /// Opens with any of `opening` what any of `senders` sealed.
    #[must_use]
    pub fn new(opening: Vec<PrivateKey>, senders: Vec<KnownSender>) -> Self {
        Self {
            opening: opening.into_iter().map(|key| (key.id(), key)).collect(),
            senders: senders.into_iter().map(|sender| (sender.key.id(), sender)).collect(),
            opened: Recent::default(),
        }
    }

    /// Opens one event.
    ///
    /// # Errors
    /// [`OpenError::UnknownOpeningKey`] asks to wait, the others are final for these keys.
    pub fn open(&mut self, sealed: &SealedEvent) -> Result<OpenedEvent, OpenError> {
        if sealed.seal_version != SEAL_VERSION {
            return Err(OpenError::Version(sealed.seal_version));
        }
        let schema_id = u32::try_from(sealed.schema_id)
            .map_err(|_| OpenError::Malformed { field: "schema_id" })?;
        let (key, sender) = self.data_key(sealed)?;
        let mut bytes = sealed.ciphertext.clone();
        key.open(sealed.nonce, &sealed.associated_data(), &mut bytes).ok_or(OpenError::Forged)?;
        if !sender.may_emit(sealed.kind) {
            return Err(OpenError::KindNotAllowed { stage: sender, kind: sealed.kind });
        }
        let clear = decompress(&sealed.compression, bytes, clear_max(sealed.kind))
            .ok_or(OpenError::Compression)?;
        Ok(OpenedEvent { clear, schema_id: SchemaId(schema_id), sender })
    }

    fn data_key(&mut self, sealed: &SealedEvent) -> Result<(Arc<DataKey>, Stage), OpenError> {
        let opening_id = key_id(&sealed.opening_key_id, "opening_key_id")?;
        let sender_id = key_id(&sealed.sender_key_id, "sender_key_id")?;
        let opening =
            self.opening.get(&opening_id).ok_or(OpenError::UnknownOpeningKey(opening_id))?;
        let sender = self.senders.get(&sender_id).ok_or(OpenError::UnknownSender(sender_id))?;
        let wrapped = Wrapped {
            encapsulated: sealed.encapsulated_key.clone(),
            ciphertext: sealed.wrapped_data_key.clone(),
        };
        // All that an unwrapping depends on, so that a header can't borrow another's key.
        let name = Opened {
            wrapped: wrapped.digest(),
            opening: opening_id,
            sender: sender_id,
            producer: *sealed.producer_id.0.as_bytes(),
        };
        if let Some(key) = self.opened.find(&name) {
            return Ok((key, sender.stage));
        }
        let key = DataKey::unwrap(&wrapped, opening, &sender.key, sealed.producer_id)
            .ok_or(OpenError::Forged)?;
        let key = Arc::new(key);
        self.opened.keep(name, Arc::clone(&key));
        Ok((key, sender.stage))
    }
}

fn key_id(text: &str, field: &'static str) -> Result<KeyId, OpenError> {
    text.parse().map_err(|_| OpenError::Malformed { field })
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Opened {
    wrapped: [u8; 32],
    opening: KeyId,
    sender: KeyId,
    producer: [u8; 16],
}

/// The data keys used last, at most [`OPENED_KEYS`]. Full, it forgets the older half at once: that
/// happens once in 512 unwrappings, so keeping an order for each use would cost more than it saves.
#[derive(Default)]
struct Recent {
    keys: HashMap<Opened, (u64, Arc<DataKey>)>,
    uses: u64,
}

impl Recent {
    fn find(&mut self, name: &Opened) -> Option<Arc<DataKey>> {
        self.uses += 1;
        let (used, key) = self.keys.get_mut(name)?;
        *used = self.uses;
        Some(Arc::clone(key))
    }

    fn keep(&mut self, name: Opened, key: Arc<DataKey>) {
        if self.keys.len() >= OPENED_KEYS {
            let mut uses: Vec<u64> = self.keys.values().map(|(used, _)| *used).collect();
            uses.sort_unstable();
            let middle = uses[uses.len() / 2];
            self.keys.retain(|_, (used, _)| *used > middle);
        }
        self.keys.insert(name, (self.uses, key));
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("opening", &self.opening.keys())
            .field("senders", &self.senders)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
