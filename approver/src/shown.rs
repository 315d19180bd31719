//! Where all holds stand, as `audit.approvals` tells: every instance follows all of it, so any of them
//! shows any hold. Bounded: past the bound those that ended first are not shown, and a list says so.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use trailgate_schemas::{Approval, HoldId, HoldState, Micros};

use crate::remembered::Key;
use crate::standing::bytes_of;

/// The holds that are shown; clones are the same.
#[derive(Clone)]
pub(crate) struct Shown(Arc<Parts>);

struct Parts {
    holds: Mutex<Holds>,
    /// Counts changes, so that one can be waited for.
    changes: watch::Sender<u64>,
    bytes_max: usize,
}

#[derive(Default)]
struct Holds {
    by_id: HashMap<HoldId, Arc<Approval>>,
    /// Since when those have ended that have.
    ended: BTreeSet<(Micros, HoldId)>,
    bytes: usize,
    /// How many are not shown that would be if there were room.
    left_out: usize,
    is_read: bool,
}

/// A list of holds, newest first.
pub(crate) struct Listed {
    pub(crate) holds: Vec<Arc<Approval>>,
    /// Whether there are no more.
    pub(crate) is_complete: bool,
}

impl Shown {
    /// Nothing yet, and never more than this.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (holds, changes) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Parts { holds, changes, bytes_max }))
    }

    /// Takes in a record of `audit.approvals`; false if it does not read as one.
    pub(crate) fn apply(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        // What else lies there is the processors' own, and the backbone's.
        let Some(Key::Hold(id)) = Key::parse(key) else { return true };
        let approval = match value.map(serde_json::from_slice::<Approval>) {
            None => None,
            Some(Ok(approval)) => Some(Arc::new(approval)),
            Some(Err(_)) => return false,
        };
        let mut holds = self.holds();
        let was_shown = holds.remove(id);
        match approval {
            Some(approval) => holds.insert(id, approval, self.0.bytes_max),
            None if !was_shown => holds.left_out = holds.left_out.saturating_sub(1),
            None => {}
        }
        drop(holds);
        self.0.changes.send_modify(|changes| *changes += 1);
        true
    }

    /// Forgets everything: the topic is read again from its beginning.
    pub(crate) fn clear(&self) {
        *self.holds() = Holds::default();
    }

    /// All that was there has been read.
    pub(crate) fn set_read(&self) {
        self.holds().is_read = true;
    }

    /// Whether all that was there at the start has been read.
    pub(crate) fn is_read(&self) -> bool {
        self.holds().is_read
    }

    /// One hold.
    pub(crate) fn find(&self, id: HoldId) -> Option<Arc<Approval>> {
        self.holds().by_id.get(&id).cloned()
    }

    /// The newest holds that are wanted, at most `most`.
    pub(crate) fn list(&self, most: usize, wanted: impl Fn(&Approval) -> bool) -> Listed {
        let holds = self.holds();
        let wanted = holds.by_id.values().filter(|approval| wanted(approval));
        let mut listed: Vec<Arc<Approval>> = wanted.cloned().collect();
        let is_complete = holds.left_out == 0 && listed.len() <= most;
        drop(holds);
        listed.sort_unstable_by_key(|approval| {
            std::cmp::Reverse((approval.hold.held_at, approval.hold.hold_id))
        });
        listed.truncate(most);
        Listed { holds: listed, is_complete }
    }

    /// The hold once it is no longer pending, or as it is after `wait`.
    pub(crate) async fn decided(&self, id: HoldId, wait: Duration) -> Option<Arc<Approval>> {
        let mut changes = self.0.changes.subscribe();
        let is_decided =
            |_: &u64| self.find(id).is_none_or(|approval| approval.state != HoldState::Pending);
        // Whether it changed in time shows in what it is then.
        let _ = tokio::time::timeout(wait, changes.wait_for(is_decided)).await;
        self.find(id)
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.0.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holds {
    fn remove(&mut self, id: HoldId) -> bool {
        let Some(approval) = self.by_id.remove(&id) else { return false };
        self.bytes -= bytes_of(&approval.hold);
        self.ended.remove(&(approval.changed_at, id));
        true
    }

    fn insert(&mut self, id: HoldId, approval: Arc<Approval>, bytes_max: usize) {
        self.bytes += bytes_of(&approval.hold);
        if approval.state.is_final() {
            self.ended.insert((approval.changed_at, id));
        }
        self.by_id.insert(id, approval);
        while self.bytes > bytes_max {
            // Those that have not ended are bounded by the processors.
            let Some((_, first)) = self.ended.first().copied() else { return };
            self.remove(first);
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{decided, hold};

    fn kept(number: u128, state: HoldState) -> (Vec<u8>, Vec<u8>) {
        let mut approval = decided(number);
        approval.state = state;
        approval.changed_at = Micros(number as i64);
        (Key::Hold(approval.hold.hold_id).bytes().to_vec(), serde_json::to_vec(&approval).unwrap())
    }

    fn apply(shown: &Shown, number: u128, state: HoldState) {
        let (key, value) = kept(number, state);
        assert!(shown.apply(&key, Some(&value)));
    }

    #[test]
    fn the_last_that_is_told_of_a_hold_is_shown_until_it_is_forgotten() {
        let shown = Shown::new(usize::MAX);
        apply(&shown, 1, HoldState::Pending);
        apply(&shown, 1, HoldState::Executed);
        apply(&shown, 2, HoldState::Pending);
        let state = |number| shown.find(hold(number).hold_id).map(|approval| approval.state);
        assert_eq!((state(1), state(2)), (Some(HoldState::Executed), Some(HoldState::Pending)));
        assert!(shown.apply(&kept(1, HoldState::Executed).0, None));
        assert_eq!(state(1), None);
        assert!(!shown.apply(&kept(1, HoldState::Executed).0, Some(b"{}")));
        assert!(shown.apply(b"series/1", Some(b"{}")) && shown.apply(b"\0place", Some(b"x")));
        let listed = shown.list(10, |_| true);
        assert!(listed.is_complete && listed.holds.len() == 1);
    }

    #[test]
    fn past_the_bound_what_ended_first_is_left_out_and_a_list_says_so() {
        let each = bytes_of(&hold(1));
        let shown = Shown::new(3 * each);
        (1..=2).for_each(|number| apply(&shown, number, HoldState::Pending));
        (3..=5).for_each(|number| apply(&shown, number, HoldState::Denied));
        let left = |number| shown.find(hold(number).hold_id).is_some();
        assert_eq!([1, 2, 3, 4, 5].map(left), [true, true, false, false, true]);
        assert!(!shown.list(10, |_| true).is_complete);
        (3..=4).for_each(|number| assert!(shown.apply(&kept(number, HoldState::Denied).0, None)));
        assert!(shown.list(10, |_| true).is_complete);
        let listed = shown.list(2, |_| true);
        assert!(!listed.is_complete && listed.holds.len() == 2);
    }

    #[tokio::test]
    async fn who_waits_for_a_decision_sees_it_or_what_is_there_in_the_end() {
        let shown = Shown::new(usize::MAX);
        apply(&shown, 1, HoldState::Pending);
        let id = hold(1).hold_id;
        let waited = shown.decided(id, Duration::from_millis(20)).await.unwrap();
        assert_eq!(waited.state, HoldState::Pending);
        let waiting = tokio::spawn({
            let shown = shown.clone();
            async move { shown.decided(id, Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        apply(&shown, 1, HoldState::Approved);
        assert_eq!(waiting.await.unwrap().unwrap().state, HoldState::Approved);
    }
}
