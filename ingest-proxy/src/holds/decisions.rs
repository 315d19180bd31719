//! Where decisions come from: every record of `audit.decisions`, from the moment at which the gateway
//! began. Earlier ones are about requests that wait no longer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use trailgate_schemas::HoldDecision;
use trailgate_topics::{Backbone, BackboneError, Offset, Partition, Tail, Topic};

use crate::gateway::Gateway;
use crate::holds::Holds;
use crate::limits::{BACKBONE_RETRY_WAIT, DECISIONS_WAIT};

/// A signed decision on its way.
pub type Deciding<'a> = Pin<Box<dyn Future<Output = Bytes> + Send + 'a>>;

/// Where signed decisions come from. Two implementations exist: the topic, and the tests' own.
pub trait Decisions: Send + 'static {
    /// The next one; pending while there is none. It gets over outages by itself.
    fn next(&mut self) -> Deciding<'_>;
}

/// Why decisions can't be read yet.
pub type OpenError = BackboneError;

/// The decisions of a backbone.
pub struct SignedDecisions {
    backbone: Arc<dyn Backbone>,
    /// None after it broke.
    tail: Option<Box<dyn Tail>>,
    read: VecDeque<Bytes>,
}

impl SignedDecisions {
    /// Reads those that are made from now on.
    ///
    /// # Errors
    /// [`OpenError`]; nothing may be held before this has succeeded.
    pub async fn open(backbone: Arc<dyn Backbone>) -> Result<Self, OpenError> {
        let marks = backbone.watermarks(Topic::Decisions).await?;
        let from: Vec<(Partition, Offset)> =
            marks.into_iter().map(|(partition, marks)| (partition, marks.high)).collect();
        let tail = Some(backbone.tail(Topic::Decisions, &from).await?);
        Ok(Self { backbone, tail, read: VecDeque::new() })
    }

    async fn more(&mut self) {
        let Some(reading) = &mut self.tail else {
            // What went away unread is about requests that expire; the others are still there.
            match self.backbone.tail(Topic::Decisions, &[]).await {
                Ok(opened) => self.tail = Some(opened),
                Err(error) => {
                    tracing::warn!(%error, "decisions can't be read; trying again");
                    tokio::time::sleep(BACKBONE_RETRY_WAIT).await;
                }
            }
            return;
        };
        match reading.next(DECISIONS_WAIT).await {
            Ok(batch) => self.read.extend(batch.records.into_iter().filter_map(|r| r.value)),
            Err(BackboneError::Unreachable { .. }) => tokio::time::sleep(BACKBONE_RETRY_WAIT).await,
            Err(error) => {
                tracing::warn!(%error, "decisions are read anew");
                self.tail = None;
                tokio::time::sleep(BACKBONE_RETRY_WAIT).await;
            }
        }
    }
}

impl Decisions for SignedDecisions {
    fn next(&mut self) -> Deciding<'_> {
        Box::pin(async move {
            loop {
                if let Some(signed) = self.read.pop_front() {
                    return signed;
                }
                self.more().await;
            }
        })
    }
}

impl Holds {
    /// Takes decisions to those who wait for them, until the stop.
    pub(crate) async fn follow(&self, mut decisions: Box<dyn Decisions>, gateway: &Gateway) {
        loop {
            let signed = tokio::select! {
                signed = decisions.next() => signed,
                () = gateway.stop.asked() => return,
            };
            let word = self.take(&signed, gateway);
            gateway.metrics.decision(word);
        }
    }

    /// What became of a decision.
    fn take(&self, signed: &[u8], gateway: &Gateway) -> &'static str {
        let clear = match self.deciders.open(Topic::Decisions.name(), signed) {
            Ok(clear) => clear,
            Err(error) => {
                tracing::debug!(%error, "a decision is signed by nobody who may decide");
                return "not_signed";
            }
        };
        let Ok(decision) = serde_json::from_slice::<HoldDecision>(clear) else {
            tracing::debug!("a signed decision can't be read; upgrade the gateway");
            return "unreadable";
        };
        match self.waiters.reach(decision, gateway.clock.now()) {
            Ok(()) => "reached",
            Err(unreached) => unreached.word(),
        }
    }
}

impl std::fmt::Debug for SignedDecisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedDecisions")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trailgate_schemas::HoldId;
    use trailgate_service::SystemClock;
    use trailgate_topics::{EmbeddedConfig, EmbeddedLog, NewRecord};
    use uuid::Uuid;

    use super::*;

    async fn append(backbone: &Arc<dyn Backbone>, hold: u128, value: &'static [u8]) {
        let hold = HoldId(Uuid::from_u128(hold));
        let record = NewRecord {
            topic: Topic::Decisions,
            partition: Partition::of_hold(hold, backbone.partitions()),
            key: Bytes::copy_from_slice(hold.0.as_bytes()),
            value: Some(Bytes::from_static(value)),
        };
        backbone.appender().unwrap().append(record).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn those_that_were_made_before_are_not_read_and_all_that_follow_are() {
        let place = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig { folder: place.path().join("log"), partitions: 3 };
        let log = EmbeddedLog::open(&config, Arc::new(SystemClock)).unwrap();
        let backbone: Arc<dyn Backbone> = Arc::new(log);
        backbone.ensure(&[Topic::Decisions]).await.unwrap();
        for hold in 0..6 {
            append(&backbone, hold, b"before").await;
        }
        let mut decisions = SignedDecisions::open(Arc::clone(&backbone)).await.unwrap();
        for hold in 0..6 {
            append(&backbone, hold, b"after").await;
        }
        for _ in 0..6 {
            assert_eq!(decisions.next().await, b"after".as_slice());
        }
        let more = tokio::time::timeout(Duration::from_millis(50), decisions.next()).await;
        assert!(more.is_err(), "there are no more");
    }
}
