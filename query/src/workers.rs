//! Threads of their own for statements: planning and running them is work for a core, and a
//! statement that nests deeply needs a deep stack. A listener is never kept waiting by either, and
//! where the engine panics on a statement, that statement fails and nothing else.

use tokio::runtime::{Builder, Handle, Runtime};

use trailgate_service::CONTAINED_THREAD;

use crate::limits::WORKER_STACK_BYTES;

/// A runtime that only statements run on.
pub(crate) struct Workers(Option<Runtime>);

impl Workers {
    /// A thread for each core.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name(format!("{CONTAINED_THREAD}sql"))
            .thread_stack_size(WORKER_STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to spawn.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // A runtime may not be dropped on another one's threads, where dropping it would wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
