//! What each job does inside a transaction, and on which places.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use trailgate_schemas::Micros;

use super::heads::Tips;
use super::job::{Job, Step, Trim};
use super::{limits, schemas, storage};
use crate::append::AppendError;
use crate::backbone::BackboneError;
use crate::record::{NewRecord, Offset, Partition};
use crate::topic::{Kept, Topic};

/// A transaction under way.
pub(super) struct Writing<'a> {
    db: &'a Connection,
    texts: &'a mut Texts,
    now: Micros,
    tips: Tips,
    touched: BTreeSet<Topic>,
    /// Partitions whose last place is not shown by a row.
    bare_ends: BTreeSet<(Topic, Partition)>,
}

/// The texts of the statements that run for each record; SQLite keeps them prepared by their text.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<(Topic, Partition), Text>);

struct Text {
    insert: String,
    forget_key: String,
}

impl<'a> Writing<'a> {
    /// One that goes on from `tips` and stamps its records with `now`.
    pub(super) fn new(db: &'a Connection, texts: &'a mut Texts, now: Micros, tips: Tips) -> Self {
        Self { db, texts, now, tips, touched: BTreeSet::new(), bare_ends: BTreeSet::new() }
    }

    /// Does one job.
    ///
    /// # Errors
    /// SQLite's: the whole transaction has failed.
    pub(super) fn run(&mut self, job: &mut Job) -> rusqlite::Result<()> {
        match job {
            Job::Append(record, asked) => {
                let place = self.append(record)?;
                asked.came_to(place.ok_or(AppendError::Failed));
            }
            Job::Step(step, asked) => asked.came_to(self.step(step)?),
            Job::Ensure(topics, partitions, asked) => {
                let outcome = topics.iter().try_for_each(|topic| self.ensure(*topic, *partitions));
                asked.came_to(settle(outcome)?);
            }
            Job::Trim(trim, asked) => asked.came_to(self.trim(trim)?),
            Job::Register(wanted, asked) => {
                asked.came_to(schemas::register(self.db, &wanted.subject, &wanted.schema)?);
            }
            Job::Ping(asked) => asked.came_to(Ok(())),
        }
        Ok(())
    }

