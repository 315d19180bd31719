//! A gateway between a test and an upstream.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use trailgate_identity::{Identity, Refusal};
use trailgate_ingest_proxy::{Deps, Holding, Proxy, ProxyConfig, ProxyKeys, Verify, Verifying};
use trailgate_schemas::{AuthMethod, Micros, SessionKey};
use trailgate_service::{Context, Stop};
use trailgate_testkit::Upstream;

use crate::tape::Tape;

pub(crate) type AnyBody = BoxBody<Bytes, std::io::Error>;

/// A gateway, its recorder and its upstream.
pub(crate) struct Rig {
    pub(crate) tape: Tape,
    pub(crate) upstream: Upstream,
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) running: JoinHandle<()>,
}

/// Verifies `Bearer good` as alice of the group `agents`, and `Bearer other` as bob of none.
struct Door;

impl Verify for Door {
    fn verify<'a>(&'a self, headers: &'a HeaderMap) -> Verifying<'a> {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        let known = match token {
            Some("Bearer good") => Ok(("alice", vec!["agents".to_owned()])),
            Some("Bearer other") => Ok(("bob", Vec::new())),
            Some(_) => Err(Refusal::BadSignature),
            None => Err(Refusal::MissingCredential),
        };
        let identity = known.map(|(subject, groups)| {
            Arc::new(Identity {
                subject: subject.to_owned(),
                issuer: "https://issuer.test".to_owned(),
                groups,
                method: AuthMethod::OidcBearer,
                expires_at: Micros(i64::MAX),
            })
        });
        Box::pin(std::future::ready(identity))
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With more lines for the connection.
    pub(crate) async fn with(lines: &str) -> Self {
        let upstream = Upstream::start().await;
        let url = upstream.url();
        let text = connection("http", &url, lines);
        let (tape, context, address, running) = gateway(&text).await;
        Self { tape, upstream, address, stop: context.stop.clone(), running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, HeaderMap, Bytes) {
        self.send(Request::get(self.url(path)), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, HeaderMap, Bytes) {
        let request = Request::post(self.url(path)).header("content-type", "application/json");
        self.send(request, body).await
    }

    /// Sends as alice and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: &str,
    ) -> (u16, HeaderMap, Bytes) {
        let body = Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed();
        let response = self.begin(request, body).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, body)
    }

    /// Sends as alice and gives the answer as it begins.
    pub(crate) async fn begin(
        &self,
        request: http::request::Builder,
        body: AnyBody,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let request = match request.headers_ref() {
            Some(headers) if headers.contains_key("authorization") => request,
            _ => request.header("authorization", "Bearer good"),
        };
        client().request(request.body(body).unwrap()).await
    }

    /// Sends raw bytes and reads until the gateway closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A cut connection is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Stops the gateway and waits until it has ended.
    pub(crate) async fn end(self) -> Tape {
        self.stop.ask();
        self.running.await.unwrap();
        self.tape
    }
}

pub(crate) fn connection(kind: &str, upstream: &str, lines: &str) -> String {
    format!(
        "[connections.tools]\nkind = \"{kind}\"\nlisten = \"127.0.0.1:0\"\n\
         upstream = \"{upstream}\"\nallow_groups = [\"agents\"]\n{lines}"
    )
}

/// Starts a gateway with one connection.
pub(crate) async fn gateway(text: &str) -> (Tape, Context, SocketAddr, JoinHandle<()>) {
    gateway_holding(text, None).await
}

/// Starts a gateway with one connection, that may hold operations.
pub(crate) async fn gateway_holding(
    text: &str,
    holding: Option<Holding>,
) -> (Tape, Context, SocketAddr, JoinHandle<()>) {
    trailgate_service::install_crypto();
    let config: ProxyConfig =
        trailgate_service::parse(Path::new("test.toml"), text, &BTreeMap::new()).unwrap();
    let tape = Tape::new();
    let context = Context::system();
    let deps = Deps {
        context: context.clone(),
        recorder: Arc::new(tape.clone()),
        verifier: Arc::new(Door),
        keys: ProxyKeys::new(SessionKey::new(&[1; 32]), &[2; 32], &[3; 32]),
        holding,
    };
    let proxy = Proxy::bind(config, deps).await.unwrap();
    let address = proxy.addresses()[0].1;
    (tape, context, address, tokio::spawn(proxy.run()))
}

pub(crate) fn client() -> Client<HttpConnector, AnyBody> {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http()
}

pub(crate) fn body(text: &str) -> AnyBody {
    Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed()
}
