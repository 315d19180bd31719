//! `trailgate token`: a token of the development issuer.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use trailgate_service::{Clock, SystemClock};

use crate::dev_issuer::{Beside, DevIssuer};

/// The arguments of `trailgate token`.
#[derive(Args)]
pub(crate) struct TokenArguments {
    /// The folder of `trailgate up`.
    #[arg(long, default_value = "trailgate-data")]
    data: PathBuf,
    /// Whom the token is about.
    #[arg(long, default_value = "developer")]
    subject: String,
    /// The groups that it names.
    #[arg(long = "group", default_value = "developers")]
    groups: Vec<String>,
}

/// What `trailgate up` leaves in its folder for other commands, readable by its owner only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DevFile {
    /// Where agents' callers connect.
    pub proxy_url: String,
    /// Where SQL is asked.
    pub query_url: String,
    /// Where held operations are decided.
    #[serde(default)]
    pub approver_url: String,
    /// The development issuer.
    pub issuer: String,
    /// A token of it.
    pub token: String,
}

/// The name of [`DevFile`] in the folder.
pub(crate) const DEV_FILE: &str = "dev.json";

impl DevFile {
    /// Reads it from a folder of `trailgate up`.
    ///
    /// # Errors
    /// If there is none, which means that `trailgate up` never ran there.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let file = data.join(DEV_FILE);
        let text = std::fs::read(&file).with_context(|| {
            format!("{}: can't be read; does `trailgate up` run with this folder?", file.display())
        })?;
        serde_json::from_slice(&text)
            .map_err(|_| anyhow::anyhow!("{}: not written by `trailgate up`", file.display()))
    }
}

/// Runs it.
///
/// # Errors
/// If `trailgate up` never ran in the folder.
#[expect(clippy::print_stdout, reason = "this is what the command answers")]
pub(crate) fn run(arguments: &TokenArguments) -> anyhow::Result<()> {
    let dev = DevFile::read(&arguments.data)?;
    let address = dev.issuer.trim_start_matches("http://").parse();
    let address = address.context("dev.json names no issuer's address")?;
    let alone = Beside { shared_backbone: false, listeners: &[] };
    let issuer = DevIssuer::open(&arguments.data, address, alone)?;
    println!("{}", issuer.token(&arguments.subject, &arguments.groups, SystemClock.now())?);
    Ok(())
}
