//! A table: opened or made, and asked for its newest version.

use crate::error::TableError;
use crate::location::TableLocation;
use crate::snapshot::Snapshot;

/// A table. Clones share what they know of its log.
#[derive(Clone)]
pub struct Table {}

impl Table {
    /// Opens the table, or makes it if there is none; columns of this version that it lacks are
    /// added.
    ///
    /// # Errors
    /// If the store fails or what lies there is no table of this kind.
    pub async fn open_or_create(location: &TableLocation) -> Result<Self, TableError> {
        todo!("{location:?}")
    }

    /// Opens the table.
    ///
    /// # Errors
    /// [`TableError::Absent`] if there is none (yet).
    pub async fn open(location: &TableLocation) -> Result<Self, TableError> {
        todo!("{location:?}")
    }

    /// The newest version. Costs a look at the log's end, and what was committed since the last.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn snapshot(&self) -> Result<Snapshot, TableError> {
        todo!()
    }

    /// Proves that the store refuses a second create of one key, which every commit rests on.
    ///
    /// # Errors
    /// [`TableError::NotExclusive`] if it does not.
    pub async fn prove_exclusive_create(&self) -> Result<(), TableError> {
        todo!()
    }
}
