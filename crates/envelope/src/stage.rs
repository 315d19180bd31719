//! The stages that seal, and what each may tell of. A key that leaks from one stage can't be used
//! to forge another's events.

use std::fmt;
use std::str::FromStr;

use trailgate_schemas::Kind;

/// A stage that seals events with a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The gateway.
    IngestProxy,
    /// The masker, for its own start and stop.
    Masker,
    /// Who keeps holds and decisions.
    Approver,
    /// Who keeps the table.
    Archiver,
    /// Who answers reads.
    Query,
    /// A person at a command, who sends again what was refused.
    Operator,
}

/// The text names no stage. It is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown stage")]
pub struct UnknownStage;

impl Stage {
    /// Every stage that seals.
    pub const ALL: &'static [Self] = &[
        Self::IngestProxy,
        Self::Masker,
        Self::Approver,
        Self::Archiver,
        Self::Query,
        Self::Operator,
    ];

    /// Its name, as in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IngestProxy => "ingest-proxy",
            Self::Masker => "masker",
            Self::Approver => "approver",
            Self::Archiver => "archiver",
            Self::Query => "query",
            Self::Operator => "operator",
        }
    }

    /// Whether it may tell of `kind`.
    #[must_use]
    pub const fn may_emit(self, kind: Kind) -> bool {
        match kind {
            Kind::StageStarted | Kind::StageStopped | Kind::Heartbeat => true,
            Kind::LoginRefused | Kind::Denied => {
                matches!(self, Self::IngestProxy | Self::Approver | Self::Query)
            }
            Kind::Held
            | Kind::Executed
            | Kind::Withdrawn
            | Kind::SessionOpened
            | Kind::SessionClosed
            | Kind::Request
            | Kind::Response
            | Kind::FrameIn
            | Kind::FrameOut
            | Kind::NodeStarted
            | Kind::NodeFinished
            | Kind::NodeFailed
            | Kind::NodeInterrupted
            | Kind::InterruptResumed
            | Kind::StateEdited
            | Kind::Unknown => matches!(self, Self::IngestProxy),
            Kind::Voted | Kind::Approved | Kind::Expired => matches!(self, Self::Approver),
            Kind::QueryExecuted => matches!(self, Self::Query),
            // The masker writes its own findings straight to `audit.events`.
            Kind::Gap => matches!(self, Self::IngestProxy | Self::Archiver),
            Kind::PayloadRecovered => matches!(self, Self::Operator),
            Kind::Undecodable => matches!(self, Self::Archiver),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        Self::ALL.iter().copied().find(|stage| stage.name() == text).ok_or(UnknownStage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateway_tells_of_requests_and_nodes() {
        for stage in Stage::ALL {
            let is_gateway = *stage == Stage::IngestProxy;
            assert_eq!(stage.may_emit(Kind::Request), is_gateway, "{stage}");
            assert_eq!(stage.may_emit(Kind::NodeFinished), is_gateway, "{stage}");
            assert_eq!(stage.name().parse(), Ok(*stage));
        }
    }
}
