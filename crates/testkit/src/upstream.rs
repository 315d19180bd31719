//! A fake HTTP server shaped like a real one: what a proxy forwards to.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::fail::OrGiveUp;
use crate::limits::SEEN_MAX;

mod answers;
mod body;

pub use body::{body_sum, generated_body};

/// A server of HTTP/1.1 and HTTP/2 (prior knowledge) on a port and a thread of its own, until it is
/// dropped: several tests, each with a runtime of its own, may share it.
///
/// | path | answers |
/// |---|---|
/// | `/echo` | method, path, query, headers and body, as JSON |
/// | `/events?count=N&gap_ms=G&bytes=B` | N server-sent events of B bytes, G ms apart |
/// | `/big?bytes=N` | a body of N bytes ([`generated_body`]) |
/// | `/sink` | reads the body; its length and [`body_sum`], as JSON |
/// | `/slow?ms=N` | 200 after N ms |
/// | `/status/N` | status N, with a small problem body |
/// | `/fail?after=N` | N bytes, then the connection breaks |
/// | `/silent` | nothing, ever |
/// | `/ws` | a WebSocket that echoes |
/// | `/trailers` | a body with trailers |
///
/// Anything else is 404. Every request that reaches it is counted, whatever the answer.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    log: Arc<Log>,
    // Dropping it ends the server.
    _running: oneshot::Sender<()>,
}

/// The head of a request that reached the server.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query, or nothing.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Requests>);

#[derive(Debug, Default)]
struct Requests {
    counts: HashMap<String, u64>,
    total: u64,
    last: VecDeque<Seen>,
}

impl Upstream {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).or_give_up("binding an upstream");
        listener.set_nonblocking(true).or_give_up("binding an upstream");
        let address = listener.local_addr().or_give_up("binding an upstream");
        let log = Arc::new(Log::default());
        let (running, ended) = oneshot::channel();
        let seen = Arc::clone(&log);
        std::thread::spawn(move || serve_until(ended, listener, seen));
        Self { address, log, _running: running }
    }

    /// Its address, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.log.with(|requests| requests.total)
    }

    /// How many requests of this path reached it.
    #[must_use]
    pub fn requests_of(&self, path: &str) -> u64 {
        self.log.with(|requests| requests.counts.get(path).copied().unwrap_or_default())
    }

    /// The heads of the last requests (at most [`SEEN_MAX`]), oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.log.with(|requests| requests.last.iter().cloned().collect())
    }
}

impl Log {
    fn note(&self, request: &Request<Incoming>) {
        let seen = Seen {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
        };
        self.with(|requests| {
            requests.total += 1;
            *requests.counts.entry(seen.path.clone()).or_default() += 1;
            if requests.last.len() == SEEN_MAX {
                requests.last.pop_front();
            }
            requests.last.push_back(seen);
        });
    }

    fn with<T>(&self, read: impl FnOnce(&mut Requests) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve_until(ended: oneshot::Receiver<()>, listener: TcpListener, log: Arc<Log>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_give_up("starting an upstream").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener);
        let listener = listener.or_give_up("starting an upstream");
        tokio::select! {
            () = accept(listener, log) => {}
            // The sender is dropped, never used.
            _ = ended => {}
        }
    });
}

async fn accept(listener: tokio::net::TcpListener, log: Arc<Log>) {
    // Connections end with the server: dropping the set aborts them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let log = Arc::clone(&log);
        connections.spawn(serve(stream, log));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, log: Arc<Log>) {
    // Fails only on a socket that is gone.
    let _ = stream.set_nodelay(true);
    let answering = service_fn(move |request| {
        log.note(&request);
        async move { Ok::<_, Infallible>(answers::answer(request).await) }
    });
    // A client that goes away in the middle is nothing to tell of.
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), answering)
        .await;
}

#[cfg(test)]
mod tests;
