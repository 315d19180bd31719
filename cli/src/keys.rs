//! `trailgate keys`: make and rotate the keys of a deployment.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trailgate_envelope::{KeysFolder, Written};

/// The arguments of `trailgate keys`.
#[derive(Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make each key that is missing; none is replaced.
    New {
        /// The keys' folder.
        folder: PathBuf,
    },
    /// Add a new opening key and new sender keys and use them from now on; old ones still open.
    Rotate {
        /// The keys' folder.
        folder: PathBuf,
    },
}

/// Runs it.
///
/// # Errors
/// If the folder can't be read or written, or others can read its private keys.
pub(crate) fn run(arguments: &KeysArguments) -> anyhow::Result<()> {
    let written = match &arguments.command {
        KeysCommand::New { folder } => KeysFolder::new(folder).create_missing()?,
        KeysCommand::Rotate { folder } => KeysFolder::new(folder).rotate()?,
    };
    tell(&written);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn tell(written: &Written) {
    if written.files.is_empty() {
        println!("nothing to do: every key is there");
    }
    for file in &written.files {
        println!("wrote {}", file.display());
    }
}
