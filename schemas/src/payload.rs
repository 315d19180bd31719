//! What of a payload is kept, and what was done to it.

use serde::{Deserialize, Serialize};

use crate::outcome::words;
use crate::time::Micros;

words! {
    /// Whether a record carries its payload, and if not, that it does not.
    PayloadState, UnknownPayloadState, "payload state" {
        /// There is nothing to carry.
        None = "none",
        /// It is in the record: clear inside the seal, masked in `audit.events`.
        Recorded = "recorded",
        /// It could not be masked, so it is left out; `payload_reason` says why.
        Withheld = "withheld",
        /// It lies beyond the connection's cap; the closing record has its length and keyed hash.
        BeyondCap = "beyond_cap",
    }
}

/// One arrival that shares its record with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frame")]
pub struct Frame {
    /// Where it begins in the clear payload, in bytes.
    pub offset: i64,
    /// When it arrived at the gateway.
    pub time: Micros,
}

/// One place where something was replaced, or, beyond 200 of them, one rule's count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "redaction")]
pub struct Redaction {
    /// The rule that found it.
    pub rule: String,
    /// The field it stood in: `payload`, `path`, `error`, …
    pub field: String,
    /// Where its replacement begins in the masked field, in bytes; absent where only counted.
    pub start: Option<i64>,
    /// How many are told of: 1 where `start` is known.
    pub count: i64,
    /// Where its replacement ends in the masked field, in bytes.
    pub end: Option<i64>,
    /// How long it was: a bucket of bytes, such as `9-16`.
    pub length: Option<String>,
    /// What the rule finds.
    pub class: Option<String>,
    /// How bad it is if it gets out.
    pub severity: Option<String>,
    /// What it passed beside the rule's shape.
    pub validators: Vec<String>,
    /// What stands in its place.
    pub action: Option<String>,
    /// The keyed hash of the value, which no value can be had from.
    pub token: Option<String>,
}
