//! One provider and what is known of its keys.
//!
//! Who needs keys that are missing waits for a fetch, all of them for the same one, and the fetch
//! outlives whoever began it. What looks ahead ([`Provider::look_ahead`]) is one more of them. However many unknown key ids
//! callers send, the provider is asked at the pace of a token bucket.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use crate::config::IssuerConfig;
use crate::fetch::{FetchError, Fetcher};
use crate::keys::Keys;
use crate::limits::{
    FETCH_EVERY, FETCHES_BURST, KEYS_FRESH, KEYS_STALE_MAX, UNKNOWN_KEY_FOR, UNKNOWN_KEYS_MAX,
};
use crate::refusal::Refusal;

/// A provider.
pub(crate) struct Provider {
    config: IssuerConfig,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    keys: Option<Fetched>,
    last_error: Option<FetchError>,
    running: Option<Fetching>,
    bucket: Bucket,
    unknown: UnknownKeys,
}

struct Fetched {
    keys: Arc<Keys>,
    at: Micros,
}

type Fetching = Shared<BoxFuture<'static, ()>>;

enum Refresh {
    Started(Fetching),
    Joined(Fetching),
    Limited,
}

impl Provider {
    pub(crate) fn new(config: IssuerConfig, fetcher: Fetcher, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            keys: None,
            last_error: None,
            running: None,
            bucket: Bucket { left: FETCHES_BURST, since: clock.now() },
            unknown: UnknownKeys::default(),
        };
        Self { config, fetcher, clock, state: Mutex::new(state) }
    }

    pub(crate) fn config(&self) -> &IssuerConfig {
        &self.config
    }

    /// Keys among which is the one that a token names.
    pub(crate) async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Arc<Keys>, Refusal> {
        loop {
            if let Some(known) = self.known(kid) {
                return known;
            }
            match self.refresh() {
                // It may have begun before the key was published: look, and ask again.
                Refresh::Joined(fetching) => fetching.await,
                Refresh::Started(fetching) => {
                    fetching.await;
                    return self.settle(kid, true);
                }
                Refresh::Limited => return self.settle(kid, false),
            }
        }
    }

    /// Fetches keys if there are none that may be used, or none that are fresh.
    ///
    /// # Errors
    /// Why there are none that may be used.
    pub(crate) async fn look_ahead(self: &Arc<Self>) -> Result<(), FetchError> {
        let at = self.state().usable(self.clock.now()).map(|fetched| fetched.at);
        if at.is_none_or(|at| self.clock.now().since(at) >= KEYS_FRESH) {
            match self.refresh() {
                Refresh::Started(fetching) | Refresh::Joined(fetching) => fetching.await,
                Refresh::Limited => {}
            }
        }
        let state = self.state();
        match state.usable(self.clock.now()) {
            Some(_) => Ok(()),
            None => Err(state.last_error.unwrap_or(FetchError::Unreachable)),
        }
    }

    /// What can be said without asking; nothing if the provider must be asked.
    fn known(self: &Arc<Self>, kid: Option<&str>) -> Option<Result<Arc<Keys>, Refusal>> {
        let now = self.clock.now();
        let state = self.state();
        let fetched = state.usable(now)?;
        if !fetched.keys.knows(kid) {
            return state.unknown.has(kid?, now).then_some(Err(Refusal::UnknownKey));
        }
        let keys = Arc::clone(&fetched.keys);
        let is_fresh = now.since(fetched.at) < KEYS_FRESH;
        drop(state);
        if !is_fresh {
            // Nobody waits for it: the old keys serve meanwhile.
            let _ = self.refresh();
        }
        Some(Ok(keys))
    }

    /// What can be said after asking, or where asking is not allowed. `asked` is whether the
    /// provider was asked after the key was missed.
    fn settle(&self, kid: Option<&str>, asked: bool) -> Result<Arc<Keys>, Refusal> {
        let now = self.clock.now();
        let mut state = self.state();
        let fetched = state.usable(now).ok_or(Refusal::ProviderUnavailable)?;
        if fetched.keys.knows(kid) {
            return Ok(Arc::clone(&fetched.keys));
        }
        if state.last_error.is_some() {
            return Err(Refusal::ProviderUnavailable);
        }
        if let (true, Some(kid)) = (asked, kid) {
            state.unknown.note(kid, now);
        }
        Err(Refusal::UnknownKey)
    }

    /// Begins to fetch, unless somebody does.
    fn refresh(self: &Arc<Self>) -> Refresh {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(running) = state.running.clone().filter(|running| running.peek().is_none()) {
            return Refresh::Joined(running);
        }
        if !state.bucket.take(now) {
            return Refresh::Limited;
        }
        let provider = Arc::clone(self);
        let task = tokio::spawn(async move { provider.fetch().await });
        // A task that panicked leaves the keys as they were.
        let fetching = task.map(|_| ()).boxed().shared();
        state.running = Some(fetching.clone());
        Refresh::Started(fetching)
    }

    async fn fetch(&self) {
        let fetched = self.fetcher.keys(&self.config).await;
        let now = self.clock.now();
        let mut state = self.state();
        state.running = None;
        state.last_error = fetched.as_ref().err().copied();
        match fetched {
            Ok(keys) => state.keys = Some(Fetched { keys: Arc::new(keys), at: now }),
            Err(error) => {
                tracing::debug!(issuer = %self.config.issuer, code = %error, "keys were not fetched");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, now: Micros) -> Option<&Fetched> {
        self.keys.as_ref().filter(|fetched| now.since(fetched.at) < KEYS_STALE_MAX)
    }
}

/// How many fetches may still begin.
struct Bucket {
    left: u32,
    since: Micros,
}

impl Bucket {
    fn take(&mut self, now: Micros) -> bool {
        let every = u64::try_from(FETCH_EVERY.as_micros()).unwrap_or(u64::MAX);
        let waited = u64::try_from(now.since(self.since).as_micros()).unwrap_or(u64::MAX);
        let gained = u32::try_from(waited / every).unwrap_or(u32::MAX);
        if gained > 0 || self.left == FETCHES_BURST {
            self.left = self.left.saturating_add(gained).min(FETCHES_BURST);
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// Key ids that the provider did not know a moment ago, as keyed hashes: the ids are callers' text.
#[derive(Default)]
struct UnknownKeys {
    hasher: RandomState,
    until: VecDeque<(u64, Micros)>,
}

impl UnknownKeys {
    fn has(&self, kid: &str, now: Micros) -> bool {
        let hash = self.hasher.hash_one(kid);
        self.until.iter().any(|(known, until)| *known == hash && now < *until)
    }

    fn note(&mut self, kid: &str, now: Micros) {
        while self.until.front().is_some_and(|(_, until)| *until <= now)
            || self.until.len() >= UNKNOWN_KEYS_MAX
        {
            self.until.pop_front();
        }
        self.until.push_back((self.hasher.hash_one(kid), now.plus(UNKNOWN_KEY_FOR)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fetches_come_at_the_pace_of_the_bucket() {
        let mut now = Micros(1_000_000_000);
        let mut bucket = Bucket { left: FETCHES_BURST, since: now };
        let burst = (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(burst, FETCHES_BURST as usize);
        let mut later = 0;
        for _ in 0..100 {
            now = now.plus(Duration::from_secs(1));
            later += usize::from(bucket.take(now));
        }
        assert_eq!(later, 10);
    }

    #[test]
    fn unknown_key_ids_are_forgotten_and_bounded() {
        let now = Micros(1_000_000_000);
        let mut unknown = UnknownKeys::default();
        for kid in 0..5000 {
            unknown.note(&kid.to_string(), now);
        }
        assert_eq!(unknown.until.len(), UNKNOWN_KEYS_MAX);
        assert!(unknown.has("4999", now) && !unknown.has("0", now));
        assert!(!unknown.has("4999", now.plus(UNKNOWN_KEY_FOR)));
    }
}
