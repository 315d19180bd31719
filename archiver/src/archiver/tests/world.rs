//! One table, one topic, and archivers that share them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, SchemaId};
use trailgate_service::{Health, Metrics, PartState, RandomIds, Stop, SystemClock};
use trailgate_table::{Table, TableLocation};
use trailgate_testkit::until_within;
use trailgate_topics::{Offset, RegistryError, SchemaRegistry};

use super::fake_topic::{FakeConsumer, FakeTopic};
use super::faulty_store::{Fault, Faults};
use crate::archiver::{ArchiveError, Archiver};
use crate::config::{AcceptedGap, ArchiveConfig};
use crate::flush::Flush;
use crate::metrics::ArchiverMetrics;
use crate::retry::Retry;
use crate::samples::framed;
use crate::schemas::Schemas;

/// The registry id of this version's events.
pub(super) const OWN: SchemaId = SchemaId(7);
/// A batch: some 60 records.
pub(super) const FLUSH_BYTES: usize = 64 * 1024;
/// Messages between a consumer and its owner.
pub(super) const CHANNEL: usize = 16;

pub(super) struct World {
    folder: tempfile::TempDir,
    topic: FakeTopic,
    pub(super) registry: Arc<FakeRegistry>,
    next: AtomicI64,
}

pub(super) struct Running {
    pub(super) faults: Faults,
    pub(super) consumer: FakeConsumer,
    health: Health,
    stop: Stop,
    task: JoinHandle<Result<(), ArchiveError>>,
}

impl World {
    pub(super) fn new(partitions: u32) -> Self {
        let registry = Arc::new(FakeRegistry::default());
        registry.add(OWN, AUDIT_EVENT_SCHEMA);
        Self {
            folder: tempfile::tempdir().unwrap(),
            topic: FakeTopic::new(partitions),
            registry,
            next: AtomicI64::new(0),
        }
    }

    /// An archiver that flushes at once.
    pub(super) async fn archiver(&self) -> Running {
        self.start(50, Vec::new()).await
    }

    /// An archiver that does not flush by age.
    pub(super) async fn patient_archiver(&self) -> Running {
        self.start(3_600_000, Vec::new()).await
    }

    pub(super) async fn archiver_that_accepts(&self, gaps: Vec<AcceptedGap>) -> Running {
        self.start(50, gaps).await
    }

    async fn start(&self, flush_after_ms: u64, accept_gap: Vec<AcceptedGap>) -> Running {
        let faults = Faults::default();
        let around = faults.clone();
        let location = self.location();
        let table = Table::open_or_create_through(&location, |store| around.around(store)).await;
        let table = table.unwrap();
        let newest = table.snapshot().await.unwrap();
        let (consumer, subscription) = FakeConsumer::of(self.topic.clone(), CHANNEL);
        let (health, stop) = (Health::default(), Stop::new());
        let store = health.part("table");
        store.ready();
        let flush = Flush {
            table,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            metrics: ArchiverMetrics::new(&Metrics::default()),
            store,
            retry: Retry { next: Duration::from_millis(5), last: Duration::from_millis(50) },
        };
        let config =
            ArchiveConfig { flush_bytes: FLUSH_BYTES, flush_after_ms, keep_hours: 0, accept_gap };
        let schemas = Schemas::of(Arc::clone(&self.registry) as Arc<dyn SchemaRegistry>);
        let part = health.part("archiver");
        let archiver = Archiver::new(subscription, newest, schemas, flush, config, part);
        let asked = stop.clone();
        let task = tokio::spawn(async move { archiver.run(&asked).await });
        Running { faults, consumer, health, stop, task }
    }

    fn location(&self) -> TableLocation {
        TableLocation::Folder(self.folder.path().join("table"))
    }

    /// Appends events that were never appended before.
    pub(super) fn append(&self, partition: u32, count: i64) {
        for _ in 0..count {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            self.topic.append(partition, framed(OWN, n));
        }
    }

    pub(super) fn append_value(&self, partition: u32, value: Bytes) {
        self.topic.append(partition, value);
    }

