//! The development identity issuer: discovery, keys and tokens of one made-up issuer on loopback,
//! for a first run without an identity provider. It says what it is, and it does not start beside
//! a shared backbone or a listener that others reach.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use trailgate_schemas::Micros;
use trailgate_service::Stop;

use crate::files::write_private;

/// The audience of its tokens.
pub(crate) const AUDIENCE: &str = "trailgate-development";

/// How long its tokens are valid.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// What stands beside the issuer, and may forbid it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    /// Whether records leave this process.
    pub shared_backbone: bool,
    /// Every listener of the process.
    pub listeners: &'a [SocketAddr],
}

/// The issuer's signing key.
pub(crate) struct DevIssuer {
    key: EcdsaKeyPair,
    key_id: String,
    issuer: String,
}

impl DevIssuer {
    /// Opens the key in `folder`, or makes it there, for the issuer at `address`.
    ///
    /// # Errors
    /// If anything beside it could let others in, or the key can't be read or made.
    pub(crate) fn open(
        folder: &Path,
        address: SocketAddr,
        beside: Beside<'_>,
    ) -> anyhow::Result<Self> {
        if beside.shared_backbone {
            bail!("the development issuer does not start beside Kafka: configure a real issuer");
        }
        let exposed = beside.listeners.iter().chain([&address]).find(|a| !a.ip().is_loopback());
        if let Some(exposed) = exposed {
            bail!(
                "the development issuer does not start beside {exposed}, which is not loopback: \
                 configure a real issuer"
            );
        }
        let key = open_key(&folder.join("dev-issuer.p8"))?;
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_key().as_ref());
        let key_id = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..9]);
        Ok(Self { key, key_id, issuer: format!("http://{address}") })
    }

    /// Its name, which is its address.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token for `subject` in `groups`, valid for [`TOKEN_LIFE`].
    ///
    /// # Errors
    /// If signing fails.
    pub(crate) fn token(
        &self,
        subject: &str,
        groups: &[String],
        now: Micros,
    ) -> anyhow::Result<String> {
        let seconds = now.0 / 1_000_000;
        let life = i64::try_from(TOKEN_LIFE.as_secs())?;
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": subject, "groups": groups,
            "iat": seconds, "nbf": seconds, "exp": seconds + life,
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| anyhow::anyhow!("signing failed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// Serves discovery and keys on `listener` until `stop`.
    pub(crate) fn serve(self: &Arc<Self>, listener: tokio::net::TcpListener, stop: Stop) {
        let app = self.routes();
        tokio::spawn(async move {
            let serving = axum::serve(listener, app)
                .with_graceful_shutdown(async move { stop.asked().await });
            if let Err(error) = serving.await {
                tracing::error!(kind = ?error.kind(), "development issuer ended");
            }
        });
    }

    fn routes(&self) -> Router {
        let discovery = json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/jwks", self.issuer),
            "authorization_endpoint": format!("{}/authorize", self.issuer),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let keys = json!({"keys": [self.public_key()]});
        Router::new()
            .route("/", get(|| async { NOTICE }))
            .route("/authorize", get(|| async { NOTICE }))
            .route("/.well-known/openid-configuration", get(move || async { Json(discovery) }))
            .route("/jwks", get(move || async { Json(keys) }))
    }

    fn public_key(&self) -> Value {
        // An uncompressed point: 4, then x and y of 32 bytes each.
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }
}

fn open_key(file: &Path) -> anyhow::Result<EcdsaKeyPair> {
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    if !file.exists() {
        let made = EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new());
        let made = made.map_err(|_| anyhow::anyhow!("no key could be made"))?;
        write_private(file, made.as_ref())?;
    }
    let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    EcdsaKeyPair::from_pkcs8(kind, &bytes)
        .map_err(|_| anyhow::anyhow!("{}: not a key of the development issuer", file.display()))
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

const NOTICE: &str = "This is Trailgate's development issuer. It vouches for anybody who can read \
its folder: it is for a first run on one machine, never for production.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn open(shared_backbone: bool, listener: &str) -> anyhow::Result<DevIssuer> {
        let folder = tempfile::tempdir()?;
        let listeners = [listener.parse()?];
        let beside = Beside { shared_backbone, listeners: &listeners };
        DevIssuer::open(folder.path(), "127.0.0.1:1".parse()?, beside)
    }

    #[test]
    fn it_starts_alone_on_loopback() {
        assert!(open(false, "127.0.0.1:2").is_ok());
        assert!(open(false, "[::1]:2").is_ok());
    }

    #[test]
    fn it_does_not_start_beside_kafka_or_an_open_listener() {
        assert!(open(true, "127.0.0.1:2").is_err());
        assert!(open(false, "0.0.0.0:2").is_err());
        assert!(open(false, "192.0.2.1:2").is_err());
    }

    #[test]
    fn the_key_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let beside = Beside { shared_backbone: false, listeners: &[] };
        let first = DevIssuer::open(folder.path(), address, beside).unwrap().key_id;
        assert_eq!(first, DevIssuer::open(folder.path(), address, beside).unwrap().key_id);
    }
}
