//! One newtype per id. What is exempt from masking as an id must parse as one, so each holds a
//! UUID, never text that a client chose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was no UUID. It is not repeated here: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {noun} id: a UUID is expected")]
pub struct IdError {
    noun: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError { noun: $noun })
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

uuid_id!(
    /// One event, UUIDv7: made where the event is made.
    EventId,
    "event"
);
uuid_id!(
    /// One session, UUIDv8 from a keyed hash; see [`crate::SessionThing`].
    SessionId,
    "session"
);
uuid_id!(
    /// One proxied exchange or connection; its records are numbered densely.
    StreamId,
    "stream"
);
uuid_id!(
    /// One producing process, from its start to its end.
    ProducerId,
    "producer"
);
uuid_id!(
    /// A held operation.
    HoldId,
    "hold"
);
uuid_id!(
    /// A request that waits for the decision about a hold, and may use it once.
    ClaimId,
    "claim"
);
uuid_id!(
    /// A LangGraph run.
    RunId,
    "run"
);
uuid_id!(
    /// A LangGraph thread.
    ThreadId,
    "thread"
);
uuid_id!(
    /// A LangGraph assistant.
    AssistantId,
    "assistant"
);
uuid_id!(
    /// A task of a LangGraph run: one scheduled execution of one node.
    TaskId,
    "task"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_only_ever_a_uuid() {
        assert!("sk-live-0123456789abcdef".parse::<ThreadId>().is_err());
        let text = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
        assert_eq!(text.parse::<ThreadId>().map(String::from), Ok(text.to_owned()));
    }

    #[test]
    fn the_error_does_not_repeat_the_text() {
        let said = "hunter2".parse::<RunId>().map_err(|e| e.to_string());
        assert_eq!(said, Err("not a run id: a UUID is expected".to_owned()));
    }
}
