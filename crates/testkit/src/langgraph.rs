//! A real LangGraph server, serving the graphs of demo/langgraph or of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::child::Child;
use crate::daemon::answers_ok;
use crate::fail::OrGiveUp;
use crate::parts::{Parts, project_root};
use crate::port::free_port;

/// `langgraph dev` on a copy of an app, offline, untraced, with nothing of another run in it.
#[derive(Debug)]
pub struct LangGraph {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl LangGraph {
    /// Serves demo/langgraph. Takes about 3 s.
    pub async fn start() -> Self {
        Self::of(&project_root().join("demo/langgraph"), &[]).await
    }

    /// Serves the app in `folder`, with more in its environment.
    pub async fn of(app: &Path, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-langgraph-").tempdir();
        let folder = folder.or_give_up("making LangGraph's folder");
        copy(app, folder.path());
        let port = free_port();
        let log = folder.path().join("langgraph.log");
        let process = Child::start("langgraph", command(folder.path(), port, environment), &log);
        let mut server = Self { port, process, _folder: folder };
        let ready = format!("{}/ok", server.url());
        server.process.await_ready(async |_| answers_ok(&ready).await).await;
        server
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

fn command(folder: &Path, port: u16, environment: &[(&str, &str)]) -> Command {
    let langgraph = Parts::find().langgraph();
    let mut command = Command::new(langgraph);
    command
        .args(["dev", "--no-browser", "--no-reload", "--host", "127.0.0.1"])
        .args(["--port", &port.to_string(), "--n-jobs-per-worker", "8"])
        .current_dir(folder)
        .env("LANGGRAPH_CLI_NO_ANALYTICS", "1")
        .env("LANGSMITH_TRACING", "false")
        .env("LANGCHAIN_TRACING_V2", "false")
        .env_remove("LANGSMITH_API_KEY")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied());
    command
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).or_give_up("reading the LangGraph app") {
        let file: PathBuf = entry.or_give_up("reading the LangGraph app").path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            std::fs::copy(&file, to.join(name)).or_give_up("copying the LangGraph app");
        }
    }
}
