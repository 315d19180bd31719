//! The keys by which the gateway says something about clear bytes without saying them.

use aws_lc_rs::{hkdf, hmac};
use trailgate_schemas::SessionKey;

/// The gateway's keyed hashes.
#[derive(Clone)]
pub struct ProxyKeys {
    /// Sessions' ids.
    pub session: SessionKey,
    token: hmac::Key,
    digest: hmac::Key,
    hold: hmac::Key,
}

impl ProxyKeys {
    /// `token` makes the tokens that stand for credentials, the same as the masker's; `gateway`
    /// hashes bodies.
    #[must_use]
    pub fn new(session: SessionKey, token: &[u8; 32], gateway: &[u8; 32]) -> Self {
        Self {
            session,
            token: hmac::Key::new(hmac::HMAC_SHA256, token),
            digest: hmac::Key::new(hmac::HMAC_SHA256, gateway),
            hold: derived(gateway),
        }
    }

    /// What stands for a secret: the first 8 hex digits of its HMAC.
    #[must_use]
    pub fn token(&self, secret: &[u8]) -> String {
        hex::encode(&hmac::sign(&self.token, secret).as_ref()[..4])
    }

    /// A keyed hash of exactly what is held.
    pub(crate) fn hold_digest(&self) -> hmac::Context {
        hmac::Context::with_key(&self.hold)
    }

    /// A keyed hash of a body as it goes by.
    pub(crate) fn body_digest(&self) -> hmac::Context {
        hmac::Context::with_key(&self.digest)
    }
}

impl std::fmt::Debug for ProxyKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyKeys")
    }
}

/// A key of its own: a body that is written like an operation has not its digest.
#[expect(clippy::expect_used, reason = "32 bytes are a length that can be derived")]
fn derived(gateway: &[u8; 32]) -> hmac::Key {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, HOLD_SALT).extract(gateway);
    prk.expand(&[b"digest"], hmac::HMAC_SHA256).expect("a length that can be derived").into()
}

const HOLD_SALT: &[u8] = b"trailgate hold digest 1";
