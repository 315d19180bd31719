//! The bounds of a stage's frame, each with its reason.

use std::time::Duration;

/// How long a stage may take to drain after it was asked to stop: below the 30 s after which
/// container platforms kill.
pub const DRAIN_MAX: Duration = Duration::from_secs(25);

/// The longest configuration file: a hundred times a large one.
pub const CONFIG_MAX_BYTES: u64 = 1024 * 1024;

/// How long the log is spared another word of the same wait, also when what fails says something
/// else: a cluster that is going down has many ways to say so.
pub const WAIT_TOLD_AGAIN: Duration = Duration::from_secs(30);

/// How long a process may take to say whether it is ready: it only reads a map. Below the patience
/// of health checks, so that they see what is wrong and not a time-out.
pub const PROBE_MAX: Duration = Duration::from_secs(2);

/// The longest answer of a process that is asked whether it is ready: a line for each part.
pub const PROBE_ANSWER_MAX_BYTES: u64 = 64 * 1024;
