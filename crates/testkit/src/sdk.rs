//! The real Python SDK, driving a LangGraph server or the gateway before it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Child;
use crate::fail::OrGiveUp;
use crate::limits::WAIT_MAX;
use crate::parts::{Parts, project_root};
use crate::wait::until_within;

/// `langgraph_sdk` against one address, as one caller (tests/parts/sdk/drive.py, which says what
/// steps there are).
#[derive(Clone, Debug)]
pub struct PythonSdk {
    url: String,
    token: Option<String>,
}

/// The SDK at work in a process of its own.
#[derive(Debug)]
pub struct SdkRun {
    process: Child,
    output: PathBuf,
    _folder: TempDir,
}

impl PythonSdk {
    /// Against a server that asks for no token.
    #[must_use]
    pub fn anonymous(url: &str) -> Self {
        Self { url: url.to_owned(), token: None }
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearing(url: &str, token: &str) -> Self {
        Self { url: url.to_owned(), token: Some(token.to_owned()) }
    }

    /// Takes the steps, waits for their end and gives all lines that the script printed; ends the
    /// test if the script failed.
    pub async fn run(&self, steps: &Value) -> Vec<Value> {
        self.start(steps).lines().await
    }

    /// Takes the steps and does not wait.
    #[must_use]
    pub fn start(&self, steps: &Value) -> SdkRun {
        let folder = tempfile::Builder::new().prefix("trailgate-sdk-").tempdir();
        let folder = folder.or_give_up("making the SDK's folder");
        let (input, output) = (folder.path().join("steps.json"), folder.path().join("lines"));
        let script = serde_json::json!({"url": self.url, "token": self.token, "steps": steps});
        std::fs::write(&input, script.to_string()).or_give_up("writing the SDK's steps");
        let mut command = Command::new(Parts::find().python());
        command
            .arg(project_root().join("tests/parts/sdk/drive.py"))
            .arg(input)
            .env("LANGSMITH_TRACING", "false")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1");
        let log = folder.path().join("log");
        let process = Child::start_with_output("python sdk", command, &output, &log);
        SdkRun { process, output, _folder: folder }
    }
}

impl SdkRun {
    /// What it has printed so far, whole lines only.
    #[must_use]
    pub fn so_far(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).or_give_up("reading the SDK's line"))
            .collect()
    }

    /// Waits for its end and gives all lines; ends the test if it failed.
    pub async fn lines(mut self) -> Vec<Value> {
        let process = &mut self.process;
        let status = until_within(WAIT_MAX, "the SDK's end", async || process.ended()).await;
        if !status.success() {
            self.process.complain("failed");
        }
        self.so_far()
    }

    /// Its process, to kill it in the middle.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}
