//! The approver as a stream processor: holds, votes and claims in; decisions, the events that tell of
//! them, and where each hold stands out. All that follows from one record is one atomic step.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use trailgate_envelope::{Deciders, SignedError, SigningKey};
use trailgate_schemas::{Approval, Claim, Hold, HoldDecision, HoldId, Micros, Vote};
use trailgate_service::{Clock, Ids};
use trailgate_topics::{Flow, Outputs, Partition, ProcessError, Processor, RawSeal, Record, Topic};

use crate::decided::decided_event;
use crate::early::{Early, Said};
use crate::metrics::Counts;
use crate::remembered::{Key, Remembered};
use crate::series::Series;
use crate::standing::{Ignored, Standing, Told, Turn, bytes_of};

/// The approver's own part of the stream processor.
pub(crate) struct Approver {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) deciders: Deciders,
    pub(crate) seal: RawSeal,
    /// Of each topic.
    pub(crate) topic_partitions: u32,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) counts: Counts,
    pub(crate) partitions: HashMap<Partition, Remembered>,
}

impl Approver {
    /// A hold comes, and with it what was said of it before.
    fn hold(&mut self, partition: Partition, hold: Hold, out: &mut Outputs) -> Step {
        let (id, now) = (hold.hold_id, self.clock.now());
        let remembered = self.partitions.entry(partition).or_default();
        if remembered.knows(id) {
            self.counts.ignored("repeated");
            return Ok(());
        }
        self.counts.holds.inc();
        let opened = match remembered.has_room(bytes_of(&hold)) {
            true => Standing::open(hold, now),
            false => Standing::refuse(hold, now),
        };
        let early = remembered.take_early(id);
        self.turn(partition, id, opened, out)?;
        let Some(early) = early else { return Ok(()) };
        out.keep(Topic::Approvals, partition, Key::Early(id).bytes(), None);
        early.into_said().into_iter().try_for_each(|said| self.said(partition, id, said, out))
    }

    /// Somebody says something of a hold, which may not have come.
    fn said(&mut self, partition: Partition, id: HoldId, said: Said, out: &mut Outputs) -> Step {
        let now = self.clock.now();
        let remembered = self.partitions.entry(partition).or_default();
        let Some(standing) = remembered.take(id) else {
            return self.too_early(partition, id, said, out);
        };
        let turn = match &said {
            Said::Vote(vote) => standing.vote(vote, now),
            Said::Claim(claim) => standing.claim(claim, now),
        };
        self.turn(partition, id, turn, out)
    }

    fn too_early(
        &mut self,
        partition: Partition,
        id: HoldId,
        said: Said,
        out: &mut Outputs,
    ) -> Step {
        let now = self.clock.now();
        let remembered = self.partitions.entry(partition).or_default();
        let mut early = remembered.take_early(id).unwrap_or_else(|| Early::new(now));
        if !early.add(said) {
            self.counts.ignored("too_early_too_often");
        }
        let value = json(&early)?;
        remembered.put_early(id, early);
        out.keep(Topic::Approvals, partition, Key::Early(id).bytes(), Some(value));
        Ok(())
    }

    /// Remembers where a hold stands now, and tells what is new.
    fn turn(&mut self, partition: Partition, id: HoldId, turn: Turn, out: &mut Outputs) -> Step {
        let Turn { standing, told } = turn;
        self.partitions.entry(partition).or_default().put(id, standing);
        match told {
            Told::Ignored(why) => {
                if why != Ignored::NotDue {
                    self.counts.ignored(why.code());
                }
                Ok(())
            }
            Told::Opened(approval) => keep(partition, &approval, out),
            Told::Closed(approval) => {
                self.counts.came_to(approval.state);
                keep(partition, &approval, out)
            }
            Told::Decided(approval) => {
                self.counts.came_to(approval.state);
                self.decided(partition, &approval, out)?;
                keep(partition, &approval, out)
            }
        }
    }

    /// Says a decision to the gateways, signed, and to the trail.
    fn decided(&mut self, partition: Partition, approval: &Approval, out: &mut Outputs) -> Step {
        let decision = approval.decision.as_ref().ok_or(broken("no_decision"))?;
        let signed = self.key.sign(Topic::Decisions.name(), &json::<HoldDecision>(decision)?);
        let key = Bytes::copy_from_slice(decision.hold_id.0.as_bytes());
        out.send(Topic::Decisions, partition, key, signed.into());
        let mut event = decided_event(approval, &*self.ids).ok_or(broken("no_event"))?;
        let raw = Partition::of_session(event.session_id, self.topic_partitions);
        let remembered = self.partitions.entry(partition).or_default();
        let before = remembered.series(raw.0);
        let series = Series::number(before, &mut event, &*self.ids, self.clock.now());
        let value = self.seal.seal(&event).map_err(|_| broken("event_not_sealed"))?;
        out.send(Topic::Raw, raw, Bytes::from(event.session_id.to_string()), value);
        let kept = json(&series)?;
        out.keep(Topic::Approvals, partition, Key::Series(raw.0).bytes(), Some(kept));
        remembered.put_series(raw.0, series);
        Ok(())
    }

