//! A stage's listener for callers: bounded connections, bounded heads, TLS if configured, an orderly
//! end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower_service::Service;
use trailgate_service::{Sources, Stop};
use zeroize::Zeroizing;

use crate::limits::{CONNECTIONS_MAX, CONNECTIONS_OF_SOURCE_MAX, HEAD_TIME_MAX};

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file: the certificate and those that vouch for it.
    pub cert: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
}

/// What is wrong with a listener's section: the key, and never the value but for the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The address can't be had.
    #[error("{section}.listen: {address} can't be bound: {kind}")]
    Address {
        /// The section.
        section: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
    /// TLS can't be had.
    #[error("{section}.{key}: {problem}")]
    Tls {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A bound listener.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds `address`, as the configuration's `section` says.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        section: &'static str,
        address: SocketAddr,
        tls: Option<&TlsConfig>,
    ) -> Result<Self, ListenError> {
        let tls = tls.map(|tls| server_tls(section, tls)).transpose()?.map(TlsAcceptor::from);
        let taken =
            |error: std::io::Error| ListenError::Address { section, address, kind: error.kind() };
        let tcp = TcpListener::bind(address).await.map_err(taken)?;
        Ok(Self { tcp, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system can't say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`, then lets requests under way end.
    pub async fn serve(self, app: Router, stop: Stop) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let sources = Sources::of_each(CONNECTIONS_OF_SOURCE_MAX);
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.asked() => break,
                accepted = self.accept(&places) => accepted,
            };
            // A connection that failed before it was one: the next may do.
            let Some((stream, from, place)) = accepted else { continue };
            let Some(of_source) = sources.enter(from.ip()) else { continue };
            let (app, tls, stop) = (app.clone(), self.tls.clone(), stop.clone());
            tasks.spawn(async move {
                serve_one(stream, tls, app, from, stop).await;
                drop((place, of_source));
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        let (stream, from) = self.tcp.accept().await.ok()?;
        // Answers are small or streamed; waiting to fill a packet helps neither.
        let _ = stream.set_nodelay(true);
        Some((stream, from, place))
    }
}

async fn serve_one(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    app: Router,
    from: SocketAddr,
    stop: Stop,
) {
    match tls {
        None => serve_http(stream, app, from, stop).await,
        Some(tls) => {
            let shaken = tokio::time::timeout(HEAD_TIME_MAX, tls.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                serve_http(stream, app, from, stop).await;
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    from: SocketAddr,
    stop: Stop,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&asked);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        first.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(from));
        app.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIME_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // The library counts a head's time from its first bytes, and of HTTP/2 no request has to come.
    let late = async {
        tokio::time::sleep(HEAD_TIME_MAX).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    // How a connection ends is its client's affair.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = late => Ok(()),
        () = stop.asked() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

fn server_tls(section: &'static str, tls: &TlsConfig) -> Result<Arc<ServerConfig>, ListenError> {
    let wrong = |key, problem| ListenError::Tls { section, key, problem };
    let pem = read(&tls.cert).ok_or(wrong("tls.cert", "can't be read"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
    let certificates = certificates.ok_or(wrong("tls.cert", "holds no certificate in PEM"))?;
    let pem = read(&tls.key).ok_or(wrong("tls.key", "can't be read"))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| wrong("tls.key", "holds no private key in PEM"))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|_| wrong("tls", "certificate and key can't be used together"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(file: &Path) -> Option<Zeroizing<Vec<u8>>> {
    std::fs::read(file).ok().map(Zeroizing::new)
}
