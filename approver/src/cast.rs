//! Casting a vote: its record first, then the vote itself. Without the record there is no vote.

use std::sync::Arc;

use bytes::Bytes;
use trailgate_envelope::SigningKey;
use trailgate_identity::Problem;
use trailgate_schemas::{AuditEvent, EventId, Vote};
use trailgate_topics::{Appender, NewRecord, Partition, Topic};

use crate::problems;
use crate::recorder::Recorder;

/// Where votes and their records go.
pub(crate) struct Ready {
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) appender: Arc<dyn Appender>,
    /// Of each topic.
    pub(crate) partitions: u32,
}

/// A vote on its way.
pub(crate) struct Cast {
    event: AuditEvent,
    vote: NewRecord,
    recorder: Arc<dyn Recorder>,
    appender: Arc<dyn Appender>,
}

impl Cast {
    /// A signed vote and the event that tells of it; none if it does not encode.
    pub(crate) fn new(
        ready: &Ready,
        key: &SigningKey,
        vote: &Vote,
        event: AuditEvent,
    ) -> Option<Self> {
        let signed = key.sign(Topic::Votes.name(), &serde_json::to_vec(vote).ok()?);
        let vote = NewRecord {
            topic: Topic::Votes,
            partition: Partition::of_hold(vote.hold_id, ready.partitions),
            key: Bytes::copy_from_slice(vote.hold_id.0.as_bytes()),
            value: Some(signed.into()),
        };
        let (recorder, appender) = (Arc::clone(&ready.recorder), Arc::clone(&ready.appender));
        Some(Self { event, vote, recorder, appender })
    }

    /// Records it, then casts it; gives the event that tells of it. Runs in a task that outlives the
    /// request: what is on the record should also count.
    pub(crate) async fn run(self) -> Result<EventId, Problem> {
        let event_id = self.event.event_id;
        let recorded = self.recorder.record(self.event).await;
        recorded.map_err(|_| problems::not_recorded())?;
        let cast = self.appender.append(self.vote).await;
        cast.map(|_| event_id).map_err(|_| problems::vote_not_taken(event_id))
    }
}
