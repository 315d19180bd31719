//! Apache Kafka as a backbone, by librdkafka.
//!
//! Promised: what is promised on every backbone, by the brokers' means: idempotent producers,
//! transactions that commit offsets too (KIP-447), readers of what is committed only, and topics
//! that are checked before they are used.
//!
//! | thread | file |
//! |---|---|
//! | the library's, for each client; callbacks only take note | `context.rs`, `member.rs` |
//! | one for each membership in a group | `subscription.rs`, `member.rs`, `outbox.rs` |
//! | one for each processor | `processor/` |
//! | one for each tail | `tail.rs` |
//! | two for each appender, which look into outages | `appender.rs` |
//! | questions: tokio's for what blocks | `lookup.rs`, `ensure.rs` |

mod appender;
mod context;
mod ensure;
mod failure;
mod held;
mod limits;
mod lookup;
mod member;
mod names;
mod outbox;
mod processor;
mod records;
mod registry;
mod settings;
mod subscription;
mod tail;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use trailgate_schemas::Micros;
use trailgate_service::Clock;

use self::appender::KafkaAppender;
use self::context::Quiet;
use self::ensure::Wanted;
use self::failure::{broken, failed, refused};
use self::lookup::Lookup;
use self::member::{Fences, Member};
use self::names::Names;
use self::processor::Steps;
use self::registry::KafkaRegistry;
use self::settings::{Sees, Settings};
use self::subscription::{Consumer, Hold, Left, Owner};
use self::tail::KafkaTail;
use crate::append::Appender;
use crate::backbone::{Backbone, BackboneError, Group};
use crate::config::{Durability, KafkaConfig};
use crate::processor::{Ended, Processor, ProcessorHandle, ProcessorSpec, ProcessorStatus};
use crate::record::{Offset, Partition, Watermarks};
use crate::registry::SchemaRegistry;
use crate::subscription::Subscription;
use crate::tail::Tail;
use crate::topic::Topic;

/// Apache Kafka and a schema registry.
pub struct KafkaBackbone {
    settings: Settings,
    partitions: u32,
    durability: Durability,
    clock: Arc<dyn Clock>,
    lookup: Arc<Lookup>,
    names: Names,
    registry: Arc<KafkaRegistry>,
}

impl KafkaBackbone {
    /// Makes the clients. None of them has connected yet: a Kafka that can't be reached is no error
    /// here.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] if the configuration does not do; it names the key.
    pub fn open(config: &KafkaConfig, clock: Arc<dyn Clock>) -> Result<Self, BackboneError> {
        if !(1..=limits::PARTITIONS_MAX).contains(&config.partitions) {
            return Err(broken("backbone.partitions must be 1 to 1000"));
        }
        let settings = Settings::new(config)?;
        Ok(Self {
            lookup: Lookup::open(&settings, config.partitions)?,
            registry: Arc::new(KafkaRegistry::open(&config.registry)?),
            settings,
            partitions: config.partitions,
            durability: config.durability,
            clock,
            names: Names::default(),
        })
    }

    /// Asks the brokers without keeping the runtime.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Lookup) -> Result<T, BackboneError> + Send + 'static,
    ) -> Result<T, BackboneError> {
        let lookup = Arc::clone(&self.lookup);
        let answer = spawn_blocking(move || question(&lookup)).await;
        answer.unwrap_or_else(|_| Err(broken("question ended early")))
    }
}

