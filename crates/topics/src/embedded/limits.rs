//! The embedded log's bounds, each with its reason.

use std::time::Duration;

/// Partitions of a topic. Each is a table; SQLite reads the whole schema when it opens.
pub(super) const PARTITIONS_MAX: u32 = 64;

/// Records that wait for the committer. Above it callers are refused at once rather than made to
/// wait for longer than they would: 8,192 are 70 ms of it at 115,000 records a second.
pub(super) const QUEUE_RECORDS: usize = 8_192;

/// Their bytes: what waits is in memory.
pub(super) const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Records of one transaction: so that an acknowledgement waits for one fsync, not for a long
/// write before it.
pub(super) const BATCH_RECORDS: usize = 4_096;

/// Bytes of one transaction, by the same reason.
pub(super) const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Records of one read: a reader's snapshot keeps the write-ahead log from being reused.
pub(super) const READ_RECORDS: usize = 512;

/// Bytes of one read: what a reader holds in memory.
pub(super) const READ_BYTES: usize = 4 * 1024 * 1024;

/// Messages between a consumer and its owner: enough to hide a thread switch.
pub(super) const MESSAGES: usize = 128;

/// Commands between an owner and its consumer: one for each partition.
pub(super) const COMMANDS: usize = PARTITIONS_MAX as usize;

/// Records of one partition in their owner's custody. A batch of 64 MiB of small events has fewer;
/// behind a record that was dropped by mistake reading stops here.
pub(super) const CUSTODY_RECORDS: usize = 1_000_000;

/// How long a member that gives partitions up waits for its owner to drain them.
pub(super) const REVOKE_WAIT: Duration = Duration::from_secs(10);

/// How often a member commits what its owner has delivered: only lag tools and a restart read it.
pub(super) const OFFSETS_EVERY: Duration = Duration::from_secs(1);

/// Between two attempts while the storage fails.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Outputs of one step: an upper bound of its transaction, which others wait behind.
pub(super) const STEP_RECORDS: usize = 6_000;

/// Bytes of outputs of one step.
pub(super) const STEP_BYTES: usize = 8 * 1024 * 1024;

/// Shortest interval between two commits of a processor, whatever it asks for: each is an fsync.
pub(super) const COMMIT_EVERY_MIN: Duration = Duration::from_millis(5);

/// How long a statement waits for another connection: only recovery after a crash and the reuse of
/// the write-ahead log ever make it wait.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log before it is written back: 16 MiB of 16 KiB pages.
pub(super) const CHECKPOINT_PAGES: u32 = 1_000;

/// Length to which the write-ahead log is cut when it is reused.
pub(super) const WAL_KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// Page cache of the committer in KiB: the ends of all tables, and interior pages.
pub(super) const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// Page cache of a reader in KiB: it reads forward, so little is read twice.
pub(super) const READER_CACHE_KIB: u32 = 1024;

/// Offsets that one transaction of trimming covers: others wait behind it.
pub(super) const TRIM_OFFSETS: i64 = 2_000;

/// Free pages above which space is given back (64 MiB): below it new records use them.
pub(super) const FREE_PAGES_MAX: u32 = 4_096;

/// Free pages that giving back leaves (16 MiB).
pub(super) const FREE_PAGES_KEPT: u32 = 1_024;

/// Pages given back in one transaction (4 MiB): each may move one, and others wait behind it.
pub(super) const VACUUM_PAGES: u32 = 256;

/// How often what is kept for a time is trimmed.
pub(super) const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// A schema's text: ours has 10 KiB.
pub(super) const SCHEMA_MAX_BYTES: usize = 256 * 1024;
