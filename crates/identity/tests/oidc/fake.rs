//! A provider like the real ones: discovery, keys, tokens, and their failures.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{encoding, hmac};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use trailgate_identity::{Authenticator, Identity, IdentityConfig, IssuerConfig, Refusal};
use trailgate_schemas::Micros;
use trailgate_service::{Clock, ManualClock, SystemClock};

pub(crate) const AUDIENCE: &str = "trailgate";

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Down,
    Redirects,
    TooLong,
    Nonsense,
    OtherIssuer,
}

pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) mood: Mutex<Mood>,
    pub(crate) key_fetches: AtomicUsize,
    keys: Mutex<Vec<Value>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Provider {
    pub(crate) async fn start(keys: &[&SigningKey]) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let provider = Arc::new(Self {
            issuer: format!("http://{address}"),
            mood: Mutex::new(Mood::Well),
            key_fetches: AtomicUsize::new(0),
            keys: Mutex::new(keys.iter().map(|key| key.public()).collect()),
            task: Mutex::new(None),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .with_state(Arc::clone(&provider));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        *provider.task.lock().unwrap() = Some(task);
        provider
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.public()).collect();
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.key_fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig::new(&self.issuer, AUDIENCE)
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }

    /// Claims of a good token at `now`.
    pub(crate) fn claims(&self, now: Micros) -> Value {
        let now = now.0 / 1_000_000;
        json!({"iss": self.issuer, "sub": "ann", "aud": AUDIENCE, "iat": now, "nbf": now,
               "exp": now + 600, "groups": ["agents"]})
    }
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Response {
    let issuer = match *provider.mood.lock().unwrap() {
        Mood::OtherIssuer => "http://127.0.0.1:1".to_owned(),
        _ => provider.issuer.clone(),
    };
    axum::Json(json!({"issuer": issuer, "jwks_uri": format!("{}/jwks", provider.issuer)}))
        .into_response()
}

async fn jwks(State(provider): State<Arc<Provider>>) -> Response {
    provider.key_fetches.fetch_add(1, Ordering::SeqCst);
    // Long enough for other callers to come while this one is answered.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let keys = json!({"keys": *provider.keys.lock().unwrap()});
    let mood = *provider.mood.lock().unwrap();
    match mood {
        Mood::Well | Mood::OtherIssuer => axum::Json(keys).into_response(),
        Mood::Down => StatusCode::BAD_GATEWAY.into_response(),
        Mood::Redirects => {
            let elsewhere = format!("{}/elsewhere", provider.issuer);
            (StatusCode::FOUND, [(header::LOCATION, elsewhere)], keys.to_string()).into_response()
        }
        Mood::TooLong => format!("{keys}{}", " ".repeat(1 << 20)).into_response(),
        Mood::Nonsense => "<html>sign in</html>".into_response(),
    }
}

pub(crate) enum SigningKey {
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair, &'static str),
    Rsa(Box<RsaKeyPair>, &'static str),
}

impl SigningKey {
    pub(crate) fn ec(kid: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid)
    }

    pub(crate) fn ed(kid: &'static str) -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap(), kid)
    }

    pub(crate) fn rsa(kid: &'static str) -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()), kid)
    }

    pub(crate) fn kid(&self) -> &'static str {
        match self {
            Self::Ec(_, kid) | Self::Ed(_, kid) | Self::Rsa(_, kid) => kid,
        }
    }

    pub(crate) fn public(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(key, kid) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
                       "x": encode(x), "y": encode(y)})
            }
            Self::Ed(key, kid) => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid,
                                         "x": encode(key.public_key().as_ref())}),
            Self::Rsa(key, kid) => {
                let public = key.public_key();
                let n = public.modulus().big_endian_without_leading_zero().to_vec();
                let e = public.exponent().big_endian_without_leading_zero().to_vec();
                json!({"kty": "RSA", "use": "sig", "kid": kid, "n": encode(&n), "e": encode(&e)})
            }
        }
    }

    /// The bytes of the public key, as one would feed them to HS256.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ec(key, _) => key.public_key().as_ref().to_vec(),
            Self::Ed(key, _) => key.public_key().as_ref().to_vec(),
            Self::Rsa(key, _) => {
                let der: encoding::PublicKeyX509Der<'_> =
                    encoding::AsDer::as_der(key.public_key()).unwrap();
                der.as_ref().to_vec()
            }
        }
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        let alg = match self {
            Self::Ec(..) => "ES256",
            Self::Ed(..) => "EdDSA",
            Self::Rsa(..) => "RS256",
        };
        self.token_with(&json!({"alg": alg, "typ": "JWT", "kid": self.kid()}), claims)
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.sign(header["alg"] == "PS256", signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, pss: bool, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key, _) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key, _) => {
                let padding: &dyn RsaEncoding =
                    if pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// A token signed with HS256 under `secret`.
pub(crate) fn shared_secret_token(secret: &[u8], kid: &str, claims: &Value) -> String {
    let signed = unsigned(&json!({"alg": "HS256", "typ": "JWT", "kid": kid}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// An authenticator that trusts a provider, and the clock that both go by.
pub(crate) struct Bench {
    pub(crate) clock: ManualClock,
    pub(crate) authenticator: Arc<Authenticator>,
}

impl Bench {
    pub(crate) fn new(issuers: Vec<IssuerConfig>) -> Self {
        trailgate_service::install_crypto();
        let clock = ManualClock::at(SystemClock.now());
        let config = IdentityConfig { issuers, leeway_s: 30 };
        let authenticator = Authenticator::new(&config, Arc::new(clock.clone())).unwrap();
        Self { clock, authenticator: Arc::new(authenticator) }
    }

    pub(crate) async fn asks(&self, token: &str) -> Result<Identity, Refusal> {
        asks(&self.authenticator, token).await
    }
}

pub(crate) async fn asks(authenticator: &Authenticator, token: &str) -> Result<Identity, Refusal> {
    let mut headers = axum::http::HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    authenticator.authenticate(&headers).await
}
