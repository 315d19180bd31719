//! What is asked of a provider: two small documents, bounded in size and time, no redirect
//! followed.

use reqwest::redirect::Policy;
use serde::Deserialize;
use url::Url;

use crate::config::{IdentityConfigError, IssuerConfig};
use crate::keys::Keys;
use crate::limits::{ANSWER_MAX, ANSWER_MAX_BYTES, CONNECT_MAX};

/// Why no keys came. None of these holds anything of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("unreachable")]
    Unreachable,
    #[error("timed_out")]
    TimedOut,
    #[error("status")]
    Status,
    #[error("too_long")]
    TooLong,
    #[error("not_discovery")]
    NotDiscovery,
    #[error("other_issuer")]
    OtherIssuer,
    #[error("insecure_jwks_uri")]
    InsecureKeys,
    #[error("no_keys")]
    NoKeys,
}

/// Fetches the documents of providers.
#[derive(Clone)]
pub(crate) struct Fetcher(reqwest::Client);

/// What is read of a discovery document. `openidconnect`'s own type wants an authorization
/// endpoint, which issuers of workload tokens (Kubernetes) don't have.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

impl Fetcher {
    pub(crate) fn new() -> Result<Self, IdentityConfigError> {
        // No proxy out of the environment: configuration alone says where keys come from.
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .no_proxy()
            .referer(false)
            .build();
        client.map(Self).map_err(|_| IdentityConfigError::Client)
    }

    /// The keys of `issuer`.
    pub(crate) async fn keys(&self, issuer: &IssuerConfig) -> Result<Keys, FetchError> {
        let url = match &issuer.jwks_url {
            Some(url) => url.clone(),
            None => self.keys_url(issuer).await?,
        };
        if !issuer.may_ask(&url) {
            return Err(FetchError::InsecureKeys);
        }
        Keys::parse(&self.get(url).await?).map_err(|_| FetchError::NoKeys)
    }

    async fn keys_url(&self, issuer: &IssuerConfig) -> Result<Url, FetchError> {
        let url = match &issuer.discovery_url {
            Some(url) => url.clone(),
            None => {
                let below = format!("{}{WELL_KNOWN}", issuer.issuer.trim_end_matches('/'));
                Url::parse(&below).map_err(|_| FetchError::NotDiscovery)?
            }
        };
        let document = self.get(url).await?;
        let discovery: Discovery =
            serde_json::from_slice(&document).map_err(|_| FetchError::NotDiscovery)?;
        if discovery.issuer != issuer.issuer {
            return Err(FetchError::OtherIssuer);
        }
        Ok(discovery.jwks_uri)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, FetchError> {
        let mut answer = self.0.get(url).send().await.map_err(|e| failed(&e))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| failed(&e))? {
            if body.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn failed(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() { FetchError::TimedOut } else { FetchError::Unreachable }
}

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
