//! A producer's numbers on one partition: which is next, whose fate is not known, which were
//! abandoned and not yet told, and which streams are open behind them.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use trailgate_schemas::{AuditEvent, Kind, StreamId};

use super::RecordError;
use crate::append::{Ack, AppendError};
use crate::limits;

/// The numbers of one partition.
#[derive(Default)]
pub(super) struct Numbers {
    next: i64,
    unsettled: BTreeSet<i64>,
    /// First and last number of each range.
    abandoned: BTreeMap<i64, i64>,
    /// Open streams, each with how many records it has so far.
    streams: BTreeMap<StreamId, i64>,
    /// Acknowledgements that nobody awaits any more.
    unawaited: Vec<(i64, Ack)>,
    /// The heartbeats' own stream, and how many it has.
    pub(super) beats: Option<(StreamId, i64)>,
    /// The writer takes no more events.
    pub(super) is_finished: bool,
}

impl Numbers {
    /// Whether an event may be taken.
    ///
    /// # Errors
    /// [`RecordError::NotNow`] if the writer has ended or may remember no more.
    pub(super) fn room_for(&self, event: &AuditEvent) -> Result<(), RecordError> {
        if self.is_finished {
            return Err(RecordError::NotNow(AppendError::Closed));
        }
        let opens = event.stream_count.is_none() && !self.streams.contains_key(&event.stream_id);
        if (opens && self.streams.len() >= limits::OPEN_STREAMS)
            || self.abandoned.len() >= limits::ABANDONED_RANGES
        {
            return Err(RecordError::NotNow(AppendError::Full));
        }
        Ok(())
    }

    /// The number of the next event.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// The event was appended under its number.
    pub(super) fn used(&mut self, event: &AuditEvent) {
        self.unsettled.insert(self.next);
        self.next += 1;
        if event.kind == Kind::Heartbeat {
            self.beats = Some((event.stream_id, event.stream_seq + 1));
            return;
        }
        if event.stream_count.is_some() {
            self.streams.remove(&event.stream_id);
        } else {
            self.streams.insert(event.stream_id, event.stream_seq + 1);
        }
    }

    /// The fate of a number is known.
    pub(super) fn settled(&mut self, number: i64, is_recorded: bool) {
        self.unsettled.remove(&number);
        if is_recorded {
            return;
        }
        let before = self.abandoned.range(..number).next_back();
        let first = match before {
            Some((first, last)) if last + 1 == number => *first,
            Some(_) | None => number,
        };
        let last = self.abandoned.remove(&(number + 1)).unwrap_or(number);
        self.abandoned.insert(first, last);
    }

    /// Nobody awaits this any more; its fate is looked for later.
    pub(super) fn unawaited(&mut self, number: i64, ack: Ack) {
        self.unawaited.push((number, ack));
        // At powers of two, so that looking costs little however many there are.
        let count = self.unawaited.len();
        if count >= limits::UNAWAITED && count.is_power_of_two() {
            self.look();
        }
    }

    /// Settles what nobody awaits and is known by now.
    pub(super) fn look(&mut self) {
        for (number, mut ack) in std::mem::take(&mut self.unawaited) {
            match (&mut ack).now_or_never() {
                Some(answer) => self.settled(number, answer.is_ok()),
                None => self.unawaited.push((number, ack)),
            }
        }
    }

    /// The number below which the fate of every number is known.
    pub(super) fn settled_below(&self) -> i64 {
        self.unsettled.first().copied().unwrap_or(self.next)
    }

    /// Whether the fate of every number is known.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    pub(super) const fn abandoned(&self) -> &BTreeMap<i64, i64> {
        &self.abandoned
    }

    pub(super) const fn streams(&self) -> &BTreeMap<StreamId, i64> {
        &self.streams
    }

    /// A heartbeat that told of these ranges is recorded. What was joined to one since stays.
    pub(super) fn told(&mut self, ranges: &[(i64, i64)]) {
        for (first, last) in ranges {
            let Some(now_last) = self.abandoned.remove(first) else { continue };
            if now_last > *last {
                self.abandoned.insert(last + 1, now_last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_abandoned_number_is_told_until_a_heartbeat_is_recorded(
            acts in prop::collection::vec((0_i64..40, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut numbers = Numbers::default();
            let (mut open, mut settled) = (BTreeSet::new(), BTreeSet::new());
            for (number, is_recorded, tells) in acts {
                if settled.insert(number) {
                    numbers.settled(number, is_recorded);
                    if !is_recorded {
                        open.insert(number);
                    }
                }
                let ranges: Vec<_> = numbers.abandoned().iter().map(|(f, l)| (*f, *l)).collect();
                let told: BTreeSet<i64> = ranges.iter().flat_map(|(f, l)| *f..=*l).collect();
                prop_assert_eq!(&told, &open);
                // Ranges that touch are one.
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
                if tells {
                    numbers.told(&ranges);
                    open.clear();
                }
            }
        }
    }

    #[test]
    fn what_was_abandoned_behind_a_range_while_it_was_told_stays() {
        let mut numbers = Numbers::default();
        (3..6).for_each(|number| numbers.settled(number, false));
        let ranges = [(3, 5)];
        numbers.settled(6, false);
        numbers.settled(2, false);
        numbers.told(&ranges);
        assert_eq!(numbers.abandoned(), &BTreeMap::from([(2, 6)]));
        numbers.told(&[(2, 4)]);
        assert_eq!(numbers.abandoned(), &BTreeMap::from([(5, 6)]));
    }
}
