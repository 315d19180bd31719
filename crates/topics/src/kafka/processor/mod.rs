//! The atomic step on Kafka: outputs, state and offsets are one transaction.
//!
//! What became of a step is never assumed. After anything but a clean commit every partition is
//! forgotten, and goes on from what the brokers say: the group's committed place and the changelog.
//! Neither is asked before the producer's name is held again, which ends whatever was left open.
//!
//! Each transaction commits the places of every partition that is held, in every input, also of
//! those that nothing was read from: what a tick puts out is then fenced by the group like everything
//! else. A place counts the markers of transactions too, and is committed also when only they came:
//! records that are kept for a time go, and a place before a marker that went with them would look
//! like a lost record.

mod broken;
mod held;
mod restore;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trailgate_service::Clock;

use self::broken::{Broken, Trouble};
use self::held::{Held, Phase, Wait};
use self::restore::{Changelog, Place};
use self::transaction::Desk;
use super::limits;
use super::lookup::Lookup;
use super::member::{Event, Fences, Member, fenced};
use super::names::Names;
use super::records::{beside, length};
use super::settings::Settings;
use crate::backbone::BackboneError;
use crate::limits::RECORD_MAX_BYTES;
use crate::processor::{Ended, Flow, Outputs, Processor, ProcessorSpec, ProcessorStatus};
use crate::record::{Offset, Partition, Record};
use crate::topic::Topic;

