#![doc = include_str!("../README.md")]

mod archiver;
mod batch;
mod config;
mod flush;
pub mod limits;
mod metrics;
mod place;
mod retry;
mod run;
#[cfg(test)]
mod samples;
mod schemas;
mod trim;

pub use archiver::ArchiveError;
pub use config::{AcceptedGap, ArchiveConfig, ArchiverConfig};
pub use flush::FlushError;
pub use metrics::ArchiverMetrics;
pub use run::{archive, run};
