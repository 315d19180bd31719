//! Topics as they must be: made when they are missing, checked when they are there, never altered.
//! A setting that differs was chosen by somebody, who must be asked.

use std::sync::Arc;
use std::time::Instant;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::task::spawn_blocking;

use super::context::Quiet;
use super::failure::{broken, failed, refused};
use super::limits;
use super::lookup::{Lookup, Shape};
use super::settings::Settings;
use crate::backbone::BackboneError;
use crate::config::Durability;
use crate::topic::{Kept, Topic};

/// A client that makes topics and deletes records.
pub(super) type Admin = AdminClient<Quiet>;

/// Such a client. It lives for one call: nobody empties its queue of log lines.
///
/// # Errors
/// If the settings don't do.
pub(super) fn admin(settings: &Settings) -> Result<Admin, BackboneError> {
    settings.client().create_with_context(Quiet).map_err(|error| failed(&error))
}

/// How long an admin's call may take.
pub(super) fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(limits::ASK_WAIT))
        .operation_timeout(Some(limits::ASK_WAIT))
}

/// What a topic must be like.
pub(super) struct Wanted {
    topic: Topic,
    partitions: u32,
    durability: Durability,
}

/// A setting, and what it must be.
struct Setting {
    name: &'static str,
    value: String,
    must: Must,
}

#[derive(Clone, Copy)]
enum Must {
    Be,
    /// A number; -1 is without end.
    BeAtLeast,
    /// A choice of ours that no guarantee rests on: set when made, not checked.
    Begin,
}

impl Wanted {
    pub(super) const fn new(topic: Topic, partitions: u32, durability: Durability) -> Self {
        Self { topic, partitions, durability }
    }

    fn settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            be("message.timestamp.type", "LogAppendTime"),
            be("unclean.leader.election.enable", "false"),
            at_least("max.message.bytes", limits::MESSAGE_BYTES),
        ];
        match self.durability {
            Durability::Replicated => settings.push(at_least("min.insync.replicas", 2)),
            Durability::OneBroker => settings.push(be("flush.messages", "1")),
        }
        match self.topic.kept() {
            Kept::UntilTrimmed => settings.extend([
                be("cleanup.policy", "delete"),
                be("retention.ms", "-1"),
                be("retention.bytes", "-1"),
            ]),
            Kept::For(time) => settings.extend([
                be("cleanup.policy", "delete"),
                at_least("retention.ms", time.as_millis()),
                be("retention.bytes", "-1"),
            ]),
            Kept::Compacted => settings.extend([
                be("cleanup.policy", "compact"),
                begin("segment.bytes", limits::COMPACTED_SEGMENT_BYTES),
                begin("segment.ms", limits::COMPACTED_SEGMENT.as_millis()),
                begin("min.cleanable.dirty.ratio", "0.1"),
            ]),
        }
        settings
    }

    fn replicas(&self) -> usize {
        match self.durability {
            Durability::Replicated => limits::REPLICAS_MIN,
            Durability::OneBroker => 1,
        }
    }

    /// # Errors
    /// [`BackboneError::Misconfigured`] naming the first thing that differs.
    fn check(&self, shape: &Shape, found: &ConfigResource) -> Result<(), BackboneError> {
        let partitions = usize::try_from(self.partitions).unwrap_or(usize::MAX);
        if shape.partitions != partitions {
            return Err(self.differs("partitions", shape.partitions, partitions));
        }
        if shape.replicas < self.replicas() {
            let wanted = format!("at least {}", self.replicas());
            return Err(self.differs("replication factor", shape.replicas, wanted));
        }
        for setting in self.settings() {
            let value = found.get(setting.name).and_then(|entry| entry.value.as_deref());
            let value = value.unwrap_or("unknown");
            if !setting.allows(value) {
                return Err(self.differs(setting.name, value, setting.wanted()));
            }
        }
        Ok(())
    }

    fn differs(
        &self,
        setting: &'static str,
        found: impl ToString,
        wanted: impl ToString,
    ) -> BackboneError {
        let (found, wanted) = (found.to_string(), wanted.to_string());
        BackboneError::Misconfigured { topic: self.topic.name(), setting, found, wanted }
    }
}

impl Setting {
    fn allows(&self, found: &str) -> bool {
        match self.must {
            Must::Begin => true,
            Must::Be => found == self.value,
            Must::BeAtLeast => {
                let number = |text: &str| text.parse::<i128>().ok();
                found == "-1" || number(found).zip(number(&self.value)).is_some_and(|(f, w)| f >= w)
            }
        }
    }

    fn wanted(&self) -> String {
        match self.must {
            Must::Be | Must::Begin => self.value.clone(),
            Must::BeAtLeast => format!("at least {}", self.value),
        }
    }
}

