//! The registry's tables: what Confluent's registry does for the two calls that the seam has.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use trailgate_schemas::SchemaId;

use super::core::Core;
use super::job::{Asked, Job, Registration};
use super::limits;
use crate::registry::{RegistryError, SchemaRegistry};

/// The registry in the folder.
pub(super) struct EmbeddedRegistry(pub(super) Arc<Core>);

#[async_trait]
impl SchemaRegistry for EmbeddedRegistry {
    async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        if schema.len() > limits::SCHEMA_MAX_BYTES {
            return Err(RegistryError::Broken { status: UNPROCESSABLE });
        }
        let (asked, answer) = Asked::new();
        let wanted = Registration { subject: subject.to_owned(), schema: schema.to_owned() };
        self.0.queue.ask(Job::Register(wanted, asked));
        answer.await.unwrap_or(Err(RegistryError::Unreachable))
    }

    async fn schema(&self, id: SchemaId) -> Result<String, RegistryError> {
        let found = self.0.query(move |reader| reader.schema(id)).await;
        found.map_err(|_| RegistryError::Unreachable)?.ok_or(RegistryError::Unknown(id))
    }
}

/// Registers a schema, or finds it: the same document has one id under every subject.
///
/// # Errors
/// SQLite's.
pub(super) fn register(
    db: &Connection,
    subject: &str,
    text: &str,
) -> rusqlite::Result<Result<SchemaId, RegistryError>> {
    let Ok((wanted, document)) = parse(text) else {
        return Ok(Err(RegistryError::Broken { status: UNPROCESSABLE }));
    };
    for (id, earlier) in versions(db, subject)? {
        let Ok((earlier, known)) = parse(&earlier) else {
            return Ok(Err(RegistryError::Broken { status: 0 }));
        };
        if known == document {
            return Ok(Ok(SchemaId(id)));
        }
        // FULL: each reads whatever the other wrote. TRANSITIVE: against every version.
        if SchemaCompatibility::mutual_read(&wanted, &earlier) != Ok(Compatibility::Full) {
            return Ok(Err(RegistryError::Incompatible));
        }
    }
    let id = match known_id(db, &document)? {
        Some(id) => id,
        None => {
            db.execute("INSERT INTO schemas (schema) VALUES (?1)", [text])?;
            u32::try_from(db.last_insert_rowid()).unwrap_or(u32::MAX)
        }
    };
    db.execute("INSERT INTO subjects VALUES (?1, ?2)", (subject, id))?;
    Ok(Ok(SchemaId(id)))
}

/// The schema, and its document, in which white space does not matter.
fn parse(text: &str) -> Result<(Schema, serde_json::Value), ()> {
    let document = serde_json::from_str(text).map_err(|_| ())?;
    Ok((Schema::parse_str(text).map_err(|_| ())?, document))
}

fn versions(db: &Connection, subject: &str) -> rusqlite::Result<Vec<(u32, String)>> {
    let sql = "SELECT id, schema FROM subjects JOIN schemas USING (id) WHERE subject = ?1";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([subject], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn known_id(db: &Connection, document: &serde_json::Value) -> rusqlite::Result<Option<u32>> {
    let mut statement = db.prepare("SELECT id, schema FROM schemas")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        if parse(&text).is_ok_and(|(_, known)| known == *document) {
            return row.get(0).map(Some);
        }
    }
    Ok(None)
}

/// The schema of an id.
///
/// # Errors
/// SQLite's.
pub(super) fn find(db: &Connection, id: SchemaId) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT schema FROM schemas WHERE id = ?1", [id.0], |row| row.get(0)).optional()
}

/// What Confluent's registry answers to what is no Avro.
const UNPROCESSABLE: u16 = 422;
