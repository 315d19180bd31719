//! The masker as a stage: open the keys and the backbone, register the schema, run the processor,
//! trim what was taken.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use trailgate_envelope::KeysFolder;
use trailgate_redact::OwnRules;
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, EventWriter, Micros};
use trailgate_service::{Context, Part, instance_name};
use trailgate_topics::{
    Backbone, Ended, ProcessorSpec, RawWriterError, Topic, open_backbone, watch_backbone,
    watch_processor,
};

use crate::clean::Cleaner;
use crate::config::{Config, MaskerConfig};
use crate::holds::Holds;
use crate::limits::{COMMIT_EVERY, RULES_LOOK_EVERY, TRIM_EVERY};
use crate::masker::Masker;
use crate::metrics::Counts;
use crate::reading::Reading;

/// Runs the masker until it is asked to stop.
///
/// # Errors
/// If it can't start, or can't go on.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let keys = KeysFolder::new(&config.keys.folder);
    let backbone = open_backbone(&config.backbone, Arc::clone(&context.clock))?;
    run_on(backbone, keys, config.masker, context).await
}

/// Like [`run`], on a backbone that is already open.
///
/// # Errors
/// If it can't start, or can't go on.
pub async fn run_on(
    backbone: Arc<dyn Backbone>,
    keys: KeysFolder,
    config: MaskerConfig,
    context: Context,
) -> anyhow::Result<()> {
    let part = context.health.part("masker");
    let instance = instance_name(config.instance.as_deref()).context("masker.instance")?;
    let own = OwnRules::load(&config.rules, &config.rules_off).context("masker.rules")?;
    let own = Arc::new(own);
    let counts = Counts::new(&context.metrics);
    let started = start((&backbone, keys), (&own, counts.clone()), &context, &part).await?;
    let Some(masker) = started else { return Ok(()) };
    let spec = ProcessorSpec {
        group: "masker".to_owned(),
        instance,
        inputs: vec![Topic::Raw],
        changelog: Topic::MaskerState,
        outputs: vec![Topic::Events, Topic::Siem, Topic::Refused, Topic::Holds],
        commit_every: COMMIT_EVERY,
    };
    let (watched, stop) = (context.health.part("backbone"), context.stop.clone());
    tokio::spawn(watch_backbone(Arc::clone(&backbone), watched, stop));
    let handle = backbone.process(spec, Box::new(masker))?;
    let keep = Duration::from_secs(config.keep_raw_s);
    tokio::select! {
        () = context.stop.asked() => {}
        () = watch_processor(&handle, &part) => {}
        () = trim(&backbone, keep, &context) => {}
        () = look_after(&own, &counts), if own.may_change() => {}
    }
    part.not_ready("stopping");
    match handle.stop().await {
        Ended::Stopped => Ok(()),
        Ended::Failed(code) => anyhow::bail!("masker failed: {code}"),
    }
}

/// All that is needed before the first record, tried again while the backbone is away; none if the
/// stop came first.
async fn start(
    (backbone, keys): (&Arc<dyn Backbone>, KeysFolder),
    (own, counts): (&Arc<OwnRules>, Counts),
    context: &Context,
    part: &Part,
) -> anyhow::Result<Option<Masker>> {
    let opening = keys.load_opening().context("masker's keys")?;
    let token = keys.load_token().context("masker's keys")?;
    let cleaner = Cleaner::new(Arc::clone(own), &token);
    let id = loop {
        let registered = async {
            backbone.ensure(&TOPICS).await?;
            let registry = backbone.registry();
            Ok::<_, RawWriterError>(registry.register(EVENTS_SUBJECT, AUDIT_EVENT_SCHEMA).await?)
        };
        match registered.await {
            Ok(id) => break id,
            Err(error) if error.is_transient() => part.waits(error.awaited(), &error),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_AFTER) => {}
            () = context.stop.asked() => return Ok(None),
        }
    };
    let runtime = tokio::runtime::Handle::current();
    let seal = opening.own_seal();
    let reading = Reading::new(keys, opening, backbone.registry(), runtime);
    let clock = Arc::clone(&context.clock);
    let written = (EventWriter::new(id), Holds::new(backbone.partitions()));
    Ok(Some(Masker::new(reading, cleaner, written, seal, clock, counts)))
}

/// Takes rules anew when their files change.
async fn look_after(own: &Arc<OwnRules>, counts: &Counts) {
    loop {
        tokio::time::sleep(RULES_LOOK_EVERY).await;
        let own = Arc::clone(own);
        match tokio::task::spawn_blocking(move || own.look()).await {
            Ok(Some(Ok(version))) => {
                counts.rules_taken.inc();
                tracing::info!(version, "rules taken anew");
            }
            Ok(Some(Err(error))) => {
                counts.rules_refused.inc();
                tracing::error!(%error, "rules not taken: those that were there stay");
            }
            Ok(None) | Err(_) => {}
        }
    }
}

/// Deletes from `audit.raw` what the masker's group has committed and what is old enough.
async fn trim(backbone: &Arc<dyn Backbone>, keep: Duration, context: &Context) {
    loop {
        tokio::time::sleep(TRIM_EVERY).await;
        if let Err(error) = trim_once(backbone, keep, context.clock.now()).await {
            tracing::warn!(%error, "audit.raw was not trimmed; trying again");
        }
    }
}

async fn trim_once(
    backbone: &Arc<dyn Backbone>,
    keep: Duration,
    now: Micros,
) -> Result<(), trailgate_topics::BackboneError> {
    let old = now.minus(keep);
    for (partition, committed) in backbone.committed("masker", Topic::Raw).await? {
        let aged = backbone.offset_at(Topic::Raw, partition, old).await?;
        backbone.trim(Topic::Raw, partition, aged.min(committed)).await?;
    }
    Ok(())
}

/// What the masker reads and writes.
const TOPICS: [Topic; 6] =
    [Topic::Raw, Topic::Events, Topic::Siem, Topic::Refused, Topic::MaskerState, Topic::Holds];
const EVENTS_SUBJECT: &str = "audit.events-value";
const RETRY_AFTER: Duration = Duration::from_millis(500);
