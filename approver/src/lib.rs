#![doc = include_str!("../README.md")]

mod approver;
mod ask;
mod cast;
mod config;
mod decided;
mod desk;
mod early;
mod follow;
pub mod limits;
mod masking;
mod metrics;
mod objection;
mod problems;
mod recorder;
mod remembered;
mod reply;
#[cfg(test)]
mod samples;
mod series;
mod shown;
mod stage;
mod standing;
mod trail;

pub use config::{ApproverConfig, Config, KeysConfig};
pub use reply::EVENT_ID;
pub use stage::{Bound, Ground, run};
