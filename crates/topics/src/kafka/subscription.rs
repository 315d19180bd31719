//! A membership as messages, on a thread of its own: it polls whatever its owner does, so it keeps
//! its place in the group, and reads ahead only up to its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

use super::held::{Asked, Going, Held, Phase, holds};
use super::limits;
use super::lookup::Lookup;
use super::member::{Event, Member, fenced};
use super::outbox::Outbox;
use crate::backbone::BackboneError;
use crate::record::{Offset, Partition, Record};
use crate::subscription::{Assigned, Assignment, Command, Message, Revocation};
use crate::topic::Topic;

/// What the subscription holds: dropped, the thread leaves the group and ends.
pub(super) struct Hold(
    #[expect(dead_code, reason = "held to be dropped")] pub(super) watch::Sender<()>,
);

impl crate::subscription::Member for Hold {}

/// What the owner's end gives.
pub(super) struct Owner {
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Its sender goes with the owner.
    pub(super) hold: watch::Receiver<()>,
}

/// Why a consumer stopped being a member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its owner is gone, or it can't go on.
    Ended,
    /// It must join anew: the library has stopped reading a partition.
    ToRejoin,
    /// Its name was taken, maybe by a late request of its own.
    Fenced,
}

/// The consumer, as its thread holds it.
pub(super) struct Consumer<'a> {
    topic: Topic,
    lookup: &'a Lookup,
    owner: &'a mut Owner,
    runtime: &'a Runtime,
    member: Member,
    outbox: Outbox,
    held: BTreeMap<Partition, Held>,
    /// Came, and the owner does not know yet.
    untold: BTreeSet<Partition>,
    asked: Vec<Asked>,
    going: Option<Going>,
    /// When to try again what failed for now.
    retry_at: Instant,
    commit_at: Instant,
    /// While the brokers are out of reach: when to look again.
    outage: Option<Instant>,
    /// Whether reading is paused because the owner takes nothing.
    is_stalled: bool,
}

impl<'a> Consumer<'a> {
    pub(super) fn new(
        member: Member,
        topic: Topic,
        lookup: &'a Lookup,
        owner: &'a mut Owner,
        runtime: &'a Runtime,
    ) -> Self {
        let now = Instant::now();
        Self {
            topic,
            lookup,
            outbox: Outbox::new(owner.messages.clone()),
            owner,
            runtime,
            member,
            held: BTreeMap::new(),
            untold: BTreeSet::new(),
            asked: Vec::new(),
            going: None,
            retry_at: now,
            commit_at: now + limits::OFFSETS_EVERY,
            outage: None,
            is_stalled: false,
        }
    }

    /// Runs until its owner is gone, it can't go on, or it must join anew.
    pub(super) fn run(mut self) -> Left {
        let left = self.member.join().and_then(|()| self.serve());
        let left = left.unwrap_or_else(|error| {
            tracing::error!(topic = self.topic.name(), %error, "kafka consumer failed");
            // What a fence makes of its calls is no failure of its own.
            if self.member.is_fenced() { Left::Fenced } else { Left::Ended }
        });
        let all: Vec<Partition> = self.held.keys().copied().collect();
        let last = self.uncommitted(&all);
        if self.outage.is_none() {
            self.member.commit_last(self.topic, &last);
        }
        // The library does not close before it has its answer.
        if let Some(going) = self.going.take() {
            drop(self.member.let_go(&going.partitions));
        }
        self.lose(&all);
        let deadline = Instant::now() + limits::REVOKE_WAIT;
        while self.outbox.send().is_ok() && !self.outbox.is_empty() && Instant::now() < deadline {
            self.runtime.block_on(self.outbox.room(limits::POLL_WAIT));
        }
        left
    }

