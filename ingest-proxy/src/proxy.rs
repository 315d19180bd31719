//! The gateway as a part of a process: bound first, so that a caller knows its addresses, then run
//! until it is asked to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use trailgate_schemas::{Kind, Outcome, SessionThing};
use trailgate_service::{Context, Sources};

use crate::config::{ConnectionError, ProxyConfig};
use crate::door::Door;
use crate::files::server_tls;
use crate::gateway::{Gateway, Parts};
use crate::holds::{Decisions, Holding, Holds};
use crate::journal::{Facts, Journal, Who, gateway_address, stage_resource};
use crate::keys::ProxyKeys;
use crate::limits::{SESSION_CLOSES_AT_ONCE, SESSION_SWEEP, TASKS_DRAIN_WAIT};
use crate::metrics::ProxyMetrics;
use crate::pulse::Pulse;
use crate::recorder::Recorder;
use crate::server::Listener;
use crate::sessions::{Room, closed_event};
use crate::verify::Verify;

/// What the gateway needs beside its configuration.
pub struct Deps {
    /// Time, chance, health, metrics and the stop.
    pub context: Context,
    /// Where events go.
    pub recorder: Arc<dyn Recorder>,
    /// Who verifies callers.
    pub verifier: Arc<dyn Verify>,
    /// The keyed hashes.
    pub keys: ProxyKeys,
    /// What holds operations for a person; none if nothing does.
    pub holding: Option<Holding>,
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A connection is configured wrongly.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// An address can't be bound.
    #[error("connections.{connection}: listen: can't bind {address}: {kind}")]
    Bind {
        /// The connection.
        connection: String,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
}

/// A gateway whose listeners are bound and do not accept yet.
pub struct Proxy {
    gateway: Arc<Gateway>,
    decisions: Option<Box<dyn Decisions>>,
    listeners: Vec<Listener>,
    addresses: Vec<(String, SocketAddr)>,
    health: trailgate_service::Health,
}

impl Proxy {
    /// Opens everything that the configuration names, and binds its addresses.
    ///
    /// # Errors
    /// [`ProxyError`] says which connection and key are wrong.
    pub async fn bind(config: ProxyConfig, deps: Deps) -> Result<Self, ProxyError> {
        config.check()?;
        let context = deps.context;
        let max_exchanges = config.gateway.max_exchanges;
        let (holds, decisions) =
            deps.holding.map(|holding| Holds::new(holding, max_exchanges)).unzip();
        let gateway = Gateway::new(Parts {
            clock: context.clock,
            ids: context.ids,
            keys: deps.keys,
            metrics: ProxyMetrics::register(&context.metrics),
            recorder: deps.recorder,
            holds,
            max_exchanges,
            stall: Duration::from_secs(config.gateway.stall_timeout_s),
            idle: Duration::from_secs(config.gateway.idle_timeout_s),
            stop: context.stop,
        });
        let mut listeners = Vec::with_capacity(config.connections.len());
        let mut addresses = Vec::with_capacity(config.connections.len());
        for (name, connection) in &config.connections {
            let gateway = Arc::clone(&gateway);
            let door = Door::open(gateway, Arc::clone(&deps.verifier), name, connection)?;
            let tls = connection.tls.as_ref().map(|tls| server_tls(name, tls)).transpose()?;
            let bind_error = |error: std::io::Error| ProxyError::Bind {
                connection: name.as_str().to_owned(),
                address: connection.listen,
                kind: error.kind(),
            };
            let socket = TcpListener::bind(connection.listen).await.map_err(bind_error)?;
            let address = socket.local_addr().map_err(bind_error)?;
            addresses.push((name.as_str().to_owned(), address));
            listeners.push(Listener {
                door: Arc::new(door),
                socket,
                tls: tls.map(TlsAcceptor::from),
                connections: Arc::new(Semaphore::new(config.gateway.max_connections)),
                sources: Sources::of_each(config.gateway.of_each_source()),
            });
        }
        Ok(Self { gateway, decisions, listeners, addresses, health: context.health })
    }

