//! Why a step was not committed, and what follows from it.

use super::transaction::Undone;
use crate::backbone::BackboneError;
use crate::processor::ProcessError;

/// Why a step was not committed.
pub(super) enum Broken {
    /// It is tried again.
    Step,
    /// It does not go on.
    Processor(String),
}

impl From<Undone> for Broken {
    fn from(Undone: Undone) -> Self {
        Self::Step
    }
}

impl From<ProcessError> for Broken {
    fn from(error: ProcessError) -> Self {
        Self::Processor(error.to_string())
    }
}

impl From<BackboneError> for Broken {
    fn from(error: BackboneError) -> Self {
        match error {
            BackboneError::Unreachable { .. } => Self::Step,
            other => Self::Processor(other.to_string()),
        }
    }
}

/// Why something was not looked after.
pub(super) enum Trouble {
    /// The brokers don't answer for now.
    Unanswered,
    Broken(Broken),
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<BackboneError> for Trouble {
    fn from(error: BackboneError) -> Self {
        match error {
            BackboneError::Unreachable { .. } => Self::Unanswered,
            other => Self::Broken(Broken::Processor(other.to_string())),
        }
    }
}