    fn serve(&mut self) -> Result<Left, BackboneError> {
        loop {
            // The sender is never used but for being dropped.
            if self.owner.hold.has_changed().is_err() || self.outbox.send().is_err() {
                return Ok(Left::Ended);
            }
            while let Ok(command) = self.owner.commands.try_recv() {
                if !self.obey(command)? {
                    return Ok(Left::ToRejoin);
                }
            }
            self.hear_answers();
            self.hear_drained()?;
            let now = Instant::now();
            if now >= self.commit_at {
                self.commit_at = now + limits::OFFSETS_EVERY;
                self.commit_all()?;
            }
            if now >= self.retry_at {
                self.look_after()?;
            }
            if !self.read()? {
                return Ok(Left::ToRejoin);
            }
        }
    }

    /// Does as its owner asks. False: only a new membership can.
    fn obey(&mut self, command: Command) -> Result<bool, BackboneError> {
        let (Command::Seek(partition, _) | Command::Stop(partition)) = command;
        let Some(held) = self.held.get_mut(&partition) else { return Ok(true) };
        if held.phase == Phase::GivingUp {
            return Ok(true);
        }
        self.outbox.forget(partition);
        match command {
            Command::Seek(_, offset) => {
                held.start(offset);
                self.retry_at = Instant::now();
                Ok(!held.is_dead)
            }
            Command::Stop(_) => {
                held.phase = Phase::Stopped;
                self.member.hold(self.topic, &[partition]).map(|()| true)
            }
        }
    }

