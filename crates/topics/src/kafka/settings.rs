//! The client library's settings: one place, so that what the guarantees rest on is seen together.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::failure::{broken, failed};
use super::limits;
use crate::backbone::BackboneError;
use crate::config::KafkaConfig;

/// How clients are made for one cluster.
#[derive(Clone)]
pub(super) struct Settings {
    bootstrap: String,
    properties: BTreeMap<String, String>,
}

/// What a reader sees of transactions.
#[derive(Clone, Copy)]
pub(super) enum Sees {
    /// What is committed: every reader of records.
    Committed,
    /// Also what is not: only to learn where a partition really ends.
    Everything,
}

/// How a producer compresses.
#[derive(Clone, Copy)]
pub(super) enum Compression {
    /// Sealed bytes look like chance: compressing them costs time and gains nothing.
    None,
    /// Measured: 1.8 × zstd's throughput here.
    Lz4,
}

impl Settings {
    /// Checks the properties that the configuration adds.
    ///
    /// # Errors
    /// [`BackboneError::Refused`] naming the property that may not be set or is not valid.
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, BackboneError> {
        if config.bootstrap.trim().is_empty() {
            return Err(broken("backbone.bootstrap is empty"));
        }
        for key in config.properties.keys() {
            if !may_be_set(key) {
                return Err(broken(&format!("property {key} can't be set")));
            }
        }
        let (bootstrap, properties) = (config.bootstrap.clone(), config.properties.clone());
        let settings = Self { bootstrap, properties };
        // The library checks names and values when the settings are handed over.
        settings.client().create_native_config().map_err(|error| failed(&error))?;
        Ok(settings)
    }

    /// What every client has.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", millis(limits::RECONNECT_MAX))
            .set("socket.keepalive.enable", "true")
            .set_log_level(RDKafkaLogLevel::Warning);
        if !self.properties.contains_key("client.id") {
            config.set("client.id", "trailgate");
        }
        config
    }

    /// An appender's producer: durable before acknowledged, each once, in the order of the calls.
    pub(super) fn appender(&self, compression: Compression) -> ClientConfig {
        let mut config = self.producer(compression);
        config
            .set("linger.ms", millis(limits::LINGER))
            .set("message.timeout.ms", millis(limits::ACK_WAIT))
            .set("request.timeout.ms", millis(limits::ACK_WAIT))
            .set("socket.timeout.ms", millis(limits::SOCKET_WAIT))
            .set("queue.buffering.max.messages", limits::QUEUE_RECORDS.to_string())
            .set("queue.buffering.max.kbytes", limits::QUEUE_KIB.to_string());
        config
    }

    /// A processor's producer. Its name is stable: coming back under it ends what it left open.
    pub(super) fn transactional(&self, name: &str) -> ClientConfig {
        let mut config = self.producer(Compression::Lz4);
        config
            .set("transactional.id", name)
            .set("transaction.timeout.ms", millis(limits::TRANSACTION_WAIT))
            .set("message.timeout.ms", millis(limits::TRANSACTION_WAIT))
            .set("linger.ms", millis(limits::STEP_LINGER))
            .set("batch.size", limits::STEP_BATCH_BYTES.to_string())
            .set("queue.buffering.max.messages", (4 * limits::STEP_IN_FLIGHT).to_string())
            .set("queue.buffering.max.kbytes", limits::QUEUE_KIB.to_string());
        config
    }

    fn producer(&self, compression: Compression) -> ClientConfig {
        let mut config = self.client();
        let compression = match compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
        };
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", compression)
            .set("message.max.bytes", limits::MESSAGE_BYTES.to_string());
        config
    }

    /// A member of a group. No offset is ever reset: what is gone is said.
    pub(super) fn member(&self, group: &str, instance: &str) -> ClientConfig {
        let mut config = self.reader(group, Sees::Committed);
        config
            .set("group.instance.id", instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(limits::SESSION))
            .set("heartbeat.interval.ms", millis(limits::HEARTBEAT))
            .set("max.poll.interval.ms", millis(limits::MEMBER_IDLE));
        config
    }

    /// A reader that is told what to read. The library wants a group's name for that, but joins
    /// none and commits nothing.
    pub(super) fn reader(&self, group: &str, sees: Sees) -> ClientConfig {
        let mut config = self.lookup(sees);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", limits::FETCHED_KIB.to_string());
        config
    }

    /// A client that only asks.
    pub(super) fn lookup(&self, sees: Sees) -> ClientConfig {
        let mut config = self.client();
        let sees = match sees {
            Sees::Committed => "read_committed",
            Sees::Everything => "read_uncommitted",
        };
        config
            .set("isolation.level", sees)
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", millis(limits::SOCKET_WAIT));
        config
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

/// How to reach a cluster and who one is may be set; what the guarantees rest on may not. A list of
/// what may, since a list of what may not would miss what the library's next version adds.
fn may_be_set(key: &str) -> bool {
    const FAMILIES: [&str; 6] =
        ["sasl.", "ssl.", "security.", "broker.address.", "https.", "oauth"];
    const SINGLE: [&str; 9] = [
        "client.id",
        "client.rack",
        "client.dns.lookup",
        "enable.ssl.certificate.verification",
        "enable.sasl.oauthbearer.unsecure.jwt",
        "socket.connection.setup.timeout.ms",
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "debug",
    ];
    FAMILIES.iter().any(|family| key.starts_with(family)) || SINGLE.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;

    fn with(key: &str, value: &str) -> Result<Settings, BackboneError> {
        Settings::new(&KafkaConfig {
            bootstrap: "127.0.0.1:1".to_owned(),
            registry: String::new(),
            partitions: 1,
            durability: Durability::OneBroker,
            properties: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        })
    }

    #[test]
    fn what_the_guarantees_rest_on_cannot_be_set() {
        for key in [
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "isolation.level",
            "auto.offset.reset",
            "enable.auto.commit",
            "transactional.id",
            "message.timeout.ms",
            "allow.auto.create.topics",
            "plugin.library.paths",
            "group.id",
            "bootstrap.servers",
        ] {
            let code = format!("property {key} can't be set");
            assert_eq!(with(key, "1").err(), Some(BackboneError::Refused { code }));
        }
    }

    #[test]
    fn a_property_reaches_the_clients_and_a_wrong_one_is_named_without_its_value() {
        let settings = with("sasl.username", "archiver").unwrap();
        assert_eq!(settings.member("group", "a").get("sasl.username"), Some("archiver"));
        assert_eq!(settings.client().get("client.id"), Some("trailgate"));
        for (key, value) in [("sasl.usrname", "hidden"), ("security.protocol", "hidden")] {
            let Some(BackboneError::Refused { code }) = with(key, value).err() else { panic!() };
            assert_eq!(code, format!("property {key} is not valid"));
        }
    }
}
