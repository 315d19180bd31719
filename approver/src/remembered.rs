//! What the approver remembers of a partition, and under which keys it lies on `audit.approvals`: a
//! hold under its id, as an [`Approval`] that anybody may read; beside it, under names of our own,
//! what was said too early and the numbers of events.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use trailgate_schemas::{Approval, HoldId, Micros};

use crate::early::Early;
use crate::limits::{EARLY_KEPT, EARLY_MAX, ENDED_KEPT, ENDED_MAX, OPEN_BYTES_MAX};
use crate::series::Series;
use crate::standing::Standing;

/// What is remembered of a partition.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    standings: HashMap<HoldId, Standing>,
    /// When something is due of those that may change.
    due: BTreeSet<(Micros, HoldId)>,
    /// Since when the others have ended.
    ended: BTreeSet<(Micros, HoldId)>,
    open_bytes: usize,
    early: HashMap<HoldId, Early>,
    early_since: BTreeSet<(Micros, HoldId)>,
    /// By partition of `audit.raw`.
    series: BTreeMap<u32, Series>,
}

/// Where something lies on `audit.approvals`. No key begins with a zero byte: those are the
/// backbone's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Hold(HoldId),
    Early(HoldId),
    Series(u32),
}

impl Key {
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        match text.split_once('/') {
            None => text.parse().ok().map(Self::Hold),
            Some(("early", id)) => id.parse().ok().map(Self::Early),
            Some(("series", partition)) => partition.parse().ok().map(Self::Series),
            Some(_) => None,
        }
    }

    pub(crate) fn bytes(self) -> Bytes {
        Bytes::from(match self {
            Self::Hold(id) => id.to_string(),
            Self::Early(id) => format!("early/{id}"),
            Self::Series(partition) => format!("series/{partition}"),
        })
    }
}

