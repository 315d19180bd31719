//! Between the client library's messages, lists and numbers and ours.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders, Timestamp};
use rdkafka::topic_partition_list::TopicPartitionList;
use trailgate_schemas::Micros;

use crate::record::{Header, NewRecord, Offset, Partition, Record};
use crate::topic::Topic;

/// A message as a record of `topic`.
pub(super) fn record(topic: Topic, message: &BorrowedMessage<'_>) -> Record {
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    Record {
        topic,
        partition: ours(message.partition()),
        offset: Offset(message.offset()),
        appended_at: micros(message.timestamp()),
        key: message.key().map(copied).unwrap_or_default(),
        value: message.payload().map(copied),
    }
}

/// The broker's time of a message, in milliseconds at the broker.
fn micros(timestamp: Timestamp) -> Micros {
    Micros(timestamp.to_millis().unwrap_or(0).saturating_mul(1_000))
}

/// How long a record is.
pub(super) fn length(record: &NewRecord) -> usize {
    record.key.len() + record.value.as_ref().map_or(0, Bytes::len)
}

/// How long what stands beside a record is.
pub(super) fn beside(headers: &[Header]) -> usize {
    headers.iter().map(|header| header.name.len() + header.value.len()).sum()
}

/// Headers in the library's form.
pub(super) fn their_headers(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |theirs, header| {
        let value = Some(header.value.as_ref());
        theirs.insert(rdkafka::message::Header { key: header.name, value })
    })
}

/// The library's number of a partition.
pub(super) fn theirs(partition: Partition) -> i32 {
    i32::try_from(partition.0).unwrap_or(i32::MAX)
}

/// Our number of a partition.
pub(super) fn ours(partition: i32) -> Partition {
    Partition(u32::try_from(partition).unwrap_or(u32::MAX))
}

/// A list of the same partitions of each topic, without places.
pub(super) fn list(topics: &[Topic], partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(topics.len() * partitions.len());
    for topic in topics {
        for partition in partitions {
            list.add_partition(topic.name(), theirs(*partition));
        }
    }
    list
}

/// A list of partitions, each with a place: an offset, or a word of the library's.
pub(super) fn places(
    places: impl IntoIterator<Item = (Topic, Partition, rdkafka::Offset)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, place) in places {
        // It fails only for a negative offset, which the brokers never give; left out, it is asked
        // for again.
        let _ = list.add_partition_offset(topic.name(), theirs(partition), place);
    }
    list
}

/// The partitions of a list.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|element| ours(element.partition())).collect()
}

/// The partitions of a topic that have an offset in a list.
pub(super) fn offsets(topic: Topic, list: &TopicPartitionList) -> Vec<(Partition, Offset)> {
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
        .offset()
    {
        rdkafka::Offset::Offset(offset) => Some((ours(element.partition()), Offset(offset))),
        rdkafka::Offset::Beginning
        | rdkafka::Offset::End
        | rdkafka::Offset::Stored
        | rdkafka::Offset::Invalid
        | rdkafka::Offset::OffsetTail(_) => None,
    };
    list.elements_for_topic(topic.name()).iter().filter_map(offset).collect()
}
