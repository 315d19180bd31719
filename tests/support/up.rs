//! All stages in one process on the embedded log: `trailgate up`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use tempfile::TempDir;

use trailgate_testkit::{Daemon, Recipe, free_port, until};

/// A running `trailgate up` and its folder.
#[derive(Debug)]
pub struct Up {
    daemon: Daemon,
    dev: DevFile,
    folder: TempDir,
}

/// What `trailgate up` leaves in its folder once it is ready.
#[derive(Clone, Debug, Deserialize)]
pub struct DevFile {
    /// Where callers connect.
    pub proxy_url: String,
    /// Where SQL is asked.
    pub query_url: String,
    /// Where held operations are decided.
    pub approver_url: String,
    /// A token of the development issuer.
    pub token: String,
    /// That issuer.
    pub issuer: String,
}

impl Up {
    /// Starts it before this LangGraph server (or whatever else speaks HTTP), in a new folder.
    pub async fn start(langgraph: &str) -> Self {
        Self::begin(langgraph, None).await
    }

    /// Like [`Self::start`], holding what these rules say.
    pub async fn start_holding(langgraph: &str, rules: &str) -> Self {
        Self::begin(langgraph, Some(rules)).await
    }

    async fn begin(langgraph: &str, rules: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-up-").tempdir().unwrap();
        let data = folder.path().join("data");
        let mut recipe = Recipe::of("trailgate")
            .argument("up")
            .argument("--data")
            .argument(&data)
            .argument("--langgraph")
            .argument(langgraph)
            .argument("--listen")
            .argument(format!("127.0.0.1:{}", free_port()));
        if let Some(rules) = rules {
            let file = folder.path().join("rules.toml");
            std::fs::write(&file, rules).unwrap();
            recipe = recipe.argument("--rules").argument(file);
        }
        let mut daemon = recipe.launch();
        let dev = ready(&mut daemon, &data, None).await;
        Self { daemon, dev, folder }
    }

    /// Where it is reached, and the token.
    #[must_use]
    pub fn dev(&self) -> &DevFile {
        &self.dev
    }

    /// Its folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A token of the development issuer for somebody in these groups.
    pub async fn token(&self, subject: &str, groups: &[&str]) -> String {
        let mut recipe = Recipe::of("trailgate")
            .argument("token")
            .argument("--data")
            .argument(self.data())
            .argument("--subject")
            .argument(subject);
        for group in groups {
            recipe = recipe.argument("--group").argument(*group);
        }
        let (status, said) = recipe.run_to_end().await;
        assert!(status.success(), "{said}");
        said.lines().last().unwrap().trim().to_owned()
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again on its folder.
    pub async fn restart(&mut self) {
        let data = self.data();
        let before = written(&data);
        self.daemon.restart().await;
        self.dev = ready(&mut self.daemon, &data, before).await;
    }
}

// It writes its file anew each time that it is ready.
async fn ready(daemon: &mut Daemon, data: &Path, before: Option<SystemTime>) -> DevFile {
    until("trailgate up", async || {
        daemon.process().must_live();
        let now = written(data)?;
        (Some(now) != before).then_some(())?;
        serde_json::from_slice(&std::fs::read(dev_file(data)).ok()?).ok()
    })
    .await
}

fn written(data: &Path) -> Option<SystemTime> {
    std::fs::metadata(dev_file(data)).ok()?.modified().ok()
}

fn dev_file(data: &Path) -> PathBuf {
    data.join("dev.json")
}
