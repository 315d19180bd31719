#![doc = include_str!("../README.md")]

mod body;
mod clean;
mod config;
mod counters;
mod exchange;
mod gap;
mod holds;
pub mod limits;
mod masker;
mod metrics;
mod reading;
mod recovered;
mod siem;
mod stage;
mod state;
mod strings;

pub use config::{Config, MaskerConfig};
pub use masker::Masker;
pub use stage::{run, run_on};
