//! What the client library calls back for every client: its log. Its sentences hold addresses and
//! names of brokers, never records; they are for whoever debugs a connection.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::failure::code;

/// A client that nobody is told about.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(facility, message);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::debug!(code = code(&error), "kafka client error");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

/// One line of the library's log.
pub(super) fn log(facility: &str, message: &str) {
    tracing::debug!(facility, message, "kafka client");
}