    /// What is due by time on one partition.
    fn due(&mut self, partition: Partition, now: Micros, out: &mut Outputs) -> Step {
        loop {
            let remembered = self.partitions.entry(partition).or_default();
            if let Some((id, standing)) = remembered.take_due(now) {
                self.turn(partition, id, standing.tick(now), out)?;
            } else if let Some(id) = remembered.forget_ended(now) {
                out.keep(Topic::Approvals, partition, Key::Hold(id).bytes(), None);
            } else if let Some(id) = remembered.forget_early(now) {
                self.counts.ignored("hold_never_came");
                out.keep(Topic::Approvals, partition, Key::Early(id).bytes(), None);
            } else {
                return Ok(());
            }
        }
    }

    /// A vote, if somebody signed it whose signature counts.
    fn read_vote(&mut self, value: &[u8]) -> Result<Vote, &'static str> {
        let clear =
            self.deciders.open(Topic::Votes.name(), value).map_err(|error| match error {
                SignedError::Malformed => "vote_not_signed",
                SignedError::UnknownKey(_) => "vote_key_unknown",
                SignedError::Forged => "vote_forged",
            })?;
        serde_json::from_slice(clear).map_err(|_| "vote_undecodable")
    }

    fn take(&mut self, record: &Record, out: &mut Outputs) -> Result<(), Stopped> {
        let value = record.value.as_deref().unwrap_or_default();
        let partition = record.partition;
        match record.topic {
            Topic::Holds => {
                let hold = serde_json::from_slice(value).map_err(|_| "hold_undecodable")?;
                self.hold(partition, hold, out)?;
            }
            Topic::Votes => {
                let vote = self.read_vote(value)?;
                self.said(partition, vote.hold_id, Said::Vote(Box::new(vote)), out)?;
            }
            Topic::Claims => {
                let claim: Claim =
                    serde_json::from_slice(value).map_err(|_| "claim_undecodable")?;
                self.said(partition, claim.hold_id, Said::Claim(claim), out)?;
            }
            Topic::Raw
            | Topic::Events
            | Topic::Siem
            | Topic::Refused
            | Topic::MaskerState
            | Topic::Decisions
            | Topic::Approvals
            | Topic::Spool => return Err(broken("no_such_input").into()),
        }
        Ok(())
    }
}

impl Processor for Approver {
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        let remembered = self.partitions.entry(partition).or_default();
        remembered.restore(key, value).map_err(|code| ProcessError::State { partition, code })
    }

    fn process(&mut self, record: &Record, out: &mut Outputs) -> Result<Flow, ProcessError> {
        match self.take(record, out) {
            Ok(()) => Ok(Flow::Done),
            Err(Stopped::Refused(reason)) => {
                let (topic, place) = (record.topic.name(), record.offset.0);
                let partition = record.partition.0;
                tracing::warn!(topic, partition, offset = place, reason, "record is not taken");
                self.counts.refused(reason);
                Ok(Flow::Done)
            }
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    fn tick(&mut self, now: Micros, out: &mut Outputs) -> Result<(), ProcessError> {
        let partitions: Vec<Partition> = self.partitions.keys().copied().collect();
        partitions.into_iter().try_for_each(|partition| self.due(partition, now, out))
    }

    fn revoked(&mut self, partition: Partition) {
        self.partitions.remove(&partition);
    }
}

type Step = Result<(), ProcessError>;

/// Why a record has no effect.
enum Stopped {
    /// It says nothing that can be taken.
    Refused(&'static str),
    /// The processor can't go on.
    Failed(ProcessError),
}

impl From<&'static str> for Stopped {
    fn from(reason: &'static str) -> Self {
        Self::Refused(reason)
    }
}

impl From<ProcessError> for Stopped {
    fn from(error: ProcessError) -> Self {
        Self::Failed(error)
    }
}

fn keep(partition: Partition, approval: &Approval, out: &mut Outputs) -> Step {
    let key = Key::Hold(approval.hold.hold_id).bytes();
    out.keep(Topic::Approvals, partition, key, Some(json(approval)?));
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, ProcessError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|_| broken("not_encoded"))
}

const fn broken(code: &'static str) -> ProcessError {
    ProcessError::Broken { code }
}

#[cfg(test)]
mod tests;
