//! `backbone`: durable appends of 1 KiB records, on the embedded log and on Apache Kafka.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use trailgate_benches::{Figures, percentile, seeded_text};
use trailgate_service::SystemClock;
use trailgate_testkit::{Kafka, SchemaRegistry};
use trailgate_topics::{
    Appender, Backbone, BackboneConfig, EmbeddedConfig, NewRecord, Partition, Topic, open_backbone,
};

const RECORD_BYTES: usize = 1024;
const ROUND: Duration = Duration::from_secs(8);
const PARTITIONS: u32 = 4;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let figures = Figures::of("backbone");
    let folder = tempfile::tempdir()?;
    let config = EmbeddedConfig { folder: folder.path().join("log"), partitions: PARTITIONS };
    let embedded = open_backbone(&BackboneConfig::Embedded(config), Arc::new(SystemClock))?;
    measure(&figures, &*embedded, "").await?;
    drop(embedded);

    let (kafka, registry) = tokio::join!(Kafka::start(), SchemaRegistry::start());
    let config = serde_json::from_value(serde_json::json!({
        "kind": "kafka", "bootstrap": kafka.bootstrap(), "registry": registry.url(),
        "partitions": PARTITIONS, "durability": "one-broker",
    }))?;
    let kafka = open_backbone(&config, Arc::new(SystemClock))?;
    measure(&figures, &*kafka, "@kafka").await
}

async fn measure(figures: &Figures, backbone: &dyn Backbone, peer: &str) -> anyhow::Result<()> {
    backbone.ensure(&[Topic::Raw]).await?;
    let appender = backbone.appender()?;
    // The first records pay for connections and files.
    round(&appender, 16, Duration::from_secs(1)).await?;
    let mut waits = round(&appender, 256, ROUND).await?;
    let bytes = waits.len() * RECORD_BYTES;
    let megabytes = bytes as f64 / 1e6 / ROUND.as_secs_f64();
    figures.print(&format!("produce{peer}"), megabytes, "MB/s");
    figures.print(&format!("ack_p99_of_256{peer}"), percentile(&mut waits, 0.99) / 1e3, "ms");
    let mut waits = round(&appender, 16, ROUND).await?;
    figures.print(&format!("ack_p50{peer}"), percentile(&mut waits, 0.5) / 1e3, "ms");
    figures.print(&format!("ack_p99{peer}"), percentile(&mut waits, 0.99) / 1e3, "ms");
    Ok(())
}

/// So many producers, each with one record under way: how long each record waited.
async fn round(
    appender: &Arc<dyn Appender>,
    producers: u32,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let until = Instant::now() + time;
    let text = Bytes::from(seeded_text(1, RECORD_BYTES).split_off(0)).slice(..RECORD_BYTES);
    let producing = (0..producers).map(|producer| {
        let (appender, value) = (Arc::clone(appender), text.clone());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < until {
                let since = Instant::now();
                let record = NewRecord {
                    topic: Topic::Raw,
                    partition: Partition(producer % PARTITIONS),
                    key: Bytes::from_static(b"01a207e7-3b33-8212-8090-ee2cd8226ffe"),
                    value: Some(value.clone()),
                };
                appender.append(record).await?;
                waits.push(since.elapsed());
            }
            anyhow::Ok(waits)
        })
    });
    let mut waits = Vec::new();
    for produced in producing.collect::<Vec<_>>() {
        waits.extend(produced.await??);
    }
    Ok(waits)
}
