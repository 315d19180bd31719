//! A store that fails as stores do: before a write, or after it with the answer lost.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to a request.
#[allow(dead_code, reason = "each crate that tests with it uses its own part")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It fails, and nothing was done.
    Before,
    /// It is done, and its answer is lost.
    After,
    /// It is done, its answer is lost, and so are all requests until [`Faults::mend`].
    AfterThenDown,
    /// It fails, nothing was done, and so it goes with all requests until [`Faults::mend`].
    Down,
}

/// The faults that are to come; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    down: bool,
    overwrites: bool,
    commits: VecDeque<Fault>,
    files: VecDeque<Fault>,
}

#[allow(dead_code, reason = "each crate that tests with it uses its own part")]
impl Faults {
    /// The next creates of a commit in the log, in order.
    pub(crate) fn on_commits(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().commits.extend(faults);
    }

    /// The next puts of a data file, in order.
    pub(crate) fn on_files(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().files.extend(faults);
    }

    /// Every request fails from now on.
    pub(crate) fn go_down(&self) {
        self.0.lock().unwrap().down = true;
    }

    /// Every request fails from the next create of a commit on, that one included.
    pub(crate) fn go_down_at_next_commit(&self) {
        let mut state = self.0.lock().unwrap();
        state.commits.clear();
        state.commits.push_back(Fault::Down);
    }

    /// A create replaces what is there, as on a store without conditional puts.
    pub(crate) fn overwrite(&self) {
        self.0.lock().unwrap().overwrites = true;
    }

    /// Requests are answered again.
    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().down = false;
    }

    /// A wrapper for a store.
    pub(crate) fn around(&self, inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(FaultyStore { inner, faults: self.clone() })
    }

    fn check(&self) -> Result<()> {
        if self.0.lock().unwrap().down { Err(lost()) } else { Ok(()) }
    }

    fn next(&self, location: &Path) -> Fault {
        let mut state = self.0.lock().unwrap();
        if location.as_ref().contains("_delta_log/") && location.as_ref().ends_with(".json") {
            state.commits.pop_front().unwrap_or(Fault::None)
        } else if location.as_ref().ends_with(".zstd.parquet") {
            state.files.pop_front().unwrap_or(Fault::None)
        } else {
            Fault::None
        }
    }
}

#[derive(Debug)]
struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Faults,
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.faults.check()?;
        if self.faults.0.lock().unwrap().overwrites {
            options.mode = PutMode::Overwrite;
        }
        match self.faults.next(location) {
            Fault::None => self.inner.put_opts(location, payload, options).await,
            Fault::Before => Err(lost()),
            Fault::Down => {
                self.faults.go_down();
                Err(lost())
            }
            Fault::After => {
                self.inner.put_opts(location, payload, options).await?;
                Err(lost())
            }
            Fault::AfterThenDown => {
                self.inner.put_opts(location, payload, options).await?;
                self.faults.go_down();
                Err(lost())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.faults.check()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.check()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.faults.check()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => Box::pin(futures::stream::once(async { Err(error) })),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.faults.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}

fn lost() -> Error {
    Error::Generic { store: "faulty", source: "connection lost".into() }
}
