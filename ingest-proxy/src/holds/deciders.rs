//! Whose decisions count, by the public keys in the keys folder. A key that is not known may have
//! been made since: the folder is read again, so a rotation needs no restart.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use trailgate_envelope::{KeysError, KeysFolder, SignedError, VerifyingKeys};
use trailgate_topics::Topic;

use crate::limits::DECIDERS_AGAIN;

/// Whose decisions count.
#[derive(Debug)]
pub struct Deciders {
    folder: Option<KeysFolder>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    keys: VerifyingKeys,
    read_at: Instant,
}

impl Deciders {
    /// Those in the folder, now and later.
    ///
    /// # Errors
    /// [`KeysError`], also if there is none: then nobody could let anything go.
    pub fn of(folder: KeysFolder) -> Result<Self, KeysError> {
        let keys = folder.load_deciders()?;
        Ok(Self::new(Some(folder), keys))
    }

    /// These and no others.
    #[must_use]
    pub fn fixed(keys: VerifyingKeys) -> Self {
        Self::new(None, keys)
    }

    fn new(folder: Option<KeysFolder>, keys: VerifyingKeys) -> Self {
        let read_at = Instant::now().checked_sub(DECIDERS_AGAIN).unwrap_or_else(Instant::now);
        Self { folder, known: Mutex::new(Known { keys, read_at }) }
    }

    /// The clear bytes of a decision that one of them signed.
    pub(super) fn open<'a>(&self, signed: &'a [u8]) -> Result<&'a [u8], SignedError> {
        let place = Topic::Decisions.name();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.keys.open(place, signed) {
            // A few short files, and not more often than so: on the one task that reads decisions.
            Err(SignedError::UnknownKey(id)) if known.read_at.elapsed() >= DECIDERS_AGAIN => {
                known.read_at = Instant::now();
                let Some(Ok(keys)) = self.folder.as_ref().map(KeysFolder::load_deciders) else {
                    return Err(SignedError::UnknownKey(id));
                };
                known.keys = keys;
                known.keys.open(place, signed)
            }
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_since_counts_without_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeysFolder::new(place.path());
        folder.create_missing().unwrap();
        let deciders = Deciders::of(folder.clone()).unwrap();
        folder.rotate().unwrap();
        let signed = folder.load_decision().unwrap().sign("audit.decisions", b"x");
        assert_eq!(deciders.open(&signed), Ok(b"x".as_slice()));
        let votes = folder.load_decision().unwrap().sign("audit.votes", b"x");
        assert_eq!(deciders.open(&votes), Err(SignedError::Forged));
    }
}