impl Remembered {
    /// Takes in what was kept under a key, or that it was forgotten.
    ///
    /// # Errors
    /// A stable word for what does not read as what this program keeps.
    pub(crate) fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), &'static str> {
        let key = Key::parse(key).ok_or("key")?;
        let Some(value) = value else {
            match key {
                Key::Hold(id) => drop(self.take(id)),
                Key::Early(id) => drop(self.take_early(id)),
                Key::Series(partition) => drop(self.series.remove(&partition)),
            }
            return Ok(());
        };
        match key {
            Key::Hold(id) => {
                let approval: Approval = serde_json::from_slice(value).map_err(|_| "approval")?;
                self.put(id, Standing::of(approval).ok_or("approval_contradicts_itself")?);
            }
            Key::Early(id) => {
                self.put_early(id, serde_json::from_slice(value).map_err(|_| "early")?);
            }
            Key::Series(partition) => {
                let series = serde_json::from_slice(value).map_err(|_| "series")?;
                self.series.insert(partition, series);
            }
        }
        Ok(())
    }

    /// Whether a hold came before.
    pub(crate) fn knows(&self, id: HoldId) -> bool {
        self.standings.contains_key(&id)
    }

    /// Whether there is room for one more hold.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.open_bytes + bytes <= OPEN_BYTES_MAX
    }

    /// Takes a hold out; put it back where it stands then.
    pub(crate) fn take(&mut self, id: HoldId) -> Option<Standing> {
        let standing = self.standings.remove(&id)?;
        self.open_bytes -= standing.bytes();
        if let Some(due) = standing.due() {
            self.due.remove(&(due, id));
        }
        if let Some(since) = standing.ended() {
            self.ended.remove(&(since, id));
        }
        Some(standing)
    }

    /// Remembers where a hold stands.
    pub(crate) fn put(&mut self, id: HoldId, standing: Standing) {
        drop(self.take(id));
        self.open_bytes += standing.bytes();
        self.due.extend(standing.due().map(|due| (due, id)));
        self.ended.extend(standing.ended().map(|since| (since, id)));
        self.standings.insert(id, standing);
    }

    /// Takes a hold out of which something is due.
    pub(crate) fn take_due(&mut self, now: Micros) -> Option<(HoldId, Standing)> {
        let (_, id) = self.due.first().filter(|(due, _)| *due <= now).copied()?;
        self.take(id).map(|standing| (id, standing))
    }

    /// Forgets a hold that ended long ago, or that is one too many.
    pub(crate) fn forget_ended(&mut self, now: Micros) -> Option<HoldId> {
        let (since, id) = self.ended.first().copied()?;
        if since.plus(ENDED_KEPT) > now && self.ended.len() <= ENDED_MAX {
            return None;
        }
        self.take(id).map(|_| id)
    }

    /// What was said of a hold before it came.
    pub(crate) fn take_early(&mut self, id: HoldId) -> Option<Early> {
        let early = self.early.remove(&id)?;
        self.early_since.remove(&(early.since, id));
        Some(early)
    }

    /// Keeps what was said of a hold that has not come.
    pub(crate) fn put_early(&mut self, id: HoldId, early: Early) {
        drop(self.take_early(id));
        self.early_since.insert((early.since, id));
        self.early.insert(id, early);
    }

    /// Forgets what was said of a hold that did not come, or that is one too many.
    pub(crate) fn forget_early(&mut self, now: Micros) -> Option<HoldId> {
        let (since, id) = self.early_since.first().copied()?;
        if since.plus(EARLY_KEPT) > now && self.early.len() <= EARLY_MAX {
            return None;
        }
        self.take_early(id).map(|_| id)
    }

    /// The numbers on a partition of `audit.raw`.
    pub(crate) fn series(&mut self, partition: u32) -> Option<Series> {
        self.series.remove(&partition)
    }

    /// Remembers the numbers on a partition of `audit.raw`.
    pub(crate) fn put_series(&mut self, partition: u32, series: Series) {
        self.series.insert(partition, series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::early::Said;
    use crate::limits::EARLY_EACH;
    use crate::samples::{EXPIRES_AT, HELD_AT, claim, hold};
    use trailgate_schemas::{ClaimEnd, HoldState};

    use crate::standing::Ended;

    fn open(remembered: &mut Remembered, number: u128) {
        let held = hold(number);
        remembered.put(held.hold_id, Standing::open(held, HELD_AT).standing);
    }

    #[test]
    fn every_key_reads_back_and_nothing_else_does() {
        let id = hold(1).hold_id;
        for key in [Key::Hold(id), Key::Early(id), Key::Series(7)] {
            assert_eq!(Key::parse(&key.bytes()), Some(key));
            assert_ne!(key.bytes()[0], 0);
        }
        for other in [b"".as_slice(), b"\0place", b"series/x", b"early/", b"other/1", &[0xff]] {
            assert_eq!(Key::parse(other), None);
        }
    }

    #[test]
    fn what_is_due_comes_once_and_what_has_ended_is_forgotten_in_time() {
        let mut remembered = Remembered::default();
        open(&mut remembered, 1);
        assert!(remembered.take_due(HELD_AT).is_none());
        let (id, standing) = remembered.take_due(EXPIRES_AT).unwrap();
        let ended = standing.tick(EXPIRES_AT).standing;
        remembered.put(id, ended);
        assert!(remembered.take_due(EXPIRES_AT.plus(ENDED_KEPT)).is_none());
        assert!(remembered.forget_ended(EXPIRES_AT).is_none() && remembered.knows(id));
        assert_eq!(remembered.forget_ended(EXPIRES_AT.plus(ENDED_KEPT)), Some(id));
        assert!(!remembered.knows(id) && remembered.open_bytes == 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut remembered = Remembered::default();
        for number in 0..ENDED_MAX as u128 + 10 {
            let ended = Ended { state: HoldState::Denied, since: Micros(number as i64) };
            remembered.put(hold(number).hold_id, Standing::Ended(ended));
            let mut early = Early::new(Micros(number as i64));
            let said = || Said::Claim(claim(&hold(number), ClaimEnd::Withdrawn));
            (0..EARLY_EACH).for_each(|_| assert!(early.add(said())));
            assert!(!early.add(said()));
            remembered.put_early(hold(number).hold_id, early);
        }
        while remembered.forget_ended(Micros(0)).is_some() {}
        while remembered.forget_early(Micros(0)).is_some() {}
        assert_eq!((remembered.standings.len(), remembered.ended.len()), (ENDED_MAX, ENDED_MAX));
        assert_eq!((remembered.early.len(), remembered.early_since.len()), (EARLY_MAX, EARLY_MAX));
        assert!(remembered.has_room(OPEN_BYTES_MAX) && !remembered.has_room(OPEN_BYTES_MAX + 1));
    }
}
