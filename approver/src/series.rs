//! Numbers for events that a stream processor puts on `audit.raw` itself: dense for each producer and
//! partition, and kept with the step that the event is part of, so that a restart goes on where the
//! last committed step ended. It neither skips a number nor gives one twice, so the masker finds
//! nothing missing, without heartbeats: those are for writers whose records may fail one by one.
//!
//! The masker remembers producers for as long as there is room, and would take the next number of one
//! that it has forgotten for a gap. So a series ends when it was silent for long, and the next one
//! begins at 0 under a new id. The id is drawn and kept, not computed from names: were the kept state
//! ever lost, numbers that begin anew under an old id would be dropped as repeated.

use serde::{Deserialize, Serialize};
use trailgate_schemas::{AuditEvent, Micros, ProducerId};
use trailgate_service::Ids;

use crate::limits::SERIES_KEPT;

/// The numbers of one processor's partition on one partition of `audit.raw`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Series {
    producer: ProducerId,
    next: i64,
    used_at: Micros,
}

impl Series {
    /// Numbers an event, going on with `before` unless that was silent for too long.
    pub(crate) fn number(
        before: Option<Self>,
        event: &mut AuditEvent,
        ids: &dyn Ids,
        now: Micros,
    ) -> Self {
        // A clock that was set back ends a series too.
        let goes_on =
            |series: &Self| now >= series.used_at && now.since(series.used_at) < SERIES_KEPT;
        let fresh = || Self { producer: ids.producer(), next: 0, used_at: now };
        let series = before.filter(goes_on).unwrap_or_else(fresh);
        event.producer_id = series.producer;
        event.producer_number = series.next;
        Self { next: series.next + 1, used_at: now, ..series }
    }
}

#[cfg(test)]
mod tests {
    use trailgate_service::CountedIds;

    use super::*;
    use crate::decided::decided_event;
    use crate::samples::{IN_TIME, decided};

    #[test]
    fn numbers_are_dense_and_a_long_silence_begins_a_series_of_its_own() {
        let ids = CountedIds::default();
        let mut event = decided_event(&decided(1), &ids).unwrap();
        let mut numbered = |before, now| {
            let series = Series::number(before, &mut event, &ids, now);
            (event.producer_id, event.producer_number, series)
        };
        let (first, zero, series) = numbered(None, IN_TIME);
        let later = IN_TIME.plus(SERIES_KEPT / 2);
        let (second, one, series) = numbered(Some(series), later);
        assert_eq!((first, zero, one), (second, 0, 1));
        let (third, zero, _) = numbered(Some(series.clone()), later.plus(SERIES_KEPT));
        assert_eq!(zero, 0);
        assert_ne!(third, first);
        let (fourth, zero, _) = numbered(Some(series), IN_TIME);
        assert_eq!(zero, 0);
        assert!(fourth != first && fourth != third);
    }
}