    /// Each connection's name and the address it is bound to.
    #[must_use]
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Serves until the stop is asked for; then ends in order: listeners, connections, tasks that
    /// outlived their requests, sessions.
    pub async fn run(self) {
        let Self { gateway, decisions, listeners, addresses, health } = self;
        let part = health.part("ingest-proxy");
        for ((connection, address), listener) in addresses.iter().zip(&listeners) {
            tracing::info!(connection, %address, "listens");
            if listener.tls.is_none() && !address.ip().is_loopback() {
                tracing::warn!(connection, %address, "tokens come in clear: no TLS here");
            }
        }
        let stage = open_stage(&gateway);
        let sweeping = tokio::spawn(sweep(Arc::clone(&gateway)));
        let following = tokio::spawn(follow(Arc::clone(&gateway), decisions));
        part.ready();
        join_all(listeners.into_iter().map(Listener::run)).await;
        part.not_ready("stopping");
        // They end with the same stop.
        let _ = tokio::join!(sweeping, following);
        gateway.tasks.close();
        if timeout(TASKS_DRAIN_WAIT, gateway.tasks.wait()).await.is_err() {
            tracing::warn!(left = gateway.tasks.len(), "tasks did not end in time");
        }
        let open = gateway.sessions.all();
        if timeout(TASKS_DRAIN_WAIT, close(&gateway, open, "gateway_stopped")).await.is_err() {
            tracing::warn!("sessions were not all closed in time");
        }
        let event = stage.event(Kind::StageStopped, Outcome::Succeeded);
        if let Some(pending) = stage.close(event)
            && !matches!(timeout(TASKS_DRAIN_WAIT, pending.settled(&gateway)).await, Ok(Ok(())))
        {
            tracing::warn!("the end could not be recorded in time");
        }
    }
}

/// The stage's own stream: it began, and, if it ends in order, it ended.
fn open_stage(gateway: &Arc<Gateway>) -> Arc<Journal> {
    let stream_id = gateway.ids.stream();
    let thing = SessionThing::Stage(stream_id.0);
    let facts = Facts {
        who: Who::Gateway,
        source: gateway_address(),
        resource: stage_resource(),
        tenant: "default".into(),
        connection: "ingest-proxy".into(),
        session_id: gateway.keys.session.session_id("default", "ingest-proxy", &thing),
        session_rule: thing.rule(),
        stream_id,
        request_id: stream_id.to_string().into(),
        operation: "stage",
        method: None,
        thread_id: None,
        run_id: None,
    };
    let stage = Journal::open(Arc::clone(gateway), facts, Arc::new(Pulse::new()), None);
    // The stream was just opened, so it takes records; the backbone may be away, and what it does
    // not take then is told by nobody.
    if let Ok(pending) = stage.write(stage.event(Kind::StageStarted, Outcome::Succeeded)) {
        let settling = Arc::clone(gateway);
        gateway.spawn(async move {
            if pending.settled(&settling).await.is_err() {
                tracing::warn!("the start could not be recorded");
            }
        });
    }
    stage
}

/// Takes decisions to those who wait for them, until the stop.
async fn follow(gateway: Arc<Gateway>, decisions: Option<Box<dyn Decisions>>) {
    if let (Some(holds), Some(decisions)) = (gateway.holds.clone(), decisions) {
        holds.follow(decisions, &gateway).await;
    }
}

/// Closes sessions that fell silent, until the stop.
async fn sweep(gateway: Arc<Gateway>) {
    let mut every = interval(SESSION_SWEEP);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = gateway.stop.asked() => return,
        }
        let silent = gateway.sessions.silent(gateway.clock.now());
        close(&gateway, silent, "idle").await;
        gateway.metrics.sessions.set(i64::try_from(gateway.sessions.count()).unwrap_or(0));
    }
}

async fn close(gateway: &Arc<Gateway>, rooms: Vec<Room>, reason: &'static str) {
    stream::iter(rooms)
        .for_each_concurrent(SESSION_CLOSES_AT_ONCE, |room| async move {
            let event = closed_event(gateway, room, reason);
            if gateway.record_surely(event).await.is_err() {
                gateway.metrics.failed("closing_unrecorded");
            }
        })
        .await;
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
