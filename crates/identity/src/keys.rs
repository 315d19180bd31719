//! The public keys of one provider, as they were fetched.

use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet};
use openidconnect::{JsonWebKey, SignatureVerificationError};

use crate::config::Algorithm;
use crate::limits::KEYS_MAX;
use crate::refusal::Refusal;

/// A provider's keys. Those of a kind that is not known here were left out.
pub(crate) struct Keys(Vec<CoreJsonWebKey>);

/// The bytes are no key set, or one without a usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoKeys;

impl Keys {
    /// The keys in a JWKS document.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, NoKeys> {
        let set: CoreJsonWebKeySet = serde_json::from_slice(json).map_err(|_| NoKeys)?;
        let keys: Vec<_> = set.keys().iter().take(KEYS_MAX).cloned().collect();
        if keys.is_empty() { Err(NoKeys) } else { Ok(Self(keys)) }
    }

    /// Whether there is a key of this id; a token that names none may be signed by any.
    pub(crate) fn knows(&self, kid: Option<&str>) -> bool {
        self.0.iter().any(|key| is_named(key, kid))
    }

    /// Checks a signature by the key that the token names, or, if it names none, by the first few
    /// that fit. A key fits if its type, use and algorithm allow it: no public key is ever taken
    /// for a shared secret.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let mut tried = 0;
        for key in self.0.iter().filter(|key| is_named(key, kid)) {
            match key.verify_signature(&algorithm.jws(), signed, signature) {
                Ok(()) => return Ok(()),
                Err(SignatureVerificationError::InvalidKey(_)) => {}
                Err(_) => tried += 1,
            }
            if tried == TRIED_MAX {
                break;
            }
        }
        Err(if tried == 0 { Refusal::UnknownKey } else { Refusal::BadSignature })
    }
}

fn is_named(key: &CoreJsonWebKey, kid: Option<&str>) -> bool {
    kid.is_none_or(|kid| key.key_id().is_some_and(|id| id.as_str() == kid))
}

/// Keys that one token is tried with: a provider in the middle of a rotation has two or three.
const TRIED_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_of_an_unknown_kind_does_not_hide_the_others() {
        let json = br#"{"keys":[{"kty":"AKP","alg":"ML-DSA-44","kid":"new"},
            {"kty":"OKP","crv":"Ed25519","kid":"old","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let keys = Keys::parse(json).unwrap();
        assert!(keys.knows(Some("old")) && keys.knows(None) && !keys.knows(Some("new")));
        assert!(Keys::parse(br#"{"keys":[]}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(json in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Keys::parse(&json).is_err());
        }
    }
}
