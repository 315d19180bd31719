//! What every handle to the log shares. The log closes when the last of them is gone: the committer
//! ends, then the folder is let go.

use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::task::spawn_blocking;
use trailgate_service::Clock;

use super::committer::Committer;
use super::folder::Folder;
use super::group::Groups;
use super::heads::Heads;
use super::job::{Asked, Job};
use super::queue::Queue;
use super::reader::Reader;
use super::storage;
use crate::backbone::BackboneError;

/// The log.
pub(super) struct Core {
    pub(super) queue: Arc<Queue>,
    pub(super) heads: Arc<Heads>,
    pub(super) groups: Groups,
    pub(super) clock: Arc<dyn Clock>,
    /// Pages that the database may have, 0 meaning as many as it can: how a test fills the disk.
    #[cfg_attr(not(test), expect(dead_code, reason = "only a test fills the disk"))]
    pub(super) pages_max: Arc<AtomicU32>,
    path: PathBuf,
    /// For what is asked now and then; readers of topics have their own.
    reader: Mutex<Option<Reader>>,
    committer: Option<JoinHandle<()>>,
    /// The last field, so that it is let go last.
    _folder: Folder,
}

impl Core {
    pub(super) fn open(folder: Folder, clock: Arc<dyn Clock>) -> Result<Self, BackboneError> {
        let path = folder.database();
        let db = storage::open_writer(&path)?;
        folder.sync()?;
        let heads = Arc::new(Heads::new(storage::load_tips(&db).map_err(storage::storage)?));
        let (queue, pages_max) = (Arc::new(Queue::default()), Arc::new(AtomicU32::new(0)));
        let committer = Committer {
            path: path.clone(),
            queue: Arc::clone(&queue),
            heads: Arc::clone(&heads),
            clock: Arc::clone(&clock),
            pages_max: Arc::clone(&pages_max),
        };
        let thread = std::thread::Builder::new().name("log-committer".to_owned());
        let committer = thread.spawn(move || committer.run(db)).map_err(|e| storage::io(&e))?;
        Ok(Self {
            queue,
            heads,
            groups: Groups::default(),
            clock,
            pages_max,
            path,
            reader: Mutex::new(None),
            committer: Some(committer),
            _folder: folder,
        })
    }

    /// A connection for whoever reads often.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn reader(&self) -> Result<Reader, BackboneError> {
        Reader::open(&self.path, &self.heads)
    }

    /// Asks the committer, and waits for its answer.
    ///
    /// # Errors
    /// The answer's; [`BackboneError::Refused`] if it is gone.
    pub(super) async fn ask<T>(
        &self,
        job: impl FnOnce(Asked<T, BackboneError>) -> Job,
    ) -> Result<T, BackboneError> {
        let (asked, answer) = Asked::new();
        self.queue.ask(job(asked));
        let gone = |_| BackboneError::Refused { code: "committer is gone".to_owned() };
        answer.await.map_err(gone)?
    }

    /// Asks a reader on a thread that may block.
    ///
    /// # Errors
    /// The answer's, and storage's.
    pub(super) async fn query<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Reader) -> Result<T, BackboneError> + Send + 'static,
    ) -> Result<T, BackboneError> {
        let core = Arc::clone(self);
        let answer = spawn_blocking(move || {
            let mut kept = core.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = match kept.take() {
                Some(reader) => reader,
                None => core.reader()?,
            };
            let answer = question(&reader);
            *kept = Some(reader);
            answer
        });
        answer.await.unwrap_or_else(|_| Err(broken("query ended early")))
    }
}

/// A mistake of this program, by a stable word.
pub(super) fn broken(code: &'static str) -> BackboneError {
    BackboneError::Refused { code: code.to_owned() }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(committer) = self.committer.take() {
            // If it panicked, that was told where it happened.
            let _ = committer.join();
        }
    }
}