    /// The tips after it, and the topics that changed.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn finish(mut self) -> rusqlite::Result<(Tips, BTreeSet<Topic>)> {
        for (topic, partition) in std::mem::take(&mut self.bare_ends) {
            self.keep_ends(topic, partition)?;
        }
        Ok((self.tips, self.touched))
    }

    /// Where the record came to lie; none if its partition was never made.
    fn append(&mut self, record: &NewRecord) -> rusqlite::Result<Option<Offset>> {
        let (topic, partition) = (record.topic, record.partition);
        let Some(head) = self.tips.head(topic, partition) else { return Ok(None) };
        let offset = head.high;
        head.high = offset.next();
        self.touched.insert(topic);
        let text = self.texts.of(topic, partition);
        if topic.kept() == Kept::Compacted {
            self.db.prepare_cached(&text.forget_key)?.execute([&record.key[..]])?;
            if record.value.is_none() && !keeps_tombstones(topic) {
                self.bare_ends.insert((topic, partition));
                return Ok(Some(offset));
            }
        }
        self.db.prepare_cached(&text.insert)?.execute((
            offset.0,
            self.now.0,
            &record.key[..],
            record.value.as_deref(),
        ))?;
        Ok(Some(offset))
    }

    fn step(&mut self, step: &Step) -> rusqlite::Result<Result<(), BackboneError>> {
        let mut is_made = |record: &NewRecord| {
            self.tips.head(record.topic, record.partition).is_some()
                && record.bytes() <= crate::limits::RECORD_MAX_BYTES
        };
        if !step.records.iter().all(&mut is_made) {
            let code = "output without a partition, or too long".to_owned();
            return Ok(Err(BackboneError::Refused { code }));
        }
        for record in &step.records {
            self.append(record)?;
        }
        let mut commit = self.db.prepare_cached(COMMIT_OFFSET)?;
        for (topic, partition, next) in &step.offsets {
            commit.execute((&step.group, topic.name(), partition.0, next.0))?;
        }
        Ok(Ok(()))
    }

    fn ensure(&mut self, topic: Topic, wanted: u32) -> Result<(), Stopped> {
        match storage::partitions(self.db, topic)? {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(Stopped::Refused(BackboneError::Misconfigured {
                topic: topic.name(),
                setting: "partitions",
                found: found.to_string(),
                wanted: wanted.to_string(),
            })),
            None => {
                storage::create_topic(self.db, topic, wanted)?;
                self.tips.insert_empty(topic, wanted);
                self.touched.insert(topic);
                Ok(())
            }
        }
    }

    /// Moves the low watermark first, so that every reader sees one edge, then deletes a piece.
    fn trim(&mut self, trim: &Trim) -> rusqlite::Result<Result<bool, BackboneError>> {
        let (topic, partition) = (trim.topic, trim.partition);
        let Some(head) = self.tips.head(topic, partition) else {
            return Ok(Err(BackboneError::Refused { code: "no such partition".to_owned() }));
        };
        if trim.before > head.high {
            return Ok(Err(BackboneError::Refused { code: "trim beyond the end".to_owned() }));
        }
        if trim.before > head.low {
            head.low = trim.before;
            self.touched.insert(topic);
            self.keep_ends(topic, partition)?;
        }
        let table = storage::table(topic, partition);
        let first: Option<i64> =
            self.db
                .query_row(&format!("SELECT min(\"offset\") FROM {table}"), [], |row| row.get(0))?;
        let Some(first) = first.filter(|first| *first < trim.before.0) else {
            return Ok(Ok(false));
        };
        let edge = trim.before.0.min(first.saturating_add(limits::TRIM_OFFSETS));
        self.db.execute(&format!("DELETE FROM {table} WHERE \"offset\" < ?1"), [edge])?;
        Ok(Ok(edge < trim.before.0))
    }

    fn keep_ends(&mut self, topic: Topic, partition: Partition) -> rusqlite::Result<()> {
        let Some(head) = self.tips.head(topic, partition) else { return Ok(()) };
        self.db
            .prepare_cached(
                "UPDATE partitions SET low = ?3, next = ?4 WHERE topic = ?1 AND number = ?2",
            )?
            .execute((topic.name(), partition.0, head.low.0, head.high.0))?;
        Ok(())
    }
}

/// What stopped a job: its own answer, or the storage and with it the transaction.
enum Stopped {
    Refused(BackboneError),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn settle(outcome: Result<(), Stopped>) -> rusqlite::Result<Result<(), BackboneError>> {
    match outcome {
        Ok(()) => Ok(Ok(())),
        Err(Stopped::Refused(error)) => Ok(Err(error)),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

impl Texts {
    fn of(&mut self, topic: Topic, partition: Partition) -> &Text {
        self.0.entry((topic, partition)).or_insert_with(|| {
            let table = storage::table(topic, partition);
            Text {
                insert: format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4)"),
                forget_key: format!("DELETE FROM {table} WHERE key = ?1"),
            }
        })
    }
}

/// Whether a reader who goes on from a place it kept must still learn what went. The masker's state
/// is only ever read from its beginning, and has a tombstone for every stream that ends. What the
/// approver remembers is followed by all who show it.
const fn keeps_tombstones(topic: Topic) -> bool {
    match topic {
        Topic::Raw
        | Topic::Events
        | Topic::Siem
        | Topic::Refused
        | Topic::Holds
        | Topic::Votes
        | Topic::Claims
        | Topic::Decisions
        | Topic::Approvals
        | Topic::Spool => true,
        Topic::MaskerState => false,
    }
}

const COMMIT_OFFSET: &str = "INSERT INTO offsets VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET next = excluded.next";
