//! The bounds of the approver, each with its reason.

use std::time::Duration;

/// How often a step is committed: a request waits for it, and a hold is rare.
pub const COMMIT_EVERY: Duration = Duration::from_millis(50);

/// What of a partition's holds is kept in memory while they may change. 250 of the longest, 5,000 of
/// usual ones; beyond it a new one is denied at once, since nobody could look at so many.
pub const OPEN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a hold is shown after it has ended; what happened stays in the trail.
pub const ENDED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Holds of one partition that have ended and are shown; beyond it the oldest is forgotten early.
pub const ENDED_MAX: usize = 2048;

/// How long after its expiry the use of an approval may be untold before how it ended is unknown: a
/// request that was let through may run for hours, and its gateway tells at its end.
pub const UNTOLD_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long what is said of a hold that has not come is kept: longer than any hold lives, so one that
/// comes later has expired.
pub const EARLY_KEPT: Duration = Duration::from_secs(20 * 60);

/// Holds of one partition that have not come and of which something was said. Only a masker that is
/// far behind lets them be many; beyond it the oldest is forgotten.
pub const EARLY_MAX: usize = 1024;

/// What is kept of one hold that has not come: a withdrawal and some votes. The rest is dropped.
pub const EARLY_EACH: usize = 8;

/// After this long without an event on a partition of `audit.raw` its next ones come under a new
/// producer id, since the masker may have forgotten the old one. For that, a thousand other producers
/// would have to come within this time.
pub const SERIES_KEPT: Duration = Duration::from_secs(1800);

/// What of holds the API keeps in memory; beyond it those that ended first are not shown, and a list
/// says so.
pub const SHOWN_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Holds in one list: more than a person reads.
pub const LISTED_MAX: usize = 500;

/// The longest reason of a vote.
pub const REASON_MAX_BYTES: usize = 2048;

/// The longest body of a request: the longest reason, escaped in JSON, and a digest.
pub const BODY_MAX_BYTES: usize = 16 * 1024;

/// How long a body may take to arrive: it is short.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// How long who has voted is kept waiting for what follows from it: ten steps of a busy backbone.
pub const DECISION_WAIT: Duration = Duration::from_secs(2);

/// Votes that are being recorded at once; beyond it a vote is asked to come again.
pub const VOTES_MAX: usize = 64;

/// How long a read of `audit.approvals` waits for records.
pub const TAIL_WAIT: Duration = Duration::from_millis(250);

/// How long after a failure of the backbone or the registry it is asked again.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How often rule files are looked at: as the masker does.
pub const RULES_LOOK_EVERY: Duration = Duration::from_secs(2);
