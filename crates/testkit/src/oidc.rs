//! A real OpenID Connect provider, with tokens that are wrong in one way beside the good ones.

use std::process::Command;

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::Child;
use crate::daemon::answers_ok;
use crate::fail::{OrGiveUp, give_up};
use crate::parts::{Parts, project_root};
use crate::port::free_port;

/// node-oidc-provider with RS256 keys, in a process of its own (tests/parts/oidc/provider.mjs).
#[derive(Debug)]
pub struct OidcProvider {
    issuer: String,
    process: Child,
    _folder: TempDir,
}

/// A token to be made.
#[derive(Clone, Debug, Serialize)]
pub struct TokenRequest {
    subject: String,
    audience: String,
    groups: Vec<String>,
    lives_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    flaw: Option<Flaw>,
}

/// The one way in which a token is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// `iss` is another's.
    WrongIssuer,
    /// `aud` is another's.
    WrongAudience,
    /// No `aud`.
    NoAudience,
    /// `exp` was an hour ago.
    Expired,
    /// `nbf` is in an hour.
    NotYetValid,
    /// No `exp`.
    NoExpiry,
    /// No `sub`.
    NoSubject,
    /// `alg` is `none` and there is no signature.
    AlgNone,
    /// Signed by HMAC with the provider's public key as the secret.
    #[serde(rename = "hs256_with_public_key")]
    Hs256WithPublicKey,
    /// Signed by a key that the provider does not list.
    UnknownKid,
    /// Signed by another key under the listed key's id.
    Forged,
    /// The claims were changed after signing.
    ChangedClaims,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::NoAudience,
        Self::Expired,
        Self::NotYetValid,
        Self::NoExpiry,
        Self::NoSubject,
        Self::AlgNone,
        Self::Hs256WithPublicKey,
        Self::UnknownKid,
        Self::Forged,
        Self::ChangedClaims,
    ];
}

impl TokenRequest {
    /// A good token of `subject` for the audience `trailgate`, without groups, for an hour.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            audience: "trailgate".to_owned(),
            groups: Vec::new(),
            lives_seconds: 3600,
            flaw: None,
        }
    }

    /// With these groups.
    #[must_use]
    pub fn groups(mut self, groups: &[&str]) -> Self {
        self.groups = groups.iter().map(|&group| group.to_owned()).collect();
        self
    }

    /// For another audience.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.audience);
        self
    }

    /// Valid for so long from now.
    #[must_use]
    pub fn lives_seconds(mut self, seconds: u32) -> Self {
        self.lives_seconds = seconds;
        self
    }

    /// Wrong in this way.
    #[must_use]
    pub fn with(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }
}

impl OidcProvider {
    /// Starts one. Takes about a second.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-oidc-").tempdir();
        let folder = folder.or_give_up("making the provider's folder");
        let (parts, port) = (Parts::find(), free_port());
        let mut command = Command::new(parts.node());
        command
            .arg(project_root().join("tests/parts/oidc/provider.mjs"))
            .arg(parts.oidc_modules())
            .arg(port.to_string());
        let process = Child::start("oidc provider", command, &folder.path().join("log"));
        let issuer = format!("http://127.0.0.1:{port}");
        let mut provider = Self { issuer, process, _folder: folder };
        let discovery = format!("{}/.well-known/openid-configuration", provider.issuer);
        provider.process.await_ready(async |_| answers_ok(&discovery).await).await;
        provider
    }

    /// The issuer's name, which is also its address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Makes a token.
    pub async fn token(&self, request: &TokenRequest) -> String {
        let answer = self.ask("token", &json!(request)).await;
        answer["token"].as_str().or_give_up("reading the token").to_owned()
    }

    /// Makes a new signing key; the old ones stay listed.
    pub async fn rotate_keys(&self) {
        self.ask("rotate", &json!({})).await;
    }

    /// Makes a new signing key and forgets the old ones, so that their tokens are no longer valid.
    pub async fn replace_keys(&self) {
        self.ask("rotate", &json!({"forget": true})).await;
    }

    /// Its process, to pause or kill it.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    async fn ask(&self, what: &str, body: &Value) -> Value {
        let url = format!("{}/testkit/{what}", self.issuer);
        let answer = reqwest::Client::new().post(url).json(body).send().await;
        let answer = answer.or_give_up("asking the OpenID Connect provider");
        let status = answer.status();
        let body: Value = answer.json().await.or_give_up("reading the provider's answer");
        if !status.is_success() {
            give_up("the OpenID Connect provider refused", &body);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_flaw_makes_a_token_and_no_two_are_alike() {
        let provider = OidcProvider::start().await;
        let request = TokenRequest::of("alice").groups(&["ops"]);
        let mut tokens = vec![provider.token(&request).await];
        for flaw in Flaw::ALL {
            tokens.push(provider.token(&request.clone().with(flaw)).await);
        }
        assert!(tokens.iter().all(|token| token.split('.').count() == 3));
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 1 + Flaw::ALL.len());
    }

    #[tokio::test]
    async fn keys_rotate_and_can_be_replaced() {
        let provider = OidcProvider::start().await;
        assert_eq!(listed(&provider).await, 1);
        provider.rotate_keys().await;
        assert_eq!(listed(&provider).await, 2);
        provider.replace_keys().await;
        assert_eq!(listed(&provider).await, 1);
    }

    async fn listed(provider: &OidcProvider) -> usize {
        let jwks = reqwest::get(format!("{}/jwks", provider.issuer())).await.unwrap();
        jwks.json::<Value>().await.unwrap()["keys"].as_array().unwrap().len()
    }
}
