//! The bounds of the masker, each with its reason.

use std::time::Duration;

/// How often a step is committed: the lowest interval at which transactions cost no throughput.
pub const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// How long a held tail waits for its next piece before it comes out masked: 30 s with the time
/// after which a partition counts as quiet.
pub const TAIL_HELD_MAX: Duration = Duration::from_secs(27);

/// After this long without a record a partition's time goes on by the clock: longer than a backbone
/// takes to hand out a backlog's next record.
pub const QUIET_AFTER: Duration = Duration::from_secs(3);

/// How long a body may be silent before it is forgotten: its proxy has died, since a live one ends
/// exchanges that stall.
pub const BODY_SILENT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Open bodies of one partition that are remembered. Beyond it the oldest is let go, and what is
/// held of it comes out masked.
pub const OPEN_BODIES_MAX: usize = 4096;

/// Clear text of one partition that is held back; beyond it too the oldest is let go. One body holds
/// at most 130 KiB.
pub const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Producers of one partition whose numbers are remembered. Beyond it the one that was silent
/// longest is forgotten: a producer that is alive says so every 30 s.
pub const PRODUCERS_MAX: usize = 1024;

/// Open exchanges of one partition of which it is known what to say if their producer dies: 1 KiB
/// each. Beyond it that is not known of the newer ones.
pub const EXCHANGES_MAX: usize = 8192;

/// How long a producer may be silent before what it left open counts as unknown: it sends a
/// heartbeat every 30 s, so three are missing.
pub const PRODUCER_SILENT_MAX: Duration = Duration::from_secs(100);

/// Holes of one producer that wait for its heartbeat to explain them. Beyond it the oldest is
/// reported at once.
pub const HOLES_MAX: usize = 256;

/// The longest masked field: a masked record stays below 512 KiB.
pub const FIELD_MAX_BYTES: usize = 384 * 1024;

/// The longest record of `audit.holds`: as long as a masked one. Beyond it the payload is not shown.
pub const HOLD_MAX_BYTES: usize = 512 * 1024;

/// Redactions told one by one; beyond it they are counted for each rule.
pub const REDACTIONS_MAX: usize = 200;

/// How long a registry may take to answer before the partition waits and is tried again.
pub const REGISTRY_WAIT: Duration = Duration::from_secs(5);

/// How often what the masker has taken and what is old enough is trimmed from `audit.raw`.
pub const TRIM_EVERY: Duration = Duration::from_secs(60);

/// How often rule files are looked at: reading a few files costs nothing, and whoever changes one
/// wants to see it.
pub const RULES_LOOK_EVERY: Duration = Duration::from_secs(2);
