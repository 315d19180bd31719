//! Query as a stage: bind the listener, wait for what it reads, answer until it is asked to stop.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use trailgate_envelope::{KeysFolder, Sealer, Stage};
use trailgate_identity::{Authenticator, Listener};
use trailgate_schemas::SessionKey;
use trailgate_service::{Context, Part, Stop};
use trailgate_table::{Table, TableError, TableLocation};
use trailgate_topics::{
    Backbone, RawWriter, RawWriterError, Refusals, Topic, open_backbone, watch_backbone,
};

use crate::config::{Config, QueryConfig};
use crate::desk::{Desk, Ready, routes};
use crate::engine::Engine;
use crate::follow::{FollowError, Follower};
use crate::hot_tail::HotTail;
use crate::limits::RETRY_AFTER;
use crate::metrics::Counts;
use crate::trail::Trail;

/// What query stands on.
pub struct Ground {
    /// Where the hot tail is read and its own events go.
    pub backbone: Arc<dyn Backbone>,
    /// The table, which may not be there yet.
    pub table: TableLocation,
    /// The keys folder.
    pub keys: KeysFolder,
    /// Who verifies callers.
    pub authenticator: Arc<Authenticator>,
}

/// Query with its listener bound, so that its address is known before it answers.
pub struct Bound {
    listener: Listener,
    config: QueryConfig,
}

/// Runs query until it is asked to stop.
///
/// # Errors
/// If it can't start, or can't go on.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let ground = Ground {
        backbone: open_backbone(&config.backbone, Arc::clone(&context.clock))?,
        table: TableLocation::try_from(&config.table)?,
        keys: KeysFolder::new(&config.keys.folder),
        authenticator: Arc::new(Authenticator::new(&config.identity, Arc::clone(&context.clock))?),
    };
    let bound = Bound::bind(config.query).await?;
    tracing::info!(address = %bound.address()?, "query listens");
    bound.run(ground, context).await
}

impl Bound {
    /// Checks the configuration and binds the listener.
    ///
    /// # Errors
    /// If either fails.
    pub async fn bind(config: QueryConfig) -> anyhow::Result<Self> {
        config.access()?;
        config.engine_limits()?;
        let listener = Listener::bind("query", config.listen, config.tls.as_ref()).await?;
        Ok(Self { listener, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system can't say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Answers on what it stands on until the context's stop. Until the table, the log and the
    /// registry are there it answers 503.
    ///
    /// # Errors
    /// If it can't start, or can't go on.
    pub async fn run(self, ground: Ground, context: Context) -> anyhow::Result<()> {
        let part = context.health.part("query");
        let sessions = ground.keys.load_session().context("query's keys")?;
        let (clock, stop) = (Arc::clone(&context.clock), context.stop.clone());
        let refusals = Refusals::new(clock, stop, TaskTracker::new());
        let desk = Arc::new(Desk {
            authenticator: Arc::clone(&ground.authenticator),
            access: self.config.access()?,
            trail: Trail {
                clock: Arc::clone(&context.clock),
                ids: Arc::clone(&context.ids),
                sessions: SessionKey::new(sessions.bytes()),
            },
            counts: Counts::new(&context.metrics),
            refusals,
            ready: OnceLock::new(),
        });
        let (looking, issuers) =
            (Arc::clone(&ground.authenticator), context.health.part("identity"));
        let stop = context.stop.clone();
        tokio::spawn(async move { looking.look_ahead(&issuers, &stop).await });
        // The tail is followed until the last answer is out.
        let follow = Stop::new();
        let serving = self.listener.serve(routes(Arc::clone(&desk)), context.stop.clone());
        let started = start(&self.config, &ground, &context, &part, &desk, &follow);
        let mut serving = std::pin::pin!(serving);
        let (writer, following) = tokio::select! {
            () = serving.as_mut() => return Ok(()),
            started = started => started?,
        };
        serving.await;
        part.not_ready("stopping");
        follow.ask();
        let followed = following.await;
        writer.finish().await.context("query's last events")?;
        followed.context("query's tail")?.context("query's tail")
    }
}

/// All that is needed for the first answer, tried again while something is away.
async fn start(
    config: &QueryConfig,
    ground: &Ground,
    context: &Context,
    part: &Part,
    desk: &Desk,
    follow: &Stop,
) -> anyhow::Result<(RawWriter, JoinHandle<Result<(), FollowError>>)> {
    let keys = ground.keys.load_sealing(Stage::Query).context("query's keys")?;
    let sealer = Sealer::new(keys.sender, keys.opening, Arc::clone(&context.clock));
    let sealer = Arc::new(sealer);
    let writer = loop {
        match open_writer(ground, context, Arc::clone(&sealer)).await {
            Ok(writer) => break writer,
            Err(error) if error.is_transient() => part.waits(error.awaited(), &error),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    };
    writer.stop_if_forbidden(&context.stop);
    let (backbone, watched) = (Arc::clone(&ground.backbone), context.health.part("query-backbone"));
    tokio::spawn(watch_backbone(backbone, watched, context.stop.clone()));
    let store = context.health.part("query-table");
    let (follower, tail) = loop {
        match open_tail(config, ground, (part.clone(), store.clone())).await {
            Ok(opened) => break opened,
            // The archiver makes the table.
            Err(error)
                if error.is_transient()
                    || matches!(error, FollowError::Table(TableError::Absent)) =>
            {
                part.waits(error.awaited(), &error);
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    };
    let engine = Engine::new(tail, config.engine_limits()?)
        .map_err(|_| anyhow::anyhow!("query.scratch: can't be used"))?;
    let (following, stop) = (follower.run(follow.clone()), context.stop.clone());
    // A tail that can't be followed ends the stage.
    let following = tokio::spawn(async move { following.await.inspect_err(|_| stop.ask()) });
    let ready = Ready { engine, recorder: Arc::new(writer.clone()) };
    // Set once: this runs once.
    let _ = desk.ready.set(ready);
    Ok((writer, following))
}

async fn open_writer(
    ground: &Ground,
    context: &Context,
    sealer: Arc<Sealer>,
) -> Result<RawWriter, RawWriterError> {
    ground.backbone.ensure(&[Topic::Raw, Topic::Events]).await?;
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    let backbone = Arc::clone(&ground.backbone);
    RawWriter::start(backbone, sealer, Stage::Query.name(), clock, ids).await
}

async fn open_tail(
    config: &QueryConfig,
    ground: &Ground,
    parts: (Part, Part),
) -> Result<(Follower, HotTail), FollowError> {
    let table = Table::open(&ground.table).await?;
    let backbone = Arc::clone(&ground.backbone);
    Follower::open(backbone, table, config.tail_limits(), parts).await
}
