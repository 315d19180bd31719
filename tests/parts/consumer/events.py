"""Reads all of an Avro topic as any consumer would that knows a schema registry: the writer's schema
comes from there, by the id in each record.

    events.py BOOTSTRAP REGISTRY TOPIC

Prints each record as one line of JSON, {"key", "schema_id", "event"}, up to where each partition
ends.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

WAIT_S = 30.0


def main(bootstrap, registry, topic):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "events.py",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        # Else it sees the copies that were aborted.
        "isolation.level": "read_committed",
    })
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    context = SerializationContext(topic, MessageField.VALUE)
    open_partitions = set(consumer.list_topics(topic, WAIT_S).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in open_partitions])
    while open_partitions:
        message = consumer.poll(WAIT_S)
        if message is None:
            sys.exit(f"nothing came for {WAIT_S:.0f} s, and no end of {open_partitions}")
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(f"consumer: {message.error().code()}")
            open_partitions.discard(message.partition())
            continue
        print(json.dumps({
            "key": message.key().decode(),
            "schema_id": int.from_bytes(message.value()[1:5], "big"),
            "event": deserialize(message.value(), context),
        }, default=lambda time: time.isoformat()))
    consumer.close()


main(*sys.argv[1:])