#[async_trait]
impl Backbone for KafkaBackbone {
    async fn ensure(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        let wanted = |topic: &Topic| Wanted::new(*topic, self.partitions, self.durability);
        let wanted: Vec<Wanted> = topics.iter().map(wanted).collect();
        ensure::ensure(&self.settings, &self.lookup, &wanted).await
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, BackboneError> {
        Ok(Arc::new(KafkaAppender::open(&self.settings)?))
    }

    fn subscribe(&self, topic: Topic, group: &Group) -> Result<Subscription, BackboneError> {
        let (messages, received) = mpsc::channel(limits::MESSAGES);
        let (commands, commanded) = mpsc::channel(limits::COMMANDS);
        let (hold, held) = watch::channel(());
        let mut owner = Owner { messages, commands: commanded, hold: held };
        let (settings, names) = (self.settings.clone(), self.names.clone());
        let (lookup, group) = (Arc::clone(&self.lookup), group.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|_| broken("runtime can't be made"))?;
        on_thread("kafka-consumer", move || {
            let named = (group.name.as_str(), group.instance.as_str());
            let mut fences = Fences::default();
            loop {
                let member = match Member::open(&settings, &[topic], named, (&lookup, &names)) {
                    Ok(member) => member,
                    Err(error) => {
                        tracing::error!(topic = topic.name(), %error, "kafka consumer ended");
                        return;
                    }
                };
                let consumer = Consumer::new(member, topic, &lookup, &mut owner, &runtime);
                match consumer.run() {
                    Left::ToRejoin => {}
                    Left::Fenced if fences.may_rejoin() => {
                        tracing::warn!(topic = topic.name(), "kafka consumer joins again");
                    }
                    Left::Fenced | Left::Ended => return,
                }
            }
        })?;
        Ok(Subscription::new(received, commands, Arc::new(Hold(hold))))
    }

    async fn tail(
        &self,
        topic: Topic,
        from: &[(Partition, Offset)],
    ) -> Result<Box<dyn Tail>, BackboneError> {
        let kept = self.ask(move |lookup| lookup.watermarks(topic, limits::ASK_WAIT)).await?;
        let next = tail::begin(topic, &kept, from)?;
        let (lookup, clock) = (Arc::clone(&self.lookup), Arc::clone(&self.clock));
        Ok(Box::new(KafkaTail::open(&self.settings, lookup, clock, topic, next)?))
    }

    fn process(
        &self,
        spec: ProcessorSpec,
        processor: Box<dyn Processor>,
    ) -> Result<ProcessorHandle, BackboneError> {
        spec.lead()?;
        let (stop, stopped) = watch::channel(false);
        let (status, told) = watch::channel(ProcessorStatus::default());
        let steps = Steps {
            settings: self.settings.clone(),
            lookup: Arc::clone(&self.lookup),
            names: self.names.clone(),
            clock: Arc::clone(&self.clock),
            spec,
            processor,
            status: status.clone(),
            stop: stopped,
        };
        on_thread("kafka-processor", move || {
            // A panic is a bug: it stops the service in order, and its step is not committed.
            let ended = catch_unwind(AssertUnwindSafe(|| steps.run()));
            let ended = ended.unwrap_or_else(|_| Ended::Failed("processor panicked".to_owned()));
            status.send_modify(|status| status.ended = Some(ended));
        })?;
        Ok(ProcessorHandle::new(stop, told))
    }

    async fn watermarks(
        &self,
        topic: Topic,
    ) -> Result<Vec<(Partition, Watermarks)>, BackboneError> {
        let kept = self.ask(move |lookup| lookup.watermarks(topic, limits::ASK_WAIT)).await?;
        Ok(kept.into_iter().collect())
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: Partition,
        time: Micros,
    ) -> Result<Offset, BackboneError> {
        self.ask(move |lookup| lookup.first_at(topic, partition, time)).await
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
    ) -> Result<Vec<(Partition, Offset)>, BackboneError> {
        let config = self.settings.reader(group, Sees::Committed);
        let all: Vec<Partition> = (0..self.partitions).map(Partition).collect();
        self.ask(move |_| {
            let client: BaseConsumer<Quiet> =
                config.create_with_context(Quiet).map_err(|error| failed(&error))?;
            let list = records::list(&[topic], &all);
            let answer = client.committed_offsets(list, limits::ASK_WAIT);
            answer.map(|list| records::offsets(topic, &list)).map_err(|error| failed(&error))
        })
        .await
    }

    async fn trim(
        &self,
        topic: Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<(), BackboneError> {
        let admin = ensure::admin(&self.settings)?;
        let upto = records::places([(topic, partition, rdkafka::Offset::Offset(before.0))]);
        let deleted = admin.delete_records(&upto, &ensure::options()).await;
        // Dropping it waits for its thread.
        drop(spawn_blocking(move || drop(admin)));
        let deleted = deleted.map_err(|error| failed(&error))?;
        for element in deleted.elements() {
            if let Err(error) = element.error() {
                return Err(error.rdkafka_error_code().map_or_else(|| failed(&error), refused));
            }
        }
        Ok(())
    }

    fn registry(&self) -> Arc<dyn SchemaRegistry> {
        Arc::clone(&self.registry) as Arc<dyn SchemaRegistry>
    }

    async fn ping(&self, wait: Duration) -> Result<(), BackboneError> {
        self.ask(move |lookup| lookup.ping(wait)).await
    }
}

fn on_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), BackboneError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(|_| broken("thread can't be started"))
}
