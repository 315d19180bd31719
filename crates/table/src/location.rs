//! Where a table lies: a local folder, or a prefix in a bucket of an S3-compatible store.

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::TableError;

/// The `[table]` section, the same in every stage's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// A folder's path, or `s3://bucket/prefix`.
    pub location: String,
    /// How a bucket is reached; only with `s3://`.
    #[serde(default)]
    pub s3: Option<S3Config>,
}

/// How an S3-compatible store is reached.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// The store's address, if it is not AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key's id; without it the environment of the machine is asked (instance role).
    pub access_key_id: Option<String>,
    /// The access key.
    pub secret_access_key: Option<String>,
    /// A session token, with temporary keys.
    pub session_token: Option<String>,
    /// Whether an `http://` endpoint is allowed.
    pub allow_http: bool,
    /// Whether the bucket is part of the host's name instead of the path.
    pub virtual_hosted_style: bool,
}

impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Where a table lies.
#[derive(Clone, Debug)]
pub enum TableLocation {
    /// In a local folder.
    Folder(PathBuf),
    /// Under a prefix of a bucket.
    Bucket {
        /// The bucket's name.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
        /// How it is reached.
        s3: Box<S3Config>,
    },
}

impl TryFrom<&TableConfig> for TableLocation {
    type Error = TableError;

    fn try_from(config: &TableConfig) -> Result<Self, TableError> {
        let Some(rest) = config.location.strip_prefix("s3://") else {
            return match (&config.s3, config.location.contains("://")) {
                (Some(_), _) => Err(TableError::Location { code: "s3_without_bucket" }),
                (None, true) => Err(TableError::Location { code: "scheme" }),
                (None, false) if config.location.is_empty() => {
                    Err(TableError::Location { code: "empty" })
                }
                (None, false) => Ok(Self::Folder(PathBuf::from(&config.location))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(TableError::Location { code: "bucket" });
        }
        Ok(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            s3: Box::new(config.s3.clone().unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Result<TableLocation, TableError> {
        TableLocation::try_from(&TableConfig { location: text.to_owned(), s3: None })
    }

    #[test]
    fn a_path_is_a_folder_and_s3_is_a_bucket() {
        assert!(matches!(location("/data/table"), Ok(TableLocation::Folder(_))));
        let Ok(TableLocation::Bucket { bucket, prefix, .. }) = location("s3://audit/trail/gate/")
        else {
            panic!("a bucket")
        };
        assert_eq!((bucket.as_str(), prefix.as_str()), ("audit", "trail/gate"));
    }

    #[test]
    fn other_schemes_and_empty_places_are_refused() {
        assert!(location("https://example/x").is_err());
        assert!(location("").is_err());
        assert!(location("s3:///x").is_err());
    }

    #[test]
    fn keys_are_not_shown() {
        let s3 = S3Config { secret_access_key: Some("hunter2".to_owned()), ..S3Config::default() };
        assert!(!format!("{s3:?}").contains("hunter2"));
    }
}
