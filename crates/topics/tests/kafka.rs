//! Kafka keeps every backbone's promises, on a real broker and a real schema registry.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;

use std::collections::BTreeMap;
use std::sync::Arc;

use trailgate_service::SystemClock;
use trailgate_testkit::{Kafka, SchemaRegistry};
use trailgate_topics::{Backbone, Durability, KafkaBackbone, KafkaConfig, Topic};

/// One broker at a time: two beside each other on two cores are late for everything.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const PARTITIONS: u32 = 4;

fn config(kafka: &Kafka, registry: Option<&SchemaRegistry>) -> KafkaConfig {
    let nowhere = || "http://127.0.0.1:1".to_owned();
    KafkaConfig {
        bootstrap: kafka.bootstrap(),
        registry: registry.map_or_else(nowhere, SchemaRegistry::url),
        partitions: PARTITIONS,
        durability: Durability::OneBroker,
        properties: BTreeMap::new(),
    }
}

fn open(config: &KafkaConfig) -> Arc<dyn Backbone> {
    Arc::new(KafkaBackbone::open(config, Arc::new(SystemClock)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_promises_of_a_backbone_hold_on_kafka() {
    let _turn = TURN.lock().await;
    let (kafka, registry) = tokio::join!(Kafka::start(), SchemaRegistry::start());
    let backbone = open(&config(&kafka, Some(&registry)));
    backbone.ensure(Topic::ALL).await.unwrap();
    contract::all(&backbone).await;
}
