//! What stands in for the approver and the topics of holds: a log that can fail, and decisions that
//! the test signs.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc;
use trailgate_envelope::{Deciders, OwnSeal, Secret, SigningKey, VerifyingKeys};
use trailgate_ingest_proxy::{Deciding, Decisions, Holding};
use trailgate_policy::Rules;
use trailgate_schemas::{AuditEvent, Claim, ClaimEnd, HoldDecision, HoldState, Micros, Principal};
use trailgate_topics::{Ack, AppendError, Appender, NewRecord, Offset, Topic};

/// The approver's desk, as the gateway sees it.
pub(crate) struct Desk {
    pub(crate) log: Arc<Log>,
    pub(crate) key: SigningKey,
    decided: mpsc::Sender<Bytes>,
}

/// Keeps what is appended; a topic may be refused.
#[derive(Default)]
pub(crate) struct Log {
    records: Mutex<Vec<NewRecord>>,
    refused: Mutex<Vec<Topic>>,
}

struct Read(mpsc::Receiver<Bytes>);

impl Decisions for Read {
    fn next(&mut self) -> Deciding<'_> {
        Box::pin(async {
            match self.0.recv().await {
                Some(signed) => signed,
                None => std::future::pending().await,
            }
        })
    }
}

impl Appender for Log {
    fn append(&self, record: NewRecord) -> Ack {
        if self.refused.lock().unwrap().contains(&record.topic) {
            return Ack::refused(AppendError::TimedOut);
        }
        self.records.lock().unwrap().push(record);
        let (sender, ack) = Ack::channel();
        let _ = sender.send(Ok(Offset(0)));
        ack
    }
}

impl Log {
    pub(crate) fn refuse(&self, topic: Topic) {
        self.refused.lock().unwrap().push(topic);
    }

    pub(crate) fn of(&self, topic: Topic) -> Vec<NewRecord> {
        let records = self.records.lock().unwrap();
        records.iter().filter(|record| record.topic == topic).cloned().collect()
    }
}

impl Desk {
    /// A desk, and what a gateway needs to hold for it by `rules`.
    pub(crate) fn new(rules: &str, max_bytes: usize) -> (Self, Holding) {
        let (decided, read) = mpsc::channel(DECISIONS_MAX);
        let log = Arc::new(Log::default());
        let key = SigningKey::new(Secret::new([9; 32]));
        let holding = Holding {
            rules: Rules::parse("rules.toml".as_ref(), rules).unwrap(),
            max_bytes,
            appender: Arc::clone(&log) as Arc<dyn Appender>,
            partitions: 8,
            seal: OwnSeal::of_gateway(&Secret::new([3; 32])).unwrap(),
            deciders: Deciders::fixed(VerifyingKeys::new([*key.public()])),
            decisions: Box::new(Read(read)),
        };
        (Self { log, key, decided }, holding)
    }

    /// Signs a decision and lets every gateway read it.
    pub(crate) fn decide(&self, decision: &HoldDecision) {
        let json = serde_json::to_vec(decision).unwrap();
        self.send(self.key.sign("audit.decisions", &json));
    }

    /// Lets every gateway read these bytes.
    pub(crate) fn send(&self, signed: Vec<u8>) {
        self.decided.try_send(signed.into()).unwrap();
    }

    /// What the gateway told of its claims.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let records = self.log.of(Topic::Claims);
        let claims = records.into_iter().map(|record| {
            let claim: Claim = serde_json::from_slice(&record.value.unwrap()).unwrap();
            assert_eq!(record.key.as_ref(), claim.hold_id.0.as_bytes());
            claim
        });
        claims.collect()
    }

    /// How the one claim there is ended, once it has.
    pub(crate) async fn end(&self) -> ClaimEnd {
        trailgate_testkit::until("the claim's end", async || {
            let claims = self.claims();
            assert!(claims.len() <= 1, "{claims:?}");
            claims.first().map(|claim| claim.end)
        })
        .await
    }
}

/// The decision that fits a held event.
pub(crate) fn decision(held: &AuditEvent, state: HoldState) -> HoldDecision {
    HoldDecision {
        hold_id: held.hold_id.unwrap(),
        claim: held.hold_claim.unwrap(),
        digest: held.hold_digest.clone().unwrap(),
        requester: Principal {
            issuer: held.actor_issuer.clone().unwrap(),
            subject: held.actor.as_str().to_owned(),
        },
        state,
        decided_by: Some(Principal { issuer: "i".to_owned(), subject: "lead".to_owned() }),
        reason: Some("because".to_owned()),
        decided_at: Micros(1),
        expires_at: held.hold_expires_at.unwrap(),
    }
}

/// More than any test sends before the gateway has read one.
const DECISIONS_MAX: usize = 64;
