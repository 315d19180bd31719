//! The bounds of query, each with its reason.

use std::time::Duration;

/// Rows of one answer, unless configured otherwise: more is an export, not a question.
pub const ROWS_MAX: usize = 100_000;

/// Time of one statement, unless configured otherwise.
pub const STATEMENT_TIME_MAX: Duration = Duration::from_secs(30);

/// Memory of all statements together, unless configured otherwise. Sorts and joins spill beyond it.
pub const STATEMENTS_MEMORY_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Disk that statements may spill to.
pub const STATEMENTS_SPILL_MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Memory of the hot tail, unless configured otherwise: minutes of a busy gateway.
pub const TAIL_MEMORY_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Disk of the hot tail, unless configured otherwise. Past it the tail stops reading and answers
/// say so.
pub const TAIL_DISK_MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Records of one partition decoded together: beyond it, arrow batches stop getting better.
pub const TAIL_CHUNK_RECORDS: usize = 4096;

/// How often the table is asked for a newer version.
pub const SNAPSHOT_EVERY: Duration = Duration::from_millis(1000);

/// How long a read of the tail waits for records; the bound on how old `complete_until` gets while
/// nothing happens.
pub const TAIL_WAIT: Duration = Duration::from_millis(250);

/// How long after a failure of the table or the backbone it is asked again.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The longest statement: a hundred times a long one.
pub const SQL_MAX_BYTES: usize = 64 * 1024;

/// Words and signs of a statement. The planner's time grows with their square and can't be
/// interrupted: 2,000 operators in a row take 27 s unoptimised, 1 to 2 s in a release build
/// (2026-11-24, 2 cores). A long statement of a person has 500.
pub const SQL_WORDS_MAX: usize = 2_000;

/// How deep a statement may nest: the parser recurses on it.
pub const SQL_DEPTH_MAX: usize = 50;

/// Statements that run at once, unless configured otherwise; the next is answered 429. Each pins
/// batches of up to [`BATCH_ROWS`] rows that no pool counts.
pub const STATEMENTS_MAX: usize = 8;

/// Rows of a batch: a payload may have 512 KiB, and a batch is held whole.
pub const BATCH_ROWS: usize = 1024;

/// Batches that a statement may be ahead of its reader.
pub const BATCHES_AHEAD: usize = 2;

/// The stack of a statement's thread: [`SQL_WORDS_MAX`] operators in a row make a plan that is as
/// deep. Only what is touched takes memory.
pub const WORKER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// What an answer's bytes are cut into.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// The longest body: the longest statement, escaped in JSON.
pub const BODY_MAX_BYTES: usize = 2 * SQL_MAX_BYTES;

/// How long a body may take to arrive: it is short.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// Pieces of an answer that may wait for its reader.
pub const PIECES_AHEAD: usize = 2;

/// Streams that a statement reads the tail by: some for each core, and few enough to plan.
pub const TAIL_STREAMS: usize = 8;

/// Reads of a table that a statement may come to, each `WITH` put in where it is named: joining all
/// four tables with themselves twice over.
pub const SQL_READS_MAX: usize = 24;
