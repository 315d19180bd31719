//! Where the archiver stands in one partition, and what becomes of each record that comes.
//!
//! Offsets have holes, so a record that was skipped can't be seen by its neighbour's number. What
//! holds the order is that the consumer gives each partition's records in order from where it was
//! last told to read. After it is told to read again from an earlier place, records that were on
//! their way may still come first. Those lie behind the last that came, and the first that is read
//! again does not: so what lies behind it is passed over until one comes that does not.

use trailgate_table::PartitionIds;
use trailgate_topics::Offset;

/// Where the archiver stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What the table has, as far as is known.
    archived: PartitionIds,
    /// What the table has and what is on its way into it.
    next: PartitionIds,
    /// The last record that came. Not the furthest: after a seek the order begins again.
    last: Option<i64>,
    /// Until a record comes that is not behind this one, those that do are from before a seek.
    rereads_to: Option<i64>,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is the next: row `log_index`.
    Next {
        /// Its dense number.
        log_index: i64,
    },
    /// The table has it.
    Archived,
    /// It comes again, or is on its way already.
    Stale,
}

impl Place {
    /// Behind what the table has.
    pub(crate) const fn behind(archived: PartitionIds) -> Self {
        Self { archived, next: archived, last: None, rereads_to: None }
    }

    /// What the table has and what is on its way into it.
    pub(crate) const fn next(&self) -> PartitionIds {
        self.next
    }

    /// What becomes of a record at `offset`, were it taken now.
    pub(crate) fn offer(&mut self, offset: Offset) -> Offer {
        let Offset(offset) = offset;
        match self.rereads_to {
            Some(before) if offset > before => return Offer::Stale,
            _ => self.rereads_to = None,
        }
        self.last = Some(offset);
        if offset < self.archived.next_offset {
            Offer::Archived
        } else if offset < self.next.next_offset {
            Offer::Stale
        } else {
            Offer::Next { log_index: self.next.tree_size }
        }
    }

    /// The record at `offset`, which was the next, is taken.
    pub(crate) fn take(&mut self, offset: Offset) {
        self.next =
            PartitionIds { next_offset: offset.next().0, tree_size: self.next.tree_size + 1 };
    }

    /// The table now has what was on its way up to `archived`.
    pub(crate) fn archived(&mut self, archived: PartitionIds) {
        self.archived = archived;
    }

    /// What was on its way is dropped: go on behind what the table has. Gives the place to read
    /// again from, unless all that came lies before it.
    pub(crate) fn go_back(&mut self, archived: PartitionIds) -> Option<Offset> {
        (self.archived, self.next) = (archived, archived);
        self.read_again()
    }

