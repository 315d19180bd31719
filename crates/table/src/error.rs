//! Why the table can't be used: words and names of columns, never a library's text.

use std::error::Error;
use std::io::ErrorKind;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};

/// Why a table could not be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Not now: the store failed or took too long. Try again.
    #[error("object store failed: {code}")]
    Store {
        /// A stable word.
        code: &'static str,
    },
    /// The store does not let this process: a person must make room or give it the right.
    #[error("object store refuses: {code}")]
    Refused {
        /// A stable word.
        code: &'static str,
    },
    /// There is no table at the location.
    #[error("there is no table here")]
    Absent,
    /// The location can't be one.
    #[error("table location is not valid: {code}")]
    Location {
        /// A stable word.
        code: &'static str,
    },
    /// The store lets a second writer create the same key, so commits could overwrite one another.
    #[error("store does not refuse a second create of one key; exactly-once is not possible on it")]
    NotExclusive,
    /// The table lacks something that is to be written: another version made it, or a person must.
    #[error("table lacks column {column}; upgrade the archiver")]
    Lacks {
        /// The column.
        column: String,
    },
    /// The table's own files are not as the Delta protocol or this version wants them.
    #[error("table is not readable: {code}")]
    Broken {
        /// A stable word.
        code: &'static str,
    },
}

impl TableError {
    /// Whether to try again after a while; else a person must act.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Store { .. })
    }
}

impl From<StoreError> for TableError {
    fn from(error: StoreError) -> Self {
        refusal(&error).unwrap_or_else(|| Self::Store { code: store_code(&error) })
    }
}

impl From<DeltaTableError> for TableError {
    fn from(error: DeltaTableError) -> Self {
        match error {
            DeltaTableError::ObjectStore { source } => source.into(),
            DeltaTableError::Transaction { source: TransactionError::ObjectStore { source } } => {
                source.into()
            }
            DeltaTableError::NotATable(_) => Self::Absent,
            DeltaTableError::InvalidTableLocation(_) => Self::Location { code: "delta" },
            DeltaTableError::InvalidJsonLog { .. } => Self::Broken { code: "commit_json" },
            DeltaTableError::InvalidStatsJson { .. } => Self::Broken { code: "stats_json" },
            DeltaTableError::NoSchema => Self::Broken { code: "no_schema" },
            DeltaTableError::UnsupportedColumnMapping { .. } => {
                Self::Broken { code: "column_mapping" }
            }
            // The kernel wraps the store's failures in texts of its own. What can't be told apart is
            // tried again, and says so on each try.
            other => refusal(&other).unwrap_or_else(|| Self::Store { code: delta_code(&other) }),
        }
    }
}

/// What another try does not mend, however deep a library has wrapped it.
fn refusal(error: &(dyn Error + 'static)) -> Option<TableError> {
    let mut below = Some(error);
    while let Some(cause) = below {
        if let Some(code) = refusal_code(cause) {
            return Some(TableError::Refused { code });
        }
        below = cause.source();
    }
    None
}

fn refusal_code(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(store) = error.downcast_ref::<StoreError>() {
        return match store {
            StoreError::PermissionDenied { .. } => Some("access denied"),
            StoreError::Unauthenticated { .. } => Some("credentials not accepted"),
            _ => None,
        };
    }
    match error.downcast_ref::<std::io::Error>()?.kind() {
        ErrorKind::StorageFull => Some("disk full"),
        ErrorKind::QuotaExceeded => Some("quota used up"),
        ErrorKind::ReadOnlyFilesystem => Some("read-only file system"),
        ErrorKind::PermissionDenied => Some("access denied"),
        _ => None,
    }
}

/// A word for a failure; the library's text may hold values of rows, from statistics.
fn delta_code(error: &DeltaTableError) -> &'static str {
    match error {
        DeltaTableError::KernelError(_) | DeltaTableError::Kernel { .. } => {
            cause_code(error).unwrap_or("kernel")
        }
        DeltaTableError::Parquet { .. } => "parquet",
        DeltaTableError::Arrow { .. } => "arrow",
        DeltaTableError::Io { .. } => "io",
        DeltaTableError::InvalidVersion(_) => "version_gone",
        DeltaTableError::VersionAlreadyExists(_) => "version_taken",
        DeltaTableError::Transaction { source: TransactionError::CommitConflict(_) } => "conflict",
        DeltaTableError::Transaction { .. } => "transaction",
        DeltaTableError::MetadataError(_) => "metadata",
        _ => cause_code(error).unwrap_or("delta"),
    }
}

pub(crate) fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotFound { .. } => "not_found",
        StoreError::AlreadyExists { .. } => "already_exists",
        StoreError::Precondition { .. } => "precondition",
        StoreError::NotImplemented { .. } => "not_implemented",
        StoreError::UnknownConfigurationKey { .. } => "configuration",
        _ => cause_code(error).unwrap_or("failed"),
    }
}

/// A word for what lies below a failure: how far a request came.
fn cause_code(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = error.source();
    while let Some(below) = cause {
        if let Some(request) = below.downcast_ref::<HttpError>() {
            return Some(request_code(request.kind()));
        }
        cause = below.source();
    }
    None
}

const fn request_code(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "can't connect",
        HttpErrorKind::Timeout => "timed out",
        HttpErrorKind::Interrupted => "broke off",
        HttpErrorKind::Decode => "answer not understood",
        _ => "no answer",
    }
}