/// What a processor's thread is given.
pub(super) struct Steps {
    pub(super) settings: Settings,
    pub(super) lookup: Arc<Lookup>,
    pub(super) names: Names,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spec: ProcessorSpec,
    pub(super) processor: Box<dyn Processor>,
    pub(super) status: watch::Sender<ProcessorStatus>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Why a membership ended.
enum Left {
    Stopped,
    /// The library has stopped reading a partition and only a new membership mends that.
    ToRejoin,
    /// Its name was taken, maybe by a late request of its own.
    Fenced(String),
    Failed(String),
}

impl Steps {
    /// Runs until it is asked to stop or fails.
    pub(super) fn run(mut self) -> Ended {
        let mut desk = match Desk::open(&self.settings, &self.spec) {
            Ok(desk) => desk,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let mut fences = Fences::default();
        loop {
            // Before anything is read: what an earlier life of this name left open ends here.
            while !desk.is_ready() {
                if self.is_asked_to_stop() {
                    return Ended::Stopped;
                }
                match desk.make_ready() {
                    Ok(()) if desk.is_ready() => {}
                    Ok(()) => std::thread::park_timeout(limits::RETRY_EVERY),
                    Err(error) => return Ended::Failed(error.to_string()),
                }
            }
            let left = match Membership::begin(&mut self, &mut desk) {
                Ok(membership) => membership.run(),
                Err(error) => Left::Failed(error.to_string()),
            };
            match left {
                Left::Stopped => return Ended::Stopped,
                Left::ToRejoin => {}
                Left::Fenced(code) if fences.may_rejoin() => {
                    tracing::warn!(code, "kafka processor joins again");
                }
                Left::Fenced(code) | Left::Failed(code) => return Ended::Failed(code),
            }
        }
    }

    /// The handle gone is a request to stop.
    fn is_asked_to_stop(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

/// One membership in the group.
struct Membership<'a> {
    steps: &'a mut Steps,
    desk: &'a mut Desk,
    member: Member,
    changelog: Changelog,
    held: BTreeMap<Partition, Held>,
    outputs: Outputs,
    /// Records taken in the open step.
    taken: u64,
    /// Steps aborted in a row.
    aborts: u32,
    commit_every: Duration,
    /// When the open step is to be committed, or a tick is due.
    commit_at: Instant,
    /// When what is not read is looked after again.
    care_at: Instant,
}

impl<'a> Membership<'a> {
    fn begin(steps: &'a mut Steps, desk: &'a mut Desk) -> Result<Self, BackboneError> {
        let spec = &steps.spec;
        let named = (spec.group.as_str(), spec.instance.as_str());
        let member =
            Member::open(&steps.settings, &spec.inputs, named, (&steps.lookup, &steps.names))?;
        member.join()?;
        let changelog = Changelog::new(&steps.settings, &steps.lookup, spec)?;
        let commit_every = spec.commit_every.max(limits::COMMIT_EVERY_MIN);
        let now = Instant::now();
        Ok(Self {
            steps,
            desk,
            member,
            changelog,
            held: BTreeMap::new(),
            outputs: Outputs::default(),
            taken: 0,
            aborts: 0,
            commit_every,
            commit_at: now + commit_every,
            care_at: now,
        })
    }

    fn run(mut self) -> Left {
        let left = self.serve();
        if !matches!(left, Left::Stopped) {
            self.abort();
        }
        for partition in std::mem::take(&mut self.held).into_keys() {
            self.steps.processor.revoked(partition);
        }
        self.tell();
        left
    }

    fn serve(&mut self) -> Left {
        loop {
            if self.steps.is_asked_to_stop() {
                // What can't be committed comes again.
                return match self.note_places().and_then(|()| self.commit()) {
                    Ok(()) => Left::Stopped,
                    Err(Broken::Step) => {
                        self.abort();
                        Left::Stopped
                    }
                    Err(Broken::Processor(code)) => self.failed(code),
                };
            }
            match self.round() {
                Ok(None) => {}
                Ok(Some(left)) => return left,
                Err(Broken::Step) => self.abort(),
                Err(Broken::Processor(code)) => return self.failed(code),
            }
        }
    }

    /// What can't go on. A member that is none any more makes its next call fail, too.
    fn failed(&self, code: String) -> Left {
        if self.member.is_fenced() { Left::Fenced(code) } else { Left::Failed(code) }
    }

    /// One round: an event, then what is due.
    fn round(&mut self) -> Result<Option<Left>, Broken> {
        let now = Instant::now();
        if now >= self.commit_at {
            self.commit()?;
        }
        if now >= self.care_at {
            self.look_after()?;
            self.tell();
        }
        let wait = self.commit_at.min(self.care_at).saturating_duration_since(Instant::now());
        match self.member.poll(wait.min(limits::POLL_WAIT)) {
            None | Some(Event::Unreachable) => Ok(None),
            Some(Event::Record(record)) => self.take(&record).map(|()| None),
            Some(Event::OutOfRange) => Ok((!self.find_missing()?).then_some(Left::ToRejoin)),
            Some(Event::Fenced(code)) => Ok(Some(Left::Fenced(fenced(&code).to_string()))),
            Some(Event::Forbidden(forbidden)) => Ok(Some(Left::Failed(forbidden.to_string()))),
            Some(Event::Assigned(came)) => {
                self.held.extend(came.into_iter().map(|p| (p, Held::Unrestored)));
                self.care_at = now;
                Ok(None)
            }
            Some(Event::Revoked(going)) => self.give_up(&going).map(|()| None),
            Some(Event::Lost(gone)) => {
                // Somebody else has them already, and the brokers refuse what is open.
                self.abort();
                self.let_go(&gone).map(|()| None)
            }
        }
    }

    fn take(&mut self, record: &Record) -> Result<(), Broken> {
        let held = self.held.get_mut(&record.partition);
        let input = held.and_then(|held| held.input(record.topic, Phase::Reading));
        // Else fetched before it was held or sought.
        let Some(input) = input.filter(|input| record.offset >= input.next) else { return Ok(()) };
        match self.steps.processor.process(record, &mut self.outputs)? {
            Flow::Done => {
                input.next = record.offset.next();
                if input.wait.take().is_some() {
                    self.care_at = Instant::now();
                }
                self.taken += 1;
                self.desk.begin()?;
                self.put_out()
            }
            Flow::Wait { reason } => {
                if !self.outputs.records().is_empty() {
                    return Err(Broken::Processor("output of a waiting record".to_owned()));
                }
                let (first, longest) = limits::OFFER_AGAIN;
                let pause = input.wait.map_or(first, |wait| (2 * wait.pause).min(longest));
                input.wait = Some(Wait { reason, pause });
                input.phase = Phase::Waiting { until: Instant::now() + pause };
                self.care_at = Instant::now();
                Ok(self.member.hold(record.topic, &[record.partition])?)
            }
        }
    }

    /// Sends what the processor just put out, which must be where it said it would.
    fn put_out(&mut self) -> Result<(), Broken> {
        for (record, headers) in self.outputs.take_with_headers() {
            let spec = &self.steps.spec;
            if record.topic != spec.changelog && !spec.outputs.contains(&record.topic) {
                return Err(Broken::Processor("output to an undeclared topic".to_owned()));
            }
            if record.topic == spec.changelog && restore::is_reserved(&record.key) {
                return Err(Broken::Processor("state under a reserved key".to_owned()));
            }
            if length(&record) + beside(&headers) > RECORD_MAX_BYTES {
                return Err(Broken::Processor("output is too long".to_owned()));
            }
            if record.partition.0 >= self.steps.lookup.partitions() {
                return Err(Broken::Processor("output without a partition".to_owned()));
            }
            self.desk.send(&record, &headers)?;
        }
        Ok(())
    }

    /// Ends the step. The next is due counted from here, or of slow commits each would hold one record.
    fn commit(&mut self) -> Result<(), Broken> {
        let committed = self.commit_step();
        self.commit_at = Instant::now() + self.commit_every;
        committed
    }

    /// What is due by time, then one transaction of all of it.
    fn commit_step(&mut self) -> Result<(), Broken> {
        self.advance();
        let place = |(p, held): (&Partition, &Held)| {
            let partition = *p;
            held.inputs().map(move |(topic, input)| (topic, partition, input.next)).collect()
        };
        let places: Vec<(Topic, Partition, Offset)> =
            self.held.iter().flat_map::<Vec<_>, _>(place).collect();
        if places.is_empty() {
            return Ok(());
        }
        self.steps.processor.tick(self.steps.clock.now(), &mut self.outputs)?;
        if !self.outputs.records().is_empty() {
            self.desk.begin()?;
            self.put_out()?;
        }
        if !self.desk.is_open() {
            return Ok(());
        }
        for (partition, held) in &mut self.held {
            for (topic, input) in held.inputs_mut().filter(|(_, input)| !input.is_kept()) {
                input.kept_place = Some(input.next);
                self.desk.send(&self.changelog.place(topic, *partition, input.next), &[])?;
            }
        }
        self.desk.commit(&self.member, &places)?;
        self.aborts = 0;
        let taken = std::mem::take(&mut self.taken);
        self.steps.status.send_modify(|status| status.committed += taken);
        Ok(())
    }

    /// Forgets the step and all state: it is restored before anything else is taken.
    fn abort(&mut self) {
        let was_open = self.desk.is_open();
        self.desk.abort();
        self.changelog.forget();
        self.outputs.take();
        self.taken = 0;
        let mut reading = Vec::new();
        for (partition, held) in &mut self.held {
            self.steps.processor.revoked(*partition);
            match held {
                Held::Stopped(_) => {}
                Held::Unrestored | Held::Restored(_) => {
                    *held = Held::Unrestored;
                    reading.push(*partition);
                }
            }
        }
        // What is fetched nevertheless is not taken.
        drop(self.member.hold_all(&reading));
        // What fails again and again is tried less and less often.
        self.care_at = Instant::now() + limits::SETTLE_POLL * (1 << self.aborts.min(6));
        self.aborts = self.aborts.saturating_add(1);
        if was_open {
            self.steps.status.send_modify(|status| status.aborted += 1);
        }
    }

    /// Commits what it has taken of partitions that go before it lets them go.
    fn give_up(&mut self, going: &[Partition]) -> Result<(), Broken> {
        let committed = self.commit();
        if matches!(committed, Err(Broken::Step)) {
            self.abort();
        }
        self.let_go(going)?;
        match committed {
            Ok(()) | Err(Broken::Step) => Ok(()),
            Err(broken) => Err(broken),
        }
    }

    fn let_go(&mut self, going: &[Partition]) -> Result<(), Broken> {
        for partition in going {
            if self.held.remove(partition).is_some() {
                self.steps.processor.revoked(*partition);
            }
        }
        self.care_at = Instant::now();
        Ok(self.member.let_go(going)?)
    }

    /// Restores, starts and offers again what is due. What the brokers don't answer for now is
    /// asked again.
    fn look_after(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        for (_, input) in self.held.values_mut().flat_map(Held::inputs_mut) {
            if matches!(input.phase, Phase::Waiting { until } if now >= until) {
                input.phase = Phase::Starting;
            }
        }
        let is_settled = match self.restore().map(|is_restored| self.start() && is_restored) {
            Ok(is_settled) => is_settled,
            Err(Trouble::Unanswered) => false,
            Err(Trouble::Broken(broken)) => return Err(broken),
        };
        self.note_places()?;
        let again = if is_settled { limits::MEMBER_IDLE } else { limits::SETTLE_POLL };
        let inputs = self.held.values().flat_map(Held::inputs);
        let due = inputs.filter_map(|(_, input)| match input.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Starting | Phase::Reading => None,
        });
        self.care_at = due.chain([Instant::now() + again]).min().unwrap_or(now);
        Ok(())
    }

    /// Restores what is not. False: some must wait.
    fn restore(&mut self) -> Result<bool, Trouble> {
        let is_unrestored = |(_, held): &(&Partition, &Held)| matches!(held, Held::Unrestored);
        let unrestored: Vec<Partition> =
            self.held.iter().filter(is_unrestored).map(|(partition, _)| *partition).collect();
        if unrestored.is_empty() {
            return Ok(true);
        }
        // It may take long, and others wait behind an open step.
        self.commit()?;
        self.desk.make_ready()?;
        if !self.desk.is_ready() {
            return Ok(false);
        }
        let settled = self.changelog.settled(&self.member, &unrestored)?;
        for partition in &settled {
            let steps = &mut *self.steps;
            let stop = steps.stop.clone();
            let is_asked = || *stop.borrow() || stop.has_changed().is_err();
            let place = self.changelog.restore(*partition, steps.processor.as_mut(), is_asked)?;
            let held = match place {
                Place::At(places) => Held::restored(places),
                Place::Nowhere(reason) => {
                    tracing::error!(partition = partition.0, reason, "partition is stopped");
                    steps.processor.revoked(*partition);
                    Held::Stopped(reason)
                }
            };
            self.held.insert(*partition, held);
        }
        Ok(settled.len() == unrestored.len())
    }

    /// Starts what is to be read. False: some could not be for now.
    fn start(&mut self) -> bool {
        let mut is_all = true;
        for topic in &self.steps.spec.inputs {
            let starting = |(partition, held): (&Partition, &mut Held)| {
                Some((*partition, held.input(*topic, Phase::Starting)?.next))
            };
            let from: BTreeMap<_, _> = self.held.iter_mut().filter_map(starting).collect();
            let started = self.member.start(*topic, &from);
            is_all &= started.len() == from.len();
            for partition in &started {
                let held = self.held.get_mut(partition);
                if let Some(input) = held.and_then(|held| held.input(*topic, Phase::Starting)) {
                    input.phase = Phase::Reading;
                }
            }
        }
        is_all
    }

    /// Finds what is gone from under the library's hands. False: nothing is, yet it has stopped.
    fn find_missing(&mut self) -> Result<bool, Broken> {
        // What was taken of it counts.
        self.commit()?;
        let mut missing = BTreeSet::new();
        for topic in &self.steps.spec.inputs {
            let Ok(kept) = self.steps.lookup.watermarks(*topic, limits::ASK_WAIT) else {
                return Ok(false);
            };
            for (partition, held) in &mut self.held {
                let Some(input) = held.input(*topic, Phase::Reading) else { continue };
                let at = input.next;
                if kept.get(partition).is_some_and(|kept| at < kept.low || at > kept.high) {
                    let (topic, partition) = (topic.name(), *partition);
                    tracing::error!(topic, partition = partition.0, "records are missing");
                    missing.insert(partition);
                }
            }
        }
        for partition in &missing {
            self.held.insert(*partition, Held::Stopped("records are missing"));
        }
        let gone: Vec<Partition> = missing.into_iter().collect();
        self.member.hold_all(&gone)?;
        self.care_at = Instant::now();
        Ok(!gone.is_empty())
    }

    /// Moves each place behind the markers that came since its last record.
    fn advance(&mut self) {
        let positions = self.member.positions();
        for (partition, held) in &mut self.held {
            for (topic, input) in held.inputs_mut() {
                let position = positions.get(&(topic, *partition)).copied();
                input.advance(position);
            }
        }
    }

    /// Opens a step if places have moved without one.
    fn note_places(&mut self) -> Result<(), Broken> {
        self.advance();
        let mut inputs = self.held.values().flat_map(Held::inputs);
        if inputs.any(|(_, input)| !input.is_kept()) {
            self.desk.begin()?;
        }
        Ok(())
    }

    /// Tells how it is, if that has changed.
    fn tell(&self) {
        let partitions: Vec<Partition> = self.held.keys().copied().collect();
        let reasons = self.held.iter().map(|(partition, held)| (*partition, held.waits_for()));
        let each = |(partition, reasons): (Partition, Vec<&'static str>)| {
            reasons.into_iter().map(move |reason| (partition, reason))
        };
        let waiting: Vec<_> = reasons.flat_map(each).collect();
        self.steps.status.send_if_modified(|status| {
            let is_new = status.partitions != partitions || status.waiting != waiting;
            (status.partitions, status.waiting) = (partitions, waiting);
            is_new
        });
    }
}
