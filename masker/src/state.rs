//! What the masker remembers of a partition: producers' numbers and bodies whose tails are held. It
//! is kept on `audit.masker-state`, sealed to the masker, in the same step as what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trailgate_envelope::OwnSeal;
use trailgate_redact::Redactor;
use trailgate_schemas::{Kind, Micros, ProducerId, StreamId};
use trailgate_topics::{Outputs, Partition, ProcessError, Topic};

use crate::body::Body;
use crate::counters::Counter;
use crate::limits::{OPEN_BODIES_MAX, PRODUCERS_MAX};

/// Which body of a stream: a stream has one in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct BodyId {
    pub(crate) stream: StreamId,
    pub(crate) kind: Kind,
}

/// A partition's state.
#[derive(Debug, Default)]
pub(crate) struct State {
    producers: BTreeMap<ProducerId, Counter>,
    bodies: BTreeMap<BodyId, Body>,
    /// Keys whose kept value is no longer right.
    changed: BTreeSet<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Key {
    Producer(ProducerId),
    Body(BodyId),
}

impl State {
    /// The counter of a producer, which is then kept again.
    pub(crate) fn counter(&mut self, producer: ProducerId) -> &mut Counter {
        self.forget_silent_producer(producer);
        self.changed.insert(Key::Producer(producer));
        self.producers.entry(producer).or_default()
    }

    /// Takes a body out; put it back if it stays open.
    pub(crate) fn take_body(&mut self, id: BodyId) -> Option<Body> {
        let body = self.bodies.remove(&id)?;
        self.changed.insert(Key::Body(id));
        Some(body)
    }

    /// Keeps a body open.
    pub(crate) fn put_body(&mut self, id: BodyId, body: Body) {
        self.changed.insert(Key::Body(id));
        self.bodies.insert(id, body);
    }

    /// Bodies of a stream, in any direction.
    pub(crate) fn bodies_of(&self, stream: StreamId) -> Vec<BodyId> {
        self.bodies.keys().filter(|id| id.stream == stream).copied().collect()
    }

    /// Bodies whose tails were held since before `since`.
    pub(crate) fn due(&self, since: Micros) -> Vec<BodyId> {
        let held = self.bodies.iter();
        let due = held.filter(|(_, body)| body.has_tail() && body.held_since < since);
        due.map(|(id, _)| *id).collect()
    }

    /// Bodies to let go of: those beyond the bound, oldest first, and those whose last piece came
    /// before `silent_since`.
    pub(crate) fn surplus(&self, silent_since: Micros) -> Vec<BodyId> {
        let over = self.bodies.len().saturating_sub(OPEN_BODIES_MAX);
        let mut by_age: Vec<(Micros, BodyId)> =
            self.bodies.iter().map(|(id, body)| (body.held_since, *id)).collect();
        by_age.sort_unstable();
        let gone = by_age.iter().enumerate();
        let gone = gone.filter(|(n, (held, _))| *n < over || *held < silent_since);
        gone.map(|(_, (_, id))| *id).collect()
    }

    /// Writes what has changed since the last call.
    pub(crate) fn keep(
        &mut self,
        partition: Partition,
        seal: &OwnSeal,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let broken = |code| ProcessError::Broken { code };
        for key in std::mem::take(&mut self.changed) {
            let name = serde_json::to_vec(&key).map_err(|_| broken("state_key"))?;
            let clear = match &key {
                Key::Producer(id) => self.producers.get(id).map(|c| serde_json::to_vec(c).ok()),
                Key::Body(id) => self.bodies.get(id).map(Body::to_bytes),
            };
            let clear = clear.map(|clear| clear.ok_or(broken("state_value"))).transpose()?;
            let seal = |clear: Vec<u8>| seal.seal(&associated(partition, &name), &clear);
            let value = clear.map(seal).transpose().map_err(|_| broken("no_chance"))?;
            // The key is hashed: a changelog's keys are as readable as its values are not.
            let kept = Bytes::from(format!("{:x}", uuid_of(&name)));
            let value = value.map(|sealed| named(&name, &sealed));
            outputs.keep(Topic::MaskerState, partition, kept, value);
        }
        Ok(())
    }

    /// Takes a kept value in.
    pub(crate) fn restore(
        &mut self,
        partition: Partition,
        value: &[u8],
        seal: &OwnSeal,
        redactor: &Redactor,
    ) -> Result<(), &'static str> {
        let (name, sealed) = unnamed(value).ok_or("malformed")?;
        let clear = seal.open(&associated(partition, name), sealed).map_err(|_| "seal")?;
        match serde_json::from_slice::<Key>(name).map_err(|_| "key")? {
            Key::Producer(id) => {
                let counter = serde_json::from_slice(&clear).map_err(|_| "producer")?;
                self.producers.insert(id, counter);
            }
            Key::Body(id) => {
                let body = Body::from_bytes(&clear, redactor).ok_or("body")?;
                self.bodies.insert(id, body);
            }
        }
        Ok(())
    }

    fn forget_silent_producer(&mut self, except: ProducerId) {
        if self.producers.len() < PRODUCERS_MAX || self.producers.contains_key(&except) {
            return;
        }
        let silent = self.producers.iter().min_by_key(|(_, counter)| counter.heard_at);
        if let Some(id) = silent.map(|(id, _)| *id) {
            self.producers.remove(&id);
            self.changed.insert(Key::Producer(id));
        }
    }
}

fn associated(partition: Partition, name: &[u8]) -> Vec<u8> {
    let mut associated = b"audit.masker-state/".to_vec();
    associated.extend_from_slice(&partition.0.to_be_bytes());
    associated.extend_from_slice(name);
    associated
}

fn uuid_of(name: &[u8]) -> uuid::Uuid {
    crate::gap::derived(&[name])
}

/// A name, which holds ids only, before what is sealed under it.
fn named(name: &[u8], sealed: &[u8]) -> Bytes {
    let mut value = Vec::with_capacity(4 + name.len() + sealed.len());
    value.extend_from_slice(&(name.len() as u32).to_be_bytes());
    value.extend_from_slice(name);
    value.extend_from_slice(sealed);
    value.into()
}

fn unnamed(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}
