//! A membership as messages, on a thread of its own: it reads on while its owner is busy, up to its
//! bounds, and answers the group whatever the owner does.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::core::Core;
use super::group::Seat;
use super::job::{Job, Step};
use super::limits;
use super::outbox::Outbox;
use super::reader::Reader;
use crate::backbone::BackboneError;
use crate::custody::Progress;
use crate::record::{Offset, Partition};
use crate::subscription::{Assigned, Assignment, Command, Member, Message, Revocation};
use crate::topic::Topic;

/// What the subscription holds: dropped, the thread leaves the group and ends.
pub(super) struct Hold(
    #[expect(dead_code, reason = "it is held to be dropped")] pub(super) watch::Sender<()>,
);

impl Member for Hold {}

/// The consumer, as its thread holds it.
pub(super) struct Consumer {
    core: Arc<Core>,
    reader: Reader,
    topic: Topic,
    group: String,
    seat: Seat,
    messages: mpsc::Sender<Message>,
    outbox: Outbox,
    held: BTreeMap<Partition, Held>,
    /// Taken from the group, but the owner does not know yet.
    untold: Vec<Partition>,
    /// How often partitions came: an answer to an earlier time is none to a later.
    times: u64,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Which partition is read next.
    turn: Partition,
    /// While storage fails: when to try again.
    retry_at: Option<Instant>,
}

/// A partition that the owner knows it has.
struct Held {
    phase: Phase,
    /// The place of the next record to read.
    next: Offset,
    progress: Arc<Progress>,
    committed: Option<Offset>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its owner was asked where to start.
    Asked {
        time: u64,
    },
    Reading,
    /// By its owner, or because records are missing.
    Stopped,
    /// Its owner drains it.
    GivingUp,
}

/// What an owner answered.
enum Answer {
    Start {
        time: u64,
        from: Vec<(Partition, Offset)>,
    },
    Drained(Vec<Partition>),
    /// It did not, in its time.
    Late(Vec<Partition>),
}

/// What happened while the consumer waited.
enum Event {
    Ended,
    Command(Command),
    Group,
    Answer(Answer),
    CommitDue,
    Room,
    Retry,
    More,
}

impl Consumer {
    pub(super) fn new(
        core: &Arc<Core>,
        topic: Topic,
        group: &str,
        messages: mpsc::Sender<Message>,
    ) -> Result<Self, BackboneError> {
        let partitions = core.heads.of(topic)?.len();
        Ok(Self {
            reader: core.reader()?,
            seat: core.groups.join(group, topic, partitions),
            core: Arc::clone(core),
            topic,
            group: group.to_owned(),
            messages,
            outbox: Outbox::default(),
            held: BTreeMap::new(),
            untold: Vec::new(),
            times: 0,
            answers: FuturesUnordered::new(),
            turn: Partition(0),
            retry_at: None,
        })
    }

