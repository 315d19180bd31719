//! The bounds of an OCSF object, each with its reason. All are in bytes of JSON, behind its escapes:
//! a text of control characters takes six times its own length.

/// What most objects need; an object that is longer makes its place anew.
pub(super) const OBJECT_USUAL_BYTES: usize = 4 * 1024;

/// The longest object, by the other bounds and with all fields at theirs: SIEM pipelines drop or
/// cut what is long (rsyslog's own bound is 8 KiB until it is raised), so there must be a number to
/// raise them to.
#[cfg(test)]
pub(super) const OBJECT_MAX_BYTES: usize = 96 * 1024;

/// A payload, or a statement. A masked record has up to 384 KiB; a SIEM indexes the beginning of it
/// (Lucene takes no term above 32 KiB) and is billed by the byte.
pub(super) const PAYLOAD_MAX_BYTES: usize = 16 * 1024;

/// A text that is read as a whole: path, query, headers, error, decision's context, resource.
pub(super) const TEXT_MAX_BYTES: usize = 2 * 1024;

/// A name or code.
pub(super) const NAME_MAX_BYTES: usize = 256;

/// Entries of a list: groups, reviewers, factors of a risk.
pub(super) const LIST_MAX: usize = 32;