    fn hear_answers(&mut self) {
        for mut asked in std::mem::take(&mut self.asked) {
            match asked.answer.try_recv() {
                Ok(from) => {
                    let is_asked = |p: &Partition| asked.partitions.contains(p);
                    for (partition, offset) in from.into_iter().filter(|(p, _)| is_asked(p)) {
                        self.held.entry(partition).and_modify(|held| held.start(offset));
                    }
                    self.retry_at = Instant::now();
                }
                Err(oneshot::error::TryRecvError::Empty) => self.asked.push(asked),
                // Dropped without an answer, all of it stays stopped.
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
        }
    }

    fn hear_drained(&mut self) -> Result<(), BackboneError> {
        let Some(mut going) = self.going.take() else { return Ok(()) };
        // Dropped is answered too.
        let is_drained = going.drained.try_recv() != Err(oneshot::error::TryRecvError::Empty);
        if !is_drained && Instant::now() < going.deadline {
            self.going = Some(going);
            return Ok(());
        }
        self.commit(&going.partitions);
        if is_drained {
            self.drop_all(&going.partitions);
        } else {
            self.lose(&going.partitions);
        }
        self.member.let_go(&going.partitions)
    }

    /// Does what is due: asks for starts, starts, sees whether an outage is over. What fails for
    /// now is tried again.
    fn look_after(&mut self) -> Result<(), BackboneError> {
        if self.outage.is_some_and(|at| Instant::now() >= at) {
            let is_over = self.lookup.ping(limits::PROBE_WAIT).is_ok();
            self.outage = (!is_over).then(|| Instant::now() + limits::OFFSETS_EVERY);
        }
        if self.outage.is_some() {
            return Ok(());
        }
        match self.tell_assigned().and_then(|()| self.start()) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.retry_at = Instant::now() + limits::RETRY_EVERY;
                Ok(())
            }
            Err(BackboneError::Unreachable { .. }) => {
                self.retry_at = Instant::now() + limits::RETRY_EVERY;
                self.suspect_outage();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn suspect_outage(&mut self) {
        if self.outage.is_none() && self.lookup.ping(limits::ASK_BRIEFLY).is_err() {
            self.outage = Some(Instant::now() + limits::OFFSETS_EVERY);
            self.outbox.tell(Message::Unreachable);
        }
    }

    fn tell_assigned(&mut self) -> Result<(), BackboneError> {
        if self.untold.is_empty() {
            return Ok(());
        }
        let partitions: Vec<Partition> = self.untold.iter().copied().collect();
        let committed = self.member.committed(&partitions, limits::ASK_BRIEFLY)?;
        let watermarks = self.lookup.watermarks(self.topic, limits::ASK_BRIEFLY)?;
        let mut assigned = Vec::new();
        for partition in &partitions {
            let Some(watermarks) = watermarks.get(partition).copied() else { continue };
            let committed = committed.get(&(self.topic, *partition)).copied();
            let partition = *partition;
            assigned.push(Assigned { partition, watermarks, committed });
            self.held.insert(partition, Held::stopped(committed));
            self.untold.remove(&partition);
        }
        let (assignment, answer) = Assignment::new(assigned);
        self.outbox.tell(Message::Assigned(assignment));
        self.asked.push(Asked { partitions, answer });
        Ok(())
    }

    /// Starts what is to be started. False: some could not be for now.
    fn start(&mut self) -> Result<bool, BackboneError> {
        let is_starting = |(_, held): &(&Partition, &Held)| held.phase == Phase::Starting;
        let starting: BTreeMap<Partition, Offset> =
            self.held.iter().filter(is_starting).map(|(p, held)| (*p, held.next)).collect();
        if starting.is_empty() || self.is_stalled {
            return Ok(true);
        }
        let watermarks = self.lookup.watermarks(self.topic, limits::ASK_BRIEFLY)?;
        let (there, missing): (BTreeMap<_, _>, BTreeMap<_, _>) =
            starting.into_iter().partition(|(partition, next)| {
                watermarks.get(partition).is_none_or(|held| holds(held, *next))
            });
        for (partition, wanted) in missing {
            if let Some(watermarks) = watermarks.get(&partition) {
                self.miss(partition, watermarks.low, wanted, false);
            }
        }
        let started = self.member.start(self.topic, &there);
        for partition in &started {
            if let Some(held) = self.held.get_mut(partition) {
                held.phase = Phase::Reading;
            }
        }
        Ok(started.len() == there.len())
    }

    fn miss(&mut self, partition: Partition, low: Offset, wanted: Offset, is_dead: bool) {
        if let Some(held) = self.held.get_mut(&partition) {
            (held.phase, held.is_dead) = (Phase::Stopped, is_dead);
            self.outbox.tell(Message::Missing { partition, low, wanted });
        }
    }

    /// Reads on, unless the owner is behind. False: only a new membership can.
    fn read(&mut self) -> Result<bool, BackboneError> {
        if !self.outbox.is_empty() && !self.is_stalled {
            self.runtime.block_on(self.outbox.room(limits::POLL_WAIT));
            if self.outbox.has_waited() >= limits::STALL {
                self.stall()?;
            }
            return Ok(true);
        }
        if self.outbox.is_empty() && self.is_stalled {
            self.is_stalled = false;
            self.retry_at = Instant::now();
            return Ok(true);
        }
        let mut wait = limits::POLL_WAIT;
        for _ in 0..limits::MESSAGES {
            let Some(event) = self.member.poll(wait) else { break };
            wait = Duration::ZERO;
            if !self.happened(event)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Pauses reading: the owner has taken nothing for long, and the group must not wait for it.
    fn stall(&mut self) -> Result<(), BackboneError> {
        self.is_stalled = true;
        let reading: Vec<Partition> = self.reading().collect();
        for partition in &reading {
            if let Some(held) = self.held.get_mut(partition) {
                held.phase = Phase::Starting;
            }
        }
        self.member.hold(self.topic, &reading)
    }

    fn happened(&mut self, event: Event) -> Result<bool, BackboneError> {
        match event {
            Event::Record(record) => self.take(record),
            Event::Assigned(came) => {
                self.untold.extend(came);
                self.retry_at = Instant::now();
            }
            Event::Revoked(going) => self.give_up(going)?,
            Event::Lost(gone) => {
                self.lose(&gone);
                self.member.let_go(&gone)?;
            }
            Event::OutOfRange => return Ok(self.find_missing()),
            Event::Unreachable => self.suspect_outage(),
            Event::Fenced(code) => return Err(fenced(&code)),
            Event::Forbidden(forbidden) => return Err(forbidden),
        }
        Ok(true)
    }

    fn take(&mut self, record: Record) {
        self.outage = None;
        let held = self.held.get_mut(&record.partition);
        let is_next = |held: &&mut Held| held.phase == Phase::Reading && record.offset >= held.next;
        if let Some(held) = held.filter(is_next) {
            held.next = record.offset.next();
            self.outbox.record(record, &held.progress);
        }
    }

    fn give_up(&mut self, going: Vec<Partition>) -> Result<(), BackboneError> {
        self.untold.retain(|partition| !going.contains(partition));
        let is_known = |partition: &&Partition| self.held.contains_key(*partition);
        let known: Vec<Partition> = going.iter().filter(is_known).copied().collect();
        if known.is_empty() {
            return self.member.let_go(&going);
        }
        for partition in &known {
            self.outbox.forget(*partition);
            if let Some(held) = self.held.get_mut(partition) {
                held.phase = Phase::GivingUp;
            }
        }
        let (revocation, drained) = Revocation::new(known, limits::REVOKE_WAIT);
        self.outbox.tell(Message::Revoked(revocation));
        let deadline = Instant::now() + limits::REVOKE_WAIT;
        self.going = Some(Going { partitions: going, drained, deadline });
        Ok(())
    }

    /// Finds what is gone from under the library's hands. False: nothing is, yet it has stopped.
    fn find_missing(&mut self) -> bool {
        let Ok(watermarks) = self.lookup.watermarks(self.topic, limits::ASK_WAIT) else {
            return false;
        };
        let positions = self.member.positions();
        let mut is_found = false;
        for partition in self.reading().collect::<Vec<_>>() {
            let (Some(held), Some(kept)) = (self.held.get(&partition), watermarks.get(&partition))
            else {
                continue;
            };
            let next = held.next;
            let at = positions.get(&(self.topic, partition)).copied().unwrap_or(next).max(next);
            if !holds(kept, at) {
                self.miss(partition, kept.low, next, true);
                is_found = true;
            }
        }
        is_found
    }

    fn reading(&self) -> impl Iterator<Item = Partition> + '_ {
        let is_reading = |(_, held): &(&Partition, &Held)| held.phase == Phase::Reading;
        self.held.iter().filter(is_reading).map(|(partition, _)| *partition)
    }

    /// Tells its owner that partitions are gone.
    fn lose(&mut self, gone: &[Partition]) {
        let known = self.drop_all(gone);
        if !known.is_empty() {
            self.outbox.tell(Message::Lost(known));
        }
    }

    fn drop_all(&mut self, gone: &[Partition]) -> Vec<Partition> {
        self.untold.retain(|partition| !gone.contains(partition));
        for asked in &mut self.asked {
            asked.partitions.retain(|partition| !gone.contains(partition));
        }
        let mut known = Vec::new();
        for partition in gone {
            self.outbox.forget(*partition);
            if self.held.remove(partition).is_some() {
                known.push(*partition);
            }
        }
        known
    }

    fn commit_all(&mut self) -> Result<(), BackboneError> {
        if self.member.has_commit_failed() {
            self.held.values_mut().for_each(|held| held.committed = None);
        }
        let all: Vec<Partition> = self.held.keys().copied().collect();
        self.commit(&all);
        for (partition, held) in &mut self.held {
            let open = held.progress.open();
            if held.phase == Phase::Reading && open >= limits::CUSTODY_RECORDS {
                held.phase = Phase::Full;
                self.member.hold(self.topic, &[*partition])?;
            } else if held.phase == Phase::Full && open < limits::CUSTODY_RECORDS / 2 {
                held.phase = Phase::Starting;
                self.retry_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Commits how far the owner has come, for lag tools and for a restart.
    fn commit(&mut self, of: &[Partition]) {
        let offsets = self.uncommitted(of);
        self.member.commit(self.topic, &offsets);
    }

    /// How far the owner has come, where that is not committed. From now on it is taken to be.
    fn uncommitted(&mut self, of: &[Partition]) -> Vec<(Partition, Offset)> {
        let mut offsets = Vec::new();
        for partition in of {
            let Some(held) = self.held.get_mut(partition) else { continue };
            let come_to = held.progress.committable();
            if let Some(next) = come_to.filter(|next| held.committed != Some(*next)) {
                held.committed = Some(next);
                offsets.push((*partition, next));
            }
        }
        offsets
    }
}
