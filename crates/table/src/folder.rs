//! A local folder as an object store whose writes are durable: a file is flushed before it gets
//! its name, and its folder after, so that what a commit names is there after a power cut.
//!
//! `object_store` gives names without flushing anything; everything but writing is its own.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

/// The file system, written to durably.
#[derive(Debug)]
pub(crate) struct DurableFolder {
    inner: LocalFileSystem,
}

impl DurableFolder {
    pub(crate) fn new() -> Self {
        Self { inner: LocalFileSystem::new() }
    }
}

impl std::fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DurableFolder")
    }
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let name = match options.mode {
            PutMode::Create => Name::New,
            PutMode::Overwrite => Name::Any,
            // A folder has no versions to compare with.
            PutMode::Update(_) => {
                let operation = "update".to_owned();
                return Err(Error::NotImplemented { operation, implementer: self.to_string() });
            }
        };
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || put(&path, &payload, name)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let parent = path.clone();
        blocking(move || make_parent(&parent).map_err(failed)).await?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload { inner, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        let path = self.inner.path_to_filesystem(to)?;
        blocking(move || flush(&path).map_err(failed)).await
    }
}

/// An upload in parts that is flushed when it is complete: nothing names it before.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.inner.put_part(part)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let path = self.path.clone();
        blocking(move || flush(&path).map_err(failed)).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Whether a name may be in use already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    New,
    Any,
}

fn put(path: &FilePath, payload: &PutPayload, name: Name) -> Result<PutResult> {
    make_parent(path).map_err(failed)?;
    let (mut file, staged) = stage(path).map_err(failed)?;
    let named = payload
        .iter()
        .try_for_each(|bytes| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| match name {
            Name::New => std::fs::hard_link(&staged, path),
            Name::Any => std::fs::rename(&staged, path),
        });
    if name == Name::New || named.is_err() {
        // A staged file that stays is never listed.
        let _ = std::fs::remove_file(&staged);
    }
    match named {
        Ok(()) => flush_parent(path).map_err(failed)?,
        Err(source) if name == Name::New && source.kind() == ErrorKind::AlreadyExists => {
            let path = path.display().to_string();
            return Err(Error::AlreadyExists { path, source: Box::new(source) });
        }
        Err(source) => return Err(failed(source)),
    }
    Ok(PutResult { e_tag: None, version: None })
}

/// A new file beside `path`, named as `object_store` names uploads that are under way and does not
/// list.
fn stage(path: &FilePath) -> std::io::Result<(File, PathBuf)> {
    for number in 1_u64.. {
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        let staged = PathBuf::from(staged);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::StorageFull.into())
}

fn make_parent(path: &FilePath) -> std::io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    make_parent(parent)?;
    match std::fs::create_dir(parent) {
        Ok(()) => flush_parent(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn flush(path: &FilePath) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    flush_parent(path)
}

fn flush_parent(path: &FilePath) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::JoinError { source: error }))
}

fn failed(source: std::io::Error) -> Error {
    Error::Generic { store: "folder", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    fn at(folder: &tempfile::TempDir, name: &str) -> Path {
        Path::from_filesystem_path(folder.path()).unwrap().join(name)
    }

    #[tokio::test]
    async fn a_second_create_of_one_name_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableFolder::new();
        let place = at(&folder, "a").join("b");
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&place, "one".into(), create()).await.unwrap();
        let second = store.put_opts(&place, "two".into(), create()).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&place).await.unwrap().bytes().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn nothing_is_left_beside_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableFolder::new();
        store.put(&at(&folder, "x"), "one".into()).await.unwrap();
        store.put(&at(&folder, "x"), "two".into()).await.unwrap();
        let mut upload = store.put_multipart(&at(&folder, "y")).await.unwrap();
        upload.put_part("three".into()).await.unwrap();
        upload.complete().await.unwrap();
        let prefix = Path::from_filesystem_path(folder.path()).unwrap();
        let listed: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await.unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"two");
    }
}
