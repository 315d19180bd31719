//! The client of one upstream: pooled HTTP/1.1 connections, and an exact account of how far a
//! request came when it failed.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::{ConnectionConfig, ConnectionError, ConnectionName, Upstream as Address};
use crate::files::{client_tls, injected_headers};
use crate::limits::{
    CONNECT_WAIT, HEAD_BUFFER_BYTES, HEADERS_MAX, UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_WAIT,
};
use crate::payload::Payload;
use crate::relay::Cut;

/// One upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Payload>,
    address: Address,
    wait: Duration,
    /// The upstream's own host.
    pub(crate) host: HeaderValue,
    /// What it gets from the gateway.
    pub(crate) injected: Vec<(HeaderName, HeaderValue)>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// No connection could be made: the upstream has seen nothing.
    Unreachable,
    /// The request's body ended early, for this reason.
    Body(Cut),
    /// The connection broke; nobody can say what the upstream did.
    Broken,
    /// No answer began in time; nobody can say what the upstream did.
    TimedOut,
}

impl Upstream {
    pub(crate) fn open(
        name: &ConnectionName,
        connection: &ConnectionConfig,
    ) -> Result<Self, ConnectionError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_WAIT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(name, connection)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(UPSTREAM_IDLE_WAIT)
            .pool_max_idle_per_host(UPSTREAM_IDLE_MAX)
            .http1_max_buf_size(HEAD_BUFFER_BYTES)
            .http1_max_headers(HEADERS_MAX)
            .set_host(false)
            .build(connector);
        let address = connection.upstream.clone();
        let host =
            HeaderValue::from_str(address.authority.as_str()).map_err(|_| ConnectionError {
                connection: name.as_str().to_owned(),
                key: "upstream",
                problem: "its host can't stand in a header",
            })?;
        Ok(Self {
            client,
            address,
            wait: Duration::from_secs(connection.upstream_timeout_s),
            host,
            injected: injected_headers(name, connection)?,
        })
    }

    /// Whether only a part of the upstream stands behind the connection.
    pub(crate) fn has_base(&self) -> bool {
        !self.address.base_path.is_empty()
    }

    /// The address of `target` (path and query) at this upstream.
    pub(crate) fn uri(&self, target: Option<&PathAndQuery>) -> Result<Uri, http::Error> {
        let target = target.map_or("/", PathAndQuery::as_str);
        let base = &self.address.base_path;
        let builder = Uri::builder()
            .scheme(self.address.scheme.clone())
            .authority(self.address.authority.clone());
        if base.is_empty() {
            builder.path_and_query(target).build()
        } else {
            builder.path_and_query(format!("{base}{target}")).build()
        }
    }

    /// Sends a request and waits until its answer begins.
    pub(crate) async fn send(
        &self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, Failed> {
        let sent = tokio::time::timeout(self.wait, self.client.request(request)).await;
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(how_far(&error)),
            Err(_) => Err(Failed::TimedOut),
        }
    }
}

fn how_far(error: &hyper_util::client::legacy::Error) -> Failed {
    if error.is_connect() {
        return Failed::Unreachable;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(cut) = error.downcast_ref::<Cut>() {
            return Failed::Body(*cut);
        }
        cause = error.source();
    }
    Failed::Broken
}
