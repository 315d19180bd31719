//! A request's credential becomes an identity, or a refusal: the list of steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::Semaphore;
use trailgate_service::{Clock, Part, Stop};

use crate::claims::Claims;
use crate::config::{IdentityConfig, IdentityConfigError};
use crate::credential::bearer;
use crate::fetch::Fetcher;
use crate::identity::Identity;
use crate::limits::{LOOK_AGAIN, LOOK_EVERY, VERIFICATIONS_MAX};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::token::Unverified;
use crate::verified::Verified;

/// Verifies callers. One for each process; share it.
pub struct Authenticator {
    providers: BTreeMap<String, Arc<Provider>>,
    verified: Verified,
    verifications: Semaphore,
    leeway: Duration,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// An authenticator that trusts whom `config` names. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`IdentityConfigError`] if the configuration could not keep anybody out, or let anybody in.
    pub fn new(
        config: &IdentityConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityConfigError> {
        config.check()?;
        let fetcher = Fetcher::new()?;
        let provider = |issuer: &crate::config::IssuerConfig| {
            let provider = Provider::new(issuer.clone(), fetcher.clone(), Arc::clone(&clock));
            (issuer.issuer.clone(), Arc::new(provider))
        };
        Ok(Self {
            providers: config.issuers.iter().map(provider).collect(),
            verified: Verified::new()?,
            verifications: Semaphore::new(VERIFICATIONS_MAX),
            leeway: config.leeway(),
            clock,
        })
    }

    /// Who sent `headers`. Dropping the future loses nothing: a fetch of keys that it began goes
    /// on for others.
    ///
    /// # Errors
    /// [`Refusal`]: nobody that can be named; nothing may then be let through.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let token = bearer(headers)?;
        let tag = self.verified.tag(token);
        if let Some(identity) = self.verified.find(tag, self.clock.now()) {
            return Ok(identity);
        }
        let unverified = Unverified::parse(token)?;
        let provider = self.providers.get(unverified.issuer()).ok_or(Refusal::UnknownIssuer)?;
        let claims = self.verify(unverified, provider).await?;
        let now = self.clock.now();
        let identity = claims.identity(provider.config(), now, self.leeway)?;
        self.verified.remember(tag, &identity, now);
        Ok(identity)
    }

    /// Fetches each provider's keys ahead of the first caller, and says in `part` whether there are
    /// any; until `stop`.
    pub async fn look_ahead(&self, part: &Part, stop: &Stop) {
        loop {
            let mut missing = None;
            for provider in self.providers.values() {
                if let Err(error) = provider.look_ahead().await {
                    missing = Some(format!("{}: {error}", provider.config().issuer));
                }
            }
            match &missing {
                None => part.ready(),
                Some(why) => part.waits("identity_provider", why),
            }
            let pause = if missing.is_none() { LOOK_EVERY } else { LOOK_AGAIN };
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn verify(&self, token: Unverified, provider: &Arc<Provider>) -> Result<Claims, Refusal> {
        let algorithm = token.algorithm(provider.config())?;
        let keys = provider.keys(token.key_id()).await?;
        // The semaphore is never closed; were it, nobody would be let in.
        let _permit = self.verifications.acquire().await.map_err(|_| Refusal::BadSignature)?;
        let checked = tokio::task::spawn_blocking(move || token.verify(algorithm, &keys));
        checked.await.map_err(|_| Refusal::BadSignature)?
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("issuers", &self.providers.keys()).finish()
    }
}
