//! The writers' schemas, as the registry gave them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::timeout;
use trailgate_schemas::{SchemaId, unframe};
use trailgate_table::{Decoder, KnowError, Snapshot};
use trailgate_topics::{RegistryError, SchemaRegistry};

use crate::limits::SCHEMA_WAIT;

/// Schemas by their registry id; clones are the same registry's, each with what it knew.
#[derive(Clone)]
pub(crate) struct Schemas {
    registry: Arc<dyn SchemaRegistry>,
    known: BTreeMap<SchemaId, Schema>,
}

#[derive(Clone)]
enum Schema {
    Text(Arc<str>),
    /// The registry has none.
    Nothing,
}

/// Why a partition waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wanting {
    /// Its records' schema can't be had now.
    #[error("schema id {} can't be had now", .0.0)]
    Schema(SchemaId),
    /// The table lacks a column for them.
    #[error("schema id {} has field {field}, which the table lacks; upgrade the archiver", .id.0)]
    Column {
        /// The schema.
        id: SchemaId,
        /// The field.
        field: String,
    },
}

impl Wanting {
    /// A stable word for health and metrics.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Schema(_) => "schema",
            Self::Column { .. } => "upgrade the archiver",
        }
    }
}

impl Schemas {
    pub(crate) fn of(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { registry, known: BTreeMap::new() }
    }

    /// The schema of a record that is not known yet.
    pub(crate) fn unknown(&self, value: &[u8]) -> Option<SchemaId> {
        let id = unframe(value).ok()?.0;
        (!self.known.contains_key(&id)).then_some(id)
    }

    /// Makes sure that records of `id` can become rows of `table`.
    pub(crate) async fn learn(&mut self, id: SchemaId, table: &Snapshot) -> Result<(), Wanting> {
        let schema = match timeout(SCHEMA_WAIT, self.registry.schema(id)).await {
            Ok(Ok(text)) => match Decoder::new(table.stored_schema()).know(id, &text) {
                Ok(()) => Schema::Text(text.into()),
                Err(KnowError::Lacks { id, field }) => return Err(Wanting::Column { id, field }),
                // What nobody can read is as good as none.
                Err(KnowError::Schema(_)) => Schema::Nothing,
            },
            Ok(Err(RegistryError::Unknown(_))) => Schema::Nothing,
            Ok(Err(error)) => {
                tracing::warn!(schema = id.0, %error, "schema can't be had");
                return Err(Wanting::Schema(id));
            }
            Err(_) => return Err(Wanting::Schema(id)),
        };
        if matches!(schema, Schema::Nothing) {
            tracing::error!(schema = id.0, "registry has no readable schema of this id");
        }
        self.known.insert(id, schema);
        Ok(())
    }

    /// A decoder of what is known, for rows of `table`.
    pub(crate) fn decoder(&self, table: &Snapshot) -> Result<Decoder, KnowError> {
        let mut decoder = Decoder::new(table.stored_schema());
        for (id, schema) in &self.known {
            match schema {
                Schema::Text(text) => decoder.know(*id, text)?,
                Schema::Nothing => decoder.give_up_on(*id),
            }
        }
        Ok(decoder)
    }
}
