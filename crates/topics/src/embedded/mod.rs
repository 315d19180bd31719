//! The embedded log: a backbone in one folder for one process, on SQLite.
//!
//! Promised: a record that was acknowledged is there after a kill or a power cut; records of a
//! partition lie in the order of the calls; a processor's step is there whole or not at all. SQLite
//! gives these by its write-ahead log with `synchronous=FULL`, and its recovery is tested better
//! than ours would be. One thread writes, since SQLite has one writer; whatever waits shares an
//! fsync. Readers have connections of their own and wait for nobody.
//!
//! | thread | file |
//! |---|---|
//! | committer: transactions, upkeep | `committer.rs`, `write.rs`, `upkeep.rs` |
//! | one for each membership in a group | `consumer.rs`, `outbox.rs`, `group.rs` |
//! | one for each processor | `processor.rs`, `group.rs` |
//! | tails and questions: tokio's for what blocks | `tail.rs`, `reader.rs` |

mod committer;
mod consumer;
mod core;
mod folder;
mod group;
mod heads;
mod job;
mod limits;
mod outbox;
mod processor;
mod queue;
mod reader;
mod schemas;
mod storage;
mod tail;
mod upkeep;
mod write;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use self::consumer::{Consumer, Hold};
use self::core::{Core, broken};
use self::folder::Folder;
use self::job::{Job, Trim};
use self::processor::Steps;
use self::schemas::EmbeddedRegistry;
use self::tail::EmbeddedTail;
use crate::append::{Ack, Appender};
use crate::backbone::{Backbone, BackboneError, Group};
use crate::config::EmbeddedConfig;
use crate::processor::{Ended, Processor, ProcessorHandle, ProcessorSpec, ProcessorStatus};
use crate::record::{NewRecord, Offset, Partition, Watermarks};
use crate::registry::SchemaRegistry;
use crate::subscription::Subscription;
use crate::tail::Tail;
use crate::topic::Topic;

/// The embedded log. It closes, and lets its folder go, when it and everything that was got from it
/// are dropped.
pub struct EmbeddedLog {
    core: Arc<Core>,
    partitions: u32,
}

impl EmbeddedLog {
    /// Opens the log in its folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`BackboneError::Held`] if another process has it open, [`BackboneError::Storage`] if it
    /// can't be read or written, [`BackboneError::Refused`] if it is of a newer version.
    pub fn open(config: &EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self, BackboneError> {
        let partitions = config.partitions;
        if !(1..=limits::PARTITIONS_MAX).contains(&partitions) {
            return Err(broken("backbone.partitions must be 1 to 64"));
        }
        let folder = Folder::hold(&config.folder, clock.now())?;
        let core = Core::open(folder, clock).map_err(|error| in_folder(&config.folder, error))?;
        Ok(Self { core: Arc::new(core), partitions })
    }
}

/// A person who starts it must know which file is meant.
fn in_folder(folder: &Path, error: BackboneError) -> BackboneError {
    match error {
        BackboneError::Storage { code } => {
            BackboneError::Storage { code: format!("{}: {code}", folder.display()) }
        }
        other => other,
    }
}

#[cfg(test)]
impl EmbeddedLog {
    /// Lets the database grow to so many pages and no further, 0 meaning as far as it can.
    pub(crate) fn allow_pages(&self, pages: u32) {
        self.core.pages_max.store(pages, std::sync::atomic::Ordering::SeqCst);
    }
}

#[async_trait]
impl Backbone for EmbeddedLog {
    async fn ensure(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        let (topics, partitions) = (topics.to_vec(), self.partitions);
        self.core.ask(|asked| Job::Ensure(topics, partitions, asked)).await
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError> {
        Ok(Arc::new(EmbeddedAppender(Arc::clone(&self.core))))
    }

    fn subscribe(&self, topic: Topic, group: &Group) -> Result<Subscription, BackboneError> {
        let (messages, received) = mpsc::channel(limits::MESSAGES);
        let (commands, commanded) = mpsc::channel(limits::COMMANDS);
        let (hold, held) = watch::channel(());
        let consumer = Consumer::new(&self.core, topic, &group.name, messages)?;
        on_thread("log-consumer", move |runtime| runtime.block_on(consumer.run(commanded, held)))?;
        Ok(Subscription::new(received, commands, Arc::new(Hold(hold))))
    }

    async fn tail(
        &self,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Box<dyn Tail>, BackboneError> {
        Ok(Box::new(EmbeddedTail::open(&self.core, topic, from)?))
    }

    fn process(
        &self,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
    ) -> Result<ProcessorHandle, BackboneError> {
        let (stop, mut stopped) = watch::channel(false);
        let (status, told) = watch::channel(ProcessorStatus::default());
        let steps = Steps::new(&self.core, spec, processor, status.clone())?;
        on_thread("log-processor", move |runtime| {
            // A panic is a bug: it stops the service in order, and its step is not committed.
            let ended = catch_unwind(AssertUnwindSafe(|| steps.run(&runtime, &mut stopped)));
            let ended = ended.unwrap_or_else(|_| Ended::Failed("processor panicked".to_owned()));
            status.send_modify(|status| status.ended = Some(ended));
        })?;
        Ok(ProcessorHandle::new(stop, told))
    }

    async fn watermarks(
        &self,
        topic: Topic,
    ) -> Result<Vec<(Partition, Watermarks)>, BackboneError> {
        let heads = self.core.heads.of(topic)?;
        Ok((0..).map(Partition).zip(heads.into_iter().map(Watermarks::from)).collect())
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        self.core.query(move |reader| reader.first_at_or_after(topic, partition, time)).await
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<Vec<(Partition, Offset)>, BackboneError> {
        let group = group.to_owned();
        let committed = self.core.query(move |reader| reader.committed(&group, topic)).await?;
        Ok(committed.into_iter().collect())
    }

    async fn trim(
        &self,
        topic: Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<(), BackboneError> {
        // Each piece is a transaction of its own, between which others are written. What is left
        // when the caller goes can't be seen any more, and goes with the next trim.
        while self.core.ask(|asked| Job::Trim(Trim { topic, partition, before }, asked)).await? {}
        Ok(())
    }

    fn registry(&self) -> Arc<dyn SchemaRegistry> {
        Arc::new(EmbeddedRegistry(Arc::clone(&self.core)))
    }

    async fn ping(&self, wait: Duration) -> Result<(), BackboneError> {
        let late = |_| BackboneError::Unreachable { code: "no answer in time".to_owned() };
        timeout(wait, self.core.ask(Job::Ping)).await.map_err(late)?
    }
}

/// The log as an appender.
struct EmbeddedAppender(Arc<Core>);

impl Appender for EmbeddedAppender {
    fn append(&self, record: NewRecord) -> Ack {
        self.0.queue.append(record)
    }
}

/// Runs `work` on a thread with a runtime of its own, for waiting.
fn on_thread(
    name: &str,
    work: impl FnOnce(tokio::runtime::Runtime) + Send + 'static,
) -> Result<(), BackboneError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| storage::io(&error))?;
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || work(runtime)).map(drop).map_err(|error| storage::io(&error))
}