    /// Records came that were not taken: gives the place to read again from, if so.
    pub(crate) fn read_again(&mut self) -> Option<Offset> {
        let next = self.next.next_offset;
        self.last.filter(|last| *last >= next).map(|last| {
            self.rereads_to = Some(last);
            Offset(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn ids(next_offset: i64, tree_size: i64) -> PartitionIds {
        PartitionIds { next_offset, tree_size }
    }

    /// Takes the record if it is the next, and says what became of it.
    fn come(place: &mut Place, offset: i64) -> Offer {
        let offer = place.offer(Offset(offset));
        if let Offer::Next { .. } = offer {
            place.take(Offset(offset));
        }
        offer
    }

    #[test]
    fn records_are_numbered_densely_whatever_holes_their_offsets_have() {
        let mut place = Place::behind(ids(10, 4));
        assert_eq!(come(&mut place, 9), Offer::Archived);
        assert_eq!(come(&mut place, 12), Offer::Next { log_index: 4 });
        assert_eq!(come(&mut place, 17), Offer::Next { log_index: 5 });
        assert_eq!(come(&mut place, 12), Offer::Stale);
        assert_eq!(place.next(), ids(18, 6));
    }

    #[test]
    fn records_on_their_way_from_before_a_seek_are_passed_over() {
        let mut place = Place::behind(ids(10, 4));
        for offset in [10, 12, 14] {
            come(&mut place, offset);
        }
        assert_eq!(place.go_back(ids(10, 4)), Some(Offset(10)));
        assert_eq!(come(&mut place, 16), Offer::Stale);
        assert_eq!(come(&mut place, 18), Offer::Stale);
        assert_eq!(come(&mut place, 10), Offer::Next { log_index: 4 });
        for (offset, log_index) in [(12, 5), (14, 6), (16, 7), (18, 8)] {
            assert_eq!(come(&mut place, offset), Offer::Next { log_index });
        }
    }

    #[test]
    fn a_second_seek_before_the_first_is_answered_loses_nothing() {
        let mut place = Place::behind(ids(0, 0));
        for offset in [0, 1, 2] {
            come(&mut place, offset);
        }
        place.go_back(ids(0, 0));
        assert_eq!(come(&mut place, 3), Offer::Stale);
        assert_eq!(place.go_back(ids(0, 0)), Some(Offset(0)));
        // The first seek's answer, then the second's.
        for offset in [0, 1, 2, 3] {
            assert_eq!(come(&mut place, offset), Offer::Next { log_index: offset });
        }
        assert_eq!(come(&mut place, 0), Offer::Stale);
        assert_eq!(come(&mut place, 3), Offer::Stale);
        assert_eq!(come(&mut place, 4), Offer::Next { log_index: 4 });
    }

    #[test]
    fn a_second_seek_while_the_first_is_being_answered_loses_nothing() {
        let mut place = Place::behind(ids(0, 0));
        for offset in [0, 1, 2, 3] {
            come(&mut place, offset);
        }
        place.go_back(ids(0, 0));
        assert_eq!(come(&mut place, 0), Offer::Next { log_index: 0 });
        assert_eq!(place.go_back(ids(0, 0)), Some(Offset(0)));
        // The rest of the first seek's answer is not behind the furthest that ever came.
        for offset in [1, 2, 3] {
            assert_eq!(come(&mut place, offset), Offer::Stale);
        }
        for offset in [0, 1, 2, 3] {
            assert_eq!(come(&mut place, offset), Offer::Next { log_index: offset });
        }
    }

    #[test]
    fn what_another_has_archived_is_passed_without_reading_again() {
        let mut place = Place::behind(ids(0, 0));
        for offset in [0, 1, 2] {
            come(&mut place, offset);
        }
        assert_eq!(place.go_back(ids(5, 5)), None);
        assert_eq!(come(&mut place, 3), Offer::Archived);
        assert_eq!(come(&mut place, 4), Offer::Archived);
        assert_eq!(come(&mut place, 5), Offer::Next { log_index: 5 });
    }

    /// A consumer as the contract has it: in order from where it was last told to read, and what
    /// is on its way stays on its way.
    #[derive(Default)]
    struct Consumer {
        reads: i64,
        on_way: VecDeque<i64>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The consumer reads so many records.
        Read(usize),
        /// The archiver takes so many messages.
        Take(usize),
        /// Something was dropped; the table has this share of what was taken.
        Drop(f64),
        /// Records came that could not be taken.
        Again,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1_usize..6).prop_map(Step::Read),
            (1_usize..6).prop_map(Step::Take),
            (0.0..1.0).prop_map(Step::Drop),
            Just(Step::Again),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn whenever_it_goes_back_each_record_is_taken_in_its_turn(steps in steps()) {
            let (mut place, mut consumer) = (Place::behind(ids(0, 0)), Consumer::default());
            let mut archived = 0;
            for step in steps {
                match step {
                    Step::Read(count) => for _ in 0..count {
                        consumer.on_way.push_back(consumer.reads);
                        consumer.reads += 1;
                    },
                    Step::Take(count) => for _ in 0..count.min(consumer.on_way.len()) {
                        let offset = consumer.on_way.pop_front().unwrap_or_default();
                        let next = place.next();
                        if let Offer::Next { log_index } = come(&mut place, offset) {
                            // Every record has its own number: none is skipped, none comes twice.
                            prop_assert_eq!(offset, log_index);
                            prop_assert_eq!(offset, next.next_offset);
                        }
                    },
                    Step::Drop(share) => {
                        let taken = place.next().next_offset - archived;
                        archived += (taken as f64 * share) as i64;
                        let again = place.go_back(ids(archived, archived));
                        consumer.reads = again.map_or(consumer.reads, |offset| offset.0);
                    }
                    Step::Again => {
                        let again = place.read_again();
                        consumer.reads = again.map_or(consumer.reads, |offset| offset.0);
                    }
                }
            }
            // Whatever happened, what is there is taken in the end.
            for _ in 0..10 {
                consumer.on_way.push_back(consumer.reads);
                consumer.reads += 1;
            }
            while let Some(offset) = consumer.on_way.pop_front() {
                come(&mut place, offset);
            }
            prop_assert!(place.next().next_offset >= consumer.reads);
        }
    }
}
