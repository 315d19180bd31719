//! What is promised while brokers and instances fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use trailgate_schemas::Micros;
use trailgate_testkit::{Child, Kafka, until_within};
use trailgate_topics::{
    AppendError, Appender, Backbone, BackboneError, Ended, Flow, Message, NewRecord, Offset,
    Outputs, Partition, ProcessError, Processor, ProcessorSpec, Record, Subscription, Tail, Topic,
};

use crate::contract::{ends, fresh, group, marked, number, start, within};
use crate::{PARTITIONS, TURN, config, open};

/// What it reads.
const INPUTS: [Topic; 2] = [Topic::Raw, Topic::Votes];

/// The input that a number is sent to: by turns in each partition.
fn input(number: usize) -> usize {
    number / PARTITIONS as usize % INPUTS.len()
}

/// Puts out each number with the count of its partition in all inputs, which is its state.
struct Copier {
    mark: String,
    counts: BTreeMap<Partition, u64>,
}

impl Processor for Copier {
    fn restore(
        &mut self,
        partition: Partition,
        _key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        let count = std::str::from_utf8(value.unwrap()).unwrap().parse().unwrap();
        self.counts.insert(partition, count);
        Ok(())
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        let Some(number) = number(&self.mark, record) else { return Ok(Flow::Done) };
        let count = self.counts.entry(record.partition).or_default();
        *count += 1;
        let out = Bytes::from(format!("{number} {count}"));
        outputs.send(Topic::Events, record.partition, record.key.clone(), out);
        let (key, state) = (Bytes::from_static(b"count"), Bytes::from(count.to_string()));
        outputs.keep(Topic::MaskerState, record.partition, key, Some(state));
        Ok(Flow::Done)
    }

    fn tick(&mut self, _now: Micros, _outputs: &mut Outputs) -> Result<(), ProcessError> {
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        self.counts.remove(&partition);
    }
}

fn copier(mark: &str, instance: &str) -> (ProcessorSpec, Box<Copier>) {
    let spec = ProcessorSpec {
        group: "copier".to_owned(),
        instance: format!("copier-{instance}"),
        inputs: INPUTS.to_vec(),
        changelog: Topic::MaskerState,
        outputs: vec![Topic::Events],
        commit_every: Duration::from_millis(100),
    };
    (spec, Box::new(Copier { mark: mark.to_owned(), counts: BTreeMap::new() }))
}

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
        command.args(["kafka_faults::an_instance_to_kill", "--exact", "--ignored", "--nocapture"]);
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
    const COUNT: usize = 20_000;
    let _turn = TURN.lock().await;
    let kafka = Kafka::start().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let (mark, from) = (fresh(), ends(&backbone, Topic::Events).await);
    let mut instances = [Instance::start(&kafka, &mark, "a"), Instance::start(&kafka, &mark, "b")];
    let pace = Duration::from_millis(50);
    let sending = tokio::spawn(load(Arc::clone(&backbone), mark.clone(), COUNT, pace));
    let mut read = Outputted::open(&backbone, &from).await;

    read.upto(COUNT / 20).await;
    for round in 1..=4 {
        instances[round % 2].kill_and_restart();
        read.upto(COUNT * round / 10).await;
    }
    // Beyond its session, and beyond its transaction's time.
    instances[0].child.pause();
    read.upto(COUNT * 7 / 10).await;
    instances[0].child.resume();
    read.upto(COUNT * 8 / 10).await;
    instances.iter_mut().for_each(Instance::kill_and_restart);
    sending.await.unwrap();
    read.upto(COUNT).await;
    read.stays_at(COUNT).await;
}

/// What came out, checked as it comes: each partition's numbers of each input, and its counts, dense
/// and in order.
struct Outputted {
    tail: Box<dyn Tail>,
    next: BTreeMap<(Partition, usize), usize>,
    counts: BTreeMap<Partition, usize>,
    count: usize,
}

impl Outputted {
    async fn open(backbone: &Arc<dyn Backbone>, from: &BTreeMap<Partition, Offset>) -> Self {
        let from: Vec<_> = from.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        let tail = backbone.tail(Topic::Events, &from).await.unwrap();
        Self { tail, next: BTreeMap::new(), counts: BTreeMap::new(), count: 0 }
    }

