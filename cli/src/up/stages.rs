//! The stages of `trailgate up`, on one backbone and one context.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use trailgate_archiver::ArchiveConfig;
use trailgate_envelope::{KeysFolder, Sealer, Stage};
use trailgate_identity::{Authenticator, IdentityConfig};
use trailgate_ingest_proxy::{Deps, Policy, PolicyConfig, Proxy, ProxyConfig, ProxyKeys};
use trailgate_masker::MaskerConfig;
use trailgate_query::Ground;
use trailgate_schemas::SessionKey;
use trailgate_service::{Context, Stop};
use trailgate_table::TableLocation;
use trailgate_topics::{RawWriter, Topic};

use crate::dev_issuer::AUDIENCE;
use crate::up::Up;

/// The group of development tokens.
pub(crate) const GROUP: &str = "developers";

/// Runs all stages until the stop, and stops them from the source down.
pub(crate) async fn run(mut up: Up, identity: IdentityConfig) -> anyhow::Result<()> {
    up.backbone.ensure(Topic::ALL).await?;
    let clock = Arc::clone(&up.context.clock);
    let authenticator = Arc::new(Authenticator::new(&identity, clock)?);
    let bound = up.ports.bound_query.take().context("query is not bound")?;
    let bound_approver = up.ports.bound_approver.take().context("approver is not bound")?;
    let (policy, whole) = (up.policy.take(), up.context.stop.clone());
    // Stages behind the gateway have a stop of their own: they end when it has.
    let behind = Stop::new();
    let beside = Context { stop: behind.clone(), ..up.context.clone() };
    let location = TableLocation::Folder(up.data.join("table"));

    let masker = trailgate_masker::run_on(
        Arc::clone(&up.backbone),
        up.keys.clone(),
        MaskerConfig {
            instance: Some("masker-0".to_owned()),
            rules: std::mem::take(&mut up.masking_rules),
            ..MaskerConfig::default()
        },
        beside.clone(),
    );
    let archive = ArchiveConfig::default();
    let archiver = trailgate_archiver::archive(
        Arc::clone(&up.backbone),
        &location,
        &archive,
        "archiver-0",
        &beside,
    );
    let ground = Ground {
        backbone: Arc::clone(&up.backbone),
        table: location.clone(),
        keys: up.keys.clone(),
        authenticator: Arc::clone(&authenticator),
    };
    let query = bound.run(ground, beside.clone());
    let ground = trailgate_approver::Ground {
        backbone: Arc::clone(&up.backbone),
        keys: up.keys.clone(),
        authenticator: Arc::clone(&authenticator),
    };
    let approver = bound_approver.run(ground, beside.clone());
    let gateway = async {
        let ended = gateway(&up, policy, authenticator).await;
        behind.ask();
        ended
    };
    // All of them are awaited, also when one fails: a stage that is dropped does not end in order.
    let (masker, archiver, query, approver, gateway) = tokio::join!(
        stopping(&whole, "masker", masker),
        stopping(&whole, "archiver", archiver),
        stopping(&whole, "query", query),
        stopping(&whole, "approver", approver),
        stopping(&whole, "ingest-proxy", gateway),
    );
    gateway.and(masker).and(archiver).and(query).and(approver)
}

/// The stage's end; if it fails, all are asked to stop.
async fn stopping(
    whole: &Stop,
    stage: &'static str,
    run: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let ended = run.await;
    whole.ask();
    ended.context(stage)
}

/// The gateway, if there is something to stand before, and its way into the log.
async fn gateway(
    up: &Up,
    policy: Option<Policy>,
    authenticator: Arc<Authenticator>,
) -> anyhow::Result<()> {
    let Some(langgraph) = &up.langgraph else {
        up.context.stop.asked().await;
        return Ok(());
    };
    let context = up.context.clone();
    let sealing = up.keys.load_sealing(Stage::IngestProxy)?;
    let sealer = Sealer::new(sealing.sender, sealing.opening, Arc::clone(&context.clock));
    let writer = RawWriter::start(
        Arc::clone(&up.backbone),
        sealer,
        "ingest-proxy",
        Arc::clone(&context.clock),
        Arc::clone(&context.ids),
    )
    .await?;
    let session = SessionKey::new(up.keys.load_session()?.bytes());
    let holding = match policy {
        Some(policy) => Some(policy.hold_on(&up.backbone).await?),
        None => None,
    };
    let (token, digest) = (up.keys.load_token()?, up.keys.load_gateway()?);
    let deps = Deps {
        recorder: Arc::new(writer.clone()),
        verifier: authenticator,
        keys: ProxyKeys::new(session, token.bytes(), digest.bytes()),
        holding,
        context,
    };
    Proxy::bind(gateway_config(langgraph, up.ports.proxy)?, deps).await?.run().await;
    writer.finish().await.context("last heartbeat")
}

/// The gateway before one LangGraph server.
pub(crate) fn gateway_config(langgraph: &str, listen: SocketAddr) -> anyhow::Result<ProxyConfig> {
    let connection = json!({
        "kind": "langgraph", "listen": listen, "upstream": langgraph, "allow_groups": [GROUP],
    });
    let config: ProxyConfig =
        serde_json::from_value(json!({"connections": {"langgraph": connection}}))
            .context("--langgraph")?;
    config.check()?;
    Ok(config)
}

/// What the gateway holds.
pub(crate) fn policy(
    rules: &Path,
    gateway: &ProxyConfig,
    keys: &KeysFolder,
) -> anyhow::Result<Policy> {
    let config: PolicyConfig = serde_json::from_value(json!({"file": rules}))?;
    config.load(gateway, keys).context("--rules")
}

/// Whom the gateway trusts: the development issuer alone.
pub(crate) fn identity(issuer: &str) -> anyhow::Result<IdentityConfig> {
    let issuer = json!({"issuer": issuer, "audiences": [AUDIENCE], "algorithms": ["ES256"]});
    Ok(serde_json::from_value(json!({"issuers": [issuer]}))?)
}
