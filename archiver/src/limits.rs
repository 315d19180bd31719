//! The bounds of the archiver, each with its reason.

use std::time::Duration;

/// Bytes of records in a batch, unless configured: a data file that readers open gladly. Twice this
/// is held at most: one batch on its way into the table, one gathering.
pub const FLUSH_BYTES: usize = 64 * 1024 * 1024;

/// The largest batch that may be configured: a row group's worth, and what a small machine holds.
pub const FLUSH_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How old the first record of a batch may become, unless configured.
pub const FLUSH_AFTER: Duration = Duration::from_secs(5);

/// What a record costs in memory beside its bytes, so that tiny records fill a batch too.
pub const RECORD_OVERHEAD_BYTES: usize = 512;

/// How long archived records stay on `audit.events`, unless configured: for readers of the topic,
/// and to make a table again from before a mistake.
pub const KEEP: Duration = Duration::from_secs(3 * 24 * 3600);

/// How often what is due by time is looked at.
pub const TICK: Duration = Duration::from_millis(100);

/// Between two attempts at what fails: the first wait, doubled up to the last.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest wait between two attempts.
pub const RETRY_LAST: Duration = Duration::from_secs(10);

/// How long a registry may take for one schema before its partition waits without the others.
pub const SCHEMA_WAIT: Duration = Duration::from_secs(2);

/// How often a partition that waits for its schema, or for the table's columns, looks again.
pub const PARKED_RETRY: Duration = Duration::from_secs(5);

/// How often archived records are trimmed and the lag is measured.
pub const TRIM_EVERY: Duration = Duration::from_secs(30);

/// How long the last batch may take when the stage is asked to stop: within the stage's own bound.
pub const STOP_WAIT: Duration = Duration::from_secs(15);

/// How long one look at the table may hold up the answer to other messages.
pub const TABLE_WAIT: Duration = Duration::from_secs(5);
