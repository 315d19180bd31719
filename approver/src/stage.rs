//! The approver as a stage: bind the listener, wait for the backbone and the registry, run the
//! processor, follow what is shown, answer until it is asked to stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use trailgate_envelope::{Deciders, KeysFolder, Sealer, SigningKey, Stage};
use trailgate_identity::{Authenticator, Listener};
use trailgate_redact::{OwnRules, TokenKey};
use trailgate_schemas::SessionKey;
use trailgate_service::{Context, Part, Stop, instance_name};
use trailgate_topics::{
    Backbone, BackboneError, Ended, ProcessorHandle, ProcessorSpec, RawSeal, RawWriter,
    RawWriterError, Refusals, Topic, open_backbone, watch_backbone, watch_processor,
};

use crate::approver::Approver;
use crate::cast::Ready;
use crate::config::{ApproverConfig, Config};
use crate::desk::{Desk, routes};
use crate::follow::Follower;
use crate::limits::{COMMIT_EVERY, RETRY_AFTER, SHOWN_BYTES_MAX, VOTES_MAX};
use crate::masking::{Masking, look_after};
use crate::metrics::Counts;
use crate::shown::Shown;
use crate::trail::Trail;

/// What the approver stands on.
pub struct Ground {
    /// Where holds come from and decisions go.
    pub backbone: Arc<dyn Backbone>,
    /// The keys folder.
    pub keys: KeysFolder,
    /// Who verifies callers.
    pub authenticator: Arc<Authenticator>,
}

/// The approver with its listener bound, so that its address is known before it answers.
pub struct Bound {
    listener: Listener,
    config: ApproverConfig,
}

/// Runs the approver until it is asked to stop.
///
/// # Errors
/// If it can't start, or can't go on.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let ground = Ground {
        backbone: open_backbone(&config.backbone, Arc::clone(&context.clock))?,
        keys: KeysFolder::new(&config.keys.folder),
        authenticator: Arc::new(Authenticator::new(&config.identity, Arc::clone(&context.clock))?),
    };
    let bound = Bound::bind(config.approver).await?;
    tracing::info!(address = %bound.address()?, "approver listens");
    bound.run(ground, context).await
}

