//! Reading a record of `audit.raw`: decode, open, decode again, and prove that header and content
//! tell of the same event.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use trailgate_envelope::{KeyId, KeysFolder, OpenError, Opener, OpeningKeys, OwnSeal};
use trailgate_schemas::{AuditEvent, AvroError, EventReader, SchemaId, SealedEvent, SealedReader};
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
    folder: KeysFolder,
    keys: OpeningKeys,
    opener: Opener,
    sealed: SealedReader,
    events: EventReader,
    registry: Arc<dyn SchemaRegistry>,
    runtime: Handle,
    /// Schema ids that the registry does not have.
    nowhere: HashSet<SchemaId>,
    /// The opening key of which it was last said that it is missing.
    told_missing: Option<KeyId>,
}

impl Reading {
    pub(crate) fn new(
        folder: KeysFolder,
        keys: OpeningKeys,
        registry: Arc<dyn SchemaRegistry>,
        runtime: Handle,
    ) -> Self {
        Self {
            folder,
            opener: keys.opener(),
            keys,
            sealed: SealedReader::default(),
            events: EventReader::default(),
            registry,
            runtime,
            nowhere: HashSet::new(),
            told_missing: None,
        }
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

    /// The clear header of a record that was read.
    pub(crate) fn header(&mut self, value: &[u8]) -> Option<SealedEvent> {
        self.sealed(value).ok()
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
        let is_unknown =
            matches!(opened, Err(OpenError::UnknownOpeningKey(_) | OpenError::UnknownSender(_)));
        if is_unknown && self.reload() {
            opened = self.opener.open(sealed);
        }
        match opened {
            Ok(opened) => {
                self.told_missing = None;
                Ok(opened.clear)
            }
            Err(OpenError::UnknownOpeningKey(id)) => {
                // The record is offered again and again: say it once.
                if self.told_missing.replace(id) != Some(id) {
                    tracing::warn!(opening_key = %id, "opening key is not here; the partition waits");
                }
                Err(Problem::NotNow(OPENING_KEY_UNKNOWN))
            }
            Err(OpenError::UnknownSender(_)) => Err(Problem::Final("sender_unknown")),
            Err(OpenError::KindNotAllowed { .. }) => Err(Problem::Final("kind_not_allowed")),
            Err(OpenError::Forged) => Err(Problem::Final("seal_broken")),
            Err(OpenError::Malformed { .. }) => Err(Problem::Final("seal_malformed")),
            Err(OpenError::Version(_)) => Err(Problem::Final("seal_version_unknown")),
            Err(OpenError::Compression) => Err(Problem::Final("clear_not_decompressed")),
        }
    }

    /// Reads the keys folder again; says whether there are other keys than before. Where there are
    /// not, the opener stays, with the data keys that it remembers.
    fn reload(&mut self) -> bool {
        let Ok(keys) = self.folder.load_opening() else { return false };
        let is_new = keys.ids() != self.keys.ids();
        if is_new {
            self.opener = keys.opener();
            self.keys = keys;
        }
        is_new
    }

    /// The seal of the masker's own state, under the keys that are in the folder now.
    pub(crate) fn own_seal(&mut self) -> OwnSeal {
        self.reload();
        self.keys.own_seal()
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

/// Why a record can't be read yet: a person has to bring a key.
pub(crate) const OPENING_KEY_UNKNOWN: &str = "opening_key_unknown";

const NOWHERE_MAX: usize = 1024;
