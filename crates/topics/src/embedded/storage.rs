//! The database: how it is opened, what lies in it, and what its errors are called.
//!
//! A table for each topic partition, so that reading one is a walk along one tree and trimming it
//! touches no other. Small tables beside them say what the big ones can't: how many partitions a
//! topic has, where each begins, what each group has committed, which schemas are registered.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use trailgate_schemas::Micros;

use super::heads::{Head, Tips};
use super::limits;
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition};
use crate::topic::{Kept, Topic};

/// The one connection that writes. Creates what is missing.
///
/// # Errors
/// [`BackboneError::Storage`]; [`BackboneError::Refused`] if a newer version wrote it.
pub(super) fn open_writer(path: &Path) -> Result<Connection, BackboneError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
        .map_err(storage)?;
    let (journal, format) = prepare_writer(&db).map_err(storage)?;
    if journal != "wal" {
        let code = "file system can't hold a write-ahead log".to_owned();
        return Err(BackboneError::Refused { code });
    }
    match format {
        0 => db.execute_batch(LAYOUT).map_err(storage)?,
        FORMAT => {}
        _ => return Err(BackboneError::Refused { code: "folder of another version".to_owned() }),
    }
    Ok(db)
}

/// A connection that only reads.
///
/// # Errors
/// [`BackboneError::Storage`].
pub(super) fn open_reader(path: &Path) -> Result<Connection, BackboneError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(storage)?;
    set(&db, "cache_size", -i64::from(limits::READER_CACHE_KIB)).map_err(storage)?;
    Ok(db)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(limits::BUSY_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Page size and vacuum mode can only be set before the write-ahead log is. Returns the journal's
/// mode and the format.
fn prepare_writer(db: &Connection) -> rusqlite::Result<(String, i64)> {
    set(db, "page_size", PAGE_BYTES)?;
    set(db, "auto_vacuum", INCREMENTAL)?;
    let journal = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    set(db, "synchronous", FULL)?;
    // On macOS alone: without it fsync does not reach the platter there.
    set(db, "fullfsync", 1)?;
    set(db, "checkpoint_fullfsync", 1)?;
    set(db, "wal_autocheckpoint", i64::from(limits::CHECKPOINT_PAGES))?;
    set(db, "journal_size_limit", i64::try_from(limits::WAL_KEPT_BYTES).unwrap_or(i64::MAX))?;
    set(db, "cache_size", -i64::from(limits::WRITER_CACHE_KIB))?;
    Ok((journal, db.query_row("PRAGMA user_version", [], |row| row.get(0))?))
}

/// A pragma, whether it answers with a row or not.
fn set(db: &Connection, pragma: &'static str, value: i64) -> rusqlite::Result<()> {
    db.query_row(&format!("PRAGMA {pragma} = {value}"), [], |_| Ok(())).optional().map(|_| ())
}

/// The first place of a partition that is kept.
///
/// # Errors
/// SQLite's.
pub(super) fn low(db: &Connection, topic: Topic, partition: Partition) -> rusqlite::Result<Offset> {
    db.prepare_cached("SELECT low FROM partitions WHERE topic = ?1 AND number = ?2")?
        .query_row((topic.name(), partition.0), |row| row.get(0).map(Offset))
}

/// Lets the database have no more than `pages` while it is open, or as many as it has.
///
/// # Errors
/// SQLite's.
pub(super) fn limit_pages(db: &Connection, pages: u32) -> rusqlite::Result<()> {
    set(db, "max_page_count", i64::from(pages))
}

/// What each partition of each topic holds, from the database alone.
///
/// # Errors
/// SQLite's.
pub(super) fn load_tips(db: &Connection) -> rusqlite::Result<Tips> {
    let mut tips = Tips::default();
    for &topic in Topic::ALL {
        let Some(partitions) = partitions(db, topic)? else { continue };
        let heads = (0..partitions).map(|p| load_head(db, topic, Partition(p)));
        tips.insert(topic, heads.collect::<rusqlite::Result<_>>()?);
    }
    Ok(tips)
}

/// How many partitions a topic has, if it was made.
///
/// # Errors
/// SQLite's.
pub(super) fn partitions(db: &Connection, topic: Topic) -> rusqlite::Result<Option<u32>> {
    let sql = "SELECT partitions FROM topics WHERE name = ?1";
    db.query_row(sql, [topic.name()], |row| row.get(0)).optional()
}

fn load_head(db: &Connection, topic: Topic, partition: Partition) -> rusqlite::Result<Head> {
    let (low, next): (i64, i64) = db.query_row(
        "SELECT low, next FROM partitions WHERE topic = ?1 AND number = ?2",
        (topic.name(), partition.0),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let table = table(topic, partition);
    let last: Option<i64> =
        db.query_row(&format!("SELECT max(\"offset\") FROM {table}"), [], |row| row.get(0))?;
    let high = last.map_or(next, |last| next.max(last + 1));
    Ok(Head { low: Offset(low), high: Offset(high) })
}

/// The first place at or after `time`, by halving: exact while the clock is not set back.
///
/// # Errors
/// SQLite's.
pub(super) fn first_at_or_after(
    db: &Connection,
    (topic, partition): (Topic, Partition),
    head: Head,
    time: Micros,
) -> rusqlite::Result<Offset> {
    let table = table(topic, partition);
    let sql = format!(
        "SELECT \"offset\", appended_at FROM {table} WHERE \"offset\" >= ?1 \
         ORDER BY \"offset\" LIMIT 1"
    );
    let mut from = db.prepare_cached(&sql)?;
    // Everything before `low` is earlier; from `high` on nothing is.
    let (mut low, mut high) = (head.low.0, head.high.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> =
            from.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((offset, at)) if at < time.0 => low = offset + 1,
            // No row lies between the middle and the one found.
            Some(_) | None => high = middle,
        }
    }
    Ok(Offset(low))
}

/// Makes a topic that is missing.
///
/// # Errors
/// SQLite's.
pub(super) fn create_topic(db: &Connection, topic: Topic, count: u32) -> rusqlite::Result<()> {
    db.execute("INSERT INTO topics VALUES (?1, ?2)", (topic.name(), count))?;
    for number in 0..count {
        db.execute("INSERT INTO partitions VALUES (?1, ?2, 0, 0)", (topic.name(), number))?;
        let table = table(topic, Partition(number));
        db.execute_batch(&format!(
            "CREATE TABLE {table} (\"offset\" INTEGER PRIMARY KEY, appended_at INTEGER NOT NULL, \
             key BLOB NOT NULL, value BLOB)"
        ))?;
        if topic.kept() == Kept::Compacted {
            let index = format!("\"{}/{number} by key\"", topic.name());
            db.execute_batch(&format!("CREATE INDEX {index} ON {table} (key)"))?;
        }
    }
    Ok(())
}

/// The quoted name of a partition's table.
pub(super) fn table(topic: Topic, partition: Partition) -> String {
    format!("\"{}/{}\"", topic.name(), partition.0)
}

/// SQLite's error as the seam's. Never its message, which may hold values.
pub(super) fn storage(error: rusqlite::Error) -> BackboneError {
    let code = match error.sqlite_error() {
        Some(error) => code_name(error.extended_code),
        None => "unexpected value".to_owned(),
    };
    BackboneError::Storage { code }
}

/// The operating system's error as the seam's.
pub(super) fn io(error: &std::io::Error) -> BackboneError {
    BackboneError::Storage { code: error.kind().to_string() }
}

/// The primary code by name, which is what a person looks up, then the extended one.
fn code_name(extended: i32) -> String {
    let name = match extended & 0xff {
        5 | 6 => "busy",
        8 => "read only",
        10 => "i/o error",
        11 => "corrupt",
        13 => "disk full",
        14 => "can't open",
        26 => "not a database",
        _ => "sqlite",
    };
    format!("{name} ({extended})")
}

const FORMAT: i64 = 1;
const PAGE_BYTES: i64 = 16 * 1024;
const INCREMENTAL: i64 = 2;
const FULL: i64 = 2;

/// Prepared statements that a connection keeps: one or two for each partition of each topic.
const STATEMENTS: usize = 1_024;

/// `partitions.next` counts where a table can't say it: when its last rows were trimmed, or were
/// tombstones. The low watermark of compaction's holes is not moved: nothing is missing there.
const LAYOUT: &str = "
BEGIN IMMEDIATE;
CREATE TABLE topics (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE partitions (topic TEXT, number INTEGER, low INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, number)) WITHOUT ROWID;
CREATE TABLE offsets (\"group\" TEXT, topic TEXT, number INTEGER, next INTEGER NOT NULL,
    PRIMARY KEY (\"group\", topic, number)) WITHOUT ROWID;
CREATE TABLE schemas (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
CREATE TABLE subjects (subject TEXT, id INTEGER, PRIMARY KEY (subject, id)) WITHOUT ROWID;
CREATE TABLE probes (id INTEGER PRIMARY KEY, fill BLOB NOT NULL);
PRAGMA user_version = 1;
COMMIT;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_durability_rests_on_are_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let db = open_writer(&folder.path().join("log.sqlite")).unwrap();
        let number = |pragma: &str| -> i64 {
            db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
        };
        let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(number("synchronous"), FULL);
        assert_eq!(number("page_size"), PAGE_BYTES);
        assert_eq!(number("auto_vacuum"), INCREMENTAL);
        assert_eq!(number("user_version"), FORMAT);
    }

    #[test]
    fn a_file_that_is_no_database_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        std::fs::write(&path, vec![7; 4096]).unwrap();
        let said = open_writer(&path).unwrap_err();
        assert_eq!(said, BackboneError::Storage { code: "not a database (26)".to_owned() });
    }

    #[test]
    fn a_folder_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let db = open_writer(&path).unwrap();
        db.execute_batch("PRAGMA user_version = 2").unwrap();
        drop(db);
        assert!(matches!(open_writer(&path), Err(BackboneError::Refused { .. })));
    }
}
