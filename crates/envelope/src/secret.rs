//! 32 secret bytes that are wiped when dropped and never printed.

use std::fmt;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// 32 secret bytes.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

/// The machine gives no random bytes: nothing may be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes from the operating system")]
pub struct NoChance;

impl Secret {
    /// Takes given bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws one.
    ///
    /// # Errors
    /// [`NoChance`] if the operating system gives none.
    pub fn draw() -> Result<Self, NoChance> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| NoChance)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Secret::new([0x41; 32])), "Secret");
    }
}
