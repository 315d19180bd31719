//! Where schemas are registered: a Confluent-compatible registry, or a table in the embedded log.

use async_trait::async_trait;
use trailgate_schemas::SchemaId;

/// Why a registry did not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not now. Try again.
    #[error("schema registry can't be reached")]
    Unreachable,
    /// The schema breaks the subject's compatibility; a person must act.
    #[error("schema registry refuses the schema as incompatible")]
    Incompatible,
    /// It knows no such schema.
    #[error("schema registry does not know id {}", .0.0)]
    Unknown(SchemaId),
    /// It answered something else.
    #[error("schema registry answered {status}")]
    Broken {
        /// The HTTP status, or 0.
        status: u16,
    },
}

impl RegistryError {
    /// Whether to try again after a while; else a person must act. A registry that is starting, or
    /// in trouble, answers with a status of 500 and above.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Incompatible | Self::Unknown(_) => false,
            Self::Broken { status } => *status >= 500,
        }
    }
}

/// A schema registry.
#[async_trait]
pub trait SchemaRegistry: Send + Sync + 'static {
    /// Registers `schema` (Avro) under `subject` with compatibility FULL_TRANSITIVE, or finds it.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] if an earlier version can't read it or it can't read one.
    async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError>;

    /// The schema of `id`.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none.
    async fn schema(&self, id: SchemaId) -> Result<String, RegistryError>;
}
