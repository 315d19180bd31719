//! Bearer tokens against a provider on loopback.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod fake;
mod provider;
mod verify;
