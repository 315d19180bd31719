//! A record, where it lies, and where the next one will.

use bytes::Bytes;
use trailgate_schemas::{HoldId, Micros, SessionId};

use crate::topic::Topic;

/// A partition's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

/// A record's place in its partition, or the place of the next one. Offsets grow but may have
/// holes: a transaction's markers take places too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The place behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Partition {
    /// The partition of a session among `partitions`: the same on every topic keyed by session.
    #[must_use]
    pub fn of_session(session: SessionId, partitions: u32) -> Self {
        let [a, b, c, d, ..] = *session.0.as_bytes();
        Self(u32::from_be_bytes([a, b, c, d]) % partitions.max(1))
    }

    /// The partition of a held operation among `partitions`: the same on every topic keyed by hold.
    #[must_use]
    pub fn of_hold(hold: HoldId, partitions: u32) -> Self {
        // The last bytes are chance in every version of a UUID; the first may be the time.
        let [.., a, b, c, d] = *hold.0.as_bytes();
        Self(u32::from_be_bytes([a, b, c, d]) % partitions.max(1))
    }
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The key.
    pub key: Bytes,
    /// The value; absent is a tombstone on a compacted topic.
    pub value: Option<Bytes>,
}

impl NewRecord {
    /// Its length as every backbone bounds it.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// What stands beside a record on Kafka, for readers that are not ours: its name is ours, and its
/// value an id, a word or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: Bytes,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// Its place.
    pub offset: Offset,
    /// When the backbone appended it.
    pub appended_at: Micros,
    /// The key.
    pub key: Bytes,
    /// The value; absent is a tombstone on a compacted topic.
    pub value: Option<Bytes>,
}

/// What a partition holds: from `low` up to, not including, `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first place still kept.
    pub low: Offset,
    /// The place of the next record that a reader will see.
    pub high: Offset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_of_one_moment_are_spread_over_all_partitions() {
        let hold = |chance: u128| HoldId(uuid::Uuid::from_u128(0x01a2_07e7 << 96 | chance));
        let spread: std::collections::BTreeSet<_> =
            (0..64).map(|chance| Partition::of_hold(hold(chance), 8)).collect();
        assert_eq!(spread.len(), 8);
        assert_eq!(Partition::of_hold(hold(5), 0), Partition(0));
    }
}
