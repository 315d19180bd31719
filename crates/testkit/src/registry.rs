//! A real schema registry: Apicurio, by the Confluent registry's API.

use tempfile::TempDir;

use crate::child::Child;
use crate::daemon::answers_ok;
use crate::fail::OrGiveUp;
use crate::parts::Parts;
use crate::port::free_port;

/// A registry that keeps its schemas in memory.
#[derive(Debug)]
pub struct SchemaRegistry {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl SchemaRegistry {
    /// Starts one. Takes about 6 s.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-registry-").tempdir();
        let folder = folder.or_give_up("making the registry's folder");
        let (port, management) = (free_port(), free_port());
        let jar = Parts::find().registry_jar();
        let mut command = Parts::find().java_command();
        command
            .args(["-Xmx384m", "-Dquarkus.http.host=127.0.0.1"])
            .arg(format!("-Dquarkus.http.port={port}"))
            .arg("-Dquarkus.management.host=127.0.0.1")
            .arg(format!("-Dquarkus.management.port={management}"))
            .arg("-jar")
            .arg(jar)
            .current_dir(folder.path());
        let process = Child::start("schema registry", command, &folder.path().join("log"));
        let mut registry = Self { port, process, _folder: folder };
        let ready = format!("{}/subjects", registry.url());
        registry.process.await_ready(async |_| answers_ok(&ready).await).await;
        registry
    }

    /// The address of its Confluent-compatible API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_registry_gives_a_schema_an_id() {
        let registry = SchemaRegistry::start().await;
        let answer = reqwest::Client::new()
            .post(format!("{}/subjects/mark-value/versions", registry.url()))
            .json(&serde_json::json!({"schema": "\"string\""}))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(body["id"].as_i64().unwrap() > 0);
    }
}