    /// Runs until its subscription is dropped; then what was delivered is committed and the group
    /// left.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut hold: watch::Receiver<()>,
    ) {
        let (mut group, mut more) = (self.seat.watch(), self.core.heads.watch(self.topic));
        let mut commits = interval(limits::OFFSETS_EVERY);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.rebalance();
        loop {
            more.mark_unchanged();
            self.fill();
            let event = tokio::select! {
                biased;
                // Nothing is ever sent: it only goes.
                _ = hold.changed() => Event::Ended,
                Some(command) = commands.recv() => Event::Command(command),
                Ok(()) = group.changed() => Event::Group,
                Some(answer) = self.answers.next() => Event::Answer(answer),
                _ = commits.tick() => Event::CommitDue,
                room = self.messages.reserve(), if !self.outbox.is_empty() => match room {
                    Ok(room) => {
                        if let Some(message) = self.outbox.pop() {
                            room.send(message);
                        }
                        Event::Room
                    }
                    Err(_) => Event::Ended,
                },
                () = reached(self.retry_at) => Event::Retry,
                Ok(()) = more.changed(), if self.outbox.is_empty() => Event::More,
            };
            match event {
                Event::Ended => break,
                Event::Command(command) => self.obey(command),
                Event::Group => self.rebalance(),
                Event::Answer(answer) => self.answered(answer).await,
                Event::CommitDue => self.commit(&self.partitions()).await,
                Event::Room | Event::Retry | Event::More => {}
            }
        }
        self.commit(&self.partitions()).await;
    }

    fn partitions(&self) -> Vec<Partition> {
        self.held.keys().copied().collect()
    }

    fn obey(&mut self, command: Command) {
        let (partition, seek) = match command {
            Command::Seek(partition, offset) => (partition, Some(offset)),
            Command::Stop(partition) => (partition, None),
        };
        let Some(held) = self.held.get_mut(&partition) else { return };
        if held.phase == Phase::GivingUp {
            return;
        }
        self.outbox.forget(partition);
        match seek {
            Some(offset) => held.start(offset),
            None => held.phase = Phase::Stopped,
        }
    }

    /// Gives up what this member should not have, and takes what it should.
    fn rebalance(&mut self) {
        let surplus = self.seat.surplus();
        let (untold, told): (Vec<_>, Vec<_>) =
            surplus.into_iter().partition(|partition| self.untold.contains(partition));
        self.untold.retain(|partition| !untold.contains(partition));
        if !untold.is_empty() {
            self.seat.let_go(&untold);
        }
        let is_new = |held: &Held| held.phase != Phase::GivingUp;
        let going: Vec<Partition> =
            told.into_iter().filter(|p| self.held.get(p).is_some_and(is_new)).collect();
        if !going.is_empty() {
            self.give_up(going);
        }
        self.untold.extend(self.seat.take());
    }

    fn give_up(&mut self, partitions: Vec<Partition>) {
        for partition in &partitions {
            self.outbox.forget(*partition);
            if let Some(held) = self.held.get_mut(partition) {
                held.phase = Phase::GivingUp;
            }
        }
        let (revocation, drained) = Revocation::new(partitions.clone(), limits::REVOKE_WAIT);
        self.outbox.tell(Message::Revoked(revocation));
        self.answers.push(Box::pin(async move {
            // Dropped is answered too.
            match timeout(limits::REVOKE_WAIT, drained).await {
                Ok(_) => Answer::Drained(partitions),
                Err(_) => Answer::Late(partitions),
            }
        }));
    }

    async fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Start { time, from } => self.start(time, from),
            Answer::Drained(partitions) => self.let_go(&partitions).await,
            Answer::Late(partitions) => {
                self.let_go(&partitions).await;
                self.outbox.tell(Message::Lost(partitions));
            }
        }
    }

    fn start(&mut self, time: u64, from: Vec<(Partition, Offset)>) {
        for (partition, offset) in from {
            let held = self.held.get_mut(&partition);
            if let Some(held) = held.filter(|held| held.phase == Phase::Asked { time }) {
                held.start(offset);
            }
        }
    }

    async fn let_go(&mut self, partitions: &[Partition]) {
        self.commit(partitions).await;
        for partition in partitions {
            self.held.remove(partition);
        }
        self.seat.let_go(partitions);
    }

    /// Commits how far the owner has come. What fails is tried again with the next, or is read
    /// again by whoever comes after.
    async fn commit(&mut self, partitions: &[Partition]) {
        let mut offsets = Vec::new();
        for partition in partitions {
            let Some(held) = self.held.get(partition) else { continue };
            let come_to = held.progress.committable().filter(|next| held.committed != Some(*next));
            offsets.extend(come_to.map(|next| (*partition, next)));
        }
        if offsets.is_empty() {
            return;
        }
        let places = offsets.iter().map(|(partition, next)| (self.topic, *partition, *next));
        let (group, places) = (self.group.clone(), places.collect());
        let step = Step { records: Vec::new(), group, offsets: places };
        if self.core.ask(|asked| Job::Step(step, asked)).await.is_ok() {
            for (partition, next) in offsets {
                if let Some(held) = self.held.get_mut(&partition) {
                    held.committed = Some(next);
                }
            }
        }
    }

    /// Tells of partitions that came, and reads a piece of one, if nothing else waits to be sent.
    fn fill(&mut self) {
        if !self.outbox.is_empty() || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let filled = self.tell_assigned().and_then(|()| self.read());
        match filled {
            Ok(()) => self.retry_at = None,
            Err(_) => {
                if self.retry_at.is_none() {
                    self.outbox.tell(Message::Unreachable);
                }
                self.retry_at = Some(Instant::now() + limits::RETRY_EVERY);
            }
        }
    }

    fn tell_assigned(&mut self) -> Result<(), BackboneError> {
        if self.untold.is_empty() {
            return Ok(());
        }
        let committed = self.reader.committed(&self.group, self.topic)?;
        self.times += 1;
        let time = self.times;
        let mut assigned = Vec::new();
        for partition in std::mem::take(&mut self.untold) {
            let watermarks = self.core.heads.one(self.topic, partition)?.into();
            let committed = committed.get(&partition).copied();
            assigned.push(Assigned { partition, watermarks, committed });
            self.held.insert(partition, Held::asked(time, committed));
        }
        let (assignment, start) = Assignment::new(assigned);
        self.outbox.tell(Message::Assigned(assignment));
        self.answers.push(Box::pin(async move {
            // Dropped without an answer, all of it stays stopped.
            Answer::Start { time, from: start.await.unwrap_or_default() }
        }));
        Ok(())
    }

    /// Reads a piece of the next partition that has one.
    fn read(&mut self) -> Result<(), BackboneError> {
        let behind = self.held.range(self.turn..).chain(self.held.range(..self.turn));
        for partition in behind.map(|(partition, _)| *partition).collect::<Vec<_>>() {
            let Some(held) = self.held.get_mut(&partition) else { continue };
            if held.phase != Phase::Reading || held.progress.open() >= limits::CUSTODY_RECORDS {
                continue;
            }
            // Equal is caught up; beyond is found missing by the read.
            if held.next == self.core.heads.one(self.topic, partition)?.high {
                continue;
            }
            match self.reader.read(self.topic, partition, held.next) {
                Ok(piece) => {
                    held.next = piece.next;
                    self.turn = Partition(partition.0 + 1);
                    self.outbox.records(piece.records, &held.progress);
                }
                Err(BackboneError::Missing { low, wanted, .. }) => {
                    held.phase = Phase::Stopped;
                    self.outbox.tell(Message::Missing { partition, low, wanted });
                }
                Err(error) => return Err(error),
            }
            if !self.outbox.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

impl Held {
    fn asked(time: u64, committed: Option<Offset>) -> Self {
        let (phase, progress) = (Phase::Asked { time }, Arc::default());
        Self { phase, next: Offset(0), progress, committed }
    }

    /// Reads from `offset` on; what is in custody from before no longer counts.
    fn start(&mut self, offset: Offset) {
        self.phase = Phase::Reading;
        self.next = offset;
        self.progress = Arc::default();
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
