//! What each producer has sent to a partition: repeated numbers are dropped, missing ones found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trailgate_schemas::Micros;

use crate::limits::HOLES_MAX;

/// One producer's numbers on one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    next: i64,
    /// Missing numbers that a heartbeat has not explained yet: first and one past the last.
    holes: BTreeMap<i64, i64>,
    /// When it was last heard of.
    pub(crate) heard_at: Micros,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// It is the next, or fills a hole.
    New,
    /// It was here before.
    Repeated,
}

/// Numbers that never came and that their producer did not give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

impl Counter {
    /// Takes a record's number. What it jumps over is remembered as a hole; a hole too many is
    /// given back, to be reported.
    pub(crate) fn take(&mut self, number: i64, now: Micros) -> (Number, Option<Missing>) {
        self.heard_at = now;
        if number < self.next {
            let filled = self.holes.range(..=number).next_back().map(|(first, end)| (*first, *end));
            return match filled {
                Some((first, end)) if number < end => {
                    self.fill(first, end, number);
                    (Number::New, None)
                }
                _ => (Number::Repeated, None),
            };
        }
        if number > self.next {
            self.holes.insert(self.next, number);
        }
        self.next = number + 1;
        let too_many = (self.holes.len() > HOLES_MAX).then(|| self.holes.pop_first()).flatten();
        (Number::New, too_many.map(|(first, end)| Missing { first, end }))
    }

    /// A heartbeat: the producer has used all numbers below `count` and gave up on `abandoned`.
    /// What is missing beyond that is lost, and told once.
    pub(crate) fn settle(&mut self, count: i64, abandoned: &[i64], now: Micros) -> Vec<Missing> {
        self.heard_at = now;
        if count > self.next {
            self.holes.insert(self.next, count);
            self.next = count;
        }
        for number in abandoned {
            let hole = self.holes.range(..=*number).next_back().map(|(first, end)| (*first, *end));
            if let Some((first, end)) = hole.filter(|(_, end)| number < end) {
                self.fill(first, end, *number);
            }
        }
        let missing = std::mem::take(&mut self.holes);
        missing.into_iter().map(|(first, end)| Missing { first, end }).collect()
    }

    fn fill(&mut self, first: i64, end: i64, number: i64) {
        self.holes.remove(&first);
        if first < number {
            self.holes.insert(first, number);
        }
        if number + 1 < end {
            self.holes.insert(number + 1, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1);

    fn take(counter: &mut Counter, number: i64) -> Number {
        counter.take(number, NOW).0
    }

    #[test]
    fn a_number_counts_once() {
        let mut counter = Counter::default();
        assert_eq!(take(&mut counter, 0), Number::New);
        assert_eq!(take(&mut counter, 1), Number::New);
        assert_eq!(take(&mut counter, 1), Number::Repeated);
        assert_eq!(take(&mut counter, 0), Number::Repeated);
    }

    #[test]
    fn a_hole_may_be_filled_late_and_is_then_none() {
        let mut counter = Counter::default();
        take(&mut counter, 0);
        take(&mut counter, 3);
        assert_eq!(take(&mut counter, 2), Number::New);
        assert_eq!(take(&mut counter, 2), Number::Repeated);
        assert_eq!(counter.settle(4, &[], NOW), [Missing { first: 1, end: 2 }]);
        assert_eq!(counter.settle(4, &[], NOW), []);
    }

    #[test]
    fn what_the_producer_gave_up_is_not_missing() {
        let mut counter = Counter::default();
        take(&mut counter, 0);
        take(&mut counter, 4);
        let missing = counter.settle(7, &[2, 5], NOW);
        assert_eq!(
            missing,
            [
                Missing { first: 1, end: 2 },
                Missing { first: 3, end: 4 },
                Missing { first: 6, end: 7 },
            ]
            .map(|m| m)
        );
    }

    #[test]
    fn holes_are_bounded() {
        let mut counter = Counter::default();
        let mut reported = 0;
        for n in 0..1000 {
            reported += usize::from(counter.take(n * 2 + 1, NOW).1.is_some());
        }
        assert_eq!(reported, 1000 - HOLES_MAX);
    }
}
