//! What is on the topics, read as any consumer would.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trailgate_service::SystemClock;
use trailgate_testkit::until;
use trailgate_topics::{
    Backbone, BackboneConfig, Durability, EmbeddedConfig, KafkaConfig, Record, Topic, open_backbone,
};

use crate::stages::Stages;

/// The backbone of running stages.
#[must_use]
pub fn kafka_backbone(stages: &Stages) -> Arc<dyn Backbone> {
    let config = KafkaConfig {
        bootstrap: stages.kafka.bootstrap(),
        registry: stages.registry.url(),
        partitions: 4,
        durability: Durability::OneBroker,
        properties: BTreeMap::new(),
    };
    open_backbone(&BackboneConfig::Kafka(config), Arc::new(SystemClock)).unwrap()
}

/// The embedded log of a `trailgate up` that has ended; `data` is its folder.
#[must_use]
pub fn embedded_backbone(data: &Path) -> Arc<dyn Backbone> {
    let config = EmbeddedConfig { folder: data.join("log"), partitions: 4 };
    open_backbone(&BackboneConfig::Embedded(config), Arc::new(SystemClock)).unwrap()
}

/// Every record that is on `topic` now.
pub async fn all_records(backbone: &dyn Backbone, topic: Topic) -> Vec<Record> {
    let marks = backbone.watermarks(topic).await.unwrap();
    let mut wanted: BTreeMap<_, _> =
        marks.into_iter().map(|(partition, marks)| (partition, marks.high)).collect();
    let mut tail = backbone.tail(topic, &[]).await.unwrap();
    let mut records = Vec::new();
    while !wanted.is_empty() {
        let batch = tail.next(Duration::from_millis(100)).await.unwrap();
        records.extend(batch.records);
        for end in batch.ends {
            if wanted.get(&end.partition).is_some_and(|high| end.next >= *high) {
                wanted.remove(&end.partition);
            }
        }
    }
    records
}

/// Waits until the masker has taken, for good, all that is on `audit.raw`.
pub async fn all_masked(backbone: &dyn Backbone) {
    until("all to be masked", async || {
        // A broker that has just come answers some questions later.
        let committed = backbone.committed("masker", Topic::Raw).await.ok()?;
        let marks = backbone.watermarks(Topic::Raw).await.ok()?;
        let is_masked = marks.iter().all(|(partition, marks)| {
            let place = committed.iter().find(|(of, _)| of == partition);
            marks.low == marks.high || place.is_some_and(|(_, next)| *next >= marks.high)
        });
        is_masked.then_some(())
    })
    .await;
}
