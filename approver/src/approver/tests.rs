use std::collections::BTreeSet;

use tempfile::TempDir;
use trailgate_envelope::{Deciders, KeysFolder, Sealer, Stage};
use trailgate_schemas::{
    AuditEvent, ClaimEnd, EventReader, HoldState, Kind, ProducerId, SealedReader, SessionId,
    Verdict, unframe,
};
use trailgate_service::{ManualClock, Metrics, RandomIds};
use trailgate_topics::{Backbone, EmbeddedConfig, EmbeddedLog, NewRecord, Offset, SchemaRegistry};
use uuid::Uuid;

use super::*;
use crate::limits::{EARLY_KEPT, ENDED_KEPT, OPEN_BYTES_MAX, UNTOLD_MAX};
use crate::samples::{EXPIRES_AT, IN_TIME, claim, hold, vote};

const PARTITIONS: u32 = 3;
const PARTITION: Partition = Partition(1);

/// A processor that is stepped by hand, and what it has put out in steps that were committed.
struct Bench {
    approver: Approver,
    keys: KeysFolder,
    registry: Arc<dyn SchemaRegistry>,
    clock: ManualClock,
    metrics: Metrics,
    out: Outputs,
    committed: Vec<NewRecord>,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeysFolder::new(folder.path().join("keys"));
        keys.create_missing().unwrap();
        let config = EmbeddedConfig { folder: folder.path().join("log"), partitions: PARTITIONS };
        let clock = ManualClock::at(IN_TIME);
        let log = EmbeddedLog::open(&config, Arc::new(clock.clone())).unwrap();
        let (registry, metrics) = (log.registry(), Metrics::default());
        let approver = approver(&keys, &registry, &clock, &metrics).await;
        let (out, committed) = (Outputs::default(), Vec::new());
        Self { approver, keys, registry, clock, metrics, out, committed, _folder: folder }
    }

    fn take(&mut self, topic: Topic, value: impl Into<Bytes>) {
        let record = Record {
            topic,
            partition: PARTITION,
            offset: Offset(0),
            appended_at: IN_TIME,
            key: Bytes::new(),
            value: Some(value.into()),
        };
        assert_eq!(self.approver.process(&record, &mut self.out), Ok(Flow::Done));
    }

    fn hold(&mut self, number: u128) {
        self.take(Topic::Holds, serde_json::to_vec(&hold(number)).unwrap());
    }

    fn vote(&mut self, vote: &Vote) {
        let key = self.keys.load_decision().unwrap();
        self.take(Topic::Votes, key.sign("audit.votes", &serde_json::to_vec(vote).unwrap()));
    }

    fn claim(&mut self, number: u128, end: ClaimEnd) {
        self.take(Topic::Claims, serde_json::to_vec(&claim(&hold(number), end)).unwrap());
    }

    /// Time passes, and the step ends.
    fn commit(&mut self) {
        self.approver.tick(self.clock.now(), &mut self.out).unwrap();
        self.committed.extend(self.out.take());
    }

    /// The process is killed: what was not committed never was. Another one goes on from what was.
    async fn restart(&mut self) {
        self.out.take();
        self.approver = approver(&self.keys, &self.registry, &self.clock, &self.metrics).await;
        for record in &self.committed {
            if record.topic == Topic::Approvals {
                let value = record.value.as_deref();
                self.approver.restore(record.partition, &record.key, value).unwrap();
            }
        }
    }

    fn committed(&self, topic: Topic) -> impl Iterator<Item = &NewRecord> {
        self.committed.iter().filter(move |record| record.topic == topic)
    }

    fn decisions(&self) -> Vec<HoldDecision> {
        let deciders = self.keys.load_deciders().unwrap();
        let read = |record: &NewRecord| {
            assert_eq!(record.partition, PARTITION);
            let clear = deciders.open("audit.decisions", record.value.as_ref().unwrap()).unwrap();
            let decision: HoldDecision = serde_json::from_slice(clear).unwrap();
            assert_eq!(record.key, decision.hold_id.0.as_bytes().as_slice());
            decision
        };
        self.committed(Topic::Decisions).map(read).collect()
    }

    fn states(&self) -> Vec<HoldState> {
        let holds = self.committed(Topic::Approvals).filter_map(|record| {
            matches!(Key::parse(&record.key), Some(Key::Hold(_))).then_some(record.value.as_ref())
        });
        let read = |value: &Bytes| serde_json::from_slice::<Approval>(value).unwrap().state;
        holds.flatten().map(read).collect()
    }

    /// What is on `audit.raw`, as the masker opens it.
    async fn events(&self) -> Vec<(Partition, AuditEvent)> {
        let mut opener = self.keys.load_opening().unwrap().opener();
        let (mut sealed_reader, mut reader) = (SealedReader::default(), EventReader::default());
        let mut events = Vec::new();
        for record in self.committed(Topic::Raw) {
            let value = record.value.as_ref().unwrap();
            let id = unframe(value).unwrap().0;
            sealed_reader.know(id, &self.registry.schema(id).await.unwrap()).unwrap();
            let opened = opener.open(&sealed_reader.read(value).unwrap()).unwrap();
            assert_eq!(opened.sender, Stage::Approver);
            let schema = self.registry.schema(opened.schema_id).await.unwrap();
            reader.know(opened.schema_id, &schema).unwrap();
            let event = reader.read(&opened.clear).unwrap();
            assert_eq!(record.key, event.session_id.to_string());
            events.push((record.partition, event));
        }
        events
    }
}

