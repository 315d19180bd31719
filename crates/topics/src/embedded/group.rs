//! Consumer groups inside this process: which member has which partition.
//!
//! A group is a board that its members look at, not an actor that sends to them. The board says of
//! each partition who should have it and who has it. A member that has what it should not have gives
//! it up, once its owner has drained it; a member takes what it should have once nobody else has it.
//! Only the one who has a partition ever lets it go, so two never have it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::record::Partition;
use crate::topic::Topic;

/// All groups of this process.
#[derive(Default)]
pub(super) struct Groups(Mutex<BTreeMap<(String, Topic), Weak<Board>>>);

/// One group on one topic.
struct Board {
    places: Mutex<Places>,
    changed: watch::Sender<u64>,
}

/// A member's number; never used again.
type MemberId = u64;

#[derive(Default)]
struct Places {
    next_id: MemberId,
    members: BTreeSet<MemberId>,
    partitions: Vec<Place>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    should: Option<MemberId>,
    has: Option<MemberId>,
}

/// A membership. Dropped, it leaves the group and lets go of what it has.
pub(super) struct Seat {
    board: Arc<Board>,
    id: MemberId,
}

impl Groups {
    /// Joins a group on a topic with so many partitions.
    pub(super) fn join(&self, group: &str, topic: Topic, partitions: usize) -> Seat {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, board| board.strong_count() > 0);
        let kept = groups.entry((group.to_owned(), topic)).or_default();
        let board = kept.upgrade().unwrap_or_else(|| {
            let partitions = vec![Place::default(); partitions];
            let places = Mutex::new(Places { partitions, ..Places::default() });
            Arc::new(Board { places, changed: watch::Sender::new(0) })
        });
        *kept = Arc::downgrade(&board);
        drop(groups);
        let id = board.change(Places::join);
        Seat { board, id }
    }
}

impl Seat {
    /// Changes whenever the board does.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.board.changed.subscribe()
    }

    /// What this member has and should not have.
    pub(super) fn surplus(&self) -> Vec<Partition> {
        let wanted = |place: &Place| place.has == Some(self.id) && place.should != Some(self.id);
        self.board.places().numbers(wanted)
    }

    /// Takes what this member should have and nobody has.
    pub(super) fn take(&self) -> Vec<Partition> {
        let mut places = self.board.places();
        let free = places.numbers(|place| place.should == Some(self.id) && place.has.is_none());
        for partition in &free {
            places.partitions[partition.0 as usize].has = Some(self.id);
        }
        free
    }

    /// Lets go of what this member has of `partitions`.
    pub(super) fn let_go(&self, partitions: &[Partition]) {
        self.board.change(|places| {
            for partition in partitions {
                let place = places.partitions.get_mut(partition.0 as usize);
                if let Some(place) = place.filter(|place| place.has == Some(self.id)) {
                    place.has = None;
                }
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.change(|places| places.leave(self.id));
    }
}

impl Board {
    fn change<T>(&self, change: impl FnOnce(&mut Places) -> T) -> T {
        let changed = change(&mut self.places());
        self.changed.send_modify(|version| *version += 1);
        changed
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn join(&mut self) -> MemberId {
        let id = self.next_id;
        self.next_id += 1;
        self.members.insert(id);
        self.share_out();
        id
    }

    fn leave(&mut self, id: MemberId) {
        self.members.remove(&id);
        for place in &mut self.partitions {
            place.has = place.has.filter(|has| *has != id);
        }
        self.share_out();
    }

    /// Says who should have what: as even as can be, and no partition moves that need not.
    fn share_out(&mut self) {
        let mut counts: BTreeMap<MemberId, usize> =
            self.members.iter().map(|id| (*id, 0)).collect();
        if counts.is_empty() {
            self.partitions.iter_mut().for_each(|place| place.should = None);
            return;
        }
        // As many members as the division leaves over may keep one more.
        let (each, mut extra) =
            (self.partitions.len() / counts.len(), self.partitions.len() % counts.len());
        for place in &mut self.partitions {
            place.should = place.should.filter(|id| match counts.get_mut(id) {
                Some(count) if *count < each => {
                    *count += 1;
                    true
                }
                Some(count) if *count == each && extra > 0 => {
                    *count += 1;
                    extra -= 1;
                    true
                }
                Some(_) | None => false,
            });
        }
        for place in self.partitions.iter_mut().filter(|place| place.should.is_none()) {
            let fewest = counts.iter_mut().min_by_key(|(_, count)| **count);
            place.should = fewest.map(|(id, count)| {
                *count += 1;
                *id
            });
        }
    }

    fn numbers(&self, wanted: impl Fn(&Place) -> bool) -> Vec<Partition> {
        let numbered = (0..).map(Partition).zip(&self.partitions);
        numbered.filter(|(_, place)| wanted(place)).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(board: &Board) -> BTreeMap<MemberId, usize> {
        let places = board.places();
        let mut shares: BTreeMap<_, _> = places.members.iter().map(|id| (*id, 0)).collect();
        for id in places.partitions.iter().filter_map(|place| place.should) {
            *shares.get_mut(&id).unwrap() += 1;
        }
        shares
    }

    proptest! {
        #[test]
        fn partitions_are_shared_evenly_and_are_never_had_by_two(
            partitions in 1_usize..20,
            acts in prop::collection::vec((any::<bool>(), any::<usize>()), 1..40),
        ) {
            let groups = Groups::default();
            let mut seats: Vec<Seat> = Vec::new();
            let mut had: BTreeMap<Partition, MemberId> = BTreeMap::new();
            for (joins, which) in acts {
                if joins || seats.is_empty() {
                    seats.push(groups.join("masker", Topic::Raw, partitions));
                } else {
                    let left = seats.swap_remove(which % seats.len());
                    had.retain(|_, id| *id != left.id);
                }
                let Some(first) = seats.first() else { continue };
                let shares = shares(&first.board);
                prop_assert_eq!(shares.values().sum::<usize>(), partitions);
                let (least, most) = (shares.values().min().unwrap(), shares.values().max().unwrap());
                prop_assert!(most - least <= 1);
                for seat in &seats {
                    let surplus = seat.surplus();
                    prop_assert!(surplus.iter().all(|p| had.remove(p) == Some(seat.id)));
                    seat.let_go(&surplus);
                }
                for seat in &seats {
                    for partition in seat.take() {
                        prop_assert_eq!(had.insert(partition, seat.id), None);
                    }
                }
                prop_assert_eq!(had.len(), partitions);
            }
        }
    }

    #[test]
    fn a_partition_is_taken_only_after_it_was_let_go() {
        let groups = Groups::default();
        let first = groups.join("archiver", Topic::Events, 2);
        assert_eq!(first.take(), [Partition(0), Partition(1)]);
        let second = groups.join("archiver", Topic::Events, 2);
        assert_eq!(second.take(), []);
        assert_eq!(first.surplus(), [Partition(1)]);
        first.let_go(&[Partition(1)]);
        assert_eq!(second.take(), [Partition(1)]);
        drop(second);
        assert_eq!(first.take(), [Partition(1)]);
    }
}
