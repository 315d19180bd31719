//! How a stage starts, lives and stops: the same for all.

use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use crate::admin::{AdminConfig, serve_admin};
use crate::clock::{Clock, SystemClock};
use crate::config::{environment, load};
use crate::health::Health;
use crate::ids::{Ids, RandomIds};
use crate::limits::DRAIN_MAX;
use crate::metrics::Metrics;
use crate::probe::ask_readiness;
use crate::stop::Stop;
use crate::telemetry::{LogConfig, start_log};

/// What every stage is given.
#[derive(Clone)]
pub struct Context {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub ids: Arc<dyn Ids>,
    /// Where it says how it is.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
    /// When it must end.
    pub stop: Stop,
}

impl Context {
    /// The machine's clock and chance, and nothing said or counted yet.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            health: Health::default(),
            metrics: Metrics::default(),
            stop: Stop::new(),
        }
    }
}

/// What a stage's configuration has in common with the others'.
pub trait StageConfig: DeserializeOwned {
    /// Its `[log]` section.
    fn log(&self) -> &LogConfig;
    /// Its `[admin]` section.
    fn admin(&self) -> &AdminConfig;
}

/// A stage's `main`: reads `--config FILE`, starts logs and the admin listener, runs until the
/// stage ends or is asked to stop, and gives it [`DRAIN_MAX`] to drain. With `--ready` it asks the
/// stage that runs with this file whether it is ready, and fails if it is not.
pub fn stage_main<C, F, R>(stage: &'static str, run: F) -> ExitCode
where
    C: StageConfig,
    F: FnOnce(C, Context) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    match started(stage, run) {
        Ok(()) if stops_by_panic() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{stage}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn started<C, F, R>(stage: &'static str, run: F) -> anyhow::Result<()>
where
    C: StageConfig,
    F: FnOnce(C, Context) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let (file, errand) = arguments(stage)?;
    let config: C = load(&file, &environment())?;
    if errand == Errand::AskReadiness {
        return tell_readiness(config.admin());
    }
    start_log(config.log());
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let context = Context::system();
        stop_on_panic(&context.stop);
        context.stop.on_signals()?;
        let (health, metrics) = (context.health.clone(), context.metrics.clone());
        let bound = serve_admin(config.admin(), health, metrics, context.stop.child()).await;
        bound.with_context(|| match config.admin().listen {
            Some(address) => format!("admin.listen: {address} can't be bound"),
            None => "admin.listen".to_owned(),
        })?;
        tracing::info!(stage, version = env!("CARGO_PKG_VERSION"), "stage starts");
        let stop = context.stop.clone();
        let ended = run_to_end(run(config, context), stop).await;
        tracing::info!(stage, "stage stopped");
        ended
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn run_to_end(
    run: impl Future<Output = anyhow::Result<()>>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut run = std::pin::pin!(run);
    tokio::select! {
        ended = &mut run => return ended,
        () = stop.asked() => {}
    }
    tokio::time::timeout(DRAIN_MAX, run)
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("did not drain within {} s", DRAIN_MAX.as_secs())))
}

/// Installs the one TLS provider of the process. A second call changes nothing.
pub fn install_crypto() {
    // Fails only if one was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A panic is a bug: it is told by its place, never by its message, which may hold input, and the
/// process stops in order. Only within [`contain`], and on a thread whose name begins with
/// [`CONTAINED_THREAD`], it ends its task alone.
pub fn stop_on_panic(stop: &Stop) {
    let stop = stop.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let thread = std::thread::current();
        let is_contained =
            CONTAINED.get() || thread.name().is_some_and(|name| name.starts_with(CONTAINED_THREAD));
        if is_contained {
            tracing::error!(place, "panicked; its task ends");
            return;
        }
        tracing::error!(place, "panicked; stopping");
        PANICKED.store(true, Ordering::Relaxed);
        stop.ask();
    }));
}

/// Runs what may panic on hostile input, and whose panic ends nothing else: none if it did. What it
/// changes must be of no use afterwards, or be put right by the caller.
pub fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outer = CONTAINED.replace(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    CONTAINED.set(outer);
    done.ok()
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the process stops because of a panic, which is no success.
#[must_use]
pub fn stops_by_panic() -> bool {
    PANICKED.load(Ordering::Relaxed)
}

/// How the name of a thread begins on which a caller's input runs through code that is not ours and
/// may panic on it, as a query engine does, and where nothing outlives the task.
pub const CONTAINED_THREAD: &str = "contained-";

static PANICKED: AtomicBool = AtomicBool::new(false);

/// What a process is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Run,
    AskReadiness,
}

fn arguments(stage: &'static str) -> anyhow::Result<(PathBuf, Errand)> {
    let mut arguments = std::env::args_os().skip(1);
    let flag = arguments.next().is_some_and(|flag| flag == "--config");
    let (file, errand, more) = (arguments.next(), arguments.next(), arguments.next());
    let errand = match errand {
        None => Some(Errand::Run),
        Some(errand) if errand == "--ready" && more.is_none() => Some(Errand::AskReadiness),
        Some(_) => None,
    };
    match (flag, file, errand) {
        (true, Some(file), Some(errand)) => Ok((PathBuf::from(file), errand)),
        _ => Err(anyhow::anyhow!("usage: trailgate-{stage} --config FILE [--ready]")),
    }
}

fn tell_readiness(config: &AdminConfig) -> anyhow::Result<()> {
    let readiness = ask_readiness(config)?;
    say(readiness.parts.trim_end());
    if readiness.is_ready { Ok(()) } else { Err(anyhow::anyhow!("not ready")) }
}

#[expect(clippy::print_stderr, reason = "the log may not have started")]
fn say(line: &str) {
    eprintln!("{line}");
}
