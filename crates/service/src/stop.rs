//! One stop for a whole process: asked for by a signal, a failure or a test.

use tokio_util::sync::CancellationToken;

/// A stop that many parts watch and any part may ask for.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A stop that nobody has asked for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A part's own stop: asked for with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks for it. Asking twice is no error.
    pub fn ask(&self) {
        self.0.cancel();
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn asked(&self) {
        self.0.cancelled().await;
    }

    /// Asks for it when the process is told to end (SIGTERM, SIGINT).
    ///
    /// # Errors
    /// If the process can't listen to signals.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("asked to stop");
            stop.ask();
        });
        Ok(())
    }
}
