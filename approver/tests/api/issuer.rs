//! An issuer of tokens on loopback.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use trailgate_identity::{IdentityConfig, IssuerConfig};
use trailgate_service::{Clock, SystemClock};

pub(crate) struct Issuer {
    name: String,
    key: EcdsaKeyPair,
    _serving: AbortOnDropHandle<()>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)});
        let discovery = json!({"issuer": name, "jwks_uri": format!("{name}/jwks")});
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(|| async { Json(discovery) }))
            .route("/jwks", get(|| async move { Json(json!({"keys": [jwk]})) }));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { name, key, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self) -> IdentityConfig {
        let issuers = vec![IssuerConfig::new(&self.name, "trailgate")];
        IdentityConfig { issuers, leeway_s: 30 }
    }

    pub(crate) fn token(&self, subject: &str, groups: &[&str]) -> String {
        let now = SystemClock.now().0 / 1_000_000;
        let claims = json!({"iss": self.name, "sub": subject, "aud": "trailgate",
                            "groups": groups, "exp": now + 600});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed =
            format!("{}.{}", encode(&json!({"alg": "ES256", "kid": "k"})), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
