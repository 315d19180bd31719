//! The approver as a whole: the embedded log, an issuer on loopback, HTTP.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod choosy;
mod issuer;
mod restarts;
mod votes;
mod world;
