//! How the archiver starts and ends.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use trailgate_service::{Context, Part, Stop, instance_name};
use trailgate_table::{Snapshot, Table, TableError, TableLocation};
use trailgate_topics::{Backbone, BackboneError, Group, Topic, open_backbone, watch_backbone};

use crate::archiver::Archiver;
use crate::config::{ArchiveConfig, ArchiverConfig};
use crate::flush::Flush;
use crate::metrics::ArchiverMetrics;
use crate::retry::Retry;
use crate::schemas::Schemas;
use crate::trim::Trimmer;

/// Runs the archiver as a process of its own, until it is asked to stop.
///
/// # Errors
/// What a person must mend.
pub async fn run(config: ArchiverConfig, context: Context) -> anyhow::Result<()> {
    let backbone = open_backbone(&config.backbone, Arc::clone(&context.clock))?;
    let location = TableLocation::try_from(&config.table)?;
    let instance = instance_name(config.instance.as_deref())?;
    archive(backbone, &location, &config.archive, &instance, &context).await
}

/// Archives `audit.events` of `backbone` into the table at `location` until the context's stop.
///
/// # Errors
/// What a person must mend.
pub async fn archive(
    backbone: Arc<dyn Backbone>,
    location: &TableLocation,
    config: &ArchiveConfig,
    instance: &str,
    context: &Context,
) -> anyhow::Result<()> {
    let (store, health) = (context.health.part("table"), context.health.part("archiver"));
    let opened = || opened(location);
    let waits = |error: &TableError| said(&store, "store", error.is_transient(), error);
    let Some((table, newest)) = patiently(&context.stop, opened, waits).await? else {
        return Ok(());
    };
    store.ready();
    let waits =
        |error: &BackboneError| said(&health, "backbone_unreachable", error.is_transient(), error);
    let ensured = || backbone.ensure(&[Topic::Events]);
    if patiently(&context.stop, ensured, waits).await?.is_none() {
        return Ok(());
    }
    let group = Group { name: GROUP.to_owned(), instance: instance.to_owned() };
    let subscription = backbone.subscribe(Topic::Events, &group)?;
    let metrics = ArchiverMetrics::new(&context.metrics);
    let trimmer = Trimmer {
        backbone: Arc::clone(&backbone),
        table: table.clone(),
        clock: Arc::clone(&context.clock),
        keep: config.keep(),
        metrics: metrics.clone(),
    };
    let watched = context.health.part("archiver-backbone");
    tokio::spawn(watch_backbone(Arc::clone(&backbone), watched, context.stop.clone()));
    let trimming = tokio::spawn(trimmer.run(context.stop.clone()));
    let flush = Flush {
        table,
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        metrics,
        store,
        retry: Retry::default(),
    };
    let schemas = Schemas::of(backbone.registry());
    let archiver = Archiver::new(subscription, newest, schemas, flush, config.clone(), health);
    let ended = archiver.run(&context.stop).await;
    trimming.abort();
    Ok(ended?)
}

/// The table, on a store that is proved to refuse a second create.
async fn opened(location: &TableLocation) -> Result<(Table, Snapshot), TableError> {
    let table = Table::open_or_create(location).await?;
    table.prove_exclusive_create().await?;
    let newest = table.snapshot().await?;
    Ok((table, newest))
}

/// Says what is waited for, if another try may mend it.
fn said(part: &Part, reason: &'static str, is_transient: bool, why: &impl Display) -> bool {
    if is_transient {
        part.waits(reason, why);
    }
    is_transient
}

/// Tries until it works, until `stop`, or until it fails with what is not waited for.
async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    stop: &Stop,
    attempt: impl Fn() -> F,
    waits: impl Fn(&E) -> bool,
) -> Result<Option<T>, E> {
    let mut retry = Retry::default();
    loop {
        match until(stop, attempt()).await {
            None => return Ok(None),
            Some(Ok(done)) => return Ok(Some(done)),
            Some(Err(error)) if waits(&error) => {}
            Some(Err(error)) => return Err(error),
        }
        if until(stop, retry.wait()).await.is_none() {
            return Ok(None);
        }
    }
}

/// What `future` gives, unless `stop` is asked for before.
async fn until<T>(stop: &Stop, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop.asked() => None,
        done = future => Some(done),
    }
}

/// The consumer group of all archivers of a deployment.
const GROUP: &str = "archiver";
