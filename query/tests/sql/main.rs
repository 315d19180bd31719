//! Query as a whole: a table in a folder, the embedded log, an issuer on loopback, HTTP.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod answers;
mod attacks;
mod completeness;
mod issuer;
mod log;
mod on_record;
mod tls;
mod views;
mod world;
