//! Whose votes count: those that an approver of this deployment signed.

use trailgate_envelope::{KeysError, KeysFolder, SignedError, VerifyingKeys};

/// The public decision keys, read again when a key is not among them: another approver may have been
/// started with a newer one.
#[derive(Debug)]
pub(crate) struct Deciders {
    folder: KeysFolder,
    keys: VerifyingKeys,
}

impl Deciders {
    /// Those in `folder` now.
    ///
    /// # Errors
    /// [`KeysError`].
    pub(crate) fn load(folder: KeysFolder) -> Result<Self, KeysError> {
        let keys = folder.load_deciders()?;
        Ok(Self { folder, keys })
    }

    /// What was signed for `place`.
    ///
    /// # Errors
    /// [`SignedError`].
    pub(crate) fn open<'a>(
        &mut self,
        place: &str,
        signed: &'a [u8],
    ) -> Result<&'a [u8], SignedError> {
        match self.keys.open(place, signed) {
            Err(SignedError::UnknownKey(id)) => {
                self.keys = self.folder.load_deciders().map_err(|_| SignedError::UnknownKey(id))?;
                self.keys.open(place, signed)
            }
            opened => opened,
        }
    }
}
