//! A topic in memory and a consumer of it that behaves as the real ones do: records come in order,
//! offsets have holes, and what was on its way when a seek was asked for still comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use trailgate_schemas::Micros;
use trailgate_topics::{
    Assigned, Assignment, Command, Custody, Member, Message, Offset, Partition, Progress, Record,
    Revocation, Subscription, Topic, Watermarks,
};

/// Each record lies this far behind the last.
const HOLES: i64 = 3;

#[derive(Clone)]
pub(super) struct FakeTopic(Arc<Mutex<Vec<Log>>>);

#[derive(Default)]
struct Log {
    values: Vec<Bytes>,
    /// Index of the first that is still kept.
    first: usize,
}

impl FakeTopic {
    pub(super) fn new(partitions: u32) -> Self {
        Self(Arc::new(Mutex::new((0..partitions).map(|_| Log::default()).collect())))
    }

    pub(super) fn append(&self, partition: u32, value: Bytes) {
        self.0.lock().unwrap()[partition as usize].values.push(value);
    }

    /// Drops the first `count` records; gives the new low watermark.
    pub(super) fn trim(&self, partition: u32, count: usize) -> Offset {
        self.0.lock().unwrap()[partition as usize].first = count;
        self.watermarks(partition).low
    }

    pub(super) fn watermarks(&self, partition: u32) -> Watermarks {
        let logs = self.0.lock().unwrap();
        let log = &logs[partition as usize];
        let low = if log.first == 0 { Offset(0) } else { offset(log.first) };
        Watermarks { low, high: log.values.len().checked_sub(1).map_or(low, |n| offset(n).next()) }
    }

    /// The first record at or behind `from`.
    fn read(&self, partition: u32, from: Offset) -> Option<Record> {
        let logs = self.0.lock().unwrap();
        let log = &logs[partition as usize];
        let index = usize::try_from((from.0 + HOLES - 1) / HOLES).unwrap().max(log.first);
        log.values.get(index).map(|value| Record {
            topic: Topic::Events,
            partition: Partition(partition),
            offset: offset(index),
            appended_at: Micros(1_795_435_200_000_000),
            key: Bytes::new(),
            value: Some(value.clone()),
        })
    }
}

fn offset(index: usize) -> Offset {
    Offset(i64::try_from(index).unwrap() * HOLES)
}

/// What a test asks of a consumer.
enum Wish {
    Assign(Vec<u32>, oneshot::Sender<()>),
    Revoke(Vec<u32>, Duration, oneshot::Sender<()>),
    Lose(Vec<u32>),
}

/// What the owner answered, and who waits for that.
enum Answer {
    Start { time: usize, from: Vec<(Partition, Offset)>, done: oneshot::Sender<()> },
    Late(Vec<Partition>),
}

/// A test's hold on a consumer.
pub(super) struct FakeConsumer {
    wishes: mpsc::Sender<Wish>,
    progress: Arc<Mutex<BTreeMap<u32, Arc<Progress>>>>,
    handed_over: Arc<AtomicUsize>,
}

struct NoMember;
impl Member for NoMember {}

impl FakeConsumer {
    /// A consumer of `topic` and the subscription that its owner gets, `channel` messages deep.
    pub(super) fn of(topic: FakeTopic, channel: usize) -> (Self, Subscription) {
        let (messages, receiver) = mpsc::channel(channel);
        let (sender, commands) = mpsc::channel(64);
        let (wishes, wished) = mpsc::channel(64);
        let (progress, handed_over) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let task = Task {
            topic,
            messages,
            tidings: VecDeque::new(),
            progress: Arc::clone(&progress),
            handed_over: Arc::clone(&handed_over),
            positions: BTreeMap::new(),
            asked: BTreeMap::new(),
            times: 0,
        };
        tokio::spawn(task.run(commands, wished));
        let subscription = Subscription::new(receiver, sender, Arc::new(NoMember));
        (Self { wishes, progress, handed_over }, subscription)
    }

    /// Gives the owner partitions; returns when it has said where to start.
    pub(super) async fn assign(&self, partitions: &[u32]) {
        let (done, waits) = oneshot::channel();
        self.wish(Wish::Assign(partitions.to_vec(), done)).await;
        let _ = waits.await;
    }

    /// Gives the owner a partition without waiting for its answer.
    pub(super) async fn assign_soon(&self, partition: u32) {
        let (done, _) = oneshot::channel();
        self.wish(Wish::Assign(vec![partition], done)).await;
    }

    /// Takes partitions from the owner; returns when it has let them go or its time is over.
    pub(super) async fn revoke(&self, partitions: &[u32], deadline: Duration) {
        let (done, waits) = oneshot::channel();
        self.wish(Wish::Revoke(partitions.to_vec(), deadline, done)).await;
        let _ = waits.await;
    }

    /// Tells the owner that partitions are another's.
    pub(super) async fn lose(&self, partitions: &[u32]) {
        self.wish(Wish::Lose(partitions.to_vec())).await;
    }