/// Makes what is missing and checks everything.
///
/// # Errors
/// [`BackboneError::Misconfigured`] if a topic differs.
pub(super) async fn ensure(
    settings: &Settings,
    lookup: &Arc<Lookup>,
    wanted: &[Wanted],
) -> Result<(), BackboneError> {
    let admin = admin(settings)?;
    let mut missing = Vec::new();
    for wanted in wanted {
        match describe(&admin, wanted.topic).await {
            Ok(_) => {}
            Err(Undescribed::Missing) => missing.push(wanted),
            Err(Undescribed::Failed(error)) => return Err(error),
        }
    }
    create(&admin, &missing).await?;
    for wanted in wanted {
        let shape = shape(lookup, wanted.topic).await?;
        let found = match describe(&admin, wanted.topic).await {
            Ok(found) => found,
            Err(Undescribed::Missing) => return Err(broken("topic can't be described")),
            Err(Undescribed::Failed(error)) => return Err(error),
        };
        wanted.check(&shape, &found)?;
    }
    // Dropping it waits for its thread.
    drop(spawn_blocking(move || drop(admin)));
    Ok(())
}

enum Undescribed {
    Missing,
    Failed(BackboneError),
}

async fn describe(admin: &Admin, topic: Topic) -> Result<ConfigResource, Undescribed> {
    let resource = [ResourceSpecifier::Topic(topic.name())];
    let described = admin.describe_configs(&resource, &options()).await;
    let described = described.map_err(|error| Undescribed::Failed(failed(&error)))?;
    match described.into_iter().next() {
        // That there is no such topic comes as a description of nothing.
        Some(Ok(found)) if found.entries.is_empty() => Err(Undescribed::Missing),
        Some(Ok(found)) => Ok(found),
        Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) => Err(Undescribed::Missing),
        Some(Err(code)) => Err(Undescribed::Failed(refused(code))),
        None => Err(Undescribed::Failed(broken("topic is not described"))),
    }
}

async fn create(admin: &Admin, missing: &[&Wanted]) -> Result<(), BackboneError> {
    for wanted in missing {
        let settings = wanted.settings();
        let partitions = i32::try_from(wanted.partitions).unwrap_or(i32::MAX);
        let replicas = i32::try_from(wanted.replicas()).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(replicas);
        let mut topic = NewTopic::new(wanted.topic.name(), partitions, replication);
        for setting in &settings {
            topic = topic.set(setting.name, &setting.value);
        }
        let created = admin.create_topics(&[topic], &options()).await;
        let created = created.map_err(|error: KafkaError| failed(&error))?;
        match created.into_iter().next() {
            // Another instance was quicker: it is checked like any other.
            Some(Ok(_)) | Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => {}
            Some(Err((_, code))) => return Err(refused(code)),
        }
    }
    Ok(())
}

/// A topic's shape, once every partition can be written to: a new topic takes a moment.
async fn shape(lookup: &Arc<Lookup>, topic: Topic) -> Result<Shape, BackboneError> {
    let deadline = Instant::now() + limits::CREATE_WAIT;
    loop {
        let asked = Arc::clone(lookup);
        let shape = spawn_blocking(move || asked.shape(topic)).await;
        let shape = shape.map_err(|_| broken("question ended early"))?;
        match shape {
            Ok(shape) if shape.is_led => return Ok(shape),
            Err(error @ BackboneError::Refused { .. }) => return Err(error),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) if Instant::now() >= deadline => {
                return Err(BackboneError::Unreachable { code: "LeaderNotAvailable".to_owned() });
            }
            Ok(_) | Err(_) => tokio::time::sleep(limits::CREATE_POLL).await,
        }
    }
}

fn be(name: &'static str, value: &str) -> Setting {
    Setting { name, value: value.to_owned(), must: Must::Be }
}

fn at_least(name: &'static str, value: impl ToString) -> Setting {
    Setting { name, value: value.to_string(), must: Must::BeAtLeast }
}

fn begin(name: &'static str, value: impl ToString) -> Setting {
    Setting { name, value: value.to_string(), must: Must::Begin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(topic: Topic, durability: Durability, name: &str) -> Option<Setting> {
        Wanted::new(topic, 4, durability).settings().into_iter().find(|s| s.name == name)
    }

    #[test]
    fn what_a_stage_trims_has_no_limit_of_its_own() {
        for topic in [Topic::Raw, Topic::Events] {
            for name in ["retention.ms", "retention.bytes"] {
                let setting = setting(topic, Durability::Replicated, name).unwrap();
                assert!(setting.allows("-1") && !setting.allows("604800000"));
            }
        }
    }

    #[test]
    fn kept_for_a_time_is_a_minimum() {
        let setting = setting(Topic::Refused, Durability::OneBroker, "retention.ms").unwrap();
        for (found, is_enough) in
            [("2419199999", false), ("2419200000", true), ("-1", true), ("unknown", false)]
        {
            assert_eq!(setting.allows(found), is_enough, "{found}");
        }
    }

    #[test]
    fn one_broker_flushes_each_record_and_several_keep_two() {
        let flush = setting(Topic::Raw, Durability::OneBroker, "flush.messages").unwrap();
        assert!(flush.allows("1") && !flush.allows("9223372036854775807"));
        let insync = setting(Topic::Raw, Durability::Replicated, "min.insync.replicas").unwrap();
        assert!(insync.allows("2") && !insync.allows("1"));
    }
}
