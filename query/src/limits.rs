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

/// How deep a statement may nest: the parser recurses on it.
pub const SQL_DEPTH_MAX: usize = 50;
