//! What the masker remembers of a partition: producers' numbers and bodies whose tails are held. It
//! is kept on `audit.masker-state`, sealed to the masker, in the same step as what follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trailgate_envelope::{OwnError, OwnSeal};
use trailgate_redact::Redactor;
use trailgate_schemas::{AuditEvent, Kind, Micros, ProducerId, StreamId};
use trailgate_topics::{Outputs, Partition, ProcessError, Topic};

use crate::body::Body;
use crate::counters::{Counter, Missing};
use crate::exchange::Exchange;
use crate::limits::{EXCHANGES_MAX, HELD_BYTES_MAX, OPEN_BODIES_MAX, PRODUCERS_MAX, QUIET_AFTER};

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
    exchanges: BTreeMap<StreamId, Exchange>,
    /// Keys whose kept value is no longer right.
    changed: BTreeSet<Key>,
    /// What lies on the changelog, by the key that it lies under.
    kept: HashMap<uuid::Uuid, Key>,
    /// When the backbone appended the last record that was taken.
    latest: Micros,
    /// When that was taken, or state was restored, by the own clock.
    heard_at: Micros,
}

/// Why a kept value was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestoreError {
    /// Sealed under a key that is not here: another masker may have newer ones.
    UnknownKey,
    /// It is not what this program keeps.
    Broken(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Key {
    Producer(ProducerId),
    Body(BodyId),
    Exchange(StreamId),
}

/// A producer that ended, in order or not, with something open.
#[derive(Debug)]
pub(crate) struct Silence {
    pub(crate) producer: ProducerId,
    /// The first number that it did not send.
    pub(crate) next: i64,
    /// Numbers of it that will not come any more.
    pub(crate) missing: Vec<Missing>,
    /// Exchanges of it whose end nobody saw.
    pub(crate) exchanges: Vec<Exchange>,
}

impl State {
    /// A record was taken.
    pub(crate) fn heard(&mut self, appended_at: Micros, now: Micros) {
        self.latest = self.latest.max(appended_at);
        self.heard_at = now;
    }

    /// The time on this partition: that of its last record, and on from there once no more come. So
    /// who reads a backlog, after a pause or in another's place, does not take its own delay for a
    /// producer's.
    pub(crate) fn time(&self, now: Micros) -> Micros {
        let quiet = now.since(self.heard_at);
        if quiet < QUIET_AFTER { self.latest } else { self.latest.plus(quiet) }
    }

    /// The counter of a producer, which is then kept again.
    pub(crate) fn counter(&mut self, producer: ProducerId) -> &mut Counter {
        self.forget_silent_producer(producer);
        self.changed.insert(Key::Producer(producer));
        self.producers.entry(producer).or_default()
    }

    /// A masked record of an exchange was written: opens, goes on with or closes it.
    pub(crate) fn exchange(&mut self, masked: &AuditEvent) {
        let id = masked.stream_id;
        if masked.stream_count.is_some() {
            if self.exchanges.remove(&id).is_some() {
                self.changed.insert(Key::Exchange(id));
            }
        } else if !self.exchanges.contains_key(&id)
            && self.exchanges.len() < EXCHANGES_MAX
            && let Some(exchange) = Exchange::of(masked)
        {
            self.exchanges.insert(id, exchange);
            self.changed.insert(Key::Exchange(id));
        }
    }

    /// Producers that were not heard of since `since` and left something open.
    pub(crate) fn silent(&self, since: Micros) -> Vec<ProducerId> {
        let silent = self.producers.iter().filter(|(_, counter)| counter.heard_at < since);
        let silent: BTreeSet<ProducerId> = silent.map(|(id, _)| *id).collect();
        if silent.is_empty() {
            return Vec::new();
        }
        let holes = |id: &ProducerId| self.producers.get(id).is_some_and(Counter::has_holes);
        let exchanges = self.exchanges.values().map(|exchange| exchange.producer);
        let open: BTreeSet<ProducerId> = exchanges.collect();
        silent.into_iter().filter(|id| holes(id) || open.contains(id)).collect()
    }

    /// Takes out the exchanges that their producer has closed without a record of it: those that
    /// are not among the `open` ones.
    pub(crate) fn closed_unseen(
        &mut self,
        producer: ProducerId,
        open: &BTreeMap<StreamId, i64>,
    ) -> Vec<Exchange> {
        let is_closed = |(id, exchange): &(&StreamId, &Exchange)| {
            exchange.producer == producer && !open.contains_key(id)
        };
        let ids: Vec<StreamId> =
            self.exchanges.iter().filter(is_closed).map(|(id, _)| *id).collect();
        self.changed.extend(ids.iter().map(|id| Key::Exchange(*id)));
        ids.iter().filter_map(|id| self.exchanges.remove(id)).collect()
    }

    /// Gives up on a producer: what it left open is taken out.
    pub(crate) fn give_up(&mut self, producer: ProducerId) -> Silence {
        let exchanges = self.closed_unseen(producer, &BTreeMap::new());
        let counter = self.producers.entry(producer).or_default();
        self.changed.insert(Key::Producer(producer));
        let next = counter.next();
        Silence { producer, next, missing: counter.settle(next, &[]), exchanges }
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

    /// Bodies to let go of: those beyond the bounds, oldest first, and those whose last piece came
    /// before `silent_since`.
    pub(crate) fn surplus(&self, silent_since: Micros) -> Vec<BodyId> {
        let mut count = self.bodies.len();
        let mut bytes: usize = self.bodies.values().map(Body::held_bytes).sum();
        let mut by_age: Vec<_> = self.bodies.iter().collect();
        by_age.sort_unstable_by_key(|(id, body)| (body.held_since, **id));
        let mut surplus = Vec::new();
        for (id, body) in by_age {
            let is_over = count > OPEN_BODIES_MAX || bytes > HELD_BYTES_MAX;
            if !is_over && body.held_since >= silent_since {
                break;
            }
            count -= 1;
            bytes -= body.held_bytes();
            surplus.push(*id);
        }
        surplus
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
            // The key is hashed: a changelog's keys are as readable as its values are not.
            let id = crate::gap::derived(&[&name]);
            let clear = match &key {
                Key::Producer(id) => self.producers.get(id).map(|c| serde_json::to_vec(c).ok()),
                Key::Body(id) => self.bodies.get(id).map(Body::to_bytes),
                Key::Exchange(id) => self.exchanges.get(id).map(|e| serde_json::to_vec(e).ok()),
            };
            let value = match clear {
                Some(clear) => {
                    let clear = clear.ok_or(broken("state_value"))?;
                    let sealed = seal.seal(&associated(partition, &name), &clear);
                    self.kept.insert(id, key);
                    Some(named(&name, &sealed.map_err(|_| broken("no_chance"))?))
                }
                // What opened and closed within one step was never kept.
                None if self.kept.remove(&id).is_none() => continue,
                None => None,
            };
            outputs.keep(Topic::MaskerState, partition, Bytes::from(id.to_string()), value);
        }
        Ok(())
    }

    /// Takes in what was kept under a key, or that it was forgotten.
    pub(crate) fn restore(
        &mut self,
        partition: Partition,
        (kept_under, value): (&[u8], Option<&[u8]>),
        seal: &OwnSeal,
        redactor: &Redactor,
        now: Micros,
    ) -> Result<(), RestoreError> {
        self.heard_at = now;
        let broken = RestoreError::Broken;
        let id = std::str::from_utf8(kept_under).ok().and_then(|id| id.parse().ok());
        let id: uuid::Uuid = id.ok_or(broken("key"))?;
        let Some(value) = value else {
            match self.kept.remove(&id) {
                Some(Key::Producer(id)) => drop(self.producers.remove(&id)),
                Some(Key::Body(id)) => drop(self.bodies.remove(&id)),
                Some(Key::Exchange(id)) => drop(self.exchanges.remove(&id)),
                None => {}
            }
            return Ok(());
        };
        let (name, sealed) = unnamed(value).ok_or(broken("malformed"))?;
        let clear =
            seal.open(&associated(partition, name), sealed).map_err(|error| match error {
                OwnError::UnknownKey(_) => RestoreError::UnknownKey,
                OwnError::Malformed | OwnError::Forged => broken("seal"),
            })?;
        let key = serde_json::from_slice::<Key>(name).map_err(|_| broken("name"))?;
        match key {
            Key::Producer(id) => {
                let counter: Counter =
                    serde_json::from_slice(&clear).map_err(|_| broken("producer"))?;
                self.latest = self.latest.max(counter.heard_at);
                self.producers.insert(id, counter);
            }
            Key::Body(id) => {
                let body = Body::from_bytes(&clear, redactor).ok_or(broken("body"))?;
                self.latest = self.latest.max(body.held_since);
                self.bodies.insert(id, body);
            }
            Key::Exchange(id) => {
                let exchange = serde_json::from_slice(&clear).map_err(|_| broken("exchange"))?;
                self.exchanges.insert(id, exchange);
            }
        }
        self.kept.insert(id, key);
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