    async fn wish(&self, wish: Wish) {
        assert!(self.wishes.send(wish).await.is_ok(), "consumer ended");
    }

    pub(super) fn committable(&self, partition: u32) -> Option<Offset> {
        self.progress.lock().unwrap().get(&partition)?.committable()
    }

    /// How many records came into the owner's custody.
    pub(super) fn handed_over(&self) -> usize {
        self.handed_over.load(Ordering::SeqCst)
    }
}

struct Task {
    topic: FakeTopic,
    messages: mpsc::Sender<Message>,
    /// What the owner must be told; it passes the records.
    tidings: VecDeque<Message>,
    progress: Arc<Mutex<BTreeMap<u32, Arc<Progress>>>>,
    handed_over: Arc<AtomicUsize>,
    positions: BTreeMap<u32, Offset>,
    /// Partitions whose owner was asked where to start, and when: an answer to an earlier time is
    /// none to a later.
    asked: BTreeMap<u32, usize>,
    times: usize,
}

impl Task {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut wished: mpsc::Receiver<Wish>,
    ) {
        let mut poll = tokio::time::interval(Duration::from_millis(2));
        let (answer, mut answers) = mpsc::channel(64);
        let messages = self.messages.clone();
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Seek(partition, offset)) => self.seek(partition.0, offset),
                    Some(Command::Stop(partition)) => { self.positions.remove(&partition.0); }
                    None => return,
                },
                Some(answer) = answers.recv() => self.answered(answer),
                wish = wished.recv() => match wish {
                    Some(wish) => self.grant(wish, answer.clone()),
                    None => return,
                },
                room = messages.reserve(), if self.has_more() => {
                    let Ok(room) = room else { return };
                    if let Some(message) = self.next() {
                        room.send(message);
                    }
                }
                _ = poll.tick() => {}
            }
        }
    }

    fn seek(&mut self, partition: u32, offset: Offset) {
        if self.positions.contains_key(&partition) {
            self.start(partition, offset);
        }
    }

    fn start(&mut self, partition: u32, offset: Offset) {
        self.positions.insert(partition, offset);
        self.progress.lock().unwrap().insert(partition, Arc::default());
    }

    fn stop(&mut self, partitions: &[u32]) {
        self.positions.retain(|partition, _| !partitions.contains(partition));
        self.asked.retain(|partition, _| !partitions.contains(partition));
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Start { time, from, done } => {
                for (partition, offset) in from {
                    if self.asked.get(&partition.0) == Some(&time) {
                        self.asked.remove(&partition.0);
                        self.start(partition.0, offset);
                    }
                }
                let _ = done.send(());
            }
            Answer::Late(partitions) => self.tidings.push_back(Message::Lost(partitions)),
        }
    }

    fn has_more(&self) -> bool {
        !self.tidings.is_empty() || self.readable().is_some()
    }

    fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.tidings.pop_front() {
            return Some(message);
        }
        let (partition, record) = self.readable()?;
        let progress = Arc::clone(&self.progress.lock().unwrap()[&partition]);
        self.positions.insert(partition, record.offset.next());
        self.handed_over.fetch_add(1, Ordering::SeqCst);
        Some(Message::Record(Custody::hand_over(record, &progress)))
    }

    fn readable(&self) -> Option<(u32, Record)> {
        self.positions
            .iter()
            .filter_map(|(p, from)| self.topic.read(*p, *from).map(|record| (*p, record)))
            .min_by_key(|(_, record)| record.offset)
    }

    fn grant(&mut self, wish: Wish, answers: mpsc::Sender<Answer>) {
        match wish {
            Wish::Assign(partitions, done) => {
                self.stop(&partitions);
                self.times += 1;
                let time = self.times;
                self.asked.extend(partitions.iter().map(|partition| (*partition, time)));
                let assigned = partitions.iter().map(|partition| Assigned {
                    partition: Partition(*partition),
                    watermarks: self.topic.watermarks(*partition),
                    committed: None,
                });
                let (assignment, started) = Assignment::new(assigned.collect());
                self.tidings.push_back(Message::Assigned(assignment));
                tokio::spawn(async move {
                    let from = started.await.unwrap_or_default();
                    let _ = answers.send(Answer::Start { time, from, done }).await;
                });
            }
            Wish::Revoke(partitions, deadline, done) => {
                self.stop(&partitions);
                let partitions: Vec<Partition> = partitions.into_iter().map(Partition).collect();
                let (revocation, drained) = Revocation::new(partitions.clone(), deadline);
                self.tidings.push_back(Message::Revoked(revocation));
                tokio::spawn(async move {
                    if tokio::time::timeout(deadline, drained).await.is_err() {
                        let _ = answers.send(Answer::Late(partitions)).await;
                    }
                    let _ = done.send(());
                });
            }
            Wish::Lose(partitions) => {
                self.stop(&partitions);
                let partitions = partitions.into_iter().map(Partition).collect();
                self.tidings.push_back(Message::Lost(partitions));
            }
        }
    }
}