    pub(super) fn trim(&self, partition: u32, count: usize) -> Offset {
        self.topic.trim(partition, count)
    }

    pub(super) fn end(&self, partition: u32) -> Offset {
        self.topic.watermarks(partition).high
    }

    /// Waits until the table has this many rows.
    pub(super) async fn archived(&self, rows: i64) {
        let table = Table::open_or_create(&self.location()).await.unwrap();
        until_within(Duration::from_secs(60), "rows in the table", async || {
            let snapshot = table.snapshot().await.unwrap();
            let there: i64 = snapshot.ids().values().map(|ids| ids.tree_size).sum();
            assert!(there <= rows, "{there} rows of {rows}");
            (there == rows).then_some(())
        })
        .await;
    }

    /// Each of `rows` rows is in the table once, densely numbered in its partition.
    pub(super) async fn check(&self, rows: i64) {
        self.archived(rows).await;
        assert_eq!(self.count("true").await, rows);
        assert_eq!(self.ask("select count(distinct event_id) from events").await, rows);
        let dense = "select count(*) from (select log_partition, count(*) c, \
                     count(distinct log_index) d, max(log_index) m from events \
                     group by log_partition) where c != d or c != m + 1";
        assert_eq!(self.ask(dense).await, 0);
    }

    pub(super) async fn count(&self, condition: &str) -> i64 {
        self.ask(&format!("select count(*) from events where {condition}")).await
    }

    async fn ask(&self, sql: &str) -> i64 {
        let table = Table::open(&self.location()).await.unwrap();
        let provider = table.snapshot().await.unwrap().provider().await.unwrap();
        let context = SessionContext::new();
        context.register_table("events", provider).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }
}

impl Running {
    pub(super) async fn assign(&self, partitions: &[u32]) {
        self.consumer.assign(partitions).await;
    }

    pub(super) async fn revoke(&self, partitions: &[u32], deadline: Duration) {
        self.consumer.revoke(partitions, deadline).await;
    }

    pub(super) fn committable(&self, partition: u32) -> Option<Offset> {
        self.consumer.committable(partition)
    }

    pub(super) fn handed_over(&self) -> usize {
        self.consumer.handed_over()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// Something if a part says this of itself.
    pub(super) fn says(&self, part: &str, reason: &'static str) -> Option<()> {
        let state = self.health.parts().get(part).copied();
        (state == Some(PartState::NotReady(reason))).then_some(())
    }

    pub(super) async fn stop(self) {
        self.stop.ask();
        self.task.await.unwrap().unwrap();
    }
}

#[derive(Default)]
pub(super) struct FakeRegistry(Mutex<RegistryState>);

#[derive(Default)]
struct RegistryState {
    schemas: BTreeMap<SchemaId, String>,
    /// Ids that can't be had, though others can.
    withheld: Vec<SchemaId>,
}

impl FakeRegistry {
    pub(super) fn add(&self, id: SchemaId, schema: &str) {
        let mut state = self.0.lock().unwrap();
        state.withheld.retain(|withheld| *withheld != id);
        state.schemas.insert(id, schema.to_owned());
    }

    /// The id can't be had until it is added again.
    pub(super) fn withhold(&self, id: SchemaId) {
        self.0.lock().unwrap().withheld.push(id);
    }
}

#[async_trait]
impl SchemaRegistry for FakeRegistry {
    async fn register(&self, _subject: &str, _schema: &str) -> Result<SchemaId, RegistryError> {
        Ok(OWN)
    }

