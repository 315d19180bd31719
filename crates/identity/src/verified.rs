//! Tokens that were verified a moment ago, so that a caller's next request costs no signature.
//! What is kept of a token is its HMAC under a key that only this process has.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use trailgate_schemas::Micros;

use crate::config::IdentityConfigError;
use crate::identity::Identity;
use crate::limits::{VERIFIED_FOR, VERIFIED_MAX};

/// What stands for a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenTag([u8; 32]);

/// Verified tokens, by their tags.
pub(crate) struct Verified {
    key: hmac::Key,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    identities: HashMap<TokenTag, (Identity, Micros)>,
    /// In the order of their coming, which is nearly that of their end.
    order: VecDeque<TokenTag>,
}

impl Verified {
    pub(crate) fn new() -> Result<Self, IdentityConfigError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| IdentityConfigError::NoChance)?;
        Ok(Self { key, entries: Mutex::default() })
    }

    pub(crate) fn tag(&self, token: &str) -> TokenTag {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        TokenTag(tag)
    }

    pub(crate) fn find(&self, tag: TokenTag, now: Micros) -> Option<Identity> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, until) = entries.identities.get(&tag)?;
        (now < *until).then(|| identity.clone())
    }

    pub(crate) fn remember(&self, tag: TokenTag, identity: &Identity, now: Micros) {
        let until = identity.expires_at.min(now.plus(VERIFIED_FOR));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.make_room(now);
        entries.identities.insert(tag, (identity.clone(), until));
        entries.order.push_back(tag);
    }
}

impl Entries {
    /// One that was remembered twice may go early: it is verified again then.
    fn make_room(&mut self, now: Micros) {
        while let Some(oldest) = self.order.front() {
            let over = self.identities.get(oldest).is_none_or(|(_, until)| *until <= now);
            if !over && self.order.len() < VERIFIED_MAX {
                return;
            }
            self.identities.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trailgate_schemas::AuthMethod;

    use super::*;

    fn identity(expires_at: Micros) -> Identity {
        Identity {
            subject: "ann".to_owned(),
            issuer: "https://id".to_owned(),
            groups: Vec::new(),
            method: AuthMethod::OidcBearer,
            expires_at,
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires_and_no_longer_than_its_bound() {
        let verified = Verified::new().unwrap();
        let now = Micros(1_000_000_000);
        let (short, long) = (verified.tag("short"), verified.tag("long"));
        verified.remember(short, &identity(now.plus(Duration::from_secs(5))), now);
        verified.remember(long, &identity(Micros(i64::MAX)), now);
        let later = now.plus(Duration::from_secs(5));
        assert!(verified.find(short, now).is_some() && verified.find(short, later).is_none());
        assert!(verified.find(long, later).is_some());
        assert!(verified.find(long, now.plus(VERIFIED_FOR)).is_none());
    }

    #[test]
    fn no_more_tokens_are_remembered_than_the_bound() {
        let verified = Verified::new().unwrap();
        for n in 0..VERIFIED_MAX + 10 {
            verified.remember(verified.tag(&n.to_string()), &identity(Micros(i64::MAX)), Micros(0));
        }
        let entries = verified.entries.lock().unwrap();
        assert_eq!((entries.identities.len(), entries.order.len()), (VERIFIED_MAX, VERIFIED_MAX));
    }

    #[test]
    fn tags_of_two_processes_have_nothing_in_common() {
        assert!(Verified::new().unwrap().tag("t") != Verified::new().unwrap().tag("t"));
    }
}
