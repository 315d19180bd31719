//! Whose votes and decisions count: those that an approver of this deployment signed. A key that is
//! not known may have been made since: the folder is read again, so a rotation needs no restart.
//!
//! It is read for each such record, not once in a while: else who appends forged ones could hide the
//! one that counts. It costs a few short files.

use std::sync::{Mutex, PoisonError};

use crate::folder::{KeysError, KeysFolder};
use crate::signed::{SignedError, VerifyingKeys};

/// The public decision keys.
#[derive(Debug)]
pub struct Deciders {
    folder: Option<KeysFolder>,
    keys: Mutex<VerifyingKeys>,
}

impl Deciders {
    /// Those in the folder, now and later.
    ///
    /// # Errors
    /// [`KeysError`], also if there is none: then nobody could let anything go.
    pub fn of(folder: KeysFolder) -> Result<Self, KeysError> {
        let keys = folder.load_deciders()?;
        Ok(Self { folder: Some(folder), keys: Mutex::new(keys) })
    }

    /// These and no others.
    #[must_use]
    pub fn fixed(keys: VerifyingKeys) -> Self {
        Self { folder: None, keys: Mutex::new(keys) }
    }

    /// The clear bytes of what one of them signed for `place`, the name of a topic.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn open<'a>(&self, place: &str, signed: &'a [u8]) -> Result<&'a [u8], SignedError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match (keys.open(place, signed), &self.folder) {
            (Err(SignedError::UnknownKey(id)), Some(folder)) => {
                *keys = folder.load_deciders().map_err(|_| SignedError::UnknownKey(id))?;
                keys.open(place, signed)
            }
            (opened, _) => opened,
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
        assert_eq!(deciders.open("audit.decisions", &signed), Ok(b"x".as_slice()));
        let votes = folder.load_decision().unwrap().sign("audit.votes", b"x");
        assert_eq!(deciders.open("audit.decisions", &votes), Err(SignedError::Forged));
    }

    #[test]
    fn fixed_keys_stay_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeysFolder::new(place.path());
        folder.create_missing().unwrap();
        let signed = folder.load_decision().unwrap().sign("p", b"x");
        let deciders = Deciders::fixed(VerifyingKeys::default());
        assert!(matches!(deciders.open("p", &signed), Err(SignedError::UnknownKey(_))));
    }
}
