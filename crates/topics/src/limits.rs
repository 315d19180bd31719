//! The bounds that hold on every backbone, each with its reason.

use std::time::Duration;

/// Key and value of one record. What Kafka takes by default (`message.max.bytes`, 1 MiB) less room
/// for its own framing, and above the longest record there is: a masked one of 512 KiB.
pub(crate) const RECORD_MAX_BYTES: usize = 1_000_000;

/// Streams that one process has open on one partition of `audit.raw`. Each is a connection that is
/// under way; a stage that never closes its streams is stopped here.
pub(crate) const OPEN_STREAMS: usize = 65_536;

/// Ranges of abandoned numbers that no heartbeat has told of yet. Failures in a row make one range.
pub(crate) const ABANDONED_RANGES: usize = 4_096;

/// Open streams, and ranges, in one heartbeat: 46 and 40 KiB of its clear bytes.
pub(crate) const HEARTBEAT_ENTRIES: usize = 1_000;

/// Between two heartbeats.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);

/// How long after a number was abandoned a heartbeat tells of it: failures come together.
pub(crate) const ABANDONED_TOLD_AFTER: Duration = Duration::from_secs(1);

/// Recordings that nobody awaits any more, above which those that are settled are looked for.
pub(crate) const UNAWAITED: usize = 1_024;

/// How long an ending writer waits for what is under way.
pub(crate) const FINISH_WAIT: Duration = Duration::from_secs(10);

/// Between two looks at whether the backbone answers, for `/readyz`.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(2);

/// How long one such answer may take.
pub(crate) const WATCH_WAIT: Duration = Duration::from_secs(3);

/// Refusals of one source, kind and actor in a second that are each an event; beyond it they share
/// one.
pub(crate) const REFUSALS_EACH: u32 = 10;

/// Sources of refusals that are told apart within a second; beyond it they count together.
pub(crate) const REFUSAL_SOURCES_MAX: usize = 4096;