async fn approver(
    keys: &KeysFolder,
    registry: &Arc<dyn SchemaRegistry>,
    clock: &ManualClock,
    metrics: &Metrics,
) -> Approver {
    let sealing = keys.load_sealing(Stage::Approver).unwrap();
    let sealer = Sealer::new(sealing.sender, sealing.opening, Arc::new(clock.clone()));
    Approver {
        key: Arc::new(keys.load_decision().unwrap()),
        deciders: Deciders::of(keys.clone()).unwrap(),
        seal: RawSeal::register(registry.as_ref(), sealer).await.unwrap(),
        topic_partitions: PARTITIONS,
        clock: Arc::new(clock.clone()),
        ids: Arc::new(RandomIds),
        counts: Counts::new(metrics),
        partitions: HashMap::new(),
    }
}

#[tokio::test]
async fn a_vote_becomes_a_signed_decision_an_event_and_a_state_in_one_step() {
    let mut bench = Bench::new().await;
    bench.hold(1);
    bench.vote(&vote(&hold(1), "rita", Verdict::Approve));
    bench.commit();
    let decisions = bench.decisions();
    assert_eq!(decisions.len(), 1);
    assert_eq!((decisions[0].state, decisions[0].claim), (HoldState::Approved, hold(1).claim));
    assert_eq!(bench.states(), [HoldState::Pending, HoldState::Approved]);
    let events = bench.events().await;
    let (raw, event) = &events[0];
    assert_eq!((events.len(), event.kind), (1, Kind::Approved));
    assert_eq!(*raw, Partition::of_session(hold(1).session_id, PARTITIONS));
    bench.claim(1, ClaimEnd::Executed);
    bench.commit();
    assert_eq!(bench.states().last(), Some(&HoldState::Executed));
    assert_eq!((bench.decisions().len(), bench.events().await.len()), (1, 1));
}

#[tokio::test]
async fn killed_between_vote_and_decision_the_vote_counts_once() {
    let mut bench = Bench::new().await;
    bench.hold(1);
    bench.commit();
    let vote = vote(&hold(1), "rita", Verdict::Approve);
    bench.vote(&vote);
    // Its step is not committed, so the vote is read again.
    bench.restart().await;
    bench.vote(&vote);
    bench.commit();
    bench.restart().await;
    // A second copy, and a late change of mind.
    bench.vote(&vote);
    bench.vote(&Vote { verdict: Verdict::Deny, ..vote });
    bench.commit();
    assert_eq!(bench.decisions().len(), 1);
    assert_eq!(bench.states(), [HoldState::Pending, HoldState::Approved]);
    assert!(bench.metrics.encode().contains("approver_ignored_total{reason=\"already_decided\"}"));
}

