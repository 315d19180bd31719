//! The object store under a table, from its location.

use std::sync::Arc;

use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::error::TableError;
use crate::folder::DurableFolder;
use crate::limits::{REQUEST_MAX, RETRIES_MAX, RETRY_MAX};
use crate::location::{S3Config, TableLocation};

/// A store and where in it the table lies.
pub(crate) struct Place {
    /// The whole store.
    pub(crate) root: Arc<dyn ObjectStore>,
    /// The table's root as Delta names it.
    pub(crate) url: Url,
    /// The table's root in the store.
    prefix: Path,
}

impl Place {
    pub(crate) fn open(location: &TableLocation) -> Result<Self, TableError> {
        match location {
            TableLocation::Folder(folder) => {
                let failed = |_| TableError::Location { code: "folder" };
                std::fs::create_dir_all(folder).map_err(failed)?;
                let folder = std::fs::canonicalize(folder).map_err(failed)?;
                let url = Url::from_directory_path(&folder)
                    .map_err(|()| TableError::Location { code: "folder" })?;
                let prefix = Path::from_absolute_path(&folder)
                    .map_err(|_| TableError::Location { code: "folder" })?;
                Ok(Self { root: Arc::new(DurableFolder::new()), url, prefix })
            }
            TableLocation::Bucket { bucket, prefix, s3 } => {
                let url = match prefix.as_str() {
                    "" => format!("s3://{bucket}/"),
                    prefix => format!("s3://{bucket}/{prefix}/"),
                };
                let url = Url::parse(&url).map_err(|_| TableError::Location { code: "bucket" })?;
                let prefix = Path::from_url_path(url.path())
                    .map_err(|_| TableError::Location { code: "prefix" })?;
                Ok(Self { root: Arc::new(bucket_store(bucket, s3)?), url, prefix })
            }
        }
    }

    /// The log of a table at this place. Commits are conditional creates of their file; that the
    /// store honours the condition is proved at start.
    pub(crate) fn log(&self) -> LogStoreRef {
        let table = PrefixStore::new(Arc::clone(&self.root), self.prefix.clone());
        let root = Arc::clone(&self.root);
        default_logstore(Arc::new(table), root, &self.url, &StorageConfig::default())
    }
}

fn bucket_store(bucket: &str, s3: &S3Config) -> Result<impl ObjectStore, TableError> {
    // With no keys given, a role of the machine or the workload is asked, as AWS's own tools do.
    let base = match s3.access_key_id {
        Some(_) => AmazonS3Builder::new(),
        None => AmazonS3Builder::from_env(),
    };
    let retry =
        RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_MAX, ..Default::default() };
    let client = ClientOptions::new().with_allow_http(s3.allow_http).with_timeout(REQUEST_MAX);
    let mut builder = base
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .with_allow_http(s3.allow_http)
        .with_virtual_hosted_style_request(s3.virtual_hosted_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(id) = &s3.access_key_id {
        builder = builder.with_access_key_id(id);
    }
    if let Some(key) = &s3.secret_access_key {
        builder = builder.with_secret_access_key(key);
    }
    if let Some(token) = &s3.session_token {
        builder = builder.with_token(token);
    }
    builder.build().map_err(|_| TableError::Location { code: "s3" })
}
