//! Reading a record of `audit.raw`: decode, open, decode again, and prove that header and content
//! tell of the same event.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use trailgate_envelope::{KeysFolder, OpenError, Opener};
use trailgate_schemas::{
    AuditEvent, AvroError, EventReader, SchemaId, SealedEvent, SealedReader,
};
use trailgate_topics::{RegistryError, SchemaRegistry};

use crate::limits::REGISTRY_WAIT;

/// What a record turned out to be.
#[derive(Debug)]
pub(crate) enum Read {
    /// An event with its clear content.
    Event(Box<AuditEvent>),
    /// A sealed event whose header stands and whose content can't be had.
    Withheld(Box<SealedEvent>, &'static str),
    /// No sealed event at all.
    Undecodable(&'static str),
    /// It can't be read yet.
    NotNow(&'static str),
}

/// Reads records. Runs on the processor's own thread, where waiting for the registry holds up
/// nobody else.
pub(crate) struct Reading {
    keys: KeysFolder,
    opener: Opener,
    sealed: SealedReader,
    events: EventReader,
    registry: Arc<dyn SchemaRegistry>,
    runtime: Handle,
    /// Schema ids that the registry does not have.
    nowhere: HashSet<SchemaId>,
}

impl Reading {
    pub(crate) fn new(
        keys: KeysFolder,
        opener: Opener,
        registry: Arc<dyn SchemaRegistry>,
        runtime: Handle,
    ) -> Self {
        let (sealed, events) = (SealedReader::default(), EventReader::default());
        Self { keys, opener, sealed, events, registry, runtime, nowhere: HashSet::new() }
    }

    pub(crate) fn read(&mut self, value: &[u8]) -> Read {
        let sealed = match self.sealed(value) {
            Ok(sealed) => sealed,
            Err(Problem::NotNow(reason)) => return Read::NotNow(reason),
            Err(Problem::Final(reason)) => return Read::Undecodable(reason),
        };
        let clear = match self.open(&sealed) {
            Ok(clear) => clear,
            Err(Problem::NotNow(reason)) => return Read::NotNow(reason),
            Err(Problem::Final(reason)) => return Read::Withheld(Box::new(sealed), reason),
        };
        match self.event(&clear) {
            Ok(event) if is_of(&event, &sealed) => Read::Event(Box::new(event)),
            Ok(_) => Read::Withheld(Box::new(sealed), "header_differs"),
            Err(Problem::NotNow(reason)) => Read::NotNow(reason),
            Err(Problem::Final(reason)) => Read::Withheld(Box::new(sealed), reason),
        }
    }

    fn sealed(&mut self, value: &[u8]) -> Result<SealedEvent, Problem> {
        match self.sealed.read(value) {
            Err(AvroError::UnknownSchema(id)) => {
                let schema = self.schema(id)?;
                self.sealed.know(id, &schema).map_err(|_| Problem::Final("schema_invalid"))?;
                self.sealed.read(value).map_err(|_| Problem::Final("sealed_undecodable"))
            }
            other => other.map_err(|_| Problem::Final("sealed_undecodable")),
        }
    }

    fn event(&mut self, clear: &[u8]) -> Result<AuditEvent, Problem> {
        match self.events.read(clear) {
            Err(AvroError::UnknownSchema(id)) => {
                let schema = self.schema(id)?;
                self.events.know(id, &schema).map_err(|_| Problem::Final("schema_invalid"))?;
                self.events.read(clear).map_err(|_| Problem::Final("event_undecodable"))
            }
            other => other.map_err(|_| Problem::Final("event_undecodable")),
        }
    }

    /// Opens it; a key that is not here may have been made since, so the folder is read again.
    fn open(&mut self, sealed: &SealedEvent) -> Result<Vec<u8>, Problem> {
        let mut opened = self.opener.open(sealed);
        if matches!(opened, Err(OpenError::UnknownOpeningKey(_) | OpenError::UnknownSender(_))) {
            if let Ok(keys) = self.keys.load_opening() {
                self.opener = keys.opener();
                opened = self.opener.open(sealed);
            }
        }
        match opened {
            Ok(opened) => Ok(opened.clear),
            Err(OpenError::UnknownOpeningKey(id)) => {
                tracing::warn!(opening_key = %id, "opening key is not here; the partition waits");
                Err(Problem::NotNow("opening_key_unknown"))
            }
            Err(OpenError::UnknownSender(_)) => Err(Problem::Final("sender_unknown")),
            Err(OpenError::KindNotAllowed { .. }) => Err(Problem::Final("kind_not_allowed")),
            Err(OpenError::Forged) => Err(Problem::Final("seal_broken")),
            Err(OpenError::Malformed { .. }) => Err(Problem::Final("seal_malformed")),
            Err(OpenError::Version(_)) => Err(Problem::Final("seal_version_unknown")),
            Err(OpenError::Compression) => Err(Problem::Final("clear_not_decompressed")),
        }
    }

    fn schema(&mut self, id: SchemaId) -> Result<String, Problem> {
        if self.nowhere.contains(&id) {
            return Err(Problem::Final("schema_unknown"));
        }
        let asked = self.runtime.block_on(async {
            tokio::time::timeout(REGISTRY_WAIT, self.registry.schema(id)).await
        });
        match asked {
            Ok(Ok(schema)) => Ok(schema),
            Ok(Err(RegistryError::Unknown(_))) => {
                // Bounded by what can be named with ids: a registry has few, an attacker no way in.
                if self.nowhere.len() < NOWHERE_MAX {
                    self.nowhere.insert(id);
                }
                Err(Problem::Final("schema_unknown"))
            }
            Ok(Err(_)) | Err(_) => Err(Problem::NotNow("registry_unreachable")),
        }
    }
}

enum Problem {
    NotNow(&'static str),
    Final(&'static str),
}

/// Whether the content is what its header says.
fn is_of(event: &AuditEvent, sealed: &SealedEvent) -> bool {
    event.event_id == sealed.event_id
        && event.kind == sealed.kind
        && event.session_id == sealed.session_id
        && event.stream_id == sealed.stream_id
        && event.stream_seq == sealed.stream_seq
        && event.producer_id == sealed.producer_id
        && event.producer_number == sealed.producer_number
}

const NOWHERE_MAX: usize = 1024;
