//! Why a statement has no answer.

use std::time::Duration;

use datafusion::error::DataFusionError;

use crate::guard::Refused;
use crate::unplanned::{Unplanned, explain};

/// Why a statement has no answer, or no complete one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It may not run.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It names what is not there, or its parts do not fit together.
    #[error("statement does not plan")]
    Plan(Unplanned),
    /// Too many statements run.
    #[error("too many statements run")]
    Busy,
    /// It took too long.
    #[error("statement took longer than {} s", .0.as_secs_f32())]
    Time(Duration),
    /// It needs more memory or disk than there is for it.
    #[error("statement needs more memory than it may use")]
    Memory,
    /// A value could not be computed, as in a cast or a division.
    #[error("statement failed on a value of the record")]
    Value,
    /// The table or the tail could not be read.
    #[error("record can't be read now")]
    Storage,
}

impl StatementError {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::Plan(_) => "statement_does_not_plan",
            Self::Busy => "too_many_statements",
            Self::Time(_) => "statement_took_too_long",
            Self::Memory => "statement_needs_too_much_memory",
            Self::Value => "statement_failed_on_a_value",
            Self::Storage => "record_unreadable",
        }
    }
}

impl From<DataFusionError> for StatementError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory,
            root @ (DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)) => Self::Plan(explain(&error, root)),
            DataFusionError::Execution(_) | DataFusionError::ArrowError(..) => Self::Value,
            root => {
                // The kind alone: its words may repeat values.
                let kind = std::mem::discriminant(root);
                tracing::warn!(?kind, "record can't be read");
                Self::Storage
            }
        }
    }
}