    async fn schema(&self, id: SchemaId) -> Result<String, RegistryError> {
        let state = self.0.lock().unwrap();
        if state.withheld.contains(&id) {
            return Err(RegistryError::Unreachable);
        }
        state.schemas.get(&id).cloned().ok_or(RegistryError::Unknown(id))
    }
}

/// The next version as a coming release might make it: one optional field more.
pub(super) fn next_version() -> String {
    let field = "{\"name\": \"added_later\", \"type\": [\"null\", \"string\"], \"default\": null}";
    AUDIT_EVENT_SCHEMA.replacen("\"fields\": [", &format!("\"fields\": [{field},"), 1)
}

/// Event number `n` as the next version writes it, under id 8: the new field comes first, null.
pub(super) fn of_next_version(n: i64) -> Bytes {
    Bytes::from([&[0, 0, 0, 0, 8], &[0][..], &framed(OWN, n)[5..]].concat())
}

/// Two archivers, three partitions that move between them in every way, a store that fails in every
/// way: all decided by `seed`.
pub(super) async fn storm(seed: u64) {
    let mut storm = Storm::begin(seed).await;
    for _ in 0..ROUNDS {
        storm.append();
        storm.fail();
        storm.rebalance().await;
    }
    storm.end().await;
}

const PARTITIONS: u32 = 3;
const ROUNDS: usize = 25;

struct Storm {
    seed: u64,
    chance: Chance,
    world: World,
    both: [Running; 2],
    /// Which of both has each partition.
    holder: [usize; PARTITIONS as usize],
    sent: i64,
}

impl Storm {
    async fn begin(seed: u64) -> Self {
        let world = World::new(PARTITIONS);
        let both = [world.archiver().await, world.archiver().await];
        both[0].assign(&[0, 1, 2]).await;
        Self { seed, chance: Chance(seed), world, both, holder: [0; 3], sent: 0 }
    }

    fn append(&mut self) {
        for partition in 0..PARTITIONS {
            let count = i64::try_from(self.chance.below(40)).unwrap();
            self.world.append(partition, count);
            self.sent += count;
        }
    }

    fn fail(&mut self) {
        let unlucky = &self.both[self.chance.below(2)].faults;
        match self.chance.below(5) {
            0 => unlucky.on_commits([Fault::Before]),
            1 => unlucky.on_commits([Fault::After]),
            2 => unlucky.on_commits([Fault::AfterThenDown]),
            3 => unlucky.on_files([Fault::Before, Fault::After]),
            _ => unlucky.mend(),
        }
    }

    async fn rebalance(&mut self) {
        let moved = self.chance.below(PARTITIONS as usize);
        let partition = u32::try_from(moved).unwrap();
        let (from, to) = (self.holder[moved], self.chance.below(2));
        if from == to {
            return;
        }
        let (from, heir) = (&self.both[from].consumer, &self.both[to].consumer);
        match self.chance.below(3) {
            0 => return,
            // In order.
            1 => {
                from.revoke(&[partition], Duration::from_millis(100)).await;
                heir.assign_soon(partition).await;
            }
            // The old holder hears of it only afterwards, and reads on meanwhile.
            _ => {
                heir.assign_soon(partition).await;
                self.world.append(partition, 20);
                self.sent += 20;
                tokio::task::yield_now().await;
                from.lose(&[partition]).await;
            }
        }
        self.holder[moved] = to;
    }

    async fn end(self) {
        let table = Table::open_or_create(&self.world.location()).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // What is still to come may bring it down again.
            self.both.iter().for_each(|archiver| archiver.faults.mend());
            let snapshot = table.snapshot().await.unwrap();
            let there: i64 = snapshot.ids().values().map(|ids| ids.tree_size).sum();
            if there == self.sent {
                break;
            }
            let in_time = there < self.sent && Instant::now() < deadline;
            assert!(in_time, "{there} rows: {}, {:?}", self.told(), snapshot.ids());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for archiver in self.both {
            archiver.stop().await;
        }
        self.world.check(self.sent).await;
    }

    fn told(&self) -> String {
        let ends: Vec<Offset> = (0..PARTITIONS).map(|p| self.world.end(p)).collect();
        let health = self.both.each_ref().map(|archiver| archiver.health.parts());
        let (seed, sent, holder) = (self.seed, self.sent, self.holder);
        format!("{sent} sent with seed {seed}, ends {ends:?}, held by {holder:?}, {health:?}")
    }
}

/// Chance that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}
