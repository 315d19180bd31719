//! Instances that are killed, paused, or have a twin.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use trailgate_testkit::{Child, Kafka, until_within};
use trailgate_topics::{Backbone, Ended, Topic};

use super::{INPUTS, Outputted, copier, numbered, send};
use crate::contract::{fresh, within};
use crate::{config, open, shared_kafka};

/// Not a test: an instance in a process of its own, for the test below to kill. It reads what it is
/// from a file in its working folder.
#[tokio::test]
#[ignore = "an instance in a process of its own, which another test starts"]
async fn an_instance_to_kill() {
    let text = std::fs::read_to_string("instance").unwrap();
    let [bootstrap, mark, instance] = text.split('\n').collect::<Vec<_>>()[..] else { panic!() };
    let backbone = open(&config(bootstrap.to_owned(), None));
    let (spec, processor) = copier(mark, instance);
    let handle = backbone.process(spec, processor).unwrap();
    let mut status = handle.status();
    let ended = status.wait_for(|status| status.ended.is_some()).await;
    panic!("{:?}", ended.map(|status| status.ended.clone()));
}

struct Instance {
    folder: tempfile::TempDir,
    child: Child,
}

impl Instance {
    fn start(kafka: &Kafka, mark: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}\n{mark}\n{name}", kafka.bootstrap());
        std::fs::write(folder.path().join("instance"), text).unwrap();
        let child = Self::launch(&folder);
        Self { folder, child }
    }

    fn launch(folder: &tempfile::TempDir) -> Child {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "kafka_faults::instances::an_instance_to_kill",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.current_dir(folder.path());
        Child::start("instance", command, &folder.path().join("log"))
    }

    fn kill_and_restart(&mut self) {
        self.child.must_live();
        self.child.kill();
        self.child = Self::launch(&self.folder);
    }
}

/// Sends numbers at an even pace, to all partitions in turn.
async fn load(backbone: Arc<dyn Backbone>, mark: String, count: usize, pace: Duration) {
    let appender = backbone.appender().unwrap();
    let mut ticks = tokio::time::interval(pace);
    let mut acks = Vec::new();
    for number in 0..count {
        if number % 20 == 0 {
            ticks.tick().await;
        }
        acks.push(appender.append(numbered(&mark, number)));
    }
    within(futures::future::try_join_all(acks)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_has_its_effects_once_whatever_is_killed_or_paused() {
    const COUNT: usize = 14_000;
    let kafka = shared_kafka().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let mark = fresh();
    let mut instances = [Instance::start(&kafka, &mark, "a"), Instance::start(&kafka, &mark, "b")];
    let pace = Duration::from_millis(50);
    let sending = tokio::spawn(load(Arc::clone(&backbone), mark.clone(), COUNT, pace));
    let mut read = Outputted::open(&backbone, &mark).await;

    read.upto(COUNT / 20).await;
    for round in 1..=4 {
        instances[round % 2].kill_and_restart();
        read.upto(COUNT * round / 10).await;
    }
    // Beyond its session, and beyond its transaction's time.
    instances[0].child.pause();
    // More than the others have in all, so somebody has taken its partitions over.
    read.upto(COUNT * 3 / 4).await;
    instances[0].child.resume();
    read.upto(COUNT * 8 / 10).await;
    instances.iter_mut().for_each(Instance::kill_and_restart);
    sending.await.unwrap();
    read.upto(COUNT).await;
    read.stays_at(COUNT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_has_one_instance_and_goes_on_where_it_was_when_its_group_is_forgotten() {
    let kafka = shared_kafka().await;
    let [first, second] = [(), ()].map(|()| open(&config(kafka.bootstrap(), None)));
    first.ensure(Topic::ALL).await.unwrap();
    let mark = fresh();
    let mut read = Outputted::open(&first, &mark).await;
    let (spec, processor) = copier(&mark, "a");
    let (group, instance) = (spec.group.clone(), spec.instance.clone());
    let early = first.process(spec, processor).unwrap();
    let appender = first.appender().unwrap();
    send(&appender, &mark, 0..40).await;
    read.upto(40).await;
    let (spec, processor) = copier(&mark, "a");
    let late = second.process(spec, processor).unwrap();
    read.by(&late);
    let mut status = early.status();
    let ended = within(status.wait_for(|status| status.ended.is_some())).await.unwrap().clone();
    let Some(Ended::Failed(reason)) = ended.ended else { panic!("unexpected {ended:?}") };
    assert!(reason.contains("fenced"), "{reason}");
    send(&appender, &mark, 40..80).await;
    read.upto(80).await;
    read.stays_at(80).await;
    assert_eq!(within(late.stop()).await, Ended::Stopped);

    // The brokers forget a group that nobody was in for long.
    forget_group(&kafka, &group).await;
    for topic in INPUTS {
        assert_eq!(within(second.committed(&group, topic)).await, Ok(Vec::new()));
    }
    let (spec, processor) = copier(&mark, "a");
    let again = second.process(spec, processor).unwrap();
    read.by(&again);
    send(&appender, &mark, 80..120).await;
    read.upto(120).await;
    read.stays_at(120).await;

    // Somebody who took the name and is gone, as a late request of its own would be.
    take_name(&kafka, &group, &instance).await;
    send(&appender, &mark, 120..160).await;
    read.upto(160).await;
    read.stays_at(160).await;
    assert_eq!(within(again.stop()).await, Ended::Stopped);
}

/// Joins the group by that name, and is gone without leaving it.
async fn take_name(kafka: &Kafka, group: &str, instance: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config.set("partition.assignment.strategy", "cooperative-sticky");
    config.set("group.id", group).set("group.instance.id", instance);
    let twin: BaseConsumer = config.create().unwrap();
    twin.subscribe(&[Topic::Raw.name()]).unwrap();
    until_within(Duration::from_secs(60), "the name to be taken", async || {
        drop(twin.poll(Duration::from_millis(100)));
        twin.assignment().is_ok_and(|list| list.count() > 0).then_some(())
    })
    .await;
    tokio::task::spawn_blocking(move || drop(twin)).await.unwrap();
}

async fn forget_group(kafka: &Kafka, group: &str) {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    // Its last member leaves it when its session ends.
    until_within(Duration::from_secs(30), "the group to be empty", async || {
        let deleted = client.delete_groups(&[group], &AdminOptions::new()).await.unwrap();
        deleted.into_iter().all(|one| one.is_ok()).then_some(())
    })
    .await;
}
