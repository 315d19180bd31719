//! Kafka keeps every backbone's promises, on a real broker and a real schema registry.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;
mod kafka_faults;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use contract::processor::{Counter, spec};
use contract::{append, ends, fresh, group, message, number, numbers, read_until, records, within};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::sync::Mutex;
use trailgate_service::SystemClock;
use trailgate_testkit::{Kafka, SchemaRegistry};
use trailgate_topics::{
    Backbone, BackboneError, Durability, Ended, KafkaBackbone, KafkaConfig, Message, Offset,
    Partition, ProcessorSpec, Topic,
};

/// The broker of all tests that leave it as it is and keep to topics of their own, for as long as one
/// of them runs: brokers take most of the time of two cores while they start.
static SHARED: Mutex<Weak<Kafka>> = Mutex::const_new(Weak::new());

/// One broker beside it, for tests that do something to it.
static TURN: Mutex<()> = Mutex::const_new(());

async fn shared_kafka() -> Arc<Kafka> {
    let mut shared = SHARED.lock().await;
    match shared.upgrade() {
        Some(kafka) => kafka,
        None => {
            let kafka = Arc::new(Kafka::start().await);
            *shared = Arc::downgrade(&kafka);
            kafka
        }
    }
}

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
    let (kafka, registry) = tokio::join!(shared_kafka(), SchemaRegistry::start());
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
    const HERE: Partition = Partition(3);
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
    let writer = run(&mark, (Topic::Raw, Topic::Refused));
    let reader = run(&read, (Topic::Refused, Topic::Decisions));
    append(backbone, Topic::Raw, HERE.0, &mark, 0..5).await;
    reaches(5).await;
    assert_eq!(within(reader.stop()).await, Ended::Stopped);
    let group = spec(&read, "a").group;
    let committed = within(backbone.committed(&group, Topic::Refused)).await.unwrap();
    let (_, place) = committed.into_iter().find(|(partition, _)| *partition == HERE).unwrap();
    assert_eq!(place, ends(backbone, Topic::Refused).await[&HERE]);
    within(backbone.trim(Topic::Refused, HERE, place)).await.unwrap();
    let reader = run(&read, (Topic::Refused, Topic::Decisions));
    append(backbone, Topic::Raw, HERE.0, &mark, 5..6).await;
    reaches(6).await;
    assert_eq!(within(reader.stop()).await, Ended::Stopped);
    assert_eq!(within(writer.stop()).await, Ended::Stopped);
}

/// Two processes were given one name: the one that came last has it, the other is told. Each joins
/// anew once, so they may take it from each other before it is settled.
async fn a_second_consumer_of_one_name_ends_the_first(backbone: &Arc<dyn Backbone>, kafka: &Kafka) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Refused).await);
    let mut first = backbone.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut first).await else { panic!("assigned") };
    contract::start(assignment, &from);
    let other = open(&config(kafka.bootstrap(), None));
    let mut second = other.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut second).await else { panic!("assigned") };
    assert_eq!(assignment.partitions().len(), PARTITIONS as usize);
    contract::start(assignment, &from);
    let Message::Lost(lost) = message(&mut first).await else { panic!("told of its loss") };
    assert_eq!(lost.len(), PARTITIONS as usize);
    within(async {
        while let Some(message) = first.next().await {
            let is_settling = matches!(
                message,
                Message::Assigned(_)
                    | Message::Lost(_)
                    | Message::Revoked(_)
                    | Message::Unreachable
            );
            assert!(is_settling, "unexpected {message:?}");
        }
    })
    .await;
    append(backbone, Topic::Refused, 1, &mark, 0..1).await;
    let custody = loop {
        match message(&mut second).await {
            Message::Assigned(assignment) => contract::start(assignment, &from),
            Message::Lost(_) => {}
            Message::Record(custody) => break custody,
            other @ (Message::Revoked(_) | Message::Missing { .. } | Message::Unreachable) => {
                panic!("unexpected {other:?}")
            }
        }
    };
    assert_eq!(number(&mark, custody.record()), Some(0), "the second goes on");
    custody.delivered();
}

#[tokio::test]
async fn a_kafka_that_cannot_be_reached_yet_is_no_error_until_it_is_asked() {
    let backbone = open(&config("127.0.0.1:1".to_owned(), None));
    let wait = Duration::from_millis(300);
    let answer = within(backbone.ping(wait)).await.unwrap_err();
    assert!(matches!(answer, BackboneError::Unreachable { .. }), "{answer:?}");
    assert_eq!(Offset::default(), Offset(0));
}
