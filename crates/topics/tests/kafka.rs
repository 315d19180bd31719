//! Kafka keeps every backbone's promises, on a real broker and a real schema registry.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;
mod kafka_faults;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::processor::{Counter, spec};
use contract::{append, ends, fresh, group, message, number, numbers, read_until, records, within};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use trailgate_service::SystemClock;
use trailgate_testkit::{Kafka, SchemaRegistry};
use trailgate_topics::{
    Backbone, BackboneError, Durability, Ended, KafkaBackbone, KafkaConfig, Message, Offset,
    Partition, ProcessorSpec, Topic,
};

/// One broker at a time: two beside each other on two cores are late for everything.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const PARTITIONS: u32 = 4;

fn config(bootstrap: String, registry: Option<&SchemaRegistry>) -> KafkaConfig {
    let nowhere = || "http://127.0.0.1:1".to_owned();
    KafkaConfig {
        bootstrap,
        registry: registry.map_or_else(nowhere, SchemaRegistry::url),
        partitions: PARTITIONS,
        durability: Durability::OneBroker,
        properties: BTreeMap::new(),
    }
}

fn open(config: &KafkaConfig) -> Arc<dyn Backbone> {
    Arc::new(KafkaBackbone::open(config, Arc::new(SystemClock)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_promises_of_a_backbone_hold_on_kafka() {
    let _turn = TURN.lock().await;
    let (kafka, registry) = tokio::join!(Kafka::start(), SchemaRegistry::start());
    let backbone = open(&config(kafka.bootstrap(), Some(&registry)));
    backbone.ensure(Topic::ALL).await.unwrap();
    contract::all(&backbone).await;
    no_place_is_told_twice_and_a_lost_range_is_found_while_reading(&backbone).await;
    a_second_consumer_of_one_name_ends_the_first(&backbone, &kafka).await;
    a_place_is_behind_the_markers_of_what_was_read(&backbone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_not_as_it_must_be_is_named() {
    let _turn = TURN.lock().await;
    let kafka = Kafka::start().await;
    let settings = |retention: &'static str| {
        [
            ("message.timestamp.type", "LogAppendTime"),
            ("flush.messages", "1"),
            ("retention.ms", retention),
            ("retention.bytes", "-1"),
        ]
    };
    make(&kafka, Topic::Raw, 4, &settings("604800000")).await;
    make(&kafka, Topic::Events, 3, &settings("-1")).await;
    make(&kafka, Topic::MaskerState, 4, &settings("-1")).await;
    let backbone = open(&config(kafka.bootstrap(), None));
    let differs = async |topic| match backbone.ensure(&[topic]).await {
        Err(BackboneError::Misconfigured { topic, setting, found, wanted }) => {
            (topic, setting, found, wanted)
        }
        other => panic!("unexpected {other:?}"),
    };
    let said = |topic, setting, found: &str, wanted: &str| {
        (topic, setting, found.to_owned(), wanted.to_owned())
    };
    assert_eq!(
        differs(Topic::Raw).await,
        said("audit.raw", "retention.ms", "604800000", "-1"),
        "a broker that drops records by time loses events"
    );
    assert_eq!(differs(Topic::Events).await, said("audit.events", "partitions", "3", "4"));
    let compact = said("audit.masker-state", "cleanup.policy", "delete", "compact");
    assert_eq!(differs(Topic::MaskerState).await, compact);
    backbone.ensure(&[Topic::Refused]).await.unwrap();

    let mut replicated = config(kafka.bootstrap(), None);
    replicated.durability = Durability::Replicated;
    let copies = open(&replicated).ensure(&[Topic::Refused]).await.unwrap_err();
    let wanted = "at least 3".to_owned();
    let (topic, setting) = ("audit.refused", "replication factor");
    let found = "1".to_owned();
    assert_eq!(copies, BackboneError::Misconfigured { topic, setting, found, wanted });
}

async fn make(kafka: &Kafka, topic: Topic, partitions: i32, settings: &[(&str, &str)]) {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    let mut new = NewTopic::new(topic.name(), partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let made = client.create_topics(&[new], &AdminOptions::new()).await.unwrap();
    made.into_iter().next().unwrap().unwrap();
}

/// A reader whose range is trimmed away under its hands says so, and goes on when it is told to.
async fn no_place_is_told_twice_and_a_lost_range_is_found_while_reading(
    backbone: &Arc<dyn Backbone>,
) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Refused).await);
    let mut member = backbone.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    append(backbone, Topic::Refused, 2, &mark, 0..1).await;
    records(&mut member, &from, 1).await.remove(0).delivered();
    member.stop(Partition(2)).await.unwrap();
    // Commands are obeyed in order, so the second shows that the first was.
    append(backbone, Topic::Refused, 3, &mark, 1..2).await;
    records(&mut member, &from, 1).await.remove(0).delivered();
    let places = append(backbone, Topic::Refused, 2, &mark, 2..6).await;
    let low = places[2];
    within(backbone.trim(Topic::Refused, Partition(2), low)).await.unwrap();
    member.seek(Partition(2), places[0]).await.unwrap();
    let Message::Missing { partition, low: said, wanted } = message(&mut member).await else {
        panic!("told that it is missing")
    };
    assert_eq!((partition, said, wanted), (Partition(2), low, places[0]));
    member.seek(Partition(2), low).await.unwrap();
    for expected in 4..6 {
        let custody = records(&mut member, &from, 1).await.remove(0);
        assert_eq!(number(&mark, custody.record()), Some(expected));
        custody.delivered();
    }
}

/// A topic that others write in transactions has a marker behind each record. When records that are
/// kept for a time go, their markers go, too, and nothing is missing.
async fn a_place_is_behind_the_markers_of_what_was_read(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Decisions).await);
    let run = |mark: &str, (input, to): (Topic, Topic)| {
        let counter = Counter { to, ..Counter::new(mark) };
        let spec = ProcessorSpec { inputs: vec![input], outputs: vec![to], ..spec(mark, "a") };
        backbone.process(spec, Box::new(counter)).unwrap()
    };
    let (read, out) = (format!("out-{mark}"), format!("out-out-{mark}"));
    let reaches = async |count: usize| {
        let is_enough = |read: &[_]| numbers(&out, read).contains(&count);
        read_until(backbone, Topic::Decisions, &from, is_enough).await;
    };
    let writer = run(&mark, (Topic::Raw, Topic::Siem));
    let reader = run(&read, (Topic::Siem, Topic::Decisions));
    append(backbone, Topic::Raw, 0, &mark, 0..5).await;
    reaches(5).await;
    assert_eq!(within(reader.stop()).await, Ended::Stopped);
    let group = spec(&read, "a").group;
    let place = within(backbone.committed(&group, Topic::Siem)).await.unwrap()[0];
    assert_eq!(place, (Partition(0), ends(backbone, Topic::Siem).await[&Partition(0)]));
    within(backbone.trim(Topic::Siem, place.0, place.1)).await.unwrap();
    let reader = run(&read, (Topic::Siem, Topic::Decisions));
    append(backbone, Topic::Raw, 0, &mark, 5..6).await;
    reaches(6).await;
    assert_eq!(within(reader.stop()).await, Ended::Stopped);
    assert_eq!(within(writer.stop()).await, Ended::Stopped);
}

/// Two processes were given one name: the one that came last has it, the other is told.
async fn a_second_consumer_of_one_name_ends_the_first(backbone: &Arc<dyn Backbone>, kafka: &Kafka) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Refused).await);
    let mut first = backbone.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut first).await else { panic!("assigned") };
    contract::start(assignment, &from);
    let other = open(&config(kafka.bootstrap(), None));
    let mut second = other.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut second).await else { panic!("assigned") };
    assert_eq!(assignment.partitions().len(), PARTITIONS as usize);
    let Message::Lost(lost) = message(&mut first).await else { panic!("told of its loss") };
    assert_eq!(lost.len(), PARTITIONS as usize);
    assert!(within(first.next()).await.is_none());
}

#[tokio::test]
async fn a_kafka_that_cannot_be_reached_yet_is_no_error_until_it_is_asked() {
    let backbone = open(&config("127.0.0.1:1".to_owned(), None));
    let wait = Duration::from_millis(300);
    let answer = within(backbone.ping(wait)).await.unwrap_err();
    assert!(matches!(answer, BackboneError::Unreachable { .. }), "{answer:?}");
    assert_eq!(Offset::default(), Offset(0));
}