#[tokio::test]
async fn numbers_of_events_are_dense_over_restarts_and_aborted_steps() {
    let mut bench = Bench::new().await;
    for number in 1..=12 {
        bench.hold(number);
        bench.vote(&vote(&hold(number), "rita", Verdict::Deny));
        if number % 3 == 0 {
            bench.restart().await;
            bench.hold(number);
            bench.vote(&vote(&hold(number), "rita", Verdict::Deny));
        }
        bench.commit();
    }
    let events = bench.events().await;
    assert_eq!(events.len(), 12);
    let producers: BTreeSet<(Partition, ProducerId)> =
        events.iter().map(|(raw, event)| (*raw, event.producer_id)).collect();
    let partitions: BTreeSet<Partition> = events.iter().map(|(raw, _)| *raw).collect();
    assert_eq!(producers.len(), partitions.len(), "one series for each partition");
    for partition in partitions {
        let of = events.iter().filter(|(raw, _)| *raw == partition);
        let numbers: Vec<i64> = of.map(|(_, event)| event.producer_number).collect();
        assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_vote_that_no_approver_signed_counts_for_nothing() {
    let mut bench = Bench::new().await;
    bench.hold(1);
    let json = serde_json::to_vec(&vote(&hold(1), "rita", Verdict::Approve)).unwrap();
    bench.take(Topic::Votes, json.clone());
    let key = bench.keys.load_decision().unwrap();
    bench.take(Topic::Votes, key.sign("audit.decisions", &json));
    let mut changed = key.sign("audit.votes", &json);
    *changed.last_mut().unwrap() ^= 1;
    bench.take(Topic::Votes, changed);
    let other = SigningKey::new(trailgate_envelope::Secret::new([7; 32]));
    bench.take(Topic::Votes, other.sign("audit.votes", &json));
    bench.take(Topic::Votes, key.sign("audit.votes", b"{}"));
    bench.commit();
    assert_eq!(bench.decisions(), []);
    let counted = bench.metrics.encode();
    for reason in ["vote_not_signed", "vote_forged", "vote_key_unknown", "vote_undecodable"] {
        assert!(counted.contains(&format!("approver_refused_total{{reason=\"{reason}\"}}")));
    }
}

#[tokio::test]
async fn a_vote_signed_by_a_newer_key_counts() {
    let mut bench = Bench::new().await;
    bench.hold(1);
    bench.keys.rotate().unwrap();
    bench.vote(&vote(&hold(1), "rita", Verdict::Approve));
    bench.commit();
    assert_eq!(bench.decisions().len(), 1);
}

#[tokio::test]
async fn a_withdrawal_that_comes_before_its_hold_is_kept_over_a_restart() {
    let mut bench = Bench::new().await;
    bench.claim(1, ClaimEnd::Withdrawn);
    bench.commit();
    bench.restart().await;
    bench.hold(1);
    bench.vote(&vote(&hold(1), "rita", Verdict::Approve));
    bench.commit();
    assert_eq!(bench.states(), [HoldState::Pending, HoldState::Withdrawn]);
    assert_eq!(bench.decisions(), [], "nobody waits for one");
    bench.claim(2, ClaimEnd::Withdrawn);
    bench.commit();
    bench.clock.advance(EARLY_KEPT);
    bench.commit();
    let last = bench.committed(Topic::Approvals).last().unwrap();
    assert_eq!((Key::parse(&last.key), &last.value), (Some(Key::Early(hold(2).hold_id)), &None));
}

#[tokio::test]
async fn time_decides_what_nobody_did_and_forgets_what_is_long_over() {
    let mut bench = Bench::new().await;
    bench.hold(1);
    bench.hold(2);
    bench.vote(&vote(&hold(2), "rita", Verdict::Approve));
    bench.commit();
    bench.restart().await;
    bench.clock.advance(EXPIRES_AT.since(IN_TIME));
    bench.vote(&vote(&hold(1), "rita", Verdict::Approve));
    bench.commit();
    bench.commit();
    let states: Vec<_> = bench.decisions().iter().map(|d| (d.hold_id, d.state)).collect();
    let expected = [(hold(2).hold_id, HoldState::Approved), (hold(1).hold_id, HoldState::Expired)];
    assert_eq!(states, expected);
    assert_eq!(bench.events().await.last().unwrap().1.kind, Kind::Expired);
    bench.clock.advance(UNTOLD_MAX);
    bench.commit();
    assert_eq!(bench.states().last(), Some(&HoldState::Unknown));
    bench.clock.advance(ENDED_KEPT);
    bench.commit();
    let forgotten: Vec<_> =
        bench.committed(Topic::Approvals).filter(|record| record.value.is_none()).collect();
    assert_eq!(forgotten.len(), 2);
    assert_eq!(bench.decisions().len(), 2);
}

#[tokio::test]
async fn beyond_what_may_wait_a_hold_is_denied_at_once() {
    let mut bench = Bench::new().await;
    let mut long = hold(1);
    long.payload = Some("x".repeat(OPEN_BYTES_MAX - 2048));
    bench.take(Topic::Holds, serde_json::to_vec(&long).unwrap());
    bench.hold(2);
    bench.hold(2);
    bench.commit();
    let decisions = bench.decisions();
    assert_eq!((decisions.len(), decisions[0].hold_id), (1, hold(2).hold_id));
    assert_eq!((decisions[0].state, &decisions[0].decided_by), (HoldState::Denied, &None));
    assert_eq!(decisions[0].reason.as_deref(), Some("too_many_holds"));
    bench.claim(1, ClaimEnd::Withdrawn);
    bench.hold(3);
    bench.commit();
    assert_eq!(bench.decisions().len(), 1, "there is room again");
}

#[tokio::test]
async fn what_does_not_read_is_counted_and_stops_nothing() {
    let mut bench = Bench::new().await;
    bench.take(Topic::Holds, "{}");
    bench.take(Topic::Claims, "not json");
    bench.hold(1);
    bench.commit();
    assert_eq!(bench.states(), [HoldState::Pending]);
    let broken = bench.approver.restore(PARTITION, b"nobody's key", Some(b"{}"));
    let partition = PARTITION;
    assert_eq!(broken, Err(ProcessError::State { partition, code: "key" }));
}

#[tokio::test]
async fn an_event_s_session_decides_its_partition_whatever_the_hold_s_is() {
    let mut bench = Bench::new().await;
    for number in 0..6_u128 {
        let mut held = hold(number);
        held.session_id = SessionId(Uuid::from_u128(number << 96));
        bench.take(Topic::Holds, serde_json::to_vec(&held).unwrap());
        bench.vote(&vote(&held, "rita", Verdict::Approve));
    }
    bench.commit();
    let partitions: BTreeSet<Partition> = bench.events().await.iter().map(|(p, _)| *p).collect();
    assert_eq!(partitions, (0..PARTITIONS).map(Partition).collect());
}
