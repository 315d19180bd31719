//! Our own binaries, as processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use tempfile::TempDir;

use crate::child::Child;
use crate::fail::{OrGiveUp, give_up};

/// How a process of ours is started, as often as needed.
#[derive(Clone, Debug)]
pub struct Recipe {
    binary: String,
    arguments: Vec<OsString>,
    /// A folder that is replaced by a file system of this size, for this process alone.
    small_disk: Option<(PathBuf, u32)>,
    environment: Vec<(String, String)>,
    ready: Option<String>,
    folder: Arc<TempDir>,
}

/// A running process of ours.
#[derive(Debug)]
pub struct Daemon {
    recipe: Recipe,
    process: Child,
}

impl Recipe {
    /// Of the binary of this name, from the target folder that the test itself was built in.
    #[must_use]
    pub fn of(binary: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-daemon-").tempdir();
        Self {
            binary: binary.to_owned(),
            arguments: Vec::new(),
            small_disk: None,
            environment: Vec::new(),
            ready: None,
            folder: Arc::new(folder.or_give_up("making a daemon's folder")),
        }
    }

    /// With this argument behind the others.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With `--config FILE`, the file holding `toml`.
    #[must_use]
    pub fn config(self, toml: &str) -> Self {
        let file = self.folder.path().join("config.toml");
        std::fs::write(&file, toml).or_give_up("writing a configuration");
        self.argument("--config").argument(file)
    }

    /// With `folder` on a disk of its own that holds so many KiB and is seen by nobody else. Needs the
    /// right to make namespaces, as containers and most distributions give it.
    #[must_use]
    pub fn small_disk(mut self, folder: &Path, kib: u32) -> Self {
        self.small_disk = Some((folder.to_owned(), kib));
        self
    }

    /// With this in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ready when this address answers 200: `http://127.0.0.1:PORT/readyz`.
    #[must_use]
    pub fn ready_at(mut self, url: &str) -> Self {
        self.ready = Some(url.to_owned());
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Daemon {
        let mut daemon = self.launch();
        daemon.await_ready().await;
        daemon
    }

    /// Starts it and does not wait.
    #[must_use]
    pub fn launch(&self) -> Daemon {
        let log = self.folder.path().join("log");
        let process = Child::start(&self.binary, self.command(), &log);
        Daemon { recipe: self.clone(), process }
    }

    /// Runs it to its end, which a refusal at the start is; gives the status and what it printed.
    pub async fn run_to_end(&self) -> (ExitStatus, String) {
        let log = self.folder.path().join("run.log");
        let mut process = Child::start(&self.binary, self.command(), &log);
        let status = process.await_end().await;
        (status, process.log())
    }

    fn command(&self) -> Command {
        let binary = binary(&self.binary);
        let mut command = match &self.small_disk {
            None => Command::new(binary),
            Some((folder, kib)) => {
                let mount = "mount -t tmpfs -o size=$0k tmpfs \"$1\" && shift && exec \"$@\"";
                let mut command = Command::new("unshare");
                command.args(["--map-root-user", "--mount", "sh", "-c", mount]);
                command.arg(kib.to_string()).arg(folder).arg(binary);
                command
            }
        };
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Daemon {
    /// Waits until it is ready; ends the test with its log if it ends before.
    pub async fn await_ready(&mut self) {
        let Some(url) = self.recipe.ready.clone() else { return };
        self.process.await_ready(async |_| answers_ok(&url).await).await;
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again as before, after killing it if it still runs, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.process.kill();
        *self = self.recipe.start().await;
    }

    /// Its process: to pause, resume, measure, end it in order, or read its log.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// The log of all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// The file of a binary of ours: beside the test executable, or a folder or two above it.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().or_give_up("finding the test's own file");
    let found = test
        .ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file));
    found.unwrap_or_else(|| give_up(name, &"not built; run cargo build --workspace --bins"))
}

fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// Whether a GET of `url` answers 200.
pub(crate) async fn answers_ok(url: &str) -> bool {
    matches!(reqwest::get(url).await, Ok(answer) if answer.status() == 200)
}

/// Whether somebody listens on this port of 127.0.0.1.
pub(crate) async fn accepts(port: u16) -> bool {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}
