//! TLS on both sides: one gateway behind another.

use std::path::PathBuf;
use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::rig::{body, client, connection, gateway};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/tls").join(name)
}

fn tls_lines() -> String {
    format!("tls = {{ cert = {:?}, key = {:?} }}\n", file("server.pem"), file("server.key"))
}

fn connector(protocol: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_listener_with_a_certificate_speaks_http_2_over_tls() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let (tape, context, address, running) =
        gateway(&connection("http", &upstream.url(), &tls_lines())).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector(b"h2").connect(name, stream).await.unwrap();
    let (mut sender, driving) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driving = tokio::spawn(driving);
    let asked = Request::get("https://localhost/echo").header("authorization", "Bearer good");
    let answer = sender.send_request(asked.body(body("")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    assert_eq!(upstream.seen()[0].headers["x-forwarded-proto"], "https");
    driving.abort();
    tape.whole().await;
    context.stop.ask();
    running.await.unwrap();
}

#[tokio::test]
async fn an_upstream_is_reached_over_tls_with_the_gateways_own_credential() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let (behind, behind_context, address, behind_running) =
        gateway(&connection("http", &upstream.url(), &tls_lines())).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("credential");
    std::fs::write(&secret, "Bearer good\n").unwrap();
    let lines = format!(
        "upstream_ca = {:?}\ninject_headers = {{ authorization = {secret:?} }}\n",
        file("ca.pem")
    );
    let url = format!("https://localhost:{}", address.port());
    let (before, context, address, running) = gateway(&connection("http", &url, &lines)).await;
    let asked = Request::get(format!("http://{address}/echo"));
    let asked = asked.header("authorization", "Bearer good").body(body("")).unwrap();
    assert_eq!(client().request(asked).await.unwrap().status(), 200);
    assert!(!format!("{:?}", before.all()).contains("Bearer good"));
    before.whole().await;
    behind.whole().await;
    for (context, running) in [(context, running), (behind_context, behind_running)] {
        context.stop.ask();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_vouches_for_is_not_reached() {
    let upstream = trailgate_testkit::Upstream::start().await;
    let (_, behind_context, address, behind_running) =
        gateway(&connection("http", &upstream.url(), &tls_lines())).await;
    let url = format!("https://localhost:{}", address.port());
    // The server's own certificate is no authority's.
    let lines = format!("upstream_ca = {:?}\n", file("server.pem"));
    let (_, context, address, running) = gateway(&connection("http", &url, &lines)).await;
    let asked = Request::get(format!("http://{address}/echo"));
    let asked = asked.header("authorization", "Bearer good").body(body("")).unwrap();
    assert_eq!(client().request(asked).await.unwrap().status(), 502);
    assert_eq!(upstream.requests(), 0);
    for (context, running) in [(context, running), (behind_context, behind_running)] {
        context.stop.ask();
        running.await.unwrap();
    }
}
