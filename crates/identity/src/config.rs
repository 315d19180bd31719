//! Whom the gateway trusts to say who callers are: the `[identity]` section.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openidconnect::core::CoreJwsSigningAlgorithm as Jws;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::limits::{LEEWAY_DEFAULT_S, LEEWAY_MAX_S};

/// Whom the gateway trusts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The issuers whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// How far clocks may differ, in seconds.
    #[serde(default = "leeway_default")]
    pub leeway_s: u64,
}

/// One issuer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Its name, exactly as its tokens have it in `iss`; discovery is looked for below it.
    pub issuer: String,
    /// For whom its tokens must be made: one of these is enough.
    pub audiences: BTreeSet<String>,
    /// The claim that lists the subject's groups.
    #[serde(default = "groups_claim_default")]
    pub groups_claim: String,
    /// How its tokens may be signed.
    #[serde(default = "algorithms_default")]
    pub algorithms: BTreeSet<Algorithm>,
    /// Where its discovery document is, if not below its name: for internal networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_url: Option<Url>,
    /// Where its keys are, in place of discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<Url>,
    /// Whether its keys may come over plain HTTP from another machine. Whoever sits between can
    /// then be anybody.
    #[serde(default)]
    pub allow_http: bool,
}

/// How a token is signed. There is no `none` here and nothing with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[expect(missing_docs, reason = "these are the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// The algorithm that a token's header names, if it can be allowed at all.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = [
            ("RS256", Self::RS256),
            ("RS384", Self::RS384),
            ("RS512", Self::RS512),
            ("PS256", Self::PS256),
            ("PS384", Self::PS384),
            ("PS512", Self::PS512),
            ("ES256", Self::ES256),
            ("ES384", Self::ES384),
            ("EdDSA", Self::EdDSA),
        ];
        known.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    pub(crate) const fn jws(self) -> Jws {
        match self {
            Self::RS256 => Jws::RsaSsaPkcs1V15Sha256,
            Self::RS384 => Jws::RsaSsaPkcs1V15Sha384,
            Self::RS512 => Jws::RsaSsaPkcs1V15Sha512,
            Self::PS256 => Jws::RsaSsaPssSha256,
            Self::PS384 => Jws::RsaSsaPssSha384,
            Self::PS512 => Jws::RsaSsaPssSha512,
            Self::ES256 => Jws::EcdsaP256Sha256,
            Self::ES384 => Jws::EcdsaP384Sha384,
            Self::EdDSA => Jws::EdDsa,
        }
    }
}

/// What is wrong with the configuration: which issuer by its place, which key, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityConfigError {
    /// Nobody could ever be verified.
    #[error("identity.issuers: name at least one issuer")]
    NoIssuer,
    /// The leeway makes expiry meaningless.
    #[error("identity.leeway_s: at most {LEEWAY_MAX_S}")]
    Leeway,
    /// A key of one issuer is wrong.
    #[error("identity.issuers[{place}].{key}: {problem}")]
    Issuer {
        /// Which one, from 0.
        place: usize,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The HTTP client can't be set up: no certificates, for instance.
    #[error("no HTTP client could be set up")]
    Client,
    /// The operating system gives no random bytes.
    #[error("no random bytes")]
    NoChance,
}

impl IdentityConfig {
    /// How far clocks may differ.
    pub(crate) fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_s)
    }

    /// Checks what no single key can say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), IdentityConfigError> {
        if self.issuers.is_empty() {
            return Err(IdentityConfigError::NoIssuer);
        }
        if self.leeway_s > LEEWAY_MAX_S {
            return Err(IdentityConfigError::Leeway);
        }
        let mut seen = BTreeMap::new();
        for (place, issuer) in self.issuers.iter().enumerate() {
            let wrong = |(key, problem)| IdentityConfigError::Issuer { place, key, problem };
            issuer.check().map_err(wrong)?;
            if seen.insert(&issuer.issuer, place).is_some() {
                return Err(wrong(("issuer", "an earlier one has the same name")));
            }
        }
        Ok(())
    }
}

impl IssuerConfig {
    /// An issuer with the usual settings.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: BTreeSet::from([audience.into()]),
            groups_claim: groups_claim_default(),
            algorithms: algorithms_default(),
            discovery_url: None,
            jwks_url: None,
            allow_http: false,
        }
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let issuer = Url::parse(&self.issuer).map_err(|_| ("issuer", "is no URL"))?;
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return Err(("issuer", "has a query or a fragment"));
        }
        if self.audiences.is_empty() || self.audiences.contains("") {
            return Err(("audiences", "name at least one, and none that is empty"));
        }
        if self.algorithms.is_empty() {
            return Err(("algorithms", "allow at least one"));
        }
        if self.groups_claim.is_empty() {
            return Err(("groups_claim", "is empty"));
        }
        let asked = match (&self.jwks_url, &self.discovery_url) {
            (Some(keys), _) => ("jwks_url", keys),
            (None, Some(discovery)) => ("discovery_url", discovery),
            (None, None) => ("issuer", &issuer),
        };
        let insecure = "is not https, which only loopback or allow_http = true excuses";
        if self.may_ask(asked.1) { Ok(()) } else { Err((asked.0, insecure)) }
    }

    /// Whether keys may come from `url`.
    pub(crate) fn may_ask(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.allow_http || is_loopback(url),
            _ => false,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

const fn leeway_default() -> u64 {
    LEEWAY_DEFAULT_S
}

fn groups_claim_default() -> String {
    "groups".to_owned()
}

fn algorithms_default() -> BTreeSet<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    BTreeSet::from([RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<IdentityConfig, String> {
        let none = BTreeMap::new();
        let parsed = trailgate_service::parse(std::path::Path::new("t.toml"), text, &none);
        let config: IdentityConfig = parsed.map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    const BASE: &str =
        "[[issuers]]\nissuer = \"https://id.example\"\naudiences = [\"trailgate\"]\n";

    #[test]
    fn an_issuer_and_an_audience_are_enough() {
        let config = parse(BASE).unwrap();
        assert_eq!(config.issuers[0].groups_claim, "groups");
        assert!(config.issuers[0].algorithms.contains(&Algorithm::ES256));
        assert_eq!(config.leeway_s, LEEWAY_DEFAULT_S);
    }

    #[test]
    fn none_and_shared_secrets_can_not_be_configured() {
        for name in ["none", "HS256", "HS512", "rs256"] {
            let said = parse(&format!("{BASE}algorithms = [\"{name}\"]\n")).unwrap_err();
            assert!(said.starts_with("t.toml:4: issuers[0].algorithms"), "{said}");
        }
    }

    #[test]
    fn keys_over_plain_http_need_loopback_or_a_word() {
        let http = BASE.replace("https", "http");
        assert!(parse(&http).unwrap_err().contains("is not https"));
        assert!(parse(&format!("{http}allow_http = true\n")).is_ok());
        assert!(parse(&http.replace("id.example", "127.0.0.1:9")).is_ok());
    }

    #[test]
    fn what_can_never_verify_anybody_is_refused() {
        for text in [
            "issuers = []\n".to_owned(),
            format!("{BASE}{BASE}"),
            format!("leeway_s = 3600\n{BASE}"),
            BASE.replace("[\"trailgate\"]", "[]"),
            BASE.replace("[\"trailgate\"]", "[\"\"]"),
            BASE.replace("https://id.example", "id.example"),
            format!("{BASE}algorithms = []\n"),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }
}
