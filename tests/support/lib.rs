#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod frames;
mod leaks;
mod siem;
mod stages;
mod topics;
mod trail;
mod up;

pub use frames::{Ending, Execution, executions, frames, levelled, of_step};
pub use leaks::{Leak, leaks};
pub use siem::{
    AvroRecord, SiemRecord, by_avro_consumer, by_kcat, by_rsyslog, event_ids, must_be_valid_ocsf,
};
pub use stages::{Connection, Stages, TablePlace};
pub use topics::{all_masked, all_records, embedded_backbone, kafka_backbone};
pub use trail::{On, Running, Trail};
pub use up::{DevFile, Up};
