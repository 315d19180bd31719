//! Where a stage answers, and with which token: told by the folder of a `trailgate up`, or named.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::token::DevFile;

/// Arguments that say whom to ask.
#[derive(Args)]
pub(crate) struct PlaceArguments {
    /// The folder of a `trailgate up`, which tells address and token.
    #[arg(long, default_value = "trailgate-data")]
    data: PathBuf,
    /// The stage's address, in place of the folder's.
    #[arg(long, requires = "token_file")]
    url: Option<String>,
    /// A file with a bearer token, in place of the folder's.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// A stage's address, without a slash at its end, and a token.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl PlaceArguments {
    /// Where it is; `of` says which of the folder's addresses is meant.
    ///
    /// # Errors
    /// If neither the folder nor the token file can be read.
    pub(crate) fn find(&self, of: impl FnOnce(&DevFile) -> &str) -> anyhow::Result<Place> {
        let read = |file: &PathBuf| {
            std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))
        };
        let token = self.token_file.as_ref().map(read).transpose()?;
        let (url, token) = match (&self.url, token) {
            (Some(url), Some(token)) => (url.clone(), token),
            (_, token) => {
                let dev = DevFile::read(&self.data)?;
                (of(&dev).to_owned(), token.unwrap_or(dev.token))
            }
        };
        Ok(Place { url: url.trim_end_matches('/').to_owned(), token: token.trim().to_owned() })
    }
}
