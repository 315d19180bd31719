//! The listener with TLS.

use std::path::PathBuf;

use reqwest::Certificate;
use trailgate_identity::TlsConfig;
use trailgate_query::{Bound, QueryConfig};

use crate::world::{Plan, World};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sql/tls").join(name)
}

fn with_tls(config: &mut QueryConfig) {
    config.tls = Some(TlsConfig { cert: file("server.pem"), key: file("server.key") });
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_nothing_is_answered_in_clear() {
    let world = World::with(Plan { configure: with_tls, ..Plan::default() }).await;
    let clear = world.auditor().body("SELECT 1").send().await;
    assert!(clear.is_err());
    let ca = Certificate::from_pem(&std::fs::read(file("ca.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    let url = world.url().replace("http://127.0.0.1", "https://localhost");
    let token = world.issuer.token("ann", &["auditors"]);
    let ask = client.post(format!("{url}/v1/sql")).bearer_auth(token).body("SELECT 1 AS one");
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("{\"one\":1}\n"));
}

#[tokio::test]
async fn a_wrong_file_is_told_by_its_key_alone() {
    trailgate_service::install_crypto();
    let cases = [
        ("nowhere.pem", "server.key", "query.tls.cert: can't be read"),
        ("server.key", "server.key", "query.tls.cert: holds no certificate in PEM"),
        ("server.pem", "ca.pem", "query.tls.key: holds no private key in PEM"),
        ("ca.pem", "server.key", "query.tls: certificate and key can't be used together"),
    ];
    for (cert, key, said) in cases {
        let groups = ["auditors".to_owned()].into();
        let mut config = QueryConfig::new("127.0.0.1:0".parse().unwrap(), groups, "scratch".into());
        config.tls = Some(TlsConfig { cert: file(cert), key: file(key) });
        let refused = Bound::bind(config).await.err().unwrap();
        assert_eq!(refused.to_string(), said);
    }
}
