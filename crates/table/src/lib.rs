#![doc = include_str!("../README.md")]

mod columns;
mod decoder;
mod error;
mod ids;
pub mod limits;
mod location;
mod snapshot;
mod table;

pub use columns::{
    BLOOM_COLUMNS, DAY, LOG_INDEX, LOG_PARTITION, PARTITION_COLUMNS, RETENTION, RETENTION_STANDARD,
    STATS_COLUMNS, columns,
};
pub use decoder::{DecodeError, Decoder, KnowError, LogRecord};
pub use error::TableError;
pub use ids::{Ids, LogPartition, PartitionIds};
pub use location::{S3Config, TableConfig, TableLocation};
pub use snapshot::Snapshot;
pub use table::Table;
