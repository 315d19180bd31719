//! The bounds of the table, each with its reason.

use std::time::Duration;

/// How long one commit may take before its outcome is looked up instead: a commit is a few small
/// requests, and a checkpoint each [`CHECKPOINT_INTERVAL`] commits.
pub const COMMIT_MAX: Duration = Duration::from_secs(60);

/// How long putting one data file may take: 64 MiB at 1 MiB/s.
pub const PUT_MAX: Duration = Duration::from_secs(64);

/// Commits between two checkpoints: at a commit each 5 s a reader replays at most 4 minutes of
/// small files, and a checkpoint is written 350 times a day.
pub const CHECKPOINT_INTERVAL: u32 = 50;

/// Commits between two clean-ups of expired log files, each of which lists the whole log.
pub const CLEANUP_INTERVAL: u64 = 200;

/// Rows that are decoded together: when one of them is bad, this many are decoded one by one.
pub const DECODE_ROWS: usize = 4096;

/// Rows in a row group: what a reader must take at least, 10 to 100 MiB of events.
pub const ROW_GROUP_ROWS: usize = 64 * 1024;

/// The longest text that is kept as a file's smallest or largest value; beyond it the file has
/// none for that column, which only costs pruning.
pub const STATS_TEXT_MAX_BYTES: usize = 128;

/// How long one request to a bucket may take: a data file at 2 MiB/s.
pub const REQUEST_MAX: Duration = Duration::from_secs(30);

/// How often a request to a bucket is sent again before its failure is told: what is told is tried
/// again by the archiver, with its memory bounded.
pub const RETRIES_MAX: usize = 3;

/// How long sending again may go on.
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// Files of the log that are read at once when a table is opened.
pub const LOG_READS: usize = 16;
