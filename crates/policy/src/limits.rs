//! The bounds of a rule file, each with its reason.

/// Rules of one file: each request is held against all of them.
pub const RULES_MAX: usize = 256;

/// Entries of one list, such as the groups of reviewers, which every event of a hold names.
pub const LIST_MAX: usize = 32;

/// A name of a rule, a group, a method or an operation.
pub const NAME_MAX_BYTES: usize = 256;

/// A path pattern: a sixteenth of the longest target.
pub const PATTERN_MAX_BYTES: usize = 512;

/// How long a hold waits unless its rule says otherwise: as long as most clients and balancers wait
/// for an answer.
pub const EXPIRES_DEFAULT_S: u64 = 120;

/// How long it may wait at most: whoever asked has a connection open all that time.
pub const EXPIRES_MAX_S: u64 = 900;
