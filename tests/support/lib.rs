#![doc = include_str!("../README.md")]
// Everything here runs in tests only, where a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod frames;
mod leaks;
mod stages;
mod topics;
mod trail;
mod up;

pub use frames::{Ending, Execution, executions, frames, levelled, of_step};
pub use leaks::{Leak, leaks};
pub use stages::{Connection, Stages, TablePlace};
pub use topics::{all_records, embedded_backbone, kafka_backbone};
pub use trail::{On, Running, Trail};
pub use up::{DevFile, Up};
