//! The object stores that a statement can reach: those that the table's own plan names, and no
//! others. DataFusion's own registry also gives the local file system to whoever asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result as PlanResult;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

/// Stores that were registered by name; nothing is found or made for a name that was not.
#[derive(Debug, Default)]
pub(crate) struct OnlyTheTable(Mutex<HashMap<String, Arc<dyn ObjectStore>>>);

impl ObjectStoreRegistry for OnlyTheTable {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name(url), store)
    }

    fn get_store(&self, url: &Url) -> PlanResult<Arc<dyn ObjectStore>> {
        let stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = stores.get(&name(url)).cloned();
        store.ok_or_else(|| {
            DataFusionError::Plan("nothing outside the record can be read".to_owned())
        })
    }
}

fn name(url: &Url) -> String {
    format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPort])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_file_system_is_not_there() {
        let stores = OnlyTheTable::default();
        for url in ["file:///etc/passwd", "http://localhost/", "s3://bucket/x"] {
            assert!(stores.get_store(&url.parse().unwrap()).is_err(), "{url}");
        }
    }
}
