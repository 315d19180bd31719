//! The gateway as a process of its own: its file, its keys, its way into the log, and its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;
use trailgate_envelope::{KeysFolder, Sealer, Stage};
use trailgate_identity::{Authenticator, IdentityConfig};
use trailgate_schemas::SessionKey;
use trailgate_service::{AdminConfig, Context, LogConfig, Part, StageConfig};
use trailgate_topics::{Backbone, BackboneConfig, RawWriter, Topic, open_backbone, watch_backbone};

use crate::config::{ConnectionConfig, ConnectionName, GatewayConfig, ProxyConfig};
use crate::keys::ProxyKeys;
use crate::limits::BACKBONE_RETRY_WAIT;
use crate::policy::{Ground, PolicyConfig};
use crate::proxy::{Deps, Proxy};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The backbone.
    pub backbone: BackboneConfig,
    /// The keys folder.
    pub keys: KeysConfig,
    /// Whom it trusts to say who callers are.
    pub identity: IdentityConfig,
    /// Bounds of the whole process.
    #[serde(default)]
    pub gateway: GatewayConfig,
    /// The connections by name.
    pub connections: BTreeMap<ConnectionName, ConnectionConfig>,
    /// What is held for a person.
    #[serde(default)]
    pub policy: Option<PolicyConfig>,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Health and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
}

/// The `[keys]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// The folder that `trailgate keys new` made. The gateway needs its own sender key, the
    /// masker's public key, and the session, token and gateway keys; to hold operations also the
    /// public keys by which decisions are signed.
    pub folder: PathBuf,
}

impl StageConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

/// Runs the gateway until it is asked to stop.
///
/// # Errors
/// If it can't start, or could not say its last.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let keys = KeysFolder::new(&config.keys.folder);
    let verifier = Authenticator::new(&config.identity, Arc::clone(&context.clock))?;
    let proxy = ProxyConfig { gateway: config.gateway, connections: config.connections };
    // What is wrong with the file is said before the backbone is waited for.
    proxy.check()?;
    let policy = config.policy.map(|policy| policy.load(&proxy, &keys)).transpose()?;
    let proxy_keys = proxy_keys(&keys)?;
    let part = context.health.part("backbone");
    let backbone = open_backbone(&config.backbone, Arc::clone(&context.clock))?;
    let Some(writer) = writer(&backbone, &keys, &context, &part).await? else { return Ok(()) };
    writer.stop_if_forbidden(&context.stop);
    let holding = match policy {
        None => None,
        Some(policy) => match ground(&backbone, &context, &part).await? {
            Some(ground) => Some(policy.on(ground)),
            None => return Ok(()),
        },
    };
    tokio::spawn(watch_backbone(backbone, part, context.stop.clone()));
    let verifier = Arc::new(verifier);
    let (looking, issuers) = (Arc::clone(&verifier), context.health.part("identity"));
    let stop = context.stop.clone();
    tokio::spawn(async move { looking.look_ahead(&issuers, &stop).await });
    let recorder = Arc::new(writer.clone());
    let deps = Deps { recorder, verifier, keys: proxy_keys, holding, context };
    Proxy::bind(proxy, deps).await?.run().await;
    writer.finish().await.context("last heartbeat")
}

/// The way into `audit.raw`, waiting for a backbone that is not there yet; none if the stop was
/// asked for first.
async fn writer(
    backbone: &Arc<dyn Backbone>,
    keys: &KeysFolder,
    context: &Context,
    part: &Part,
) -> anyhow::Result<Option<RawWriter>> {
    let sealing = keys.load_sealing(Stage::IngestProxy)?;
    let (clock, ids) = (&context.clock, &context.ids);
    let sealer = Arc::new(Sealer::new(sealing.sender, sealing.opening, Arc::clone(clock)));
    loop {
        let tried = async {
            backbone.ensure(&[Topic::Raw]).await?;
            let (backbone, sealer) = (Arc::clone(backbone), Arc::clone(&sealer));
            let (clock, ids) = (Arc::clone(clock), Arc::clone(ids));
            RawWriter::start(backbone, sealer, Stage::IngestProxy.name(), clock, ids).await
        };
        match tried.await {
            Ok(writer) => return Ok(Some(writer)),
            Err(error) if error.is_transient() => part.waits(error.awaited(), &error),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(BACKBONE_RETRY_WAIT) => {}
            () = context.stop.asked() => return Ok(None),
        }
    }
}

/// What holding needs of the backbone, waiting for one that is not there yet; none if the stop was
/// asked for first.
async fn ground(
    backbone: &Arc<dyn Backbone>,
    context: &Context,
    part: &Part,
) -> anyhow::Result<Option<Ground>> {
    loop {
        match Ground::open(backbone).await {
            Ok(ground) => return Ok(Some(ground)),
            Err(error) if error.is_transient() => part.waits("backbone_unreachable", &error),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(BACKBONE_RETRY_WAIT) => {}
            () = context.stop.asked() => return Ok(None),
        }
    }
}

fn proxy_keys(keys: &KeysFolder) -> anyhow::Result<ProxyKeys> {
    let session = SessionKey::new(keys.load_session()?.bytes());
    Ok(ProxyKeys::new(session, keys.load_token()?.bytes(), keys.load_gateway()?.bytes()))
}
