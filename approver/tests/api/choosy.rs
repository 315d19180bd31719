//! A backbone that refuses the records of chosen topics, and remembers in which order the others came.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use trailgate_schemas::Micros;
use trailgate_topics::{
    Ack, AppendError, Appender, Backbone, BackboneError, Group, NewRecord, Offset, Partition,
    Processor, ProcessorHandle, ProcessorSpec, SchemaRegistry, Subscription, Tail, Topic,
    Watermarks,
};

/// What is refused, and what came.
#[derive(Clone, Default)]
pub(crate) struct Choice {
    pub(crate) refused: Arc<Mutex<Vec<Topic>>>,
    pub(crate) came: Arc<Mutex<Vec<Topic>>>,
}

impl Choice {
    pub(crate) fn refuse(&self, topics: &[Topic]) {
        *self.refused.lock().unwrap() = topics.to_vec();
    }
}

pub(crate) struct Choosy(pub(crate) Arc<dyn Backbone>, pub(crate) Choice);

struct Append(Arc<dyn Appender>, Choice);

impl Appender for Append {
    fn append(&self, record: NewRecord) -> Ack {
        let is_refused = self.1.refused.lock().unwrap().contains(&record.topic);
        if is_refused {
            return Ack::refused(AppendError::Failed);
        }
        self.1.came.lock().unwrap().push(record.topic);
        self.0.append(record)
    }
}

#[async_trait]
impl Backbone for Choosy {
    async fn ensure(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        self.0.ensure(topics).await
    }

    fn partitions(&self) -> u32 {
        self.0.partitions()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError> {
        Ok(Arc::new(Append(self.0.appender()?, self.1.clone())))
    }

    fn subscribe(&self, topic: Topic, group: &Group) -> Result<Subscription, BackboneError> {
        self.0.subscribe(topic, group)
    }

    async fn tail(
        &self,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Box<dyn Tail>, BackboneError> {
        self.0.tail(topic, from).await
    }

    fn process(
        &self,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
    ) -> Result<ProcessorHandle, BackboneError> {
        self.0.process(spec, processor)
    }

    async fn watermarks(
        &self,
        topic: Topic,
    ) -> Result<Vec<(Partition, Watermarks)>, BackboneError> {
        self.0.watermarks(topic).await
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        self.0.offset_at(topic, partition, time).await
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<Vec<(Partition, Offset)>, BackboneError> {
        self.0.committed(group, topic).await
    }

    async fn trim(
        &self,
        topic: Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<(), BackboneError> {
        self.0.trim(topic, partition, before).await
    }

    fn registry(&self) -> Arc<dyn SchemaRegistry> {
        self.0.registry()
    }

    async fn ping(&self, wait: Duration) -> Result<(), BackboneError> {
        self.0.ping(wait).await
    }
}
