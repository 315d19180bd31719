//! The keys of the seal: X25519 pairs, each known by an id that is a hash of its public half.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, Serializable};

use crate::secret::{NoChance, Secret};

/// What a key is known by: the first 8 bytes of SHA-256 of the public key, in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

/// The text is no key id. It is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: 16 hex digits are expected")]
pub struct KeyIdError;

impl KeyId {
    /// What the key with this public half is known by.
    pub(crate) fn of(public: &[u8; 32]) -> Self {
        let hash = digest::digest(&digest::SHA256, public);
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_ref()[..8]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let mut id = [0; 8];
        unhex(text, &mut id).ok_or(KeyIdError)?;
        Ok(Self(id))
    }
}

/// The public half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes given bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// None where the bytes are no point that a secret can be agreed with.
    pub(crate) fn hpke(&self) -> Option<<X25519HkdfSha256 as Kem>::PublicKey> {
        <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).ok()
    }
}

/// The private half of a pair, with its public half.
#[derive(Clone, Debug)]
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

impl PrivateKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        let public = <X25519HkdfSha256 as Kem>::sk_to_pk(&hpke_private(&secret));
        Self { public: PublicKey(public.to_bytes().into()), secret }
    }

    /// Draws a new pair.
    ///
    /// # Errors
    /// [`NoChance`] if the operating system gives no random bytes.
    pub fn draw() -> Result<Self, NoChance> {
        Secret::draw().map(Self::new)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn hpke(&self) -> <X25519HkdfSha256 as Kem>::PrivateKey {
        hpke_private(&self.secret)
    }
}

#[expect(clippy::expect_used, reason = "any 32 bytes are an X25519 private key")]
fn hpke_private(secret: &Secret) -> <X25519HkdfSha256 as Kem>::PrivateKey {
    <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.bytes()).expect("32 bytes are a key")
}

/// Fills `out` from as many hex digits as fit it; none if they are not that many or not hex.
pub(crate) fn unhex(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != out.len() * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_a_hash_of_the_public_key_and_parses_back() {
        let key = PrivateKey::new(Secret::new([7; 32]));
        let text = key.id().to_string();
        assert_eq!(text.len(), 16);
        assert_eq!(text.parse(), Ok(key.id()));
        assert_eq!(key.id(), key.public().id());
        assert_eq!("no".parse::<KeyId>(), Err(KeyIdError));
        assert_eq!("+123456789abcdef".parse::<KeyId>(), Err(KeyIdError));
    }

    #[test]
    fn a_private_key_does_not_print_itself() {
        let shown = format!("{:?}", PrivateKey::new(Secret::new([0x41; 32])));
        assert!(!shown.contains("65, 65"), "{shown}");
    }
}
