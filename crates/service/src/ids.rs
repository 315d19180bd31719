//! Chance, passed in: where new ids come from.

use std::sync::atomic::{AtomicU64, Ordering};

use trailgate_schemas::{ClaimId, EventId, HoldId, ProducerId, StreamId};
use uuid::Uuid;

/// Where new ids come from.
pub trait Ids: Send + Sync + 'static {
    /// A UUID that was never given before, ordered by time where it can be.
    fn next(&self) -> Uuid;

    /// A new event's id.
    fn event(&self) -> EventId {
        EventId(self.next())
    }

    /// A new stream's id.
    fn stream(&self) -> StreamId {
        StreamId(self.next())
    }

    /// A new producing process's id.
    fn producer(&self) -> ProducerId {
        ProducerId(self.next())
    }

    /// The id of what is held.
    fn hold(&self) -> HoldId {
        HoldId(self.next())
    }

    /// The id of a request that waits for a decision.
    fn claim(&self) -> ClaimId {
        ClaimId(self.next())
    }
}

/// UUIDv7 from the machine's clock and chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// 1, 2, 3, …: for tests.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}
