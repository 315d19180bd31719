//! What the client library says, in our words. Only its codes: its sentences may hold addresses,
//! names and settings.

use std::collections::BTreeSet;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::backbone::BackboneError;
use crate::topic::Topic;

/// The stable word of an error.
pub(super) fn code(error: &KafkaError) -> String {
    match error {
        KafkaError::AdminOp(code) => format!("{code:?}"),
        KafkaError::ClientConfig(_, _, key, _) => format!("property {key} is not valid"),
        KafkaError::ClientCreation(_) => "client can't be made".to_owned(),
        KafkaError::Canceled => "canceled".to_owned(),
        KafkaError::Subscription(_) => "Subscription".to_owned(),
        KafkaError::Seek(_) => "Seek".to_owned(),
        KafkaError::PauseResume(_) => "PauseResume".to_owned(),
        other => match other.rdkafka_error_code() {
            Some(code) => format!("{code:?}"),
            None => "unknown".to_owned(),
        },
    }
}

/// As a backbone's error: is it worth another try?
pub(super) fn failed(error: &KafkaError) -> BackboneError {
    let rdkafka_code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    let code = code(error);
    match rdkafka_code {
        Some(rdkafka_code) if is_for_good(rdkafka_code) => BackboneError::Refused { code },
        Some(_) => BackboneError::Unreachable { code },
        None if matches!(error, KafkaError::Canceled) => BackboneError::Unreachable { code },
        None => BackboneError::Refused { code },
    }
}

/// An error of one topic, partition or setting.
pub(super) fn refused(rdkafka_code: RDKafkaErrorCode) -> BackboneError {
    let code = format!("{rdkafka_code:?}");
    if is_for_good(rdkafka_code) {
        BackboneError::Refused { code }
    } else {
        BackboneError::Unreachable { code }
    }
}

/// If a read fails for want of a right on one of these topics: that. Which one nobody says.
pub(super) fn forbidden(
    error: &KafkaError,
    topics: impl IntoIterator<Item = Topic>,
) -> Option<BackboneError> {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
        return None;
    }
    let topics: BTreeSet<_> = topics.into_iter().map(Topic::name).collect();
    let topics: Vec<_> = topics.into_iter().collect();
    Some(broken(&format!("no right to read {}", topics.join(" or "))))
}

/// A word of ours.
pub(super) fn broken(code: &str) -> BackboneError {
    BackboneError::Refused { code: code.to_owned() }
}

/// Whether a person must act before it can go well. Everything else is tried again: elections,
/// time-outs, what a later version of Kafka may say, and a topic or partition that is not known: a
/// broker that was just started says so of all of them until it has read its metadata.
fn is_for_good(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Fatal
            | Code::InvalidArgument
            | Code::InvalidTopic
            | Code::InvalidReplicationFactor
            | Code::InvalidConfig
            | Code::PolicyViolation
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::OffsetOutOfRange
            | Code::SSL
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_worth_another_try_and_a_missing_right_is_not() {
        let outage = KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure);
        let code = "BrokerTransportFailure".to_owned();
        assert_eq!(failed(&outage), BackboneError::Unreachable { code });
        let starting = KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
        assert!(matches!(failed(&starting), BackboneError::Unreachable { .. }));
        let forbidden = KafkaError::AdminOp(RDKafkaErrorCode::TopicAuthorizationFailed);
        let code = "TopicAuthorizationFailed".to_owned();
        assert_eq!(failed(&forbidden), BackboneError::Refused { code });
    }
}
