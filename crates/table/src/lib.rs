#![doc = include_str!("../README.md")]

mod avro;
mod columns;
mod commit;
mod decoder;
mod error;
#[cfg(test)]
mod faulty_store;
mod files;
mod fit;
mod folder;
mod ids;
pub mod limits;
mod location;
mod log;
#[cfg(test)]
mod samples;
mod snapshot;
mod store;
mod table;
mod undecodable;

pub use columns::{
    BLOOM_COLUMNS, DAY, LOG_INDEX, LOG_PARTITION, PARTITION_COLUMNS, RETENTION, RETENTION_STANDARD,
    STATS_COLUMNS, columns,
};
pub use commit::{CommitOutcome, PendingCommit};
pub use decoder::{DecodeError, Decoder, KnowError, LogRecord};
pub use error::TableError;
pub use files::{EncodeError, EncodedFile, encode};
pub use ids::{Ids, LogPartition, PartitionIds};
pub use location::{S3Config, TableConfig, TableLocation};
pub use snapshot::Snapshot;
pub use table::Table;
