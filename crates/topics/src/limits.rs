//! The bounds that hold on every backbone, each with its reason.

/// Key and value of one record. What Kafka takes by default (`message.max.bytes`, 1 MiB) less room
/// for its own framing, and above the longest record there is: a masked one of 512 KiB.
pub(crate) const RECORD_MAX_BYTES: usize = 1_000_000;
