//! The schema registry, by the Confluent registry's API.
//!
//! `schema_registry_converter` registers and fetches; the compatibility of a subject, which it does
//! not set, is one request of ours before. Schemas never change under their id, so they are
//! remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use reqwest::StatusCode;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};
use trailgate_schemas::SchemaId;

use super::failure::broken;
use super::limits;
use crate::backbone::BackboneError;
use crate::registry::{RegistryError, SchemaRegistry};

/// A registry at an address.
pub(super) struct KafkaRegistry {
    address: reqwest::Url,
    client: reqwest::Client,
    settings: SrSettings,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    ids: BTreeMap<(String, String), SchemaId>,
    schemas: BTreeMap<u32, String>,
}

impl KafkaRegistry {
    /// # Errors
    /// If the address is none.
    pub(super) fn open(address: &str) -> Result<Self, BackboneError> {
        let text = address.trim_end_matches('/').to_owned();
        let address = reqwest::Url::parse(&text).ok().filter(|address| address.has_host());
        let address = address.ok_or_else(|| broken("backbone.registry is not an address"))?;
        let client = reqwest::Client::builder().timeout(limits::REGISTRY_WAIT).build();
        let client = client.map_err(|_| broken("registry client can't be made"))?;
        let mut settings = SrSettings::new_builder(text);
        let settings = settings.set_timeout(limits::REGISTRY_WAIT).build();
        let settings = settings.map_err(|_| broken("registry client can't be made"))?;
        Ok(Self { address, client, settings, known: Mutex::default() })
    }

    /// Demands full compatibility with every version. False: the subject does not exist yet, which
    /// some registries mind.
    async fn demand_compatibility(&self, subject: &str) -> Result<bool, RegistryError> {
        let mut address = self.address.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().push("config").push(subject);
        }
        let request = self
            .client
            .put(address)
            .json(&serde_json::json!({ "compatibility": "FULL_TRANSITIVE" }));
        let answer = request.send().await.map_err(|_| RegistryError::Unreachable)?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(of_status(status.as_u16())),
        }
    }

    async fn register_once(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        let is_demanded = self.demand_compatibility(subject).await?;
        let id = self.post(subject, schema).await?;
        if !is_demanded && !self.demand_compatibility(subject).await? {
            return Err(RegistryError::Broken { status: StatusCode::NOT_FOUND.as_u16() });
        }
        Ok(id)
    }

    async fn post(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let posted = post_schema(&self.settings, subject.to_owned(), supplied).await;
        posted.map(|registered| SchemaId(registered.id)).map_err(|error| of(&error))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SchemaRegistry for KafkaRegistry {
    async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        let key = (subject.to_owned(), schema.to_owned());
        if let Some(id) = self.known().ids.get(&key) {
            return Ok(*id);
        }
        let mut tries = 0;
        let id = loop {
            match self.register_once(subject, schema).await {
                // Some registries say the same of two who register one schema at once.
                Err(RegistryError::Incompatible) if tries < limits::REGISTER_AGAIN => {
                    tries += 1;
                    tokio::time::sleep(limits::RETRY_EVERY * tries).await;
                }
                other => break other?,
            }
        };
        let mut known = self.known();
        if known.ids.len() < limits::SCHEMAS_KEPT {
            known.ids.insert(key, id);
        }
        Ok(id)
    }

    async fn schema(&self, id: SchemaId) -> Result<String, RegistryError> {
        if let Some(schema) = self.known().schemas.get(&id.0) {
            return Ok(schema.clone());
        }
        let found = get_schema_by_id(id.0, &self.settings).await.map_err(|error| of(&error));
        let schema = match found {
            Ok(registered) => registered.schema,
            Err(RegistryError::Broken { status: 404 }) => return Err(RegistryError::Unknown(id)),
            Err(error) => return Err(error),
        };
        let mut known = self.known();
        if known.schemas.len() < limits::SCHEMAS_KEPT {
            known.schemas.insert(id.0, schema.clone());
        }
        Ok(schema)
    }
}

/// The crate tells the status only within a sentence of its own.
fn of(error: &SRCError) -> RegistryError {
    let status = error.error.split_whitespace().find_map(|word| word.parse::<u16>().ok());
    match status {
        Some(status) => of_status(status),
        None if error.retriable => RegistryError::Unreachable,
        None => RegistryError::Broken { status: 0 },
    }
}

const fn of_status(status: u16) -> RegistryError {
    match status {
        409 => RegistryError::Incompatible,
        429 | 502..=504 => RegistryError::Unreachable,
        status => RegistryError::Broken { status },
    }
}
