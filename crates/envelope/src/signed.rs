//! What a stage says in the open and others act on: bytes with an Ed25519 signature before them.
//! Signed is exactly what lies there, together with the place that it is for, so that no two
//! encoders must agree and nothing said in one place counts in another (docs/adr/0004).
//!
//! ```text
//! form (1) | key id (8) | signature over place, zero, clear (64) | clear
//! ```
//! It says who and what, not when: that something is not counted twice or late is for its reader.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::key::KeyId;
use crate::secret::{NoChance, Secret};

/// Why signed bytes say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Shorter than any signature, or of another form.
    #[error("not signed bytes")]
    Malformed,
    /// Signed by a key that is not here: wait for it, or it is nobody's.
    #[error("signing key {0} is not here")]
    UnknownKey(KeyId),
    /// Not signed for this place, or changed since.
    #[error("signature does not hold")]
    Forged,
}

/// The private half of a pair that signs.
pub struct SigningKey {
    secret: Secret,
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Takes 32 secret bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "any 32 bytes are the seed of an Ed25519 key")]
    pub fn new(secret: Secret) -> Self {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(secret.bytes()).expect("32 bytes are a seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { secret, pair, public: VerifyingKey(public) }
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
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    /// Signs `clear` for `place`, a topic's name; it holds nowhere else.
    #[must_use]
    pub fn sign(&self, place: &str, clear: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&message(place, clear));
        let mut out = Vec::with_capacity(HEAD + clear.len());
        out.push(FORM);
        out.extend_from_slice(&self.id().0);
        out.extend_from_slice(signature.as_ref());
        out.extend_from_slice(clear);
        out
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}

/// The public half of a pair that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
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
}

/// Whose signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyingKeys(BTreeMap<KeyId, VerifyingKey>);

impl VerifyingKeys {
    /// Those of these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.id(), key)).collect())
    }

    /// The clear bytes that one of these keys signed for `place`.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn open<'a>(&self, place: &str, signed: &'a [u8]) -> Result<&'a [u8], SignedError> {
        let (form, rest) = signed.split_first_chunk::<1>().ok_or(SignedError::Malformed)?;
        let (id, rest) = rest.split_first_chunk::<8>().ok_or(SignedError::Malformed)?;
        let (signature, clear) = rest.split_first_chunk::<64>().ok_or(SignedError::Malformed)?;
        if form[0] != FORM {
            return Err(SignedError::Malformed);
        }
        let id = KeyId(*id);
        let key = self.0.get(&id).ok_or(SignedError::UnknownKey(id))?;
        let verified =
            UnparsedPublicKey::new(&ED25519, key.0).verify(&message(place, clear), signature);
        verified.map(|()| clear).map_err(|_| SignedError::Forged)
    }
}

/// A place's name has no zero byte, so no two pairs give the same message.
fn message(place: &str, clear: &[u8]) -> Vec<u8> {
    [place.as_bytes(), &[0], clear].concat()
}

const FORM: u8 = 1;
const HEAD: usize = 1 + 8 + 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::new(Secret::new([byte; 32]))
    }

    fn known(keys: &[&SigningKey]) -> VerifyingKeys {
        VerifyingKeys::new(keys.iter().map(|key| *key.public()))
    }

    #[test]
    fn a_signature_holds_only_for_its_place_and_by_a_known_key() {
        let (ours, other) = (key(1), key(2));
        let signed = ours.sign("audit.decisions", b"yes");
        let keys = known(&[&ours]);
        assert_eq!(keys.open("audit.decisions", &signed), Ok(b"yes".as_slice()));
        assert_eq!(keys.open("audit.votes", &signed), Err(SignedError::Forged));
        let unknown = known(&[&other]).open("audit.decisions", &signed);
        assert_eq!(unknown, Err(SignedError::UnknownKey(ours.id())));
    }

    #[test]
    fn what_another_key_signed_does_not_pass_under_the_id_of_a_known_one() {
        let (ours, other) = (key(1), key(2));
        let mut signed = other.sign("audit.decisions", b"yes");
        signed[1..9].copy_from_slice(&ours.id().0);
        assert_eq!(known(&[&ours]).open("audit.decisions", &signed), Err(SignedError::Forged));
    }

    #[test]
    fn what_is_unsigned_or_of_another_form_is_refused() {
        let ours = key(1);
        let keys = known(&[&ours]);
        let mut signed = ours.sign("p", b"");
        assert_eq!(keys.open("p", &signed), Ok(b"".as_slice()));
        assert_eq!(keys.open("p", &signed[..72]), Err(SignedError::Malformed));
        assert_eq!(keys.open("p", b""), Err(SignedError::Malformed));
        assert_eq!(keys.open("p", br#"{"state":"approved"}"#), Err(SignedError::Malformed));
        signed[0] = 2;
        assert_eq!(keys.open("p", &signed), Err(SignedError::Malformed));
    }

    #[test]
    fn after_a_rotation_what_the_old_key_signed_still_holds() {
        let (old, new) = (key(1), key(2));
        let keys = known(&[&new, &old]);
        for key in [&old, &new] {
            assert_eq!(keys.open("p", &key.sign("p", b"x")), Ok(b"x".as_slice()));
        }
    }

    #[test]
    fn a_signing_key_does_not_print_itself() {
        let shown = format!("{:?}", key(0x41));
        assert!(!shown.contains("65, 65") && !shown.contains("4141"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_and_any_flipped_bit_breaks_the_signature(
            clear in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<proptest::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let ours = key(1);
            let keys = known(&[&ours]);
            let mut signed = ours.sign("p", &clear);
            prop_assert_eq!(keys.open("p", &signed), Ok(clear.as_slice()));
            let at = at.index(signed.len());
            signed[at] ^= 1 << bit;
            prop_assert!(keys.open("p", &signed).is_err());
        }
    }
}
