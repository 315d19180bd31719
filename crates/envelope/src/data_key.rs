//! A data key on its way: drawn by a producer, wrapped by HPKE in auth mode from the producer's
//! stage to the masker, so that only the masker opens it and knows who wrapped it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use trailgate_schemas::ProducerId;
use zeroize::Zeroizing;

use crate::key::{PrivateKey, PublicKey};
use crate::secret::Secret;

/// A data key under HPKE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) encapsulated: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

impl Wrapped {
    /// A name for people and logs. What a cache trusts is [`Self::digest`].
    pub(crate) fn id(&self) -> String {
        self.digest()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&(self.encapsulated.len() as u64).to_be_bytes());
        hash.update(&self.encapsulated);
        hash.update(&self.ciphertext);
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        out
    }
}

/// An AES-256-GCM key that seals each event under a counted nonce.
pub(crate) struct DataKey(LessSafeKey);

impl DataKey {
    fn new(secret: &Secret) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, secret.bytes()).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Draws a key for `producer` and wraps it from `sender` to `opening`.
    pub(crate) fn draw(
        sender: &PrivateKey,
        opening: &PublicKey,
        producer: ProducerId,
    ) -> Option<(Self, Wrapped)> {
        let secret = Secret::draw().ok()?;
        let sender_public = sender.public().hpke()?;
        let (encapsulated, ciphertext) =
            hpke::single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Auth((sender.hpke(), sender_public)),
                &opening.hpke()?,
                INFO,
                secret.bytes(),
                producer.0.as_bytes(),
            )
            .ok()?;
        let wrapped = Wrapped { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext };
        Some((Self::new(&secret)?, wrapped))
    }

    /// Unwraps a key; none if it was not wrapped by `sender` for `producer`.
    pub(crate) fn unwrap(
        wrapped: &Wrapped,
        opening: &PrivateKey,
        sender: &PublicKey,
        producer: ProducerId,
    ) -> Option<Self> {
        type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;
        let encapsulated = Encapsulated::from_bytes(&wrapped.encapsulated).ok()?;
        let clear = hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Auth(sender.hpke()?),
            &opening.hpke(),
            &encapsulated,
            INFO,
            &wrapped.ciphertext,
            producer.0.as_bytes(),
        );
        let clear = Zeroizing::new(clear.ok()?);
        Self::new(&Secret::new(clear.as_slice().try_into().ok()?))
    }

    pub(crate) fn seal(&self, counter: i64, associated: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        let nonce = counted(counter)?;
        self.0.seal_in_place_append_tag(nonce, Aad::from(associated), bytes).ok()
    }

    pub(crate) fn open(&self, counter: i64, associated: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        let nonce = counted(counter)?;
        let clear = self.0.open_in_place(nonce, Aad::from(associated), bytes).ok()?.len();
        bytes.truncate(clear);
        Some(())
    }
}

/// The 12-byte big-endian form of a counter that is not negative.
fn counted(counter: i64) -> Option<Nonce> {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&u64::try_from(counter).ok()?.to_be_bytes());
    Some(Nonce::assume_unique_for_key(nonce))
}

const INFO: &[u8] = b"trailgate data key 1";
