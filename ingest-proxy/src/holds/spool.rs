//! Keeping exactly what is held, on `audit.spool`: in pieces, sealed to the gateways, durable before
//! anybody is asked to decide. So what was decided about can be shown byte for byte to whoever has
//! the gateways' key, and to nobody else.
//!
//! A piece is sealed for its place: the hold, its number, and how many there are, so that none can be
//! left out, put elsewhere, or taken from another hold.

use bytes::Bytes;
use trailgate_schemas::HoldId;
use trailgate_topics::{NewRecord, Partition, Topic};

use crate::holds::{Exact, Holds};
use crate::limits::SPOOL_PIECE_MAX_BYTES;

/// It could not be kept, so it must not be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unkept;

impl Holds {
    /// Keeps `exact` under `hold`; durable when it answers. One piece at a time, so that no more
    /// than one is in memory twice.
    pub(crate) async fn keep(&self, hold: HoldId, exact: &Exact) -> Result<(), Unkept> {
        let count = exact.bytes().div_ceil(SPOOL_PIECE_MAX_BYTES);
        for (at, piece) in exact.pieces(SPOOL_PIECE_MAX_BYTES).enumerate() {
            let mut value = vec![FORM];
            value.extend_from_slice(&(at as u32).to_be_bytes());
            value.extend_from_slice(&(count as u32).to_be_bytes());
            let sealed = self.seal.seal(&place(hold, at, count), &piece).map_err(|_| Unkept)?;
            value.extend_from_slice(&sealed);
            self.append(Topic::Spool, hold, value.into()).await.map_err(|_| Unkept)?;
        }
        Ok(())
    }

    pub(super) fn append(&self, topic: Topic, hold: HoldId, value: Bytes) -> trailgate_topics::Ack {
        let partition = Partition::of_hold(hold, self.partitions);
        let key = Bytes::copy_from_slice(hold.0.as_bytes());
        self.appender.append(NewRecord { topic, partition, key, value: Some(value) })
    }
}

/// What a piece is sealed for.
pub(crate) fn place(hold: HoldId, at: usize, count: usize) -> Vec<u8> {
    let mut place = b"audit.spool/".to_vec();
    place.extend_from_slice(hold.0.as_bytes());
    place.extend_from_slice(&(at as u32).to_be_bytes());
    place.extend_from_slice(&(count as u32).to_be_bytes());
    place
}

const FORM: u8 = 1;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::HeaderMap;
    use trailgate_envelope::{Deciders, OwnError, OwnSeal, Secret, VerifyingKeys};
    use trailgate_policy::Rules;
    use trailgate_schemas::Principal;
    use trailgate_topics::{Ack, AppendError, Appender, Offset};
    use uuid::Uuid;

    use super::*;
    use crate::holds::{Deciding, Decisions, ExactOf, Holding};

    /// Keeps what is appended, and fails from the n-th record on.
    #[derive(Default)]
    struct Log {
        records: Mutex<Vec<NewRecord>>,
        fails_from: Option<usize>,
    }

    impl Appender for Log {
        fn append(&self, record: NewRecord) -> Ack {
            let mut records = self.records.lock().unwrap();
            if self.fails_from.is_some_and(|from| records.len() >= from) {
                return Ack::refused(AppendError::TimedOut);
            }
            records.push(record);
            let (sender, ack) = Ack::channel();
            sender.send(Ok(Offset(0))).unwrap();
            ack
        }
    }

    struct Undecided;

    impl Decisions for Undecided {
        fn next(&mut self) -> Deciding<'_> {
            Box::pin(std::future::pending())
        }
    }

    fn seal(gateway: u8) -> OwnSeal {
        OwnSeal::of_gateway(&Secret::new([gateway; 32])).unwrap()
    }

    fn holds(log: &Arc<Log>) -> Arc<Holds> {
        let holding = Holding {
            rules: Rules::parse("rules.toml".as_ref(), "").unwrap(),
            max_bytes: 1,
            appender: Arc::clone(log) as Arc<dyn Appender>,
            partitions: 4,
            seal: seal(3),
            deciders: Deciders::fixed(VerifyingKeys::default()),
            decisions: Box::new(Undecided),
        };
        Holds::new(holding, 4).0
    }

    fn exact(body: &[u8]) -> Exact {
        let requester = Principal { issuer: "i".to_owned(), subject: "s".to_owned() };
        let of = ExactOf {
            tenant: "default",
            requester: &requester,
            connection: "tools",
            method: "POST",
            target: "/deploy?token=hunter2",
            headers: &HeaderMap::new(),
            left_out: &|_| false,
        };
        Exact::new(&of, Bytes::copy_from_slice(body))
    }

    #[tokio::test]
    async fn what_is_kept_opens_with_the_gateways_key_alone_and_shows_nothing_else() {
        let log = Arc::new(Log::default());
        let hold = HoldId(Uuid::from_u128(7));
        let exact = exact(&b"hunter2 ".repeat(100_000));
        holds(&log).keep(hold, &exact).await.unwrap();
        let records = log.records.lock().unwrap();
        assert_eq!(records.len(), 2);
        let mut opened = Vec::new();
        for (at, record) in records.iter().enumerate() {
            assert_eq!(record.topic, Topic::Spool);
            assert_eq!(record.partition, Partition::of_hold(hold, 4));
            assert_eq!(record.key.as_ref(), hold.0.as_bytes());
            let value = record.value.as_ref().unwrap();
            assert!(!value.windows(7).any(|window| window == b"hunter2"));
            let sealed = &value[9..];
            opened.extend(seal(3).open(&place(hold, at, 2), sealed).unwrap());
            assert!(seal(4).open(&place(hold, at, 2), sealed).is_err());
            let elsewhere = seal(3).open(&place(hold, 1 - at, 2), sealed);
            assert_eq!(elsewhere, Err(OwnError::Forged));
        }
        assert_eq!(opened, exact.pieces(usize::MAX).flatten().collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn what_is_not_kept_whole_is_not_kept() {
        for fails_from in [0, 1] {
            let log = Arc::new(Log { fails_from: Some(fails_from), ..Log::default() });
            let exact = exact(&[0; 600_000]);
            let kept = holds(&log).keep(HoldId(Uuid::from_u128(7)), &exact).await;
            assert_eq!(kept, Err(Unkept));
        }
    }
}
