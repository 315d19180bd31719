#![doc = include_str!("../README.md")]

mod append;
mod backbone;
mod config;
mod custody;
mod embedded;
mod kafka;
mod limits;
mod processor;
mod raw_writer;
mod record;
mod refusals;
mod registry;
mod subscription;
mod tail;
mod topic;
mod watch;

pub use append::{Ack, AckSender, AppendError, Appender};
pub use backbone::{Backbone, BackboneError, Group};
pub use config::{BackboneConfig, Durability, EmbeddedConfig, KafkaConfig, open_backbone};
pub use custody::{Custody, Progress, RefusedReason};
pub use embedded::EmbeddedLog;
pub use kafka::KafkaBackbone;
pub use processor::{
    Ended, Flow, Outputs, ProcessError, Processor, ProcessorHandle, ProcessorSpec, ProcessorStatus,
};
pub use raw_writer::{
    Heartbeat, RawSeal, RawWriter, RawWriterError, RecordError, Recording, Recordings,
};
pub use record::{Header, NewRecord, Offset, Partition, Record, Watermarks};
pub use refusals::{Refusals, Untold};
pub use registry::{RegistryError, SchemaRegistry};
pub use subscription::{Assigned, Assignment, Command, Member, Message, Revocation, Subscription};
pub use tail::{Tail, TailBatch, TailEnd};
pub use topic::{Kept, Topic};
pub use watch::{watch_backbone, watch_processor};
