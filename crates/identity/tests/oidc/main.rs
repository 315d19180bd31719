//! Bearer tokens against a provider on loopback.

mod fake;
mod provider;
mod verify;
