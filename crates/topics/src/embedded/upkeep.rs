//! What the committer does between transactions, a bounded piece at a time: trimming what was kept
//! for long enough, and giving free pages back to the file system.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};
use trailgate_schemas::Micros;

use super::committer::Committer;
use super::job::{Asked, Job, Trim};
use super::{limits, storage};
use crate::record::Partition;
use crate::topic::{Kept, Topic};

/// What is still to be done.
#[derive(Default)]
pub(super) struct Upkeep {
    /// When nothing was found to have expired.
    looked: Option<Instant>,
    /// Something was trimmed since free pages were last found to be few.
    pub(super) trimmed: bool,
    /// Free pages are being given back.
    gives_back: bool,
}

impl Upkeep {
    /// How long the committer may wait for work.
    pub(super) fn wait(&self) -> Duration {
        match self.looked {
            Some(looked) if !self.trimmed => limits::UPKEEP_EVERY.saturating_sub(looked.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// Does the next piece.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn piece(&mut self, db: &Connection, committer: &Committer) -> rusqlite::Result<()> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= limits::UPKEEP_EVERY) {
            let expired = expired(db, committer)?;
            self.looked = expired.is_empty().then(Instant::now);
            for trim in expired {
                // Nobody waits: the next turn looks whether there is more.
                committer.queue.ask(Job::Trim(trim, Asked::new().0));
            }
        }
        if self.trimmed {
            self.gives_back = give_back(db, self.gives_back)?;
            self.trimmed = self.gives_back;
        }
        Ok(())
    }
}

/// Partitions whose first record has been kept for long enough, and up to where.
fn expired(db: &Connection, committer: &Committer) -> rusqlite::Result<Vec<Trim>> {
    let now = committer.clock.now();
    let mut trims = Vec::new();
    for &topic in Topic::ALL {
        let (Kept::For(kept), Ok(heads)) = (topic.kept(), committer.heads.of(topic)) else {
            continue;
        };
        let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        let horizon = Micros(now.0.saturating_sub(kept));
        for (partition, head) in (0..).map(Partition).zip(heads) {
            let table = storage::table(topic, partition);
            let sql = format!("SELECT appended_at < ?1 FROM {table} ORDER BY \"offset\" LIMIT 1");
            let is_expired = db.query_row(&sql, [horizon.0], |row| row.get(0)).optional()?;
            if is_expired == Some(true) {
                let before = storage::first_at_or_after(db, (topic, partition), head, horizon)?;
                trims.push(Trim { topic, partition, before });
            }
        }
    }
    Ok(trims)
}

/// Cuts the file by a piece once many pages are free, down to a few that new records will use.
/// Returns whether there is more.
fn give_back(db: &Connection, is_going_on: bool) -> rusqlite::Result<bool> {
    let free: u32 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    let bound = if is_going_on { limits::FREE_PAGES_KEPT } else { limits::FREE_PAGES_MAX };
    if free <= bound {
        if is_going_on {
            // The file itself is cut when the write-ahead log is written back.
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
        return Ok(false);
    }
    // It cuts one page for each row that is asked of it.
    let mut cut = db.prepare(&format!("PRAGMA incremental_vacuum({})", limits::VACUUM_PAGES))?;
    let mut rows = cut.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}
