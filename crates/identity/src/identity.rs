//! Who a caller is: what its credential proves, and nothing about what it may do.

use trailgate_schemas::{AuthMethod, Micros};

/// A verified caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is, in the words of its issuer; never empty, and never in brackets, which stand for
    /// those who can't be verified and for stages.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// The groups that the issuer says it is in.
    pub groups: Vec<String>,
    /// How it proved who it is.
    pub method: AuthMethod,
    /// When the proof ends.
    pub expires_at: Micros,
}
