//! A chunk of the hot tail on disk, as an Arrow IPC file that goes away with its last reader.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;

/// A spilled chunk. The file is removed when this is dropped.
#[derive(Debug)]
pub struct Spilled {
    file: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Why a chunk could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpillError {
    /// The disk refused.
    #[error("tail can't be spilled: {0}")]
    Disk(std::io::ErrorKind),
    /// The file is not what was written.
    #[error("spilled tail is damaged")]
    Damaged,
}

impl Spilled {
    /// Writes `batches` to `folder` under `name`. Blocks.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(folder: &Path, name: &str, batches: &[RecordBatch]) -> Result<Self, SpillError> {
        let file = folder.join(name);
        let disk = |error: std::io::Error| SpillError::Disk(error.kind());
        let Some(first) = batches.first() else { return Err(SpillError::Damaged) };
        let out = BufWriter::new(File::create(&file).map_err(disk)?);
        let mut spilled = Self { file, bytes: 0 };
        let mut writer =
            FileWriter::try_new(out, &first.schema()).map_err(|_| SpillError::Damaged)?;
        for batch in batches {
            writer.write(batch).map_err(|_| SpillError::Disk(std::io::ErrorKind::Other))?;
        }
        writer.finish().map_err(|_| SpillError::Disk(std::io::ErrorKind::Other))?;
        spilled.bytes = std::fs::metadata(&spilled.file).map_err(disk)?.len();
        Ok(spilled)
    }

    /// Opens it to read batch by batch. Blocks.
    ///
    /// # Errors
    /// If it can't be opened or is not of `schema`.
    pub fn read(&self, schema: &SchemaRef) -> Result<FileReader<BufReader<File>>, SpillError> {
        let file = File::open(&self.file).map_err(|error| SpillError::Disk(error.kind()))?;
        let reader =
            FileReader::try_new(BufReader::new(file), None).map_err(|_| SpillError::Damaged)?;
        if reader.schema() == *schema { Ok(reader) } else { Err(SpillError::Damaged) }
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        // What is left is removed with the scratch folder at the next start.
        let _ = std::fs::remove_file(&self.file);
    }
}
