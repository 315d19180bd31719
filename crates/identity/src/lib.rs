#![doc = include_str!("../README.md")]

mod authenticator;
mod claims;
mod config;
mod credential;
mod fetch;
mod identity;
mod keys;
pub mod limits;
mod listener;
mod problem;
mod provider;
mod refusal;
mod token;
mod verified;

pub use authenticator::Authenticator;
pub use config::{Algorithm, IdentityConfig, IdentityConfigError, IssuerConfig};
pub use identity::Identity;
pub use listener::{ListenError, Listener, TlsConfig};
pub use problem::{PROBLEM_JSON, Problem};
pub use refusal::Refusal;
