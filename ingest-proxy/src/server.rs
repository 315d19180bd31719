//! The listener of one connection: TLS, HTTP/1.1 and HTTP/2, time-outs, and an end in order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use trailgate_service::Sources;

use crate::door::Door;
use crate::exchange::{Arrival, CallerAt, Refused, serve};
use crate::limits::{
    CONNECTION_DRAIN_WAIT, CROWDED_TOLD_EVERY, H2_STREAMS_MAX, HANDSHAKE_WAIT, HEAD_BUFFER_BYTES,
    HEAD_WAIT, HEADERS_MAX,
};
use crate::pulse::Pulse;

/// The listener of one connection.
pub(crate) struct Listener {
    pub(crate) door: Arc<Door>,
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) sources: Sources,
}

impl Listener {
    /// Accepts until the gateway stops, then waits until its connections have ended.
    pub(crate) async fn run(self) {
        let stop = self.door.gateway.stop.clone();
        let open = TaskTracker::new();
        let mut crowded = Crowded::default();
        loop {
            let place = tokio::select! {
                // Closed never: it is ours.
                place = Arc::clone(&self.connections).acquire_owned() => place,
                () = stop.asked() => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.asked() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: trying again at once would only spin.
                    tracing::warn!(kind = ?error.kind(), "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(of_source) = self.sources.enter(peer.ip()) else {
                self.door.gateway.metrics.refused("too_many_connections");
                crowded.tell(&self.door.name, peer);
                continue;
            };
            let (door, tls) = (Arc::clone(&self.door), self.tls.clone());
            open.spawn(async move {
                door.gateway.metrics.connections.inc();
                connection(&door, stream, peer, tls).await;
                door.gateway.metrics.connections.dec();
                drop((place, of_source));
            });
        }
        drop(self.socket);
        open.close();
        if timeout(CONNECTION_DRAIN_WAIT + LAST_CALL, open.wait()).await.is_err() {
            tracing::warn!(left = open.len(), "connections did not end in time");
        }
    }
}

/// What the log is told of connections that were closed because their source has too many: the
/// first of a while, with the count of those before it.
#[derive(Debug, Default)]
struct Crowded {
    told: Option<Instant>,
    since: u64,
}

impl Crowded {
    fn tell(&mut self, connection: &str, peer: SocketAddr) {
        self.since += 1;
        if self.told.is_some_and(|told| told.elapsed() < CROWDED_TOLD_EVERY) {
            return;
        }
        let (source, closed) = (peer.ip(), self.since);
        tracing::warn!(connection, %source, closed, "a source has too many connections; see gateway.max_connections_per_source");
        *self = Self { told: Some(Instant::now()), since: 0 };
    }
}

async fn connection(
    door: &Arc<Door>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
) {
    // Fails only on a socket that is gone.
    let _ = stream.set_nodelay(true);
    match tls {
        None => drive(door, stream, peer).await,
        Some(acceptor) => match timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => drive(door, stream, peer).await,
            Ok(Err(_)) | Err(_) => door.gateway.metrics.refused("tls_handshake"),
        },
    }
}

async fn drive(
    door: &Arc<Door>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
) {
    let pulse = Arc::new(Pulse::new());
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let arrival = Arrival { door: Arc::clone(door), peer, pulse: Arc::clone(&pulse), request };
        let served = Box::pin(serve(arrival));
        async move { Ok::<_, Infallible>(served.await) }
    });
    let waits = Waits { stall: door.gateway.stall, idle: door.gateway.idle };
    let builder = builder(waits.idle);
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let stop = door.gateway.stop.clone();
    let mut last_call: Option<Instant> = None;
    let first_due = Instant::now() + HEAD_WAIT;
    loop {
        let is_late = || !asked.load(Ordering::Relaxed) && Instant::now() >= first_due;
        let mut due = last_call.unwrap_or_else(|| waits.look_at(&pulse));
        if !asked.load(Ordering::Relaxed) {
            due = due.min(first_due);
        }
        tokio::select! {
            // What else ended it is told by the exchanges that it had.
            ended = poll_fn(|cx| connection.as_mut().poll(cx)) => {
                if ended.is_err_and(|error| is_unreadable(error.as_ref())) {
                    let id = door.gateway.ids.stream();
                    let caller = CallerAt { door: Arc::clone(door), peer, id };
                    door.gateway.spawn(Refused::unreadable(caller).tell());
                }
                return;
            }
            () = stop.asked(), if last_call.is_none() => {
                connection.as_mut().graceful_shutdown();
                last_call = Some(Instant::now() + CONNECTION_DRAIN_WAIT);
            }
            () = sleep_until(due) => {
                if is_late() {
                    door.gateway.metrics.refused("head_timed_out");
                    return;
                }
                if last_call.is_some_and(|end| Instant::now() >= end) {
                    return;
                }
                let silent = Instant::now() >= waits.silent_at(&pulse);
                if silent && pulse.exchanges() > 0 {
                    door.gateway.metrics.failed("stalled");
                    pulse.stalled();
                    return;
                }
                if silent {
                    connection.as_mut().graceful_shutdown();
                    last_call = Some(Instant::now() + LAST_CALL);
                }
            }
        }
    }
}

fn is_unreadable(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// How long nothing may move on a connection.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// While it has an exchange.
    stall: Duration,
    /// While it has none.
    idle: Duration,
}

impl Waits {
    /// When a connection on which nothing moves has been silent for too long.
    fn silent_at(self, pulse: &Pulse) -> Instant {
        pulse.last() + if pulse.exchanges() > 0 { self.stall } else { self.idle }
    }

    /// When to look for silence next. Which of the two waits applies may change before it is over.
    fn look_at(self, pulse: &Pulse) -> Instant {
        self.silent_at(pulse).min(Instant::now() + self.stall.min(self.idle))
    }
}

fn builder(idle: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It counts from the end of the exchange before, so it must not come before the idle wait.
        .header_read_timeout(idle + LAST_CALL)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BUFFER_BYTES)
        .half_close(false)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BUFFER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(idle);
    builder
}

/// How long an idle connection may take to end after it was asked to.
const LAST_CALL: Duration = Duration::from_secs(5);
