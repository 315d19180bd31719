//! `trailgate up`: all stages in one process, on the embedded log and a local folder. What is stored
//! and promised is the same as with separate services; what is made up is the identity issuer, and
//! it says so.

mod ports;
mod stages;
mod welcome;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use trailgate_envelope::KeysFolder;
use trailgate_ingest_proxy::Policy;
use trailgate_service::{
    Context, LogConfig, LogLevel, install_crypto, start_log, stop_on_panic, stops_by_panic,
};
use trailgate_topics::{Backbone, BackboneConfig, EmbeddedConfig, open_backbone};

use crate::dev_issuer::{Beside, DevIssuer};
use crate::files::write_private;
use crate::token::{DEV_FILE, DevFile};
use crate::up::ports::Ports;

/// The arguments of `trailgate up`.
#[derive(Args)]
pub(crate) struct UpArguments {
    /// The folder that holds everything: log, table, keys.
    #[arg(long, default_value = "trailgate-data")]
    data: PathBuf,
    /// The LangGraph server to stand before, as http://127.0.0.1:2024.
    #[arg(long, value_name = "URL")]
    langgraph: Option<String>,
    /// Where callers reach that server through the gateway.
    #[arg(long, default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// A file of rules that say which operations wait for a reviewer. Without it nothing is held.
    #[arg(long, value_name = "FILE", requires = "langgraph")]
    rules: Option<PathBuf>,
    /// A file of masking rules of one's own, or a folder of such files. May be given more than once.
    #[arg(long, value_name = "PATH")]
    masking_rules: Vec<PathBuf>,
    /// Where SQL is asked. Default: as before, else a free port.
    #[arg(long)]
    query_listen: Option<SocketAddr>,
    /// Where held operations are decided. Default: as before, else a free port.
    #[arg(long)]
    approver_listen: Option<SocketAddr>,
    /// Where the development issuer is. Default: as before, else a free port.
    #[arg(long)]
    issuer_listen: Option<SocketAddr>,
    /// How much is logged: error, warn, info, debug.
    #[arg(long, default_value = "warn")]
    log: LogLevel,
}

/// What the parts of one process share.
pub(crate) struct Up {
    pub(crate) data: PathBuf,
    pub(crate) langgraph: Option<String>,
    pub(crate) policy: Option<Policy>,
    pub(crate) masking_rules: Vec<PathBuf>,
    pub(crate) keys: KeysFolder,
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) ports: Ports,
    pub(crate) context: Context,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// If it can't start, or a stage fails.
pub(crate) fn run(arguments: &UpArguments) -> anyhow::Result<ExitCode> {
    start_log(&LogConfig { level: arguments.log, ..LogConfig::default() });
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(up(arguments));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let code = if stops_by_panic() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    ended.map(|()| code)
}

async fn up(arguments: &UpArguments) -> anyhow::Result<()> {
    // Wrong input is told before anything starts.
    let gateway = arguments.langgraph.as_deref();
    let gateway = gateway.map(|url| stages::gateway_config(url, arguments.listen)).transpose()?;
    let context = Context::system();
    stop_on_panic(&context.stop);
    context.stop.on_signals()?;
    let data = private_folder(&arguments.data)?;
    let keys = KeysFolder::new(data.join("keys"));
    open_keys(&keys, &data)?;
    let policy = match (&arguments.rules, &gateway) {
        (Some(rules), Some(gateway)) => Some(stages::policy(rules, gateway, &keys)?),
        (_, _) => None,
    };
    let log = EmbeddedConfig { folder: data.join("log"), partitions: PARTITIONS };
    let backbone = open_backbone(&BackboneConfig::Embedded(log), Arc::clone(&context.clock))?;
    let before = DevFile::read(&data).ok();
    let ports = ports::bind(arguments, &data, before.as_ref()).await?;
    let issuer = issuer(&data, &ports, backbone.is_shared())?;
    let (langgraph, masking_rules) = (arguments.langgraph.clone(), arguments.masking_rules.clone());
    let up = Up { data, langgraph, policy, masking_rules, keys, backbone, ports, context };
    serve(up, issuer).await
}

/// Starts the stages, says so once they are ready, and waits for their end.
async fn serve(mut up: Up, issuer: Arc<DevIssuer>) -> anyhow::Result<()> {
    let identity = stages::identity(issuer.issuer())?;
    if let Some(listener) = up.ports.issuer_listener.take() {
        issuer.serve(listener, up.context.stop.child());
    }
    let dev = dev_file(&up, &issuer)?;
    let (health, stop, data) =
        (up.context.health.clone(), up.context.stop.clone(), up.data.clone());
    let (langgraph, holds) = (up.langgraph.clone(), up.policy.is_some());
    let mut running = Box::pin(stages::run(up, identity));
    let ready = async {
        // Each stage has named its parts before it gives way for the first time.
        while !health.is_ready() && !stop.is_asked() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = &mut running => return ended,
        () = ready => {}
    }
    if !stop.is_asked() {
        write_private(&data.join(DEV_FILE), &serde_json::to_vec_pretty(&dev)?)?;
        welcome::say(&data, &dev, langgraph.as_deref(), holds);
    }
    running.await
}

/// Makes the keys of a new folder. One that has a log has its keys too: a key made anew would not open
/// what is sealed, and would give known threads other sessions.
fn open_keys(keys: &KeysFolder, data: &Path) -> anyhow::Result<()> {
    if data.join("log").exists() {
        let restore = "the log was written with this key: restore it, do not make it anew";
        keys.load_opening().context(restore)?;
        keys.load_session().context(restore)?;
        keys.load_token().context(restore)?;
        keys.load_gateway().context(restore)?;
    }
    keys.create_missing()?;
    Ok(())
}

fn issuer(data: &Path, ports: &Ports, shared_backbone: bool) -> anyhow::Result<Arc<DevIssuer>> {
    let listeners = [ports.proxy, ports.query, ports.approver];
    let beside = Beside { shared_backbone, listeners: &listeners };
    Ok(Arc::new(DevIssuer::open(data, ports.issuer, beside)?))
}

fn dev_file(up: &Up, issuer: &DevIssuer) -> anyhow::Result<DevFile> {
    let groups = [stages::GROUP.to_owned()];
    Ok(DevFile {
        proxy_url: format!("http://{}", up.ports.proxy),
        query_url: format!("http://{}", up.ports.query),
        approver_url: format!("http://{}", up.ports.approver),
        issuer: issuer.issuer().to_owned(),
        token: issuer.token("developer", &groups, up.context.clock.now())?,
    })
}

/// The folder, made so that only its owner looks in.
fn private_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let said = || format!("{}", folder.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(said)?;
    folder.canonicalize().with_context(said)
}

/// Partitions of a log that one process serves: enough to use the cores of a laptop.
pub(crate) const PARTITIONS: u32 = 4;
