//! Being built.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use crate::append::Appender;
use crate::backbone::{Backbone, BackboneError, Group};
use crate::config::KafkaConfig;
use crate::processor::{Processor, ProcessorHandle, ProcessorSpec};
use crate::record::{Offset, Partition, Watermarks};
use crate::registry::SchemaRegistry;
use crate::subscription::Subscription;
use crate::tail::Tail;
use crate::topic::Topic;

/// Being built.
pub struct KafkaBackbone;

impl KafkaBackbone {
    /// Opens it.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn open(_config: &KafkaConfig, _clock: Arc<dyn Clock>) -> Result<Self, BackboneError> {
        Err(unbuilt())
    }
}

fn unbuilt() -> BackboneError {
    BackboneError::Refused { code: "unbuilt".to_owned() }
}

#[async_trait]
impl Backbone for KafkaBackbone {
    async fn ensure(&self, _topics: &[Topic]) -> Result<(), BackboneError> { Err(unbuilt()) }
    fn partitions(&self) -> u32 { 0 }
    fn is_shared(&self) -> bool { true }
    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError> { Err(unbuilt()) }
    fn subscribe(&self, _topic: Topic, _group: &Group) -> Result<Subscription, BackboneError> { Err(unbuilt()) }
    async fn tail(&self, _topic: Topic, _from: &[(Partition, Offset)]) -> Result<Box<dyn Tail>, BackboneError> { Err(unbuilt()) }
    fn process(&self, _spec: ProcessorSpec, _processor: Box<dyn Processor>) -> Result<ProcessorHandle, BackboneError> { Err(unbuilt()) }
    async fn watermarks(&self, _topic: Topic) -> Result<Vec<(Partition, Watermarks)>, BackboneError> { Err(unbuilt()) }
    async fn offset_at(&self, _topic: Topic, _partition: Partition, _time: Micros) -> Result<Offset, BackboneError> { Err(unbuilt()) }
    async fn trim(&self, _topic: Topic, _partition: Partition, _before: Offset) -> Result<(), BackboneError> { Err(unbuilt()) }
    #[expect(clippy::unimplemented, reason = "being built")]
    fn registry(&self) -> Arc<dyn SchemaRegistry> { unimplemented!() }
    async fn ping(&self, _wait: Duration) -> Result<(), BackboneError> { Err(unbuilt()) }
}
