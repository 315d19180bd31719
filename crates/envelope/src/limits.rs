//! Bounds, each with its reason.

use std::time::Duration;

use trailgate_schemas::Kind;

/// Longest clear text of one event: 64 KiB of payload, which base64 or escapes may double, and the
/// other fields.
pub const CLEAR_MAX_BYTES: usize = 192 * 1024;

/// The same of an event of this kind. A retry carries a sealed original, base64 of what is as long as
/// the longest clear text.
pub(crate) const fn clear_max(kind: Kind) -> usize {
    match kind {
        Kind::PayloadRecovered => 2 * CLEAR_MAX_BYTES,
        _ => CLEAR_MAX_BYTES,
    }
}

/// A data key lives for a minute: an HPKE operation for each event would cost 100 µs of CPU, and
/// who learns a data key learns a minute of one producer.
pub(crate) const DATA_KEY_LIFE: Duration = Duration::from_secs(60);

/// Events under one data key: far below the 2^32 that AES-GCM's counted nonces allow.
pub(crate) const DATA_KEY_EVENTS: i64 = 1 << 20;

/// Opened data keys that are remembered: a minute's keys of a thousand producers, 100 bytes each.
pub(crate) const OPENED_KEYS: usize = 1024;

/// Longest key file: 64 hex digits, and white space that an editor left.
pub(crate) const KEY_FILE_MAX_BYTES: u64 = 256;

/// Most keys of one kind in a folder: 80 years of monthly rotation; more is no keys folder.
pub(crate) const KEYS_MAX: usize = 1024;