    async fn upto(&mut self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.count < count {
            assert!(Instant::now() < deadline, "{} of {count} came out", self.count);
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let batch = match self.tail.next(Duration::from_millis(200)).await {
            Ok(batch) => batch,
            // The tail goes on by itself.
            Err(BackboneError::Unreachable { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        for record in batch.records {
            let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            let (number, count) = text.split_once(' ').unwrap();
            let (number, partition) = (number.parse().unwrap(), record.partition);
            let next = self.next.entry((partition, input(number))).or_default();
            let expected = *next * INPUTS.len() + input(number);
            let expected = expected * PARTITIONS as usize + partition.0 as usize;
            assert_eq!(number, expected, "each once and in order");
            *next += 1;
            let all = self.counts.entry(partition).or_default();
            *all += 1;
            assert_eq!(count.parse(), Ok(*all), "with the state that it was committed with");
            self.count += 1;
        }
    }

    /// Nothing more comes before the tail has seen everything twice.
    async fn stays_at(&mut self, count: usize) {
        let mut seen = 0;
        while seen < 2 {
            let batch = self.tail.next(Duration::from_secs(1)).await.unwrap();
            assert_eq!(batch.records, [], "{count} came out already");
            seen += usize::from(batch.ends.iter().all(|end| end.caught_up_at.is_some()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_answered_soon_and_everything_goes_on_after_it() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let (mark, from) = (fresh(), ends(&backbone, Topic::Events).await);
    let (spec, processor) = copier(&mark, "a");
    let handle = backbone.process(spec, processor).unwrap();
    let appender = backbone.appender().unwrap();
    let mut read = Outputted::open(&backbone, &from).await;
    let mut member = backbone.subscribe(Topic::Events, &group(&mark, "a")).unwrap();
    let mut tail = backbone.tail(Topic::Raw, &[]).await.unwrap();
    for round in 0..2 {
        let sent = round * 40;
        send(&appender, &mark, sent..sent + 40).await;
        read.upto(sent + 40).await;
        delivered(&mut member, &from, 40).await;
        sees_all_again(&mut tail).await;

        kafka.kill();
        let unsure = fresh();
        refused_at_once(&appender, &unsure).await;
        assert!(matches!(
            backbone.ping(Duration::from_millis(300)).await,
            Err(BackboneError::Unreachable { .. })
        ));
        let told = until_within(Duration::from_secs(30), "word of the outage", async || {
            matches!(member.next().await, Some(Message::Unreachable)).then_some(())
        });
        told.await;
        until_within(Duration::from_secs(30), "the tail's word of it", async || {
            let next = tail.next(Duration::from_secs(1)).await;
            matches!(next, Err(BackboneError::Unreachable { .. })).then_some(())
        })
        .await;
        kafka.restart().await;
        until_within(Duration::from_secs(30), "an acknowledgement", async || {
            appender.append(marked(Topic::Raw, 0, &unsure, 0)).await.ok()
        })
        .await;
    }
    send(&appender, &mark, 80..120).await;
    read.upto(120).await;
    delivered(&mut member, &from, 40).await;

    // A broker that keeps its connections and answers nothing is out of reach, too.
    kafka.pause();
    let unsure = fresh();
    refused_at_once(&appender, &unsure).await;
    kafka.resume();
    until_within(Duration::from_secs(30), "an acknowledgement", async || {
        appender.append(marked(Topic::Raw, 0, &unsure, 0)).await.ok()
    })
    .await;

    // What is closed during an outage waits for nobody, and its name is free afterwards.
    send(&appender, &mark, 120..160).await;
    kafka.kill();
    let closing = Instant::now();
    drop((member, appender));
    assert!(closing.elapsed() < Duration::from_millis(100), "closing keeps nobody");
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
    kafka.restart().await;
    let mut member = backbone.subscribe(Topic::Events, &group(&mark, "a")).unwrap();
    let (spec, processor) = copier(&mark, "a");
    let handle = backbone.process(spec, processor).unwrap();
    read.upto(160).await;
    delivered(&mut member, &from, 40).await;
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_has_one_instance_and_goes_on_where_it_was_when_its_group_is_forgotten() {
    let _turn = TURN.lock().await;
    let kafka = Kafka::start().await;
    let [first, second] = [(), ()].map(|()| open(&config(kafka.bootstrap(), None)));
    first.ensure(Topic::ALL).await.unwrap();
    let (mark, from) = (fresh(), ends(&first, Topic::Events).await);
    let mut read = Outputted::open(&first, &from).await;
    let (spec, processor) = copier(&mark, "a");
    let early = first.process(spec, processor).unwrap();
    let appender = first.appender().unwrap();
    send(&appender, &mark, 0..40).await;
    read.upto(40).await;
    let (spec, processor) = copier(&mark, "a");
    let late = second.process(spec, processor).unwrap();
    let mut status = early.status();
    let ended = within(status.wait_for(|status| status.ended.is_some())).await.unwrap().clone();
    let Some(Ended::Failed(reason)) = ended.ended else { panic!("unexpected {ended:?}") };
    assert!(reason.contains("fenced"), "{reason}");
    send(&appender, &mark, 40..80).await;
    read.upto(80).await;
    read.stays_at(80).await;
    assert_eq!(within(late.stop()).await, Ended::Stopped);

    // The brokers forget a group that nobody was in for long.
    forget_group(&kafka, "copier").await;
    for topic in INPUTS {
        assert_eq!(within(second.committed("copier", topic)).await, Ok(Vec::new()));
    }
    let (spec, processor) = copier(&mark, "a");
    let again = second.process(spec, processor).unwrap();
    send(&appender, &mark, 80..120).await;
    read.upto(120).await;
    read.stays_at(120).await;

    // Somebody who took the name and is gone, as a late request of its own would be.
    take_name(&kafka, "copier", "copier-a").await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_whose_range_is_trimmed_before_it_was_fetched_never_skips() {
    const COUNT: usize = 700;
    let _turn = TURN.lock().await;
    let kafka = Kafka::start().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let appender = backbone.appender().unwrap();
    let mut last = Offset(0);
    for _ in 0..COUNT {
        let (topic, partition) = (Topic::Raw, Partition(1));
        // More in all than a reader fetches ahead.
        let (key, value) = (Bytes::new(), Some(Bytes::from(vec![7; 64 * 1024])));
        let record = NewRecord { topic, partition, key, value };
        last = within(appender.append(record)).await.unwrap();
    }
    let mut tail = backbone.tail(Topic::Raw, &[]).await.unwrap();
    let first = within(tail.next(Duration::from_secs(30))).await.unwrap().records;
    within(backbone.trim(Topic::Raw, Partition(1), last)).await.unwrap();
    let mut next = first.last().unwrap().offset.next();
    let error = loop {
        match within(tail.next(Duration::from_secs(5))).await {
            Ok(batch) => {
                for record in batch.records {
                    assert_eq!(record.offset, next);
                    next = record.offset.next();
                }
                assert!(next < last, "what is gone is not passed over");
            }
            Err(error) => break error,
        }
    };
    let (topic, partition, low) = ("audit.raw", Partition(1), last);
    assert_eq!(error, BackboneError::Missing { topic, partition, low, wanted: next });
    let again = within(tail.next(Duration::from_secs(1))).await;
    assert_eq!(again.err(), Some(error), "and it stays so");
}

async fn send(appender: &Arc<dyn Appender>, mark: &str, range: std::ops::Range<usize>) {
    let acks: Vec<_> = range.map(|number| appender.append(numbered(mark, number))).collect();
    within(futures::future::try_join_all(acks)).await.unwrap();
}

fn numbered(mark: &str, number: usize) -> NewRecord {
    let partition = u32::try_from(number).unwrap() % PARTITIONS;
    marked(INPUTS[input(number)], partition, mark, number)
}

/// At first a record may be waited for; then it is known that nobody answers.
async fn refused_at_once(appender: &Arc<dyn Appender>, mark: &str) {
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let error = within(appender.append(marked(Topic::Raw, 0, mark, 0))).await.unwrap_err();
        assert!(matches!(error, AppendError::TimedOut | AppendError::Failed), "{error:?}");
        if asked.elapsed() < Duration::from_millis(20) {
            assert_eq!(error, AppendError::Failed);
            break;
        }
        assert!(asked.elapsed() < Duration::from_secs(8), "an answer comes soon");
        assert!(began.elapsed() < Duration::from_secs(20), "and then at once");
    }
}

/// Waits until a tail has seen everything once more than it had.
async fn sees_all_again(tail: &mut Box<dyn Tail>) {
    let mut last = None;
    until_within(Duration::from_secs(60), "the tail to see everything", async || {
        let batch = tail.next(Duration::from_millis(300)).await.ok()?;
        let seen = batch.ends.iter().map(|end| end.caught_up_at).min()??;
        last.replace(seen).is_some_and(|last| seen > last).then_some(())
    })
    .await;
}

async fn delivered(member: &mut Subscription, from: &BTreeMap<Partition, Offset>, count: usize) {
    let mut taken = 0;
    while taken < count {
        match within(member.next()).await.unwrap() {
            Message::Assigned(assignment) => start(assignment, from),
            Message::Record(custody) => {
                custody.delivered();
                taken += 1;
            }
            Message::Revoked(revocation) => revocation.drained(),
            Message::Lost(_) | Message::Unreachable => {}
            other @ Message::Missing { .. } => panic!("unexpected {other:?}"),
        }
    }
}