impl Bound {
    /// Binds the listener.
    ///
    /// # Errors
    /// If that fails.
    pub async fn bind(config: ApproverConfig) -> anyhow::Result<Self> {
        let listener = Listener::bind("approver", config.listen, config.tls.as_ref()).await?;
        Ok(Self { listener, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system can't say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Answers and decides on what it stands on until the context's stop. Until the log and the
    /// registry are there it answers 503.
    ///
    /// # Errors
    /// If it can't start, or can't go on.
    pub async fn run(self, ground: Ground, context: Context) -> anyhow::Result<()> {
        let parts = Parts {
            processor: context.health.part("approver"),
            shown: context.health.part("approvals"),
            backbone: context.health.part("approver-backbone"),
            issuers: context.health.part("approver-identity"),
        };
        let keys = Keys::load(&ground.keys).context("approver's keys")?;
        let own = OwnRules::load(&self.config.rules, &self.config.rules_off);
        let own = Arc::new(own.context("approver.rules")?);
        let masking = Masking::new(Arc::clone(&own), keys.token.clone());
        let desk = desk(&keys, masking, &ground, &context);
        let looking = tokio::spawn(look_after(own));
        let serving = self.listener.serve(routes(Arc::clone(&desk)), context.stop.clone());
        let mut serving = std::pin::pin!(serving);
        let started = start(&self.config, &ground, &context, (keys, &desk), &parts);
        let started = tokio::select! {
            () = serving.as_mut() => return Ok(()),
            started = started => started?,
        };
        let Running { handle, writer, follow, following } = started;
        let stop = context.stop.clone();
        tokio::spawn(watch_backbone(Arc::clone(&ground.backbone), parts.backbone, stop.clone()));
        tokio::spawn(async move { ground.authenticator.look_ahead(&parts.issuers, &stop).await });
        // A processor that fails ends the stage.
        tokio::select! {
            () = serving.as_mut() => {}
            () = watch_processor(&handle, &parts.processor) => {
                context.stop.ask();
                serving.await;
            }
        }
        parts.processor.not_ready("stopping");
        looking.abort();
        desk.tasks.close();
        desk.tasks.wait().await;
        follow.ask();
        let followed = following.await;
        let ended = handle.stop().await;
        writer.finish().await.context("approver's last events")?;
        followed.context("approvals")?.context("approvals")?;
        match ended {
            Ended::Stopped => Ok(()),
            Ended::Failed(code) => anyhow::bail!("approver failed: {code}"),
        }
    }
}

/// Where it says how it is.
struct Parts {
    processor: Part,
    shown: Part,
    backbone: Part,
    issuers: Part,
}

/// What runs beside the listener.
struct Running {
    handle: ProcessorHandle,
    writer: RawWriter,
    follow: Stop,
    following: JoinHandle<Result<(), BackboneError>>,
}

struct Keys {
    decision: Arc<SigningKey>,
    deciders: Deciders,
    session: SessionKey,
    token: TokenKey,
}

impl Keys {
    fn load(folder: &KeysFolder) -> Result<Self, trailgate_envelope::KeysError> {
        // Missing ones are said now, not when the backbone has come.
        folder.load_sealing(Stage::Approver)?;
        Ok(Self {
            decision: Arc::new(folder.load_decision()?),
            deciders: Deciders::of(folder.clone())?,
            session: SessionKey::new(folder.load_session()?.bytes()),
            token: TokenKey::new(folder.load_token()?.bytes()),
        })
    }
}

fn desk(keys: &Keys, masking: Masking, ground: &Ground, context: &Context) -> Arc<Desk> {
    let tasks = TaskTracker::new();
    let (clock, stop) = (Arc::clone(&context.clock), context.stop.clone());
    Arc::new(Desk {
        authenticator: Arc::clone(&ground.authenticator),
        trail: Trail {
            clock: Arc::clone(&clock),
            ids: Arc::clone(&context.ids),
            sessions: keys.session.clone(),
        },
        counts: Counts::new(&context.metrics),
        refusals: Refusals::new(clock, stop, tasks.clone()),
        masking,
        shown: Shown::new(SHOWN_BYTES_MAX),
        key: Arc::clone(&keys.decision),
        voting: Arc::new(Semaphore::new(VOTES_MAX)),
        tasks,
        ready: OnceLock::new(),
    })
}

/// All that is needed for the first decision and the first answer, tried again while the backbone or
/// the registry is away.
async fn start(
    config: &ApproverConfig,
    ground: &Ground,
    context: &Context,
    (keys, desk): (Keys, &Desk),
    parts: &Parts,
) -> anyhow::Result<Running> {
    let sealers = Sealers::load(&ground.keys, context)?;
    let (writer, seal) = loop {
        match open(ground, context, &sealers).await {
            Ok(opened) => break opened,
            Err(error) if error.is_transient() => parts.processor.waits(error.awaited(), &error),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    };
    let processor = Approver {
        key: keys.decision,
        deciders: keys.deciders,
        seal,
        topic_partitions: ground.backbone.partitions(),
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        counts: desk.counts.clone(),
        partitions: HashMap::new(),
    };
    let instance = instance_name(config.instance.as_deref()).context("approver.instance")?;
    let handle = ground.backbone.process(spec(instance), Box::new(processor))?;
    let follow = Stop::new();
    let follower = Follower {
        backbone: Arc::clone(&ground.backbone),
        shown: desk.shown.clone(),
        counts: desk.counts.clone(),
        part: parts.shown.clone(),
    };
    let (following, stop) = (follower.run(follow.clone()), context.stop.clone());
    // Approvals that can't be followed end the stage.
    let following = tokio::spawn(async move { following.await.inspect_err(|_| stop.ask()) });
    writer.stop_if_forbidden(&context.stop);
    let (recorder, appender) = (Arc::new(writer.clone()), ground.backbone.appender()?);
    let partitions = ground.backbone.partitions();
    // Set once: this runs once.
    let _ = desk.ready.set(Ready { recorder, appender, partitions });
    Ok(Running { handle, writer, follow, following })
}

fn spec(instance: String) -> ProcessorSpec {
    ProcessorSpec {
        group: "approver".to_owned(),
        instance,
        inputs: vec![Topic::Holds, Topic::Votes, Topic::Claims],
        changelog: Topic::Approvals,
        outputs: vec![Topic::Decisions, Topic::Raw],
        commit_every: COMMIT_EVERY,
    }
}

/// A sealer for each way into `audit.raw`: data keys are for one producer at a time, and two do not
/// take turns with one.
struct Sealers {
    api: Arc<Sealer>,
    processor: Arc<Sealer>,
}

impl Sealers {
    fn load(keys: &KeysFolder, context: &Context) -> anyhow::Result<Self> {
        let sealer = || -> anyhow::Result<Arc<Sealer>> {
            let keys = keys.load_sealing(Stage::Approver).context("approver's keys")?;
            Ok(Arc::new(Sealer::new(keys.sender, keys.opening, Arc::clone(&context.clock))))
        };
        Ok(Self { api: sealer()?, processor: sealer()? })
    }
}

/// The ways into `audit.raw`: the API's, and the processor's, which is part of its step.
async fn open(
    ground: &Ground,
    context: &Context,
    sealers: &Sealers,
) -> Result<(RawWriter, RawSeal), RawWriterError> {
    ground.backbone.ensure(&TOPICS).await?;
    let registry = ground.backbone.registry();
    let seal = RawSeal::register(registry.as_ref(), Arc::clone(&sealers.processor)).await?;
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    let (backbone, sealer) = (Arc::clone(&ground.backbone), Arc::clone(&sealers.api));
    let writer = RawWriter::start(backbone, sealer, Stage::Approver.name(), clock, ids).await?;
    Ok((writer, seal))
}

const TOPICS: [Topic; 7] = [
    Topic::Raw,
    Topic::Events,
    Topic::Holds,
    Topic::Votes,
    Topic::Claims,
    Topic::Decisions,
    Topic::Approvals,
];
