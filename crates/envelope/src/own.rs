//! Sealing to oneself: what the masker remembers, and what a gateway holds, lies on a topic where
//! only they may read it. A key for each value is derived from their key and 32 random bytes, so
//! there is no count of values to keep below a limit.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};

use crate::key::{KeyId, PrivateKey};
use crate::secret::{NoChance, Secret};

/// Why bytes sealed to oneself were not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// Shorter than any seal, or of another form.
    #[error("not bytes sealed to oneself")]
    Malformed,
    /// Sealed under a key that is not here.
    #[error("key {0} is not here")]
    UnknownKey(KeyId),
    /// Not sealed for this place, or changed since.
    #[error("seal does not hold")]
    Forged,
}

/// Seals bytes to the holder of a key, who also opens them.
pub struct OwnSeal {
    current: KeyId,
    keys: BTreeMap<KeyId, hkdf::Prk>,
}

impl OwnSeal {
    /// The masker's: seals under `current`, opens under it and any of `older`.
    #[must_use]
    pub fn new<'a>(
        current: &'a PrivateKey,
        older: impl IntoIterator<Item = &'a PrivateKey>,
    ) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT);
        let derive = |key: &PrivateKey| (key.id(), salt.extract(key.secret().bytes()));
        let keys = older.into_iter().chain([current]).map(derive).collect();
        Self { current: current.id(), keys }
    }

    /// The gateways': under the key that also hashes clear bytes. What seals is derived from it, so
    /// neither use says anything of the other.
    ///
    /// # Errors
    /// [`NoChance`] if nothing can be derived.
    pub fn of_gateway(gateway: &Secret) -> Result<Self, NoChance> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, GATEWAY_SALT).extract(gateway.bytes());
        let mut id = [0; 8];
        let okm = prk.expand(&[ID_INFO], IdLength).map_err(|_| NoChance)?;
        okm.fill(&mut id).map_err(|_| NoChance)?;
        let id = KeyId(id);
        Ok(Self { current: id, keys: BTreeMap::from([(id, prk)]) })
    }

    /// Seals `clear` for the place that `associated` names; it opens nowhere else.
    ///
    /// # Errors
    /// [`NoChance`] if the operating system gives no random bytes.
    pub fn seal(&self, associated: &[u8], clear: &[u8]) -> Result<Vec<u8>, NoChance> {
        let mut drawn = [0; DRAWN];
        rand::fill(&mut drawn).map_err(|_| NoChance)?;
        let key = self.key(self.current, &drawn).ok_or(NoChance)?;
        let mut bytes = clear.to_vec();
        key.seal_in_place_append_tag(nonce(), Aad::from(associated), &mut bytes)
            .map_err(|_| NoChance)?;
        let mut out = Vec::with_capacity(HEAD + bytes.len());
        out.push(FORM);
        out.extend_from_slice(&self.current.0);
        out.extend_from_slice(&drawn);
        out.extend_from_slice(&bytes);
        Ok(out)
    }

    /// Opens what was sealed for the place that `associated` names.
    ///
    /// # Errors
    /// [`OwnError`].
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OwnError> {
        let (form, rest) = sealed.split_first_chunk::<1>().ok_or(OwnError::Malformed)?;
        let (id, rest) = rest.split_first_chunk::<8>().ok_or(OwnError::Malformed)?;
        let (drawn, bytes) = rest.split_first_chunk::<DRAWN>().ok_or(OwnError::Malformed)?;
        if form[0] != FORM {
            return Err(OwnError::Malformed);
        }
        let id = KeyId(*id);
        let key = self.key(id, drawn).ok_or(OwnError::UnknownKey(id))?;
        let mut bytes = bytes.to_vec();
        let clear = key
            .open_in_place(nonce(), Aad::from(associated), &mut bytes)
            .map_err(|_| OwnError::Forged)?
            .len();
        bytes.truncate(clear);
        Ok(bytes)
    }

    fn key(&self, id: KeyId, drawn: &[u8; DRAWN]) -> Option<LessSafeKey> {
        let info = [INFO, drawn.as_slice()];
        let okm = self.keys.get(&id)?.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

impl std::fmt::Debug for OwnSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnSeal({})", self.current)
    }
}

/// How long a key id is.
struct IdLength;

impl hkdf::KeyType for IdLength {
    fn len(&self) -> usize {
        8
    }
}

/// Each key seals one value, so its nonce may be any constant.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

const SALT: &[u8] = b"trailgate own seal 1";
const GATEWAY_SALT: &[u8] = b"trailgate gateway seal 1";
const ID_INFO: &[u8] = b"id";
const INFO: &[u8] = b"value";
const FORM: u8 = 1;
const DRAWN: usize = 32;
const HEAD: usize = 1 + 8 + DRAWN;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::new(Secret::new([byte; 32]))
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed_for() {
        let seal = OwnSeal::new(&key(1), []);
        let sealed = seal.seal(b"stream 1", b"tail").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"tail"));
        assert_eq!(seal.open(b"stream 1", &sealed), Ok(b"tail".to_vec()));
        assert_eq!(seal.open(b"stream 2", &sealed), Err(OwnError::Forged));
        assert_eq!(seal.open(b"stream 1", &sealed[..20]), Err(OwnError::Malformed));
    }

    #[test]
    fn a_value_still_opens_after_a_rotation_and_not_without_its_key() {
        let (old, new) = (key(1), key(2));
        let sealed = OwnSeal::new(&old, []).seal(b"p", b"tail").unwrap();
        assert_eq!(OwnSeal::new(&new, [&old]).open(b"p", &sealed), Ok(b"tail".to_vec()));
        let without = OwnSeal::new(&new, []).open(b"p", &sealed);
        assert_eq!(without, Err(OwnError::UnknownKey(old.id())));
    }
    #[test]
    fn what_a_gateway_sealed_opens_at_every_gateway_and_nowhere_else() {
        let gateway = |byte| OwnSeal::of_gateway(&Secret::new([byte; 32])).unwrap();
        let sealed = gateway(1).seal(b"hold", b"the exact bytes").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"exact"));
        assert_eq!(gateway(1).open(b"hold", &sealed), Ok(b"the exact bytes".to_vec()));
        assert_eq!(gateway(1).open(b"other", &sealed), Err(OwnError::Forged));
        assert!(matches!(gateway(2).open(b"hold", &sealed), Err(OwnError::UnknownKey(_))));
        let masker = OwnSeal::new(&key(1), []);
        assert!(matches!(masker.open(b"hold", &sealed), Err(OwnError::UnknownKey(_))));
    }
}
