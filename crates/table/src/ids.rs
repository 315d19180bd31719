//! How far the table has come in each partition of `audit.events`, kept as Delta transaction ids:
//! the one place that survives checkpoints and is fenced by the commit itself.

use std::collections::BTreeMap;

/// A partition of `audit.events`, as rows keep it in `log_partition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPartition(pub u32);

/// How far the table has come in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionIds {
    /// The place in the topic from which the next record is to be read. Places may have holes.
    pub next_offset: i64,
    /// How many records of the partition the table holds: the next row's `log_index`.
    pub tree_size: i64,
}

/// How far the table has come in each partition that it has rows of. One that is absent begins at
/// its first place with a tree of size 0.
pub type Ids = BTreeMap<LogPartition, PartitionIds>;

impl LogPartition {
    /// The transaction id that holds [`PartitionIds::next_offset`].
    #[must_use]
    pub fn offset_app_id(self) -> String {
        format!("{OFFSET}{}", self.0)
    }

    /// The transaction id that holds [`PartitionIds::tree_size`].
    #[must_use]
    pub fn size_app_id(self) -> String {
        format!("{SIZE}{}", self.0)
    }
}

/// Takes one transaction id into `ids`; one that is not of a partition is left alone.
pub(crate) fn take(ids: &mut Ids, app_id: &str, version: i64) {
    if let Some(partition) = app_id.strip_prefix(OFFSET).and_then(partition) {
        ids.entry(partition).or_default().next_offset = version;
    } else if let Some(partition) = app_id.strip_prefix(SIZE).and_then(partition) {
        ids.entry(partition).or_default().tree_size = version;
    }
}

fn partition(number: &str) -> Option<LogPartition> {
    number.parse().ok().map(LogPartition)
}

const OFFSET: &str = "trailgate/offset/";
const SIZE: &str = "trailgate/size/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_named_and_others_are_left_alone() {
        let mut ids = Ids::new();
        take(&mut ids, &LogPartition(3).offset_app_id(), 70);
        take(&mut ids, &LogPartition(3).size_app_id(), 60);
        take(&mut ids, "trailgate/rewrite", 5);
        take(&mut ids, "trailgate/offset/x", 5);
        let expected = PartitionIds { next_offset: 70, tree_size: 60 };
        assert_eq!(ids, Ids::from([(LogPartition(3), expected)]));
    }
}
