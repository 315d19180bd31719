//! The one thread that writes. It takes what waits, writes it in one transaction, and answers when
//! SQLite has synced it: `synchronous=FULL` with a write-ahead log is one fsync each.
//!
//! When storage fails, everything that waits is told so, and everything that comes is refused until
//! a probe, a real transaction on a new connection, has been synced. The tips are then read from
//! the database anew, so that nothing is believed that only this process remembers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::{Connection, TransactionBehavior};
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use super::heads::{Heads, Tips};
use super::job::Job;
use super::queue::Queue;
use super::upkeep::Upkeep;
use super::write::{Texts, Writing};
use super::{limits, storage};
use crate::backbone::BackboneError;
use crate::topic::Topic;

/// The writer, as its thread holds it.
pub(super) struct Committer {
    pub(super) path: PathBuf,
    pub(super) queue: Arc<Queue>,
    pub(super) heads: Arc<Heads>,
    pub(super) clock: Arc<dyn Clock>,
    /// Pages that the database may have, 0 meaning as many as it can: how a test fills the disk.
    pub(super) pages_max: Arc<AtomicU32>,
}

/// Where the storage stands.
enum Storage {
    Works(Connection),
    Fails,
}

impl Committer {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(self, db: Connection) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        let (mut texts, mut upkeep) = (Texts::default(), Upkeep::default());
        let mut storage = Storage::Works(db);
        loop {
            storage = match storage {
                Storage::Works(mut db) => {
                    let Some(jobs) = self.queue.take(upkeep.wait()) else { return };
                    upkeep.trimmed |= jobs.iter().any(|job| matches!(job, Job::Trim(..)));
                    match self.turn(&mut db, &mut texts, jobs, &mut upkeep) {
                        Ok(()) => Storage::Works(db),
                        Err(error) => self.fail(&error),
                    }
                }
                Storage::Fails => {
                    let Some(_) = self.queue.take(limits::RETRY_EVERY) else { return };
                    self.probe().map_or(Storage::Fails, Storage::Works)
                }
            };
        }
    }

    /// What waits, in one transaction, then a piece of upkeep.
    fn turn(
        &self,
        db: &mut Connection,
        texts: &mut Texts,
        jobs: Vec<Job>,
        upkeep: &mut Upkeep,
    ) -> Result<(), BackboneError> {
        self.limit_pages(db).map_err(storage::storage)?;
        if !jobs.is_empty() {
            self.commit(db, texts, jobs)?;
        }
        upkeep.piece(db, self).map_err(storage::storage)
    }

    fn commit(
        &self,
        db: &mut Connection,
        texts: &mut Texts,
        mut jobs: Vec<Job>,
    ) -> Result<(), BackboneError> {
        let begun = self.heads.begin(&*self.clock);
        match write(db, texts, begun, &mut jobs) {
            Ok((tips, touched)) => {
                self.heads.publish(tips, touched);
                jobs.into_iter().for_each(Job::answer);
                Ok(())
            }
            Err(error) => {
                self.heads.abandon();
                let error = storage::storage(error);
                // Whoever is told can't be taken again before the storage works.
                self.queue.fail(&error);
                jobs.into_iter().for_each(|job| job.fail(&error));
                Err(error)
            }
        }
    }

    fn fail(&self, error: &BackboneError) -> Storage {
        self.queue.fail(error);
        tracing::error!(%error, "embedded log refuses records until its storage works again");
        Storage::Fails
    }

    /// Tries the storage, and goes on from what it holds.
    fn probe(&self) -> Option<Connection> {
        let db = storage::open_writer(&self.path).ok()?;
        self.limit_pages(&db).ok()?;
        db.execute_batch(PROBE).ok()?;
        let tips = storage::load_tips(&db).ok()?;
        self.heads.publish(tips, Topic::ALL.iter().copied());
        self.queue.mend();
        tracing::info!("embedded log's storage works again");
        Some(db)
    }

    fn limit_pages(&self, db: &Connection) -> rusqlite::Result<()> {
        match self.pages_max.load(Ordering::SeqCst) {
            0 => Ok(()),
            pages => storage::limit_pages(db, pages),
        }
    }
}

/// One transaction.
fn write(
    db: &mut Connection,
    texts: &mut Texts,
    (now, tips): (Micros, Tips),
    jobs: &mut [Job],
) -> rusqlite::Result<(Tips, BTreeSet<Topic>)> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut writing = Writing::new(&transaction, texts, now, tips);
    for job in jobs {
        writing.run(job)?;
    }
    let done = writing.finish()?;
    transaction.commit()?;
    Ok(done)
}

/// However the thread ends, nobody waits for it in vain.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// As long as a record may be, so that a disk with room for a byte is not taken for a working one.
const PROBE: &str = "
BEGIN IMMEDIATE;
INSERT OR REPLACE INTO probes VALUES (1, zeroblob(1000000));
DELETE FROM probes;
COMMIT;
";
