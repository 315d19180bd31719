//! A real full identity provider: Keycloak, with one realm (tests/parts/keycloak/realm.json).

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Child;
use crate::daemon::answers_ok;
use crate::fail::{OrGiveUp, give_up};
use crate::parts::{COMPILE_QUICKLY, Parts, project_root};
use crate::port::free_port;

/// Keycloak with the realm `company`: alice of the group `agents`, mallory of the group `guests`,
/// and a client whose tokens are for the audience `trailgate`.
#[derive(Debug)]
pub struct Keycloak {
    issuer: String,
    process: Child,
    _folder: TempDir,
}

impl Keycloak {
    /// Starts one. Takes about 15 s.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-keycloak-").tempdir();
        let folder = folder.or_give_up("making Keycloak's folder");
        let home = folder.path().join("keycloak");
        // It keeps its data in its own folder.
        copy_tree(Parts::find().keycloak(), &home);
        let import = home.join("data/import");
        std::fs::create_dir_all(&import).or_give_up("making Keycloak's import folder");
        let realm = project_root().join("tests/parts/keycloak/realm.json");
        std::fs::copy(realm, import.join("realm.json")).or_give_up("copying the realm");
        let (port, management) = (free_port(), free_port());
        let process = launch(&home, port, management, &folder.path().join("log"));
        let issuer = format!("http://127.0.0.1:{port}/realms/company");
        let mut keycloak = Self { issuer, process, _folder: folder };
        let discovery = format!("{}/.well-known/openid-configuration", keycloak.issuer);
        keycloak.process.await_ready(async |_| answers_ok(&discovery).await).await;
        keycloak
    }

    /// The realm's issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token of `alice` or `mallory`, as a command line gets it.
    pub async fn token(&self, user: &str) -> String {
        let url = format!("{}/protocol/openid-connect/token", self.issuer);
        let password = format!("{user}-password");
        let form = [
            ("grant_type", "password"),
            ("client_id", "agents-cli"),
            ("username", user),
            ("password", &password),
        ];
        let answer = reqwest::Client::new().post(url).form(&form).send().await;
        let answer = answer.or_give_up("asking Keycloak for a token");
        let body: Value = answer.json().await.or_give_up("reading Keycloak's answer");
        match body["access_token"].as_str() {
            Some(token) => token.to_owned(),
            None => give_up("Keycloak refused a token", &body),
        }
    }
}

fn launch(home: &Path, port: u16, management: u16, log: &Path) -> Child {
    let java = Parts::find().java();
    let runtime = java.ancestors().nth(2).or_give_up("Java's home");
    let mut command = Command::new(home.join("bin/kc.sh"));
    command
        .args(["start", "--optimized", "--import-realm", "--http-enabled=true"])
        .args(["--hostname-strict=false", "--http-host=127.0.0.1", "--cache=local"])
        .arg(format!("--http-port={port}"))
        .arg(format!("--http-management-port={management}"))
        .env("JAVA_HOME", runtime)
        .env("JAVA", java)
        .env("JAVA_OPTS_KC_HEAP", "-Xmx512m")
        .env("JAVA_OPTS_APPEND", COMPILE_QUICKLY);
    Child::start("keycloak", command, log)
}

fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-R").arg(from).arg(to).status();
    if !status.or_give_up("copying Keycloak").success() {
        give_up("copying Keycloak", &"cp failed");
    }
}
