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

    /// The number behind the last one that came.
    pub(crate) const fn next(&self) -> i64 {
        self.next
    }

    /// Whether numbers are missing that nobody has explained.
    pub(crate) fn has_holes(&self) -> bool {
        !self.holes.is_empty()
    }

    /// A heartbeat: its producer gave up on the ranges `abandoned` (first and last), and the fate
    /// of every number below `settled_below` is known. What is missing there was lost, and is told
    /// once.
    pub(crate) fn settle(&mut self, settled_below: i64, abandoned: &[(i64, i64)]) -> Vec<Missing> {
        for (first, last) in abandoned {
            self.give_up(*first, last.saturating_add(1));
        }
        let later = self.holes.split_off(&settled_below);
        let mut settled = std::mem::replace(&mut self.holes, later);
        if let Some(mut across) = settled.last_entry().filter(|hole| *hole.get() > settled_below) {
            self.holes.insert(settled_below, std::mem::replace(across.get_mut(), settled_below));
        }
        settled.into_iter().map(|(first, end)| Missing { first, end }).collect()
    }

    /// Nothing in `first..end` is missing any more.
    fn give_up(&mut self, first: i64, end: i64) {
        let touched: Vec<(i64, i64)> =
            self.holes.range(..end).filter(|(_, e)| **e > first).map(|(f, e)| (*f, *e)).collect();
        for (hole_first, hole_end) in touched {
            self.holes.remove(&hole_first);
            if hole_first < first {
                self.holes.insert(hole_first, first);
            }
            if end < hole_end {
                self.holes.insert(end, hole_end);
            }
        }
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
        assert_eq!(counter.settle(4, &[]), [Missing { first: 1, end: 2 }]);
        assert_eq!(counter.settle(4, &[]), []);
    }

    #[test]
    fn what_the_producer_gave_up_is_not_missing() {
        let mut counter = Counter::default();
        take(&mut counter, 0);
        take(&mut counter, 9);
        let missing = counter.settle(9, &[(2, 3), (5, 5)]);
        let holes = [(1, 2), (4, 5), (6, 9)].map(|(first, end)| Missing { first, end });
        assert_eq!(missing, holes);
    }

    #[test]
    fn what_is_not_settled_yet_may_still_come() {
        let mut counter = Counter::default();
        take(&mut counter, 6);
        assert_eq!(counter.settle(2, &[]), [Missing { first: 0, end: 2 }]);
        assert_eq!(take(&mut counter, 4), Number::New);
        let holes = [(2, 4), (5, 6)].map(|(first, end)| Missing { first, end });
        assert_eq!(counter.settle(7, &[]), holes);
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
