//! The bounds of verification, each with its reason.

use std::time::Duration;

/// The longest token: servers commonly take 16 KiB of headers in all.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// The longest subject: OpenID Connect allows 255 characters.
pub const SUBJECT_MAX_BYTES: usize = 1024;

/// Groups of one identity: a token that fits [`TOKEN_MAX_BYTES`] rarely has more than 200.
pub const GROUPS_MAX: usize = 1000;

/// The longest answer of a provider, discovery or keys: fifty times a usual one.
pub const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// Keys of one provider; those behind are not used.
pub const KEYS_MAX: usize = 100;

/// How long a connection to a provider may take to be made.
pub const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long one answer of a provider may take, from the request to its last byte: callers wait
/// for it.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// After this long keys are fetched again, while the old ones stay in use.
pub const KEYS_FRESH: Duration = Duration::from_secs(10 * 60);

/// After this long without a successful fetch keys are used no more: a provider that took a key
/// back must not be silenced for ever.
pub const KEYS_STALE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Fetches from one provider that may follow each other at once: a first one, a rotation, and a
/// few more.
pub const FETCHES_BURST: u32 = 5;

/// Beyond the burst one fetch in this time, whatever callers send.
pub const FETCH_EVERY: Duration = Duration::from_secs(10);

/// For this long a key id that a provider did not know is not asked for again.
pub const UNKNOWN_KEY_FOR: Duration = Duration::from_secs(60);

/// Unknown key ids that are remembered for one provider, 40 bytes each; the oldest goes first.
pub const UNKNOWN_KEYS_MAX: usize = 1024;

/// For this long a verified token is not verified again. A key that was taken back may live on
/// for as long.
pub const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// Verified tokens that are remembered; usually below 1 KiB each.
pub const VERIFIED_MAX: usize = 4096;

/// Signatures that are checked at once; further ones wait. More than there are cores, few enough
/// to leave threads of the blocking pool to others.
pub const VERIFICATIONS_MAX: usize = 16;

/// The largest difference between clocks that may be configured.
pub const LEEWAY_MAX_S: u64 = 300;

/// The difference between clocks that is allowed for, if nothing else is configured.
pub const LEEWAY_DEFAULT_S: u64 = 30;

/// How often it is looked whether keys want fetching. Often enough that no caller waits for it.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The same while a provider gives none: how late its return is noticed, beside the pace of fetches.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Open connections of a stage's listener; beyond it new ones wait.
pub const CONNECTIONS_MAX: usize = 512;

/// Connections of one source address at a listener: a quarter, so that one caller can't take every place
/// from the others.
pub const CONNECTIONS_OF_SOURCE_MAX: usize = CONNECTIONS_MAX / 4;

/// How long a TLS handshake or a request's head may take.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
